//! Exponential moving averages of parameters.

use serde::{Deserialize, Serialize};

/// The schedule of an average over training, counted in images so that runs of different batch sizes compare.
///
/// avg <- decay avg + (1 - decay) p after each update, with decay = 0.5^(batch / half_life). Early in training the
/// half-life is at most `rampup` times the images seen, so that the average does not drag the first noise along.
/// (Karras et al., 2020, arXiv:2006.06676.)
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ema {
    /// Thousands of images after which a value's weight has halved.
    pub half_life_kimg: f64,
    /// Share of the images seen that bounds the half-life.
    pub rampup: f64,
}

impl Default for Ema {
    fn default() -> Ema {
        Ema { half_life_kimg: 10.0, rampup: 0.05 }
    }
}

impl Ema {
    /// The decay of an update with `batch` images when `seen` images were seen before it.
    pub fn decay(&self, batch: usize, seen: u64) -> f64 {
        let half_life = (self.half_life_kimg * 1000.0).min(self.rampup * seen as f64);
        if half_life <= 0.0 { 0.0 } else { 0.5f64.powf(batch as f64 / half_life) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_life_halves() {
        let ema = Ema { half_life_kimg: 1.0, rampup: 0.5 };
        let per_half_life = 1000 / 8;
        let kept = ema.decay(8, 1_000_000).powi(per_half_life);
        assert!((kept - 0.5).abs() < 1e-12, "{kept}");
        assert_eq!(ema.decay(8, 0), 0.0, "the first value is taken whole");
        assert!((ema.decay(8, 16) - 0.5).abs() < 1e-12, "a half-life of 8 images");
    }
}
