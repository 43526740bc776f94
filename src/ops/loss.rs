//! Losses between a prediction and a target.

use super::one;
use crate::Tensor;
use crate::backend::Binary;
use crate::error::misuse;
use crate::tensor::is_recording;
use crate::tensor::node::{Context, Op, Save};

/// How the losses of single elements become one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reduction {
    /// Their mean.
    Mean,
    /// Their sum.
    Sum,
    /// Not at all: the loss has the prediction's shape.
    None,
}

impl Reduction {
    fn apply(self, loss: &Tensor) -> Tensor {
        match self {
            Reduction::Mean => loss.mean_all(),
            Reduction::Sum => loss.sum_all(),
            Reduction::None => loss.clone(),
        }
    }
}

/// The smallest p (1 - p) that [`Bce`]'s rule divides by: PyTorch's, which is 1e-12 in f32 for every dtype.
const SMALLEST_VARIANCE: f64 = 1e-12f32 as f64;

struct Bce;
impl Op for Bce {
    fn name(&self) -> &'static str {
        "bce"
    }
    /// dl/dp = (p - t) / max(p (1 - p), 1e-12)
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let (p, t) = (c.saved(0), c.saved(1));
        one(g.mul(&p.sub(t)).div(&p.mul(&(1.0 - p)).clamp(SMALLEST_VARIANCE, None)))
    }
}

struct BceWithLogits;
impl Op for BceWithLogits {
    fn name(&self) -> &'static str {
        "bce_with_logits"
    }
    /// dl/da = sigmoid(a) - t
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        one(g.mul(&c.saved(0).sigmoid().sub(c.saved(1))))
    }
}

impl Tensor {
    #[track_caller]
    fn check_target(&self, op: &str, target: &Tensor, differentiable: bool) {
        self.check_with(op, target);
        self.check_float(op);
        if self.shape() != target.shape() {
            misuse!(
                op,
                "prediction {:?} and target {:?} must have one shape (they are not broadcast; expand the target)",
                self.shape(),
                target.shape()
            );
        }
        if !differentiable && target.is_tracked() && is_recording() {
            misuse!(op, "has no derivative for the target; detach it");
        }
    }

    /// Binary cross-entropy of probabilities: `-(t max(ln p, -100) + (1-t) max(ln(1-p), -100))`. Derivative
    /// `(p - t) / max(p (1 - p), 1e-12)`, for p only (1e-12 rounded to f32 in every dtype, as in PyTorch). Where p
    /// comes from a sigmoid, use [`Tensor::bce_with_logits`]: it keeps its gradient when p is close to 0 or 1.
    ///
    /// # Panics
    /// If the shapes differ or the target requires a gradient.
    #[track_caller]
    pub fn bce(&self, target: &Tensor, reduction: Reduction) -> Tensor {
        self.check_target("bce", target, false);
        let loss = self.binary_value("bce", Binary::Bce, target);
        reduction.apply(&loss.record(Bce, &[self], &[Save::Value(self), Save::Value(target)]))
    }

    /// Binary cross-entropy of logits: `max(a, 0) - a t + ln(1 + e^-|a|)`, the same as [`Tensor::bce`] of sigmoid(a)
    /// but finite and exact for every a. Derivative `sigmoid(a) - t`, for the logit only.
    ///
    /// # Panics
    /// If the shapes differ or the target requires a gradient.
    #[track_caller]
    pub fn bce_with_logits(&self, target: &Tensor, reduction: Reduction) -> Tensor {
        self.check_target("bce_with_logits", target, false);
        let loss = self.binary_value("bce_with_logits", Binary::BceWithLogits, target);
        reduction.apply(&loss.record(BceWithLogits, &[self], &[Save::Value(self), Save::Value(target)]))
    }

    /// Mean squared error: `(a - b)^2`. Derivatives 2(a - b) and its negative.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn mse(&self, target: &Tensor, reduction: Reduction) -> Tensor {
        self.check_target("mse", target, true);
        reduction.apply(&self.sub(target).square())
    }
}
