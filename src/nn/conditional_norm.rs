//! Batch normalisation that depends on a sample's class.

use super::batch_norm::track;
use super::norm::check_input;
use super::state::{Buffer, visits};
use super::{Ctx, Module};
use crate::error::misuse;
use crate::{DType, Device, Tensor};

/// Conditional batch normalisation (Dumoulin et al., 2017, arXiv:1610.07629): images normalised as by
/// [`BatchNorm2d`](super::BatchNorm2d), then scaled and shifted by the rows of two tables that belong to their classes:
/// see [`Tensor::conditional_batch_norm`]. The classes are the pass's condition, [`Ctx::with_condition`], i64 `[batch]`.
///
/// [`init::apply`](super::init::apply()) leaves the tables as they are.
///
/// ```
/// use ganvil::nn::{ConditionalBatchNorm2d, Ctx, Module};
/// use ganvil::{Generator, Tensor, rng::Stream};
/// let mut norm = ConditionalBatchNorm2d::new(1, 2, 0.0, 0.1);
/// norm.beta = Tensor::from([[0.0f32], [5.0]]).requires_grad();
/// let (x, classes) = (Tensor::new(&[1.0f32, 3.0], &[2, 1, 1, 1]), Tensor::from(&[0i64, 1][..]));
/// let random = Generator::new(0, Stream::Dropout);
/// let y = norm.forward(&x, &Ctx::train(&random).with_condition(&classes));
/// assert_eq!(y.to_vec::<f32>(), [-1.0, 6.0]);
/// ```
#[derive(Clone)]
pub struct ConditionalBatchNorm2d {
    /// `[classes, features]`, from 1.
    pub gamma: Tensor,
    /// `[classes, features]`, from 0.
    pub beta: Tensor,
    /// `[features]`, from 0.
    pub running_mean: Buffer,
    /// `[features]`, from 1.
    pub running_var: Buffer,
    /// i64 `[]`: training passes so far.
    pub num_batches_tracked: Buffer,
    /// Added to the variance.
    pub eps: f64,
    /// Share of a batch's statistics in the running ones.
    pub momentum: f64,
}

impl ConditionalBatchNorm2d {
    /// Fresh tables and statistics. The usual eps is 1e-5 and the usual momentum 0.1.
    ///
    /// ```
    /// use ganvil::nn::{ConditionalBatchNorm2d, state_dict};
    /// let norm = ConditionalBatchNorm2d::new(8, 10, 1e-5, 0.1);
    /// let names: Vec<String> = state_dict(&norm).into_iter().map(|(name, _)| name).collect();
    /// assert_eq!(names, ["gamma", "beta", "running_mean", "running_var", "num_batches_tracked"]);
    /// ```
    pub fn new(features: usize, classes: usize, eps: f64, momentum: f64) -> ConditionalBatchNorm2d {
        let full = |shape: &[usize], v| Tensor::full(shape, v, DType::F32, Device::Cpu);
        ConditionalBatchNorm2d {
            gamma: full(&[classes, features], 1.0).requires_grad(),
            beta: full(&[classes, features], 0.0).requires_grad(),
            running_mean: Buffer::new(full(&[features], 0.0)),
            running_var: Buffer::new(full(&[features], 1.0)),
            num_batches_tracked: Buffer::new(Tensor::scalar(0.0, DType::I64, Device::Cpu)),
            eps,
            momentum,
        }
    }
}

impl Module for ConditionalBatchNorm2d {
    fn forward(&self, x: &Tensor, ctx: &Ctx) -> Tensor {
        check_input("conditional_batch_norm2d", x, self.gamma.size(1), &[4], "reshape vectors to [.., 1, 1]");
        let Some(class) = ctx.condition() else {
            misuse!(
                "conditional_batch_norm2d",
                "x {:?} came without classes; give the pass an i64 [{}] with Ctx::with_condition",
                x.shape(),
                x.shape()[0]
            );
        };
        if !ctx.is_training() {
            let (mean, var) = (self.running_mean.get(), self.running_var.get());
            return x.conditional_batch_norm_eval(class, &self.gamma, &self.beta, &mean, &var, self.eps);
        }
        let normed = x.conditional_batch_norm(class, &self.gamma, &self.beta, self.eps);
        if ctx.updates_buffers() {
            let running = [&self.running_mean, &self.running_var, &self.num_batches_tracked];
            track(running, self.momentum, &normed, x);
        }
        normed.y
    }
    visits!(Parameter gamma, Parameter beta, Buffer running_mean, Buffer running_var, Buffer num_batches_tracked);
}
