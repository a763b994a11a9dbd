//! Any object as the parameters of `session.auth`, on a host whose tokens nobody can guess.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| carport_fuzz_bodies::auth(text));
