//! Instance noise (Sonderby et al., 2016, arXiv:1610.04490; Arjovsky and Bottou, 2017, arXiv:1701.04862).
//!
//! D sees x + s n and G(z) + s n, n ~ N(0, 1) for each value; s falls linearly from `std` to 0 while the first `kimg`
//! thousand real images are seen.
//!
//! Data and samples lie on thin sheets that hardly meet, so a perfect D exists and tells G nothing. Noise makes both
//! fill the space: they overlap, and the divergences between them are finite and smooth. Pitfalls: the same noise must
//! be on both sides, also in G's update; noise that never ends is learnt by G as blur.

use crate::optim::BadSetting;
use serde::{Deserialize, Serialize};

/// Noise on all that D sees, and how it fades.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstanceNoise {
    /// Its standard deviation at the start, in the samples' unit; 0.1 is usual for \[-1, 1\].
    pub std: f64,
    /// Thousands of real images until it is gone.
    pub kimg: f64,
}

impl InstanceNoise {
    /// The standard deviation after this many real images.
    ///
    /// ```
    /// use ganvil::gan::InstanceNoise;
    /// let noise = InstanceNoise { std: 0.1, kimg: 2.0 };
    /// assert_eq!([0, 1000, 2000, 9000].map(|n| noise.at(n)), [0.1, 0.05, 0.0, 0.0]);
    /// ```
    pub fn at(&self, images: u64) -> f64 {
        self.std * (1.0 - images as f64 / (self.kimg * 1000.0)).max(0.0)
    }

    /// Refuses what is no noise.
    ///
    /// # Errors
    /// Names the setting, its value and what it may be.
    pub fn check(&self) -> Result<(), BadSetting> {
        let positive = |v: f64| v.is_finite() && v > 0.0;
        let bad = |name, value: f64| {
            Err(BadSetting { name, value: value.to_string(), remedy: "it is a finite number above 0" })
        };
        match self {
            n if !positive(n.std) => bad("std", n.std),
            n if !positive(n.kimg) => bad("kimg", n.kimg),
            _ => Ok(()),
        }
    }
}
