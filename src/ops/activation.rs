//! Activation functions.

use super::one;
use crate::backend::{Binary, Unary, ViewMut};
use crate::tensor::is_recording;
use crate::tensor::node::{Context, Op, Save};
use crate::{DType, Tensor};

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

/// An activation that kernels of layers can apply to their sums as they write them: [`Tensor::linear_act`] and
/// [`Tensor::conv2d_act`].
///
/// ```
/// use ganvil::nn::{LeakyReLU, Module, Tanh};
/// assert_eq!(LeakyReLU { negative_slope: 0.2 }.activation(), Some(ganvil::Activation::LeakyRelu(0.2)));
/// assert!(Tanh.activation().is_none());
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Activation {
    /// [`Tensor::relu`]
    Relu,
    /// [`Tensor::leaky_relu`] with its slope
    LeakyRelu(f64),
}

impl Activation {
    /// The slope on the negative side.
    fn slope(self) -> f64 {
        match self {
            Activation::Relu => 0.0,
            Activation::LeakyRelu(slope) => slope,
        }
    }

    /// The activation of a value that is not needed any more.
    pub(crate) fn of(self, x: Tensor) -> Tensor {
        x.activated(self, false)
    }

    /// The slope for the epilogue of a kernel, if that is to compute the activation of what becomes of x: in a type whose sums
    /// are not rounded again, and where the result tells the derivative, as the operand is then nowhere.
    pub(crate) fn in_epilogue_of(self, x: &Tensor) -> Option<f64> {
        // As the kernel has it.
        let slope = match x.dtype() {
            DType::F32 => f64::from(self.slope() as f32),
            DType::F64 => self.slope(),
            _ => return None,
        };
        // With a slope of 0 kernels write 0, as `relu` does, where `leaky_relu` has 0 x.
        let told = self == Activation::Relu || slope > 0.0;
        (told && x.backend().rectifies()).then_some(slope)
    }
}

impl Tensor {
    /// The activation of a value that is not needed any more: recorded only, if its kernel has `done` it.
    pub(super) fn activated(self, act: Activation, done: bool) -> Tensor {
        match act {
            Activation::Relu if done => self.rectified("relu", 0.0),
            Activation::LeakyRelu(slope) if done => self.rectified("leaky_relu", slope),
            Activation::Relu => self.into_relu(),
            Activation::LeakyRelu(slope) => self.into_leaky_relu(slope),
        }
    }
}

/// Work in the memory of a tensor that nothing else holds. Each says whether it was done; if not, nothing was.
impl Tensor {
    /// Whether a device's kernels may write to this memory, if nobody else sees it.
    fn may_be_written(&self) -> bool {
        let real = matches!(self.dtype(), DType::F32 | DType::F64);
        real && self.layout().is_dense() && self.backend().works_in_place()
    }

    /// this = f(this)
    fn mapped_in_place(&mut self, f: Unary) -> bool {
        let backend = self.backend();
        self.may_be_written()
            && self.storage_mut().is_some_and(|(storage, layout)| {
                backend.unary_in_place(f, ViewMut { storage, layout });
                true
            })
    }

    /// this = f(this, by)
    fn masked_in_place(&mut self, by: &Tensor, f: Binary) -> bool {
        let backend = self.backend();
        let alike = self.layout().like() == by.layout().like() && by.layout().is_dense();
        self.may_be_written()
            && alike
            && self.storage_mut().is_some_and(|(storage, layout)| {
                backend.binary_in_place(f, ViewMut { storage, layout }, by.view());
                true
            })
    }

    /// [`Tensor::relu`] of a value that is not needed any more: in its own memory if nothing else holds that.
    pub(crate) fn into_relu(mut self) -> Tensor {
        self.check_float("relu");
        if self.mapped_in_place(Unary::Relu) { self.rectified("relu", 0.0) } else { self.relu() }
    }

    /// [`Tensor::leaky_relu`] likewise.
    pub(crate) fn into_leaky_relu(mut self, slope: f64) -> Tensor {
        self.check_float("leaky_relu");
        // A slope that turns signs round leaves no trace of the operand's.
        let done = slope >= 0.0 && self.mapped_in_place(Unary::LeakyRelu(slope));
        if done { self.rectified("leaky_relu", slope) } else { self.leaky_relu(slope) }
    }

    /// Records that this value was rectified in place: its node is still the operand's.
    fn rectified(self, name: &'static str, slope: f64) -> Tensor {
        let operand = self.clone();
        self.with_node(None).record(LeakyRelu { name, slope }, &[&operand], &[Save::Output])
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
    fn vjp_owned(&self, c: &Context, mut g: Tensor) -> Vec<Option<Tensor>> {
        let y = c.saved(0);
        if y.layout().is_dense() {
            g = g.in_layout(y.layout().like());
        }
        if is_recording() || !g.masked_in_place(y, Binary::LeakyReluGrad(self.slope)) {
            return self.vjp(c, &g);
        }
        one(g)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::{GradOptions, grad_with};
    use crate::rng::Stream;
    use crate::{Device, Generator};

    fn place(x: &Tensor) -> *const crate::backend::Storage {
        x.view().storage
    }

    fn normal() -> Tensor {
        // More than one piece, and a rest.
        Generator::new(3, Stream::General).normal(&[5, 7, 331], 0.0, 1.0, DType::F32, Device::Cpu)
    }

    #[test]
    fn a_value_that_is_not_needed_gives_its_memory_to_the_result() {
        let extreme = || Tensor::from(&[f32::NEG_INFINITY, -1.0, -0.0, 0.0, f32::INFINITY][..]);
        let bits = |x: Tensor| x.to_vec::<f32>().into_iter().map(f32::to_bits).collect::<Vec<_>>();
        assert_eq!(bits(extreme().into_relu()), bits(extreme().relu()));
        for slope in [0.0, 0.2] {
            assert_eq!(bits(extreme().into_leaky_relu(slope)), bits(extreme().leaky_relu(slope)));
            let want = normal().leaky_relu(slope).to_vec::<f32>();
            let x = normal();
            let at = place(&x);
            let y = x.into_leaky_relu(slope);
            assert_eq!((place(&y), y.to_vec::<f32>()), (at, want.clone()));
            // Held by somebody else, it stays as it is.
            let x = normal();
            let y = x.clone().into_leaky_relu(slope);
            assert_eq!((x.to_vec::<f32>(), y.to_vec::<f32>()), (normal().to_vec(), want));
            // A transposed value is dense too, and half of the columns are not.
            let y = normal().permute(&[2, 0, 1]).into_leaky_relu(slope);
            assert_eq!(y.to_vec::<f32>(), normal().permute(&[2, 0, 1]).leaky_relu(slope).to_vec::<f32>());
            let y = normal().narrow(2, 0, 100).into_leaky_relu(slope);
            assert_eq!(y.to_vec::<f32>(), normal().narrow(2, 0, 100).leaky_relu(slope).to_vec::<f32>());
        }
        let half = normal().to_dtype(DType::F16);
        assert_eq!(
            half.clone().into_leaky_relu(0.2).to_vec::<half::f16>(),
            half.leaky_relu(0.2).to_vec::<half::f16>()
        );
    }

    /// Gradients are those of the op that takes its operand by reference, and given ones are not written to.
    #[test]
    fn gradients_are_the_same_in_place() {
        let upstream = normal().mul_scalar(3.0);
        let before = upstream.to_vec::<f32>();
        let of = |y: &Tensor, x: &Tensor| {
            let grad_outputs = std::slice::from_ref(&upstream);
            let options = GradOptions { grad_outputs, ..GradOptions::default() };
            grad_with(&[y], &[x], &options)[0].clone().unwrap().to_vec::<f32>()
        };
        for slope in [0.0, 0.2] {
            let x = normal().requires_grad();
            let apart = of(&x.mul_scalar(2.0).leaky_relu(slope).mul_scalar(-1.0), &x);
            let owned = of(&x.mul_scalar(2.0).into_leaky_relu(slope).mul_scalar(-1.0), &x);
            assert_eq!(apart, owned);
            // The gradient that was given goes through the activation first.
            let first = of(&x.mul_scalar(2.0).into_leaky_relu(slope), &x);
            assert_eq!(first, of(&x.mul_scalar(2.0).leaky_relu(slope), &x));
            assert_eq!(upstream.to_vec::<f32>(), before);
            // Two users of one value: each gets the whole gradient.
            let y = x.mul_scalar(2.0).into_leaky_relu(slope);
            let both = of(&y.add(&y.leaky_relu(0.5)), &x);
            let z = x.mul_scalar(2.0).leaky_relu(slope);
            assert_eq!(both, of(&z.add(&z.leaky_relu(0.5)), &x));
        }
    }

    #[test]
    fn derivatives_of_derivatives_are_the_same_in_place() {
        let second = |owned: bool| {
            let x = normal().requires_grad();
            let z = x.mul(&x);
            let y = if owned {
                z.mul_scalar(2.0).into_leaky_relu(0.2)
            } else {
                z.mul_scalar(2.0).leaky_relu(0.2)
            };
            let options = GradOptions { create_graph: true, ..GradOptions::default() };
            let g = grad_with(&[&y.sum_all()], &[&x], &options)[0].clone().unwrap();
            let gg = grad_with(&[&g.mul(&g).sum_all()], &[&x], &GradOptions::default());
            gg[0].clone().unwrap().to_vec::<f32>()
        };
        assert_eq!(second(true), second(false));
    }
}
