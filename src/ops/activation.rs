//! Activation functions.

use super::one;
use crate::Tensor;
use crate::backend::{Binary, Unary};
use crate::tensor::is_recording;
use crate::tensor::node::{Context, Op, Save};

/// The gradient of a piecewise linear function: `g` times the slope of the piece that `by` lies in. An op of its
/// own, differentiable in g only: the slope's derivative is zero almost everywhere, so no zero tensor ever enters
/// a second derivative.
struct MaskedGrad(Binary);
impl Op for MaskedGrad {
    fn name(&self) -> &'static str {
        "masked_grad"
    }
    /// Linear in g.
    fn vjp(&self, c: &Context, gg: &Tensor) -> Vec<Option<Tensor>> {
        one(gg.masked_grad(c.saved(0), self.0))
    }
}

impl Tensor {
    pub(super) fn masked_grad(&self, by: &Tensor, f: Binary) -> Tensor {
        let by = by.detach();
        self.binary_value("masked_grad", f, &by).record(MaskedGrad(f), &[self], &[Save::Value(&by)])
    }
}

struct Tanh;
impl Op for Tanh {
    fn name(&self) -> &'static str {
        "tanh"
    }
    /// dy/dx = 1 - y^2
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let y = c.saved(0);
        if !is_recording() {
            return one(g.binary_value("tanh", Binary::TanhGrad, y));
        }
        one(g.mul(&(1.0 - y.mul(y))))
    }
}

struct Sigmoid;
impl Op for Sigmoid {
    fn name(&self) -> &'static str {
        "sigmoid"
    }
    /// dy/dx = y (1 - y)
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let y = c.saved(0);
        if !is_recording() {
            return one(g.binary_value("sigmoid", Binary::SigmoidGrad, y));
        }
        one(g.mul(&y.mul(&(1.0 - y))))
    }
}

/// ReLU and leaky ReLU: the saved tensor has the sign of the input.
struct LeakyRelu {
    name: &'static str,
    slope: f64,
}
impl Op for LeakyRelu {
    fn name(&self) -> &'static str {
        self.name
    }
    /// dy/dx = 1 where x > 0, else slope
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let y = c.saved(0);
        // What goes on to the layer below had best lie as that layer's results do.
        let g = if y.layout().is_dense() { &g.in_layout(y.layout().like()) } else { g };
        one(g.masked_grad(y, Binary::LeakyReluGrad(self.slope)))
    }
}

struct Softplus {
    beta: f64,
    threshold: f64,
}
impl Op for Softplus {
    fn name(&self) -> &'static str {
        "softplus"
    }
    /// dy/dx = sigmoid(beta x), and 1 where beta x > threshold
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let bx = c.saved(0).mul_scalar(self.beta);
        let linear = bx.detach().gt_scalar(self.threshold);
        one(linear.where_(g, &g.mul(&bx.sigmoid())))
    }
}

impl Tensor {
    /// Hyperbolic tangent. Derivative 1 - y^2.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let y = Tensor::from(&[0.0f32, 100.0, -100.0][..]).tanh();
    /// assert_eq!(y.to_vec::<f32>(), [0.0, 1.0, -1.0]);
    /// ```
    ///
    /// # Panics
    /// If the dtype is no float.
    #[track_caller]
    pub fn tanh(&self) -> Tensor {
        self.unary_value("tanh", Unary::Tanh).record(Tanh, &[self], &[Save::Output])
    }

    /// `1 / (1 + e^-x)`. Derivative y (1 - y).
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let y = Tensor::from(&[0.0f32, 1000.0, -1000.0][..]).sigmoid();
    /// assert_eq!(y.to_vec::<f32>(), [0.5, 1.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If the dtype is no float.
    #[track_caller]
    pub fn sigmoid(&self) -> Tensor {
        self.unary_value("sigmoid", Unary::Sigmoid).record(Sigmoid, &[self], &[Save::Output])
    }

    /// `max(x, 0)`. Derivative 1 where x > 0, else 0 (also at 0).
    ///
    /// ```
    /// use ganvil::Tensor;
    /// assert_eq!(Tensor::from(&[-2.0f32, 3.0][..]).relu().to_vec::<f32>(), [0.0, 3.0]);
    /// ```
    ///
    /// # Panics
    /// If the dtype is no float.
    #[track_caller]
    pub fn relu(&self) -> Tensor {
        let op = LeakyRelu { name: "relu", slope: 0.0 };
        self.unary_value("relu", Unary::Relu).record(op, &[self], &[Save::Output])
    }

    /// `x` where x > 0, else `slope x`. Derivative 1 where x > 0, else slope (also at 0).
    ///
    /// ```
    /// use ganvil::Tensor;
    /// assert_eq!(Tensor::from(&[-2.0f32, 3.0][..]).leaky_relu(0.5).to_vec::<f32>(), [-1.0, 3.0]);
    /// ```
    ///
    /// # Panics
    /// If the dtype is no float.
    #[track_caller]
    pub fn leaky_relu(&self, slope: f64) -> Tensor {
        // The output tells the side as well as the input does, unless the slope turns signs round.
        let sign = if slope >= 0.0 { Save::Output } else { Save::Value(self) };
        let op = LeakyRelu { name: "leaky_relu", slope };
        self.unary_value("leaky_relu", Unary::LeakyRelu(slope)).record(op, &[self], &[sign])
    }

    /// `ln(1 + e^(beta x)) / beta`, and x itself where `beta x > threshold`. Derivative sigmoid(beta x), there 1.
    /// PyTorch's defaults are beta 1 and threshold 20.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let y = Tensor::from(&[0.0f64, 50.0][..]).softplus(1.0, 20.0);
    /// assert_eq!(y.to_vec::<f64>(), [2f64.ln(), 50.0]);
    /// ```
    ///
    /// # Panics
    /// If beta is not positive.
    #[track_caller]
    pub fn softplus(&self, beta: f64, threshold: f64) -> Tensor {
        if beta.is_nan() || beta <= 0.0 {
            crate::error::misuse!("softplus", "beta must be positive, got {beta}");
        }
        self.unary_value("softplus", Unary::Softplus { beta, threshold }).record(
            Softplus { beta, threshold },
            &[self],
            &[Save::Value(self)],
        )
    }
}
