//! Batch normalisation with running statistics (Ioffe and Szegedy, 2015, arXiv:1502.03167).

use super::norm::check_input;
use super::state::{Buffer, visits};
use super::{Ctx, Module};
use crate::ops::BatchNorm as Statistics;
use crate::{DType, Device, Tensor, no_grad};

/// Per channel: y = (x - mean) / sqrt(var + eps) * weight + bias.
///
/// Training uses the batch's mean and biased variance and moves the running ones:
/// r <- (1 - momentum) r + momentum s, the variance entering unbiased. Evaluation uses the running ones.
///
/// [`BatchNorm1d`] takes `[batch, features]` or `[batch, features, length]`, [`BatchNorm2d`]
/// `[batch, features, height, width]`; other ranks are refused, as in PyTorch.
///
/// The arguments are `(features, eps, momentum)` by name: a copied `BatchNorm(features, 0.8)` elsewhere sets eps to
/// 0.8 where a Keras momentum was meant.
///
/// ```
/// use ganvil::nn::{BatchNorm1d, Ctx, Module};
/// use ganvil::{Generator, Tensor, rng::Stream};
/// let norm = BatchNorm1d::new(1, 0.0, 0.5);
/// let random = Generator::new(0, Stream::Dropout);
/// let y = norm.forward(&Tensor::from([[1.0f32], [3.0]]), &Ctx::train(&random));
/// assert_eq!(y.to_vec::<f32>(), [-1.0, 1.0]);
/// assert_eq!(norm.running_mean.get().item(), 1.0); // half way from 0 to 2
/// assert_eq!(norm.running_var.get().item(), 1.5); // half way from 1 to 2, the unbiased variance
/// ```
#[derive(Clone)]
pub struct BatchNorm<const DIMS: usize> {
    /// `[features]`, from 1.
    pub weight: Tensor,
    /// `[features]`, from 0.
    pub bias: Tensor,
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

/// [`BatchNorm`] of vectors, `[batch, features]`, or of sequences, `[batch, features, length]`.
///
/// ```
/// use ganvil::nn::{BatchNorm1d, state_dict};
/// let names: Vec<String> = state_dict(&BatchNorm1d::new(3, 1e-5, 0.1)).into_iter().map(|(n, _)| n).collect();
/// assert_eq!(names, ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]);
/// ```
pub type BatchNorm1d = BatchNorm<1>;

/// [`BatchNorm`] of images, `[batch, features, height, width]`.
///
/// ```
/// use ganvil::nn::{BatchNorm2d, Ctx, Module};
/// use ganvil::{DType, Device, Generator, Tensor, rng::Stream};
/// let random = Generator::new(0, Stream::General);
/// let x = random.normal(&[4, 3, 8, 8], 5.0, 2.0, DType::F32, Device::Cpu);
/// let y = BatchNorm2d::new(3, 1e-5, 0.1).forward(&x, &Ctx::train(&random));
/// assert!(y.mean(&[0, 2, 3], false).to_vec::<f32>().iter().all(|m| m.abs() < 1e-5));
/// ```
pub type BatchNorm2d = BatchNorm<2>;

impl<const DIMS: usize> BatchNorm<DIMS> {
    const KNOWN: () = assert!(DIMS == 1 || DIMS == 2, "there are BatchNorm1d and BatchNorm2d");

    /// Fresh parameters and statistics. PyTorch's eps is 1e-5 and its momentum 0.1.
    ///
    /// ```
    /// use ganvil::nn::BatchNorm2d;
    /// let norm = BatchNorm2d::new(8, 1e-5, 0.1);
    /// assert_eq!(norm.running_var.get().to_vec::<f32>(), [1.0; 8]);
    /// ```
    pub fn new(features: usize, eps: f64, momentum: f64) -> BatchNorm<DIMS> {
        let () = Self::KNOWN;
        let full = |v| Tensor::full(&[features], v, DType::F32, Device::Cpu);
        BatchNorm {
            weight: full(1.0).requires_grad(),
            bias: full(0.0).requires_grad(),
            running_mean: Buffer::new(full(0.0)),
            running_var: Buffer::new(full(1.0)),
            num_batches_tracked: Buffer::new(Tensor::scalar(0.0, DType::I64, Device::Cpu)),
            eps,
            momentum,
        }
    }

    fn check(&self, x: &Tensor) {
        let features = self.weight.numel();
        match DIMS {
            1 => check_input("batch_norm1d", x, features, &[2, 3], "use BatchNorm2d for images"),
            _ => check_input("batch_norm2d", x, features, &[4], "use BatchNorm1d for vectors and sequences"),
        }
    }
}

impl<const DIMS: usize> Module for BatchNorm<DIMS> {
    fn forward(&self, x: &Tensor, ctx: &Ctx) -> Tensor {
        self.check(x);
        if !ctx.is_training() {
            let (mean, var) = (self.running_mean.get(), self.running_var.get());
            return x.batch_norm_eval(&self.weight, &self.bias, &mean, &var, self.eps);
        }
        let normed = x.batch_norm(&self.weight, &self.bias, self.eps);
        if ctx.updates_buffers() {
            let running = [&self.running_mean, &self.running_var, &self.num_batches_tracked];
            track(running, self.momentum, &normed, x);
        }
        normed.y
    }
    visits!(Parameter weight, Parameter bias, Buffer running_mean, Buffer running_var, Buffer num_batches_tracked);

    fn type_name(&self) -> &'static str {
        if DIMS == 1 { "BatchNorm1d" } else { "BatchNorm2d" }
    }
}

/// Moves running mean and variance towards those of the batch x, and counts it.
pub(super) fn track(running: [&Buffer; 3], momentum: f64, batch: &Statistics, x: &Tensor) {
    let per_channel = x.numel() / batch.mean.numel().max(1);
    let unbias = per_channel as f64 / (per_channel - 1) as f64;
    let [mean, var, seen] = running;
    let blend = |old: &Buffer, new: &Tensor, scale: f64| {
        old.set(old.get().mul_scalar(1.0 - momentum).add(&new.mul_scalar(momentum * scale)));
    };
    no_grad(|| {
        blend(mean, &batch.mean, 1.0);
        blend(var, &batch.var, unbias);
        let count = seen.get().item() as i64;
        seen.set(Tensor::new(&[count + 1], &[]));
    });
}
