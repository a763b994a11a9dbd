//! A method's name in the first line and any text as its parameters, called by the host inside the process.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (method, params) = text.split_once('\n').unwrap_or((text, "{}"));
    carport_core::testing::fuzz::call(method, params);
});
