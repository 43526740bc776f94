//! Sizes of two dimensions in data: one number for both, or `[height, width]`, as in PyTorch.

use serde::{Deserialize, Deserializer};

#[derive(Deserialize)]
#[serde(untagged)]
enum Sizes {
    Both(usize),
    Each([usize; 2]),
}

pub(super) fn sizes<'de, D: Deserializer<'de>>(d: D) -> Result<[usize; 2], D::Error> {
    Ok(match Sizes::deserialize(d)? {
        Sizes::Both(n) => [n, n],
        Sizes::Each(sizes) => sizes,
    })
}

/// Sizes, or null.
pub(super) fn optional<'de, D: Deserializer<'de>>(d: D) -> Result<Option<[usize; 2]>, D::Error> {
    Ok(Option::<Sizes>::deserialize(d)?.map(|s| match s {
        Sizes::Both(n) => [n, n],
        Sizes::Each(sizes) => sizes,
    }))
}
