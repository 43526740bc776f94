//! Losses between a prediction and a target.

use super::index::{check_index, check_range};
use super::{one, zeros_beside};
use crate::backend::{Binary, ViewMut};
use crate::error::misuse;
use crate::tensor::is_recording;
use crate::tensor::node::{Context, Op, Save};
use crate::{Layout, Tensor};
use std::sync::Arc;

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

struct CrossEntropy;
impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }
    /// dx = softmax(x) G, less G at the class. A fused kernel when nothing is recorded.
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let (x, class) = (c.saved(0), c.saved(1));
        if is_recording() {
            let g = g.unsqueeze(1);
            let at_class = zeros_beside(&g, x.shape()).scatter_add(1, &class.unsqueeze(1), &g);
            return one(x.softmax(1).mul(&g).sub(&at_class));
        }
        let (x, repeated) = (x.detach().in_order_of_lines(), g.layout().strides().iter().all(|&s| s == 0));
        let g = if repeated { g.clone() } else { g.contiguous() };
        one(Tensor::build(x.layout().like(), x.dtype(), x.device(), |out| {
            x.backend().cross_entropy_grad(g.view(), x.view(), class.view(), c.saved(2).view(), out)
        }))
    }
}

impl Tensor {
    /// This without gaps, in its own order if that keeps the order of the dimensions other than 1, else row-major: its
    /// lines along that one are then in the order of a row-major tensor of the others.
    fn in_order_of_lines(&self) -> Tensor {
        let own = self.layout().like();
        let order = own.memory_order();
        let others: Vec<usize> = order.iter().copied().filter(|&d| d != 1 && self.shape()[d] != 1).collect();
        if others.is_sorted() { self.in_layout(own) } else { self.contiguous() }
    }

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
    /// ```
    /// use ganvil::{Reduction, Tensor};
    /// let (p, t) = (Tensor::from(&[0.5f64, 0.0][..]), Tensor::from(&[1.0f64, 1.0][..]));
    /// assert_eq!(p.bce(&t, Reduction::None).to_vec::<f64>(), [2f64.ln(), 100.0]);
    /// ```
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
    /// ```
    /// use ganvil::{Reduction, Tensor};
    /// let (a, t) = (Tensor::from(&[0.0f64, -1000.0][..]), Tensor::from(&[1.0f64, 1.0][..]));
    /// assert_eq!(a.bce_with_logits(&t, Reduction::None).to_vec::<f64>(), [2f64.ln(), 1000.0]);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ or the target requires a gradient.
    #[track_caller]
    pub fn bce_with_logits(&self, target: &Tensor, reduction: Reduction) -> Tensor {
        self.check_target("bce_with_logits", target, false);
        let loss = self.binary_value("bce_with_logits", Binary::BceWithLogits, target);
        reduction.apply(&loss.record(BceWithLogits, &[self], &[Save::Value(self), Save::Value(target)]))
    }

    /// Mean absolute error: `|a - b|`. Derivatives the sign of a - b, 0 at 0, and its negative.
    ///
    /// ```
    /// use ganvil::{Reduction, Tensor};
    /// let (a, b) = (Tensor::from(&[1.0f32, 5.0][..]), Tensor::from(&[3.0f32, 4.0][..]));
    /// assert_eq!(a.l1(&b, Reduction::Mean).item(), 1.5);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn l1(&self, target: &Tensor, reduction: Reduction) -> Tensor {
        self.check_target("l1", target, true);
        reduction.apply(&self.sub(target).abs())
    }

    /// Cross-entropy of logits `[N, C, ..]` for true classes (i64, `[N, ..]`): `-log_softmax(x)` over dimension 1 at the
    /// class. f32 and f64; derivative softmax(x) less 1 at the class.
    ///
    /// ```
    /// use ganvil::{Reduction, Tensor};
    /// let (logits, class) = (Tensor::from([[0.0f64, 0.0], [0.0, 1000.0]]), Tensor::from(&[0i64, 1][..]));
    /// let each = logits.cross_entropy(&class, Reduction::None);
    /// assert_eq!(each.to_vec::<f64>(), [2f64.ln(), 0.0]);
    /// ```
    ///
    /// # Panics
    /// If the shapes do not fit, or a class is not i64 or not below C.
    #[track_caller]
    pub fn cross_entropy(&self, class: &Tensor, reduction: Reduction) -> Tensor {
        self.check_full("cross_entropy");
        let fits = self.rank() >= 2
            && class.rank() + 1 == self.rank()
            && class.shape()[0] == self.shape()[0]
            && class.shape()[1..] == self.shape()[2..];
        if !fits {
            misuse!(
                "cross_entropy",
                "needs logits [N, C, ..] and classes [N, ..], got {:?} and {:?}",
                self.shape(),
                class.shape()
            );
        }
        check_index("cross_entropy", self, class);
        if self.numel() == 0 {
            // No loss, or no class to be the true one.
            let chosen = self.log_softmax(1).gathered("cross_entropy", 1, &class.unsqueeze(1));
            return reduction.apply(&chosen.squeeze(1).neg());
        }
        let (x, class, b) = (self.detach().in_order_of_lines(), class.contiguous(), self.backend());
        let mut result = Ok(());
        let pairs = Layout::contiguous(&[class.numel(), 2]);
        let mut stats = b.alloc(self.dtype(), pairs.numel());
        let loss = Tensor::build(Layout::contiguous(class.shape()), self.dtype(), self.device(), |loss| {
            let stats = ViewMut { storage: &mut stats, layout: &pairs };
            result = b.cross_entropy(x.view(), class.view(), loss, stats);
        });
        check_range("cross_entropy", self.shape(), 1, result);
        let stats = Tensor::from_parts(Arc::new(stats), pairs);
        let saves = [Save::Value(self), Save::Value(&class), Save::Value(&stats)];
        reduction.apply(&loss.record(CrossEntropy, &[self], &saves))
    }

    /// Mean squared error: `(a - b)^2`. Derivatives 2(a - b) and its negative.
    ///
    /// ```
    /// use ganvil::{Reduction, Tensor};
    /// let (a, b) = (Tensor::from(&[1.0f32, 5.0][..]), Tensor::from(&[3.0f32, 4.0][..]));
    /// assert_eq!(a.mse(&b, Reduction::Mean).item(), 2.5);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn mse(&self, target: &Tensor, reduction: Reduction) -> Tensor {
        self.check_target("mse", target, true);
        reduction.apply(&self.sub(target).square())
    }
}
