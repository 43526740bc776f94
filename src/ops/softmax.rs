//! Softmax and its logarithm.

use super::one;
use crate::Tensor;
use crate::tensor::is_recording;
use crate::tensor::node::{Context, Op, Save};

struct Softmax {
    dim: isize,
}
impl Op for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }
    /// dx = y (G - sum(G y)). A fused kernel when nothing is recorded.
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let y = c.saved(0);
        if !is_recording() {
            return one(fused(false, g, y, self.dim));
        }
        let gy = g.mul(y);
        one(gy.sub(&y.mul(&gy.sum(&[self.dim], true))))
    }
}

struct LogSoftmax {
    dim: isize,
}
impl Op for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }
    /// dx = G - e^y sum(G). A fused kernel when nothing is recorded.
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let y = c.saved(0);
        if !is_recording() {
            return one(fused(true, g, y, self.dim));
        }
        one(g.sub(&y.exp().mul(&g.sum(&[self.dim], true))))
    }
}

/// The gradient of softmax or its logarithm for its result y, which is dense.
fn fused(log: bool, g: &Tensor, y: &Tensor, dim: isize) -> Tensor {
    let layout = y.layout().like();
    if y.numel() == 0 {
        return g.clone();
    }
    // The kernel walks g and y together.
    let g = g.detach().in_layout(layout);
    Tensor::build(layout, y.dtype(), y.device(), |out| {
        y.backend().softmax_grad(log, g.view(), y.view(), dim as usize, out)
    })
}

impl Tensor {
    /// The value of softmax along `dim`, or of its logarithm.
    fn softmax_value(&self, log: bool, dim: usize) -> Tensor {
        // One sample lies as it does in a batch, whatever gaps there are.
        let layout = self.layout().like();
        let x = self.detach().in_layout(layout);
        Tensor::build(layout, self.dtype(), self.device(), |out| {
            if x.numel() > 0 {
                x.backend().softmax(log, x.view(), dim, out)
            }
        })
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
        let dim = self.dim("softmax", dim);
        self.softmax_value(false, dim).record(Softmax { dim: dim as isize }, &[self], &[Save::Output])
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
        let dim = self.dim("log_softmax", dim);
        self.softmax_value(true, dim).record(LogSoftmax { dim: dim as isize }, &[self], &[Save::Output])
    }
}
