#![no_main]

#[allow(dead_code, reason = "each target uses one of the readers")]
#[path = "../../tests/hostile/readers.rs"]
mod readers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::idx(bytes));
