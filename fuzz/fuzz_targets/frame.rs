//! Any text as a frame: reading it must not panic, and what is a request must answer to its own id.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| carport_fuzz_bodies::frame(text));
