#![no_main]

#[allow(dead_code)]
#[path = "../../tests/hostile/readers.rs"]
mod readers;

// The first byte says whether a whole file follows, or a header and before it the number of KiB of zeros behind it.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| match bytes {
    [b'F', file @ ..] => readers::checkpoint(file),
    [b'H', low, high, header @ ..] => {
        let kib = u16::from_le_bytes([*low, *high]) as usize % 4096;
        readers::checkpoint_of(header, kib * 1024)
    }
    _ => {}
});
