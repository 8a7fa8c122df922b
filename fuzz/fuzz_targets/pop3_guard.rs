//! See `mailward_fuzz::TARGETS`.
#![no_main]

#[path = "../counting.rs"]
mod counting;

libfuzzer_sys::fuzz_target!(|input: &[u8]| mailward_fuzz::run("pop3_guard", input));
