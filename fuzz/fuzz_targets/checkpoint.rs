#![no_main]

#[allow(dead_code, reason = "each target uses one of the readers")]
#[path = "../../tests/hostile/readers.rs"]
mod readers;

// The first byte says whether a whole file follows or a header.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| match bytes {
    [b'F', file @ ..] => _ = readers::checkpoint(file),
    [b'H', header @ ..] => _ = readers::checkpoint_of(header),
    _ => {}
});
