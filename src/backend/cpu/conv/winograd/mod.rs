//! Convolution with fewer multiplications, after Winograd: tiles of inputs, windows and outputs are taken to a few points,
//! where a convolution is a product, and back (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016,
//! arXiv:1509.09308).
//!
//! A window that moves by s is first split into s x s phases that move by 1 (`plan.rs`), so that the 4 x 4 windows of
//! stride 2 of a DCGAN become 2 x 2 windows over four times the channels; a tile of 4 x 4 outputs then takes 25 products
//! instead of 64. 3 x 3 windows of stride 1 take 25 instead of 81 for 3 x 3 outputs. A window of 4 to 6 taps is two of these side
//! by side along its axis: 5 x 5 takes 100 instead of 225. All three directions are sums of products at the points (`points.rs`),
//! computed by the microkernel of matrix products (`product.rs`, `weight_grad.rs`).
//!
//! **Order of accumulation.** A product at a point sums its terms in blocks of a constant number; a pixel of an input
//! gradient adds its tiles in the order of the plan; a weight gradient adds blocks of tiles, whose images depend on their
//! size alone. None of it depends on threads, and a result of a sample not on the others of its batch.
//!
//! **Accuracy.** The rms error against f64 is up to 2.3 times that of the direct sums for results and input gradients, and
//! up to 2.9 times for weight gradients; `tests.rs` holds it below 4 times in every direction.

mod plan;
mod points;
mod product;
mod reach;
#[cfg(test)]
mod tests;
mod tiers;
mod transform;
mod weight_grad;
mod weights;

use super::correlate::Out;
use super::{Conv, Ending};
use crate::backend::cpu::gemm::Real;
use crate::backend::cpu::packed::Packed;
use crate::backend::cpu::simd::tier;
use crate::local::{self, EXACT_CONVOLUTIONS};
use crate::names::unknown;
use crate::{DType, Error, Result};
use product::Product;
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use weight_grad::WeightSums;
use weights::{Direction, Weights};

pub use plan::Plan;
pub use tiers::Transformable;

/// How convolutions of f32 are computed on the CPU; those of f64 are always exact.
///
/// ```
/// use ganvil::backend::cpu::ConvMode;
/// assert_eq!("exact".parse::<ConvMode>().unwrap(), ConvMode::Exact);
/// assert!("exakt".parse::<ConvMode>().unwrap_err().to_string().contains("did you mean 'exact'?"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConvMode {
    /// By the sums of the definition.
    Exact,
    /// With fewer multiplications where that pays, at up to 2.9 times the rounding error of the sums.
    #[default]
    Fast,
}

impl ConvMode {
    /// The name in configuration files and flags.
    pub fn name(self) -> &'static str {
        match self {
            ConvMode::Exact => "exact",
            ConvMode::Fast => "fast",
        }
    }

    /// Whether it is the default.
    pub fn is_fast(&self) -> bool {
        *self == ConvMode::Fast
    }
}

impl FromStr for ConvMode {
    type Err = Error;
    fn from_str(s: &str) -> Result<ConvMode> {
        let all = [ConvMode::Exact, ConvMode::Fast];
        let known = all.into_iter().find(|m| m.name() == s);
        known.ok_or_else(|| unknown("way of convolving", s, &all.map(ConvMode::name)))
    }
}

/// Runs `f` with convolutions of this thread's computation done in a way that need not be the default.
///
/// ```
/// use ganvil::backend::cpu::{ConvMode, with_conv_mode};
/// use ganvil::{ConvOptions, DType, Device, Tensor};
/// let (x, w) = (Tensor::ones(&[1, 64, 8, 8], DType::F32, Device::Cpu), Tensor::ones(&[64, 64, 3, 3], DType::F32, Device::Cpu));
/// let y = with_conv_mode(ConvMode::Exact, || x.conv2d(&w, None, &ConvOptions::new()));
/// assert!(y.to_vec::<f32>().iter().all(|v| *v == 576.0));
/// ```
pub fn with_conv_mode<R>(mode: ConvMode, f: impl FnOnce() -> R) -> R {
    local::with(&EXACT_CONVOLUTIONS, mode == ConvMode::Exact, f)
}

/// The plan of a convolution that is computed this way.
pub(super) fn plan<T: Real>(conv: &Conv) -> Option<Plan> {
    let fast = T::DTYPE == DType::F32 && !EXACT_CONVOLUTIONS.with_borrow(|exact| *exact);
    if fast { Plan::of(conv) } else { None }
}

/// The group's part of y = x * W + bias, perhaps rectified: `out` is its first channel of the first image.
///
/// # Safety
/// `out` has `count` images of y's size, which nobody else accesses in the group's channels.
pub(super) unsafe fn forward<T: Transformable>(
    conv: &Conv,
    plan: &Plan,
    x: &[T],
    w: &[T],
    group: usize,
    end: Ending<T>,
    out: Out<T>,
) {
    let src = x[group * plan.c..].as_ptr();
    let weights = weights(plan, Direction::Forward, w, group);
    let (src_image, out_image) = (conv.x, conv.y);
    let packed = packed(conv, plan, group);
    let pass = Product { plan, weights, count: conv.count, src, src_image, end, out, out_image, packed };
    // SAFETY: x has its images, by `Conv::check`; the caller's promise.
    unsafe { pass.run() }
}

/// The group's part of x = g * W^T + bias: `out` is its first channel of the first image.
///
/// # Safety
/// `out` has `count` images of x's size, which nobody else accesses in the group's channels.
pub(super) unsafe fn input_grad<T: Transformable>(
    conv: &Conv,
    plan: &Plan,
    g: &[T],
    w: &[T],
    group: usize,
    bias: Option<&[T]>,
    out: Out<T>,
) {
    let src = g[group * plan.o..].as_ptr();
    let weights = weights(plan, Direction::Adjoint, w, group);
    let (src_image, out_image) = (conv.y, conv.x);
    let packed = packed(conv, plan, group);
    let end = Ending::bias(bias);
    let pass = Product { plan, weights, count: conv.count, src, src_image, end, out, out_image, packed };
    // SAFETY: g has its images, by `Conv::check`; the caller's promise.
    unsafe { pass.run() }
}

/// The group's part of dW, in PyTorch's order.
pub(super) fn weight_grad<T: Transformable>(
    conv: &Conv,
    plan: &Plan,
    x: &[T],
    g: &[T],
    group: usize,
    dw: &mut [T],
) {
    let sums = WeightSums {
        plan,
        kernels: T::kernels(tier()),
        transforms: T::transforms(tier()),
        count: conv.count,
        x: x[group * plan.c..].as_ptr(),
        x_image: conv.x,
        y: g[group * plan.o..].as_ptr(),
        y_image: conv.y,
    };
    // SAFETY: x and g have their images, by `Conv::check`.
    unsafe { sums.run(dw) }
}

/// Where a group's copies of weights are kept, and where its weights start in their storage.
fn packed<'a>(conv: &Conv<'a>, plan: &Plan, group: usize) -> Option<(&'a Packed, usize)> {
    conv.packed.map(|(packed, first)| (packed, first + group * plan.weights()))
}

fn weights<'a, T: Transformable>(
    plan: &'a Plan,
    direction: Direction,
    w: &'a [T],
    group: usize,
) -> Weights<'a, T> {
    let len = plan.weights();
    let (kernels, transforms) = (T::kernels(tier()), T::transforms(tier()));
    Weights { plan, direction, kernels, transforms, w: &w[group * len..][..len] }
}
