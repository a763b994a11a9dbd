//! Any text as what others send by A2A.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| carport_fuzz_bodies::a2a(text));
