//! Changes of an image's size as modules.

use super::state::visits;
use super::{Ctx, Module, pair};
use crate::{Interpolation, Tensor};
use serde::{Deserialize, Serialize};

/// Images made larger: see [`Tensor::interpolate`]. In data the factor is a number or `[height, width]`.
///
/// ```
/// use ganvil::nn::{Ctx, LayerSpec, Module, Upsample};
/// use ganvil::{Interpolation, Tensor};
/// let x = Tensor::new(&[0.0f32, 4.0], &[1, 1, 1, 2]);
/// let double = Upsample { scale_factor: [1, 2], mode: Interpolation::Bilinear };
/// assert_eq!(double.forward(&x, &Ctx::eval()).to_vec::<f32>(), [0.0, 1.0, 3.0, 4.0]);
/// let layer: LayerSpec = serde_json::from_str(r#"{ "type": "Upsample", "scale_factor": 2 }"#)?;
/// assert_eq!(layer, LayerSpec::Upsample(Upsample { scale_factor: [2, 2], mode: Interpolation::Nearest }));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upsample {
    /// Whole factors of height and width.
    #[serde(deserialize_with = "pair::sizes")]
    pub scale_factor: [usize; 2],
    /// What lies between pixels.
    #[serde(default)]
    pub mode: Interpolation,
}

impl Module for Upsample {
    fn forward(&self, x: &Tensor, _: &Ctx) -> Tensor {
        x.interpolate(self.scale_factor, self.mode)
    }
    visits!();

    fn is_per_sample(&self) -> bool {
        true
    }
}

/// Channels to pixels: see [`Tensor::pixel_shuffle`].
///
/// ```
/// use ganvil::nn::{Ctx, Module, PixelShuffle};
/// use ganvil::{DType, Device, Tensor};
/// let x = Tensor::ones(&[5, 12, 7, 7], DType::F32, Device::Cpu);
/// assert_eq!(PixelShuffle { upscale_factor: 2 }.forward(&x, &Ctx::eval()).shape(), [5, 3, 14, 14]);
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PixelShuffle {
    /// Factor of height and width.
    pub upscale_factor: usize,
}

impl Module for PixelShuffle {
    fn forward(&self, x: &Tensor, _: &Ctx) -> Tensor {
        x.pixel_shuffle(self.upscale_factor)
    }
    visits!();

    fn is_per_sample(&self) -> bool {
        true
    }
}
