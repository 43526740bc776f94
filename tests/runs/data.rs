//! A small data set, so that a run's start takes no time.

use std::fs;
use std::path::Path;

/// Writes `count` pictures of `side` x `side`, each of one of ten classes, as MNIST's files.
pub fn write(dir: &Path, count: u32, side: u32) {
    fs::create_dir_all(dir).unwrap();
    let mut images = [2051, count, side, side].map(u32::to_be_bytes).concat();
    // Some pattern that depends on class, place and picture.
    images.extend(
        (0..count).flat_map(|i| (0..side * side).map(move |p| ((p * (i % 10 + 1) * 7 + i * 13) % 256) as u8)),
    );
    let mut labels = [2049, count].map(u32::to_be_bytes).concat();
    labels.extend((0..count).map(|i| (i % 10) as u8));
    fs::write(dir.join("train-images-idx3-ubyte"), images).unwrap();
    fs::write(dir.join("train-labels-idx1-ubyte"), labels).unwrap();
}
