//! Batch normalisation with running statistics.

use super::state::{Buffer, visits};
use super::{Ctx, Module};
use crate::{DType, Device, Tensor};

/// Per channel: y = (x - mean) / sqrt(var + eps) * weight + bias.
///
/// Training uses the batch's mean and biased variance and moves the running ones:
/// r <- (1 - momentum) r + momentum s, the variance entering unbiased. Evaluation uses the running ones.
///
/// The arguments are `(features, eps, momentum)` by name: a copied `BatchNorm(features, 0.8)` elsewhere sets eps to
/// 0.8 where a Keras momentum was meant.
pub struct BatchNorm1d {
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

impl BatchNorm1d {
    /// For `[batch, features]` or `[batch, features, length]`.
    pub fn new(features: usize, eps: f64, momentum: f64) -> BatchNorm1d {
        let full = |v| Tensor::full(&[features], v, DType::F32, Device::Cpu);
        BatchNorm1d {
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
}

impl Module for BatchNorm1d {
    fn forward(&self, x: &Tensor, ctx: &Ctx) -> Tensor {
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
}
