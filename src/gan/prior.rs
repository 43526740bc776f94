//! What the generator's noise is drawn from.

use crate::{DType, Device, Generator, Tensor};
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
