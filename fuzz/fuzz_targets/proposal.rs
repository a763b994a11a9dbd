//! Any text as a proposal.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| carport_fuzz_bodies::proposal(text));
