//! Softmax and its logarithm.

use super::one;
use crate::Tensor;
use crate::tensor::node::{Context, Op, Save};

struct Softmax {
    dim: isize,
}
impl Op for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }
    /// dx = y (G - sum(G y))
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let gy = g.mul(c.saved(0));
        one(gy.sub(&c.saved(0).mul(&gy.sum(&[self.dim], true))))
    }
}

struct LogSoftmax {
    dim: isize,
}
impl Op for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }
    /// dx = G - e^y sum(G)
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        one(g.sub(&c.saved(0).exp().mul(&g.sum(&[self.dim], true))))
    }
}

impl Tensor {
    /// x less its largest element along `dim`, so that no exponential overflows; no gradient.
    fn below_zero(&self, dim: isize) -> Tensor {
        let x = self.detach();
        // Of nothing there is no largest, and nothing to shift.
        if x.numel() == 0 { x } else { x.sub(&x.max(&[dim], true)) }
    }

    /// `e^(x_i) / sum_j e^(x_j)` along `dim`; finite for any finite x. f32 and f64.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let y = Tensor::from(&[1000.0f64, 1000.0, -1000.0][..]).softmax(0);
    /// assert_eq!(y.to_vec::<f64>(), [0.5, 0.5, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If the dtype is not f32 or f64.
    #[track_caller]
    pub fn softmax(&self, dim: isize) -> Tensor {
        self.check_full("softmax");
        if self.is_scalar_along(dim) {
            return self.unsqueeze(0).softmax(0).squeeze(0);
        }
        let dim = self.dim("softmax", dim) as isize;
        let e = self.below_zero(dim).exp();
        e.div(&e.sum(&[dim], true)).record(Softmax { dim }, &[self], &[Save::Output])
    }

    /// `x_i - ln sum_j e^(x_j)` along `dim`: the logarithm of [`Tensor::softmax`], without its underflow. f32 and f64.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let y = Tensor::from(&[1000.0f64, 0.0][..]).log_softmax(0);
    /// assert_eq!(y.to_vec::<f64>(), [0.0, -1000.0]);
    /// ```
    ///
    /// # Panics
    /// As [`Tensor::softmax`].
    #[track_caller]
    pub fn log_softmax(&self, dim: isize) -> Tensor {
        self.check_full("log_softmax");
        if self.is_scalar_along(dim) {
            return self.unsqueeze(0).log_softmax(0).squeeze(0);
        }
        let dim = self.dim("log_softmax", dim) as isize;
        let x = self.below_zero(dim);
        let y = x.sub(&x.exp().sum(&[dim], true).log());
        y.record(LogSoftmax { dim }, &[self], &[Save::Output])
    }
}
