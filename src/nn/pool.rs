//! Pooling as modules.

use super::state::visits;
use super::{Ctx, Module, pair};
use crate::Tensor;
use crate::error::misuse;
use serde::{Deserialize, Serialize};

/// The mean of each window: see [`Tensor::avg_pool2d`]. In data a size is a number, for squares, or `[height, width]`.
///
/// ```
/// use ganvil::nn::{AvgPool2d, Ctx, LayerSpec, Module};
/// use ganvil::Tensor;
/// let x = Tensor::new(&[1.0f32, 2.0, 3.0, 6.0], &[1, 1, 2, 2]);
/// assert_eq!(AvgPool2d::new(2).forward(&x, &Ctx::eval()).item(), 3.0);
/// let layer: LayerSpec = serde_json::from_str(r#"{ "type": "AvgPool2d", "kernel_size": 2 }"#)?;
/// assert_eq!(layer, LayerSpec::AvgPool2d(AvgPool2d::new(2)));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AvgPool2d {
    /// Size of a window.
    #[serde(deserialize_with = "pair::sizes")]
    pub kernel_size: [usize; 2],
    /// Distance of neighbouring windows; None for their size.
    #[serde(default, deserialize_with = "pair::optional", skip_serializing_if = "Option::is_none")]
    pub stride: Option<[usize; 2]>,
    /// Zeros around the image, which count.
    #[serde(default, deserialize_with = "pair::sizes")]
    pub padding: [usize; 2],
}

impl AvgPool2d {
    /// Square windows side by side.
    pub fn new(kernel_size: usize) -> AvgPool2d {
        AvgPool2d { kernel_size: [kernel_size; 2], stride: None, padding: [0, 0] }
    }
}

impl Module for AvgPool2d {
    fn forward(&self, x: &Tensor, _: &Ctx) -> Tensor {
        x.avg_pool2d(self.kernel_size, self.stride.unwrap_or(self.kernel_size), self.padding)
    }
    visits!();

    fn is_per_sample(&self) -> bool {
        true
    }
}

/// The largest element of each window: see [`Tensor::max_pool2d`]. In data a size is a number, for squares, or
/// `[height, width]`.
///
/// ```
/// use ganvil::nn::{Ctx, MaxPool2d, Module};
/// use ganvil::Tensor;
/// let x = Tensor::new(&[1.0f32, 2.0, 3.0, 6.0], &[1, 1, 2, 2]);
/// assert_eq!(MaxPool2d::new(2).forward(&x, &Ctx::eval()).item(), 6.0);
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool2d {
    /// Size of a window.
    #[serde(deserialize_with = "pair::sizes")]
    pub kernel_size: [usize; 2],
    /// Distance of neighbouring windows; None for their size.
    #[serde(default, deserialize_with = "pair::optional", skip_serializing_if = "Option::is_none")]
    pub stride: Option<[usize; 2]>,
    /// How far windows reach over the edge.
    #[serde(default, deserialize_with = "pair::sizes")]
    pub padding: [usize; 2],
}

impl MaxPool2d {
    /// Square windows side by side.
    pub fn new(kernel_size: usize) -> MaxPool2d {
        MaxPool2d { kernel_size: [kernel_size; 2], stride: None, padding: [0, 0] }
    }
}

impl Module for MaxPool2d {
    fn forward(&self, x: &Tensor, _: &Ctx) -> Tensor {
        x.max_pool2d(self.kernel_size, self.stride.unwrap_or(self.kernel_size), self.padding)
    }
    visits!();

    fn is_per_sample(&self) -> bool {
        true
    }
}

/// Images of any size averaged down to one size: see [`Tensor::adaptive_avg_pool2d`].
///
/// ```
/// use ganvil::nn::{AdaptiveAvgPool2d, Ctx, Module};
/// use ganvil::{DType, Device, Tensor};
/// let x = Tensor::ones(&[4, 3, 9, 7], DType::F32, Device::Cpu);
/// let pool = AdaptiveAvgPool2d { output_size: [2, 2] };
/// assert_eq!(pool.forward(&x, &Ctx::eval()).shape(), [4, 3, 2, 2]);
/// ```
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdaptiveAvgPool2d {
    /// Height and width of the result.
    #[serde(deserialize_with = "pair::sizes")]
    pub output_size: [usize; 2],
}

impl Module for AdaptiveAvgPool2d {
    fn forward(&self, x: &Tensor, _: &Ctx) -> Tensor {
        x.adaptive_avg_pool2d(self.output_size)
    }
    visits!();

    fn is_per_sample(&self) -> bool {
        true
    }
}

/// The sum of each channel's pixels, `[n, c, h, w]` to `[n, c]`: the features of SNGAN's discriminator (Miyato and
/// Koyama, 2018, arXiv:1802.05637).
///
/// ```
/// use ganvil::nn::{Ctx, GlobalSumPool, Module};
/// use ganvil::Tensor;
/// let x = Tensor::new(&[1.0f32, 2.0, 3.0, 6.0], &[1, 2, 1, 2]);
/// assert_eq!(GlobalSumPool.forward(&x, &Ctx::eval()).to_vec::<f32>(), [3.0, 9.0]);
/// ```
#[derive(Clone)]
pub struct GlobalSumPool;

impl Module for GlobalSumPool {
    fn forward(&self, x: &Tensor, _: &Ctx) -> Tensor {
        if x.rank() != 4 {
            misuse!(
                "global_sum_pool",
                "needs images [batch, channels, height, width], got shape {:?}",
                x.shape()
            );
        }
        x.sum(&[2, 3], false)
    }
    visits!();

    fn is_per_sample(&self) -> bool {
        true
    }
}
