//! Distributions in the plane whose truth is known, for watching what a generator learns and what it leaves out.
//!
//! | name | samples |
//! |---|---|
//! | `ring8` | 8 Gaussians at (cos, sin)(2 pi i / 8), i = 0 .. 7, sigma 0.01, equal shares |
//! | `grid25` | 25 Gaussians at {-4, -2, 0, 2, 4}^2, sigma 0.05, equal shares |
//! | `swiss-roll` | ((t cos t, t sin t) + 0.25 n) / 7.5 with t = 1.5 pi (1 + 2 u) |
//! | `two-moons` | (cos a, sin a) or (1 - cos a, 1/2 - sin a), each half of the time, plus 0.05 n; a = pi u |
//! | `imbalanced-ring` | the Gaussians of `ring8` with shares 8 : 7 : 6 : 5 : 4 : 3 : 2 : 1, counter-clockwise |
//!
//! u is uniform in [0, 1) and n standard normal in two dimensions. Ring and grid are those of VEEGAN (Srivastava et
//! al., 2017, arXiv:1705.07761) and PacGAN (Lin et al., 2018, arXiv:1712.04086). The roll is scikit-learn's
//! `make_swiss_roll` without its height, scaled as in the toy experiments of Gulrajani et al. (2017,
//! arXiv:1704.00028), which leaves 0.033 of noise. The moons are scikit-learn's `make_moons`, but with random angles in
//! place of evenly spaced ones.

use rand::RngExt;
use rand::distr::weighted::WeightedIndex;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};
use std::f64::consts::PI;
use std::fmt;
use std::str::FromStr;

use super::Mixture;
use crate::names::unknown;
use crate::rng::{Key, Philox, Stream};
use crate::{Error, Result};

/// A distribution in the plane; the [list](self) has the formulas.
///
/// ```
/// use ganvil::data::Synthetic;
///
/// let ring: Synthetic = "ring8".parse()?;
/// let points = ring.samples(0).take(500);
/// assert_eq!(points.len(), 500);
/// assert!(points.iter().all(|[x, y]| (x.hypot(*y) - 1.0).abs() < 0.1));
/// let mistyped = "ring-8".parse::<Synthetic>().unwrap_err().to_string();
/// assert!(mistyped.contains("did you mean 'ring8'?"));
/// # Ok::<(), ganvil::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Synthetic {
    /// Eight narrow Gaussians on the unit circle.
    Ring8,
    /// Twenty-five Gaussians on a square grid.
    Grid25,
    /// A spiral band.
    SwissRoll,
    /// Two interleaved half circles.
    TwoMoons,
    /// The ring with shares from 8/36 down to 1/36.
    ImbalancedRing,
}

impl Synthetic {
    /// Every distribution.
    ///
    /// ```
    /// # use ganvil::data::Synthetic;
    /// assert!(Synthetic::ALL.iter().all(|s| s.name().parse::<Synthetic>().unwrap() == *s));
    /// ```
    pub const ALL: [Synthetic; 5] = [
        Synthetic::Ring8,
        Synthetic::Grid25,
        Synthetic::SwissRoll,
        Synthetic::TwoMoons,
        Synthetic::ImbalancedRing,
    ];

    /// The name in configuration files and on the command line.
    ///
    /// ```
    /// # use ganvil::data::Synthetic;
    /// assert_eq!(Synthetic::SwissRoll.name(), "swiss-roll");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Synthetic::Ring8 => "ring8",
            Synthetic::Grid25 => "grid25",
            Synthetic::SwissRoll => "swiss-roll",
            Synthetic::TwoMoons => "two-moons",
            Synthetic::ImbalancedRing => "imbalanced-ring",
        }
    }

    /// The components, where the distribution is a mixture.
    ///
    /// ```
    /// # use ganvil::data::Synthetic;
    /// let grid = Synthetic::Grid25.mixture().unwrap();
    /// assert_eq!((grid.modes(), grid.sigma, grid.centres[24]), (25, 0.05, [4.0, 4.0]));
    /// assert!(Synthetic::TwoMoons.mixture().is_none());
    /// ```
    pub fn mixture(self) -> Option<Mixture> {
        let ring = || Mixture::ring(8, 1.0, 0.01);
        match self {
            Synthetic::Ring8 => Some(ring()),
            Synthetic::Grid25 => Some(Mixture::grid(&[-4.0, -2.0, 0.0, 2.0, 4.0], 0.05)),
            Synthetic::ImbalancedRing => Some(ring().weighted(&[8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0])),
            Synthetic::SwissRoll | Synthetic::TwoMoons => None,
        }
    }

    /// The endless sequence of samples of a seed, from its beginning.
    ///
    /// ```
    /// # use ganvil::data::Synthetic;
    /// let roll = Synthetic::SwissRoll;
    /// assert_eq!(roll.samples(7).take(3), roll.samples(7).take(3));
    /// assert_ne!(roll.samples(7).take(3), roll.samples(8).take(3));
    /// ```
    pub fn samples(self, seed: u64) -> Samples {
        self.samples_from(seed, 0)
    }

    /// The same sequence from sample number `position` on.
    ///
    /// ```
    /// # use ganvil::data::Synthetic;
    /// let whole = Synthetic::TwoMoons.samples(1).take(10);
    /// assert_eq!(Synthetic::TwoMoons.samples_from(1, 6).take(4), whole[6..]);
    /// ```
    pub fn samples_from(self, seed: u64, position: u64) -> Samples {
        let mixture = self.mixture().map(|m| (m.components(), m));
        Samples { what: self, mixture, key: Key::new(seed, Stream::Data), position }
    }
}

impl fmt::Display for Synthetic {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Synthetic {
    type Err = Error;
    fn from_str(s: &str) -> Result<Synthetic> {
        let names = Synthetic::ALL.map(Synthetic::name);
        Synthetic::ALL.into_iter().find(|d| d.name() == s).ok_or_else(|| unknown("distribution", s, &names))
    }
}

/// Samples of a distribution, one after the other.
///
/// Sample number `i` is made from call `i` of the seed's [`Stream::Data`] and from nothing else, so that it does not
/// matter in batches of which size they are taken, and the seed and the [`position`](Samples::position) are the whole
/// state.
///
/// ```
/// use ganvil::Tensor;
/// use ganvil::data::Synthetic;
///
/// let mut samples = Synthetic::Ring8.samples(0);
/// let batch = samples.take(64);
/// let real = Tensor::new(batch.as_flattened(), &[64, 2]);
/// assert_eq!(real.shape(), [64, 2]);
/// assert_eq!(samples.position(), 64);
/// ```
#[derive(Clone, Debug)]
pub struct Samples {
    what: Synthetic,
    mixture: Option<(WeightedIndex<f64>, Mixture)>,
    key: Key,
    position: u64,
}

impl Samples {
    /// The number of samples taken so far: what a checkpoint keeps.
    ///
    /// ```
    /// # use ganvil::data::Synthetic;
    /// let mut samples = Synthetic::Ring8.samples(0);
    /// samples.take(3);
    /// samples.take(4);
    /// assert_eq!(samples.position(), 7);
    /// ```
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next `n` samples, as (x, y).
    ///
    /// ```
    /// # use ganvil::data::Synthetic;
    /// let parts = &mut Synthetic::Grid25.samples(0);
    /// let parts = [parts.take(60), parts.take(40)].concat();
    /// assert_eq!(parts, Synthetic::Grid25.samples(0).take(100));
    /// ```
    pub fn take(&mut self, n: usize) -> Vec<[f32; 2]> {
        (0..n).map(|_| self.next_point().map(|v| v as f32)).collect()
    }

    fn next_point(&mut self) -> [f64; 2] {
        let rng = &mut Philox::new(self.key, self.position);
        self.position += 1;
        match (&self.mixture, self.what) {
            (Some((components, mixture)), _) => mixture.draw(components, rng).1,
            (None, Synthetic::SwissRoll) => {
                let t = 1.5 * PI * (1.0 + 2.0 * rng.random::<f64>());
                blur([t * t.cos(), t * t.sin()], 0.25, rng).map(|v| v / 7.5)
            }
            (None, _) => {
                let (second, a) = (rng.random::<bool>(), PI * rng.random::<f64>());
                let moon = if second { [1.0 - a.cos(), 0.5 - a.sin()] } else { [a.cos(), a.sin()] };
                blur(moon, 0.05, rng)
            }
        }
    }
}

/// The point plus independent normal noise of this standard deviation.
fn blur(point: [f64; 2], noise: f64, rng: &mut Philox) -> [f64; 2] {
    point.map(|v| v + noise * rng.sample::<f64, _>(StandardNormal))
}
