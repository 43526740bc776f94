//! Exponential moving averages of parameters.

use super::{BadSetting, is_amount, require};
use serde::{Deserialize, Serialize};

/// The schedule of an average over training, counted in images so that runs of different batch sizes compare.
///
/// avg <- decay avg + (1 - decay) p after each update, with decay = 0.5^(images / half_life). Early in training the
/// half-life is at most `rampup` times the images seen before the update's, so that the average does not drag the first
/// noise along. (Karras et al., 2020, arXiv:2006.06676, and their published training loop.)
///
/// ```
/// use ganvil::optim::Ema;
/// let ema = Ema { half_life_kimg: 0.5, rampup: 0.0 };
/// assert_eq!(ema.decay(500.0, 0.0), 0.5);
/// ```
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ema {
    /// Thousands of images after which a value's weight has halved.
    pub half_life_kimg: f64,
    /// Share of the images seen that bounds the half-life; 0 for no bound.
    pub rampup: f64,
}

impl Default for Ema {
    fn default() -> Ema {
        Ema { half_life_kimg: 10.0, rampup: 0.05 }
    }
}

impl Ema {
    /// The decay of an update that comes `images` images after the one before it, when `seen` images were seen before
    /// these. Neither need be whole: an update's share of a step's images.
    ///
    /// ```
    /// use ganvil::optim::Ema;
    /// let ema = Ema { half_life_kimg: 10.0, rampup: 0.05 };
    /// assert_eq!(ema.decay(64.0, 0.0), 0.0); // the first value is taken whole
    /// assert_eq!(ema.decay(64.0, 1280.0), 0.5); // a half-life of 5 % of 1280 images
    /// ```
    pub fn decay(&self, images: f64, seen: f64) -> f64 {
        let half_life = self.half_life_kimg * 1000.0;
        let half_life = if self.rampup > 0.0 { half_life.min(self.rampup * seen) } else { half_life };
        if half_life <= 0.0 { 0.0 } else { 0.5f64.powf(images / half_life) }
    }

    /// Refuses settings that give no average.
    ///
    /// # Errors
    /// Names the setting, its value and what it may be.
    ///
    /// ```
    /// use ganvil::optim::Ema;
    /// assert!(Ema::default().check().is_ok());
    /// assert_eq!(Ema { rampup: -1.0, ..Ema::default() }.check().unwrap_err().name, "rampup");
    /// ```
    pub fn check(&self) -> Result<(), BadSetting> {
        require(
            self.half_life_kimg.is_finite() && self.half_life_kimg > 0.0,
            "half_life_kimg",
            self.half_life_kimg,
            "it is a finite number of thousands of images above 0; 10 is usual",
        )?;
        require(
            is_amount(self.rampup),
            "rampup",
            self.rampup,
            "it is a finite share, 0 or more; 0.05 is usual, 0 is none",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_life_halves() {
        let ema = Ema { half_life_kimg: 1.0, rampup: 0.5 };
        let per_half_life = 1000 / 8;
        let kept = ema.decay(8.0, 1e6).powi(per_half_life);
        assert!((kept - 0.5).abs() < 1e-12, "{kept}");
        assert_eq!(ema.decay(8.0, 0.0), 0.0, "the first value is taken whole");
        assert!((ema.decay(8.0, 16.0) - 0.5).abs() < 1e-12, "a half-life of 8 images");
    }

    /// beta = 0.5^(batch / max(min(kimg 1000, rampup seen), 1e-8)), the published loop's expression.
    #[test]
    fn the_decay_is_that_of_stylegan2_ada() {
        for (half_life_kimg, rampup) in [(10.0, 0.05), (500.0, 0.1), (0.02, 0.05)] {
            for seen in [0.0, 64.0, 1e3, 199_936.0, 200_000.0, 1e7] {
                let nimg = f64::min(half_life_kimg * 1000.0, rampup * seen);
                let want = 0.5f64.powf(64.0 / nimg.max(1e-8));
                assert_eq!(Ema { half_life_kimg, rampup }.decay(64.0, seen), want);
            }
        }
        assert_eq!(Ema { half_life_kimg: 0.064, rampup: 0.0 }.decay(64.0, 0.0), 0.5, "without a ramp-up");
    }
}
