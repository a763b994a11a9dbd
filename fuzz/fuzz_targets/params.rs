//! A method's name in the first line and any text as its parameters, called by the host inside the process.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| carport_fuzz_bodies::params(text));
