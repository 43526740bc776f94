//! What the generator's noise is drawn from.

use crate::names::unknown;
use crate::rng::{Key, Philox, Stream};
use crate::{DType, Device, Error, Generator, Result, Tensor};
use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

/// The distribution of latent vectors.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prior {
    /// Independent N(0, 1).
    #[default]
    Normal,
    /// Independent uniform in [-1, 1).
    Uniform,
    /// Uniform on the sphere of radius sqrt(latent), so that the mean square of an element is 1.
    Sphere,
}

impl Prior {
    /// Every prior.
    pub const ALL: [Prior; 3] = [Prior::Normal, Prior::Uniform, Prior::Sphere];

    /// The name in configuration files and flags.
    pub fn name(self) -> &'static str {
        match self {
            Prior::Normal => "normal",
            Prior::Uniform => "uniform",
            Prior::Sphere => "sphere",
        }
    }

    /// `n` latent vectors: `[n, latent]`, f32.
    pub fn draw(self, n: usize, latent: usize, random: &Generator, device: Device) -> Tensor {
        let shape = [n, latent];
        match self {
            Prior::Normal => random.normal(&shape, 0.0, 1.0, DType::F32, device),
            Prior::Uniform => random.uniform(&shape, -1.0, 1.0, DType::F32, device),
            Prior::Sphere => {
                let z = random.normal(&shape, 0.0, 1.0, DType::F32, device);
                z.div(&z.square().mean(&[1], true).add_scalar(1e-12).sqrt())
            }
        }
    }
}

/// What cutting off a normal prior's tails is taken to mean. Two things go by the one name; their thresholds are not
/// comparable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TruncationKind {
    /// Each element is drawn again until its absolute value is below tau (Brock et al., 2018, arXiv:1809.11096).
    #[default]
    Resample,
    /// tau times a normal number drawn again until it is below 2 in absolute value, as in the modules that were
    /// published with that paper.
    Scaled,
}

impl std::str::FromStr for TruncationKind {
    type Err = Error;
    fn from_str(s: &str) -> Result<TruncationKind> {
        match s {
            "resample" => Ok(TruncationKind::Resample),
            "scaled" => Ok(TruncationKind::Scaled),
            _ => Err(unknown("truncation kind", s, &["resample", "scaled"])),
        }
    }
}

/// A truncation of the normal prior: less variety for more typical samples.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Truncation {
    /// The threshold.
    pub tau: f64,
    /// What it means.
    pub kind: TruncationKind,
}

impl Truncation {
    /// Refuses a threshold that cuts off all, or is no number.
    ///
    /// # Errors
    /// Names the value and what it may be.
    pub fn check(&self) -> Result<()> {
        // Below, f32 has no room left between -tau and tau.
        if self.tau.is_finite() && self.tau >= 1e-30 {
            return Ok(());
        }
        let remedy = "a threshold is a positive number; 0.5 to 2 are usual".into();
        Err(Error::Argument { what: "--truncation", value: self.tau.to_string(), remedy })
    }
}

/// `n` latent vectors of independent truncated normal elements: `[n, latent]`, f32. Vector i is a function of the seed
/// and i alone.
///
/// They are those of [`Prior::Normal`] for the seed, and of them only the elements beyond the threshold are drawn again,
/// by a stream of the vector's own: so pictures of one seed can be compared over thresholds.
///
/// ```
/// use ganvil::gan::{Truncation, TruncationKind, truncated_normal};
/// let largest = |kind| {
///     let z = truncated_normal(50, 100, Truncation { tau: 0.5, kind }, 7).to_vec::<f32>();
///     z.iter().fold(0.0, |most: f32, v| most.max(v.abs()))
/// };
/// assert!(largest(TruncationKind::Resample) < 0.5);
/// assert!((0.5..1.0).contains(&largest(TruncationKind::Scaled))); // up to 2 tau
/// ```
pub fn truncated_normal(n: usize, latent: usize, truncation: Truncation, seed: u64) -> Tensor {
    let (bound, scale) = match truncation.kind {
        TruncationKind::Resample => (truncation.tau, 1.0),
        TruncationKind::Scaled => (2.0, truncation.tau),
    };
    let mut z =
        Prior::Normal.draw(n, latent, &Generator::new(seed, Stream::Samples), Device::Cpu).to_vec::<f32>();
    for (i, row) in z.chunks_exact_mut(latent.max(1)).enumerate() {
        // Far from the calls that whole draws of this stream are.
        let mut random = Philox::new(Key::new(seed, Stream::Samples), 1 << 32 | i as u64);
        for v in row {
            while v.abs() as f64 >= bound {
                *v = candidate(bound, &mut random);
            }
            *v = (*v as f64 * scale) as f32;
        }
    }
    Tensor::new(&z, &[n, latent])
}

/// A number that, where it lies within the bound, is distributed as a normal one that does. It mostly lies there: a
/// normal number does if the bound is wide; in a narrow one normal density is nearly flat, and a uniform number is taken
/// with the probability exp(-v^2 / 2).
fn candidate(bound: f64, random: &mut Philox) -> f32 {
    if bound >= 1.25 {
        return StandardNormal.sample(random);
    }
    let v = random.random_range(-bound..bound);
    if random.random::<f64>() < (-v * v / 2.0).exp() { v as f32 } else { f32::INFINITY }
}
