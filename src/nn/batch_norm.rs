//! Batch normalisation with running statistics (Ioffe and Szegedy, 2015, arXiv:1502.03167).

use super::norm::check_input;
use super::state::{Buffer, visits};
use super::{Ctx, Module};
use crate::{DType, Device, Tensor};

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

    fn track(&self, mean: &Tensor, var: &Tensor, per_channel: usize) {
        let unbias = per_channel as f64 / (per_channel - 1) as f64;
        let blend = |old: &Buffer, new: &Tensor, scale: f64| {
            old.set(old.get().mul_scalar(1.0 - self.momentum).add(&new.mul_scalar(self.momentum * scale)));
        };
        blend(&self.running_mean, mean, 1.0);
        blend(&self.running_var, var, unbias);
        let seen = self.num_batches_tracked.get().item() as i64;
        self.num_batches_tracked.set(Tensor::new(&[seen + 1], &[]));
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
            let per_channel = x.numel() / self.weight.numel().max(1);
            crate::no_grad(|| self.track(&normed.mean, &normed.var, per_channel));
        }
        normed.y
    }
    visits!(Parameter weight, Parameter bias, Buffer running_mean, Buffer running_var, Buffer num_batches_tracked);

    fn type_name(&self) -> &'static str {
        if DIMS == 1 { "BatchNorm1d" } else { "BatchNorm2d" }
    }
}
