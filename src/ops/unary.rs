//! Elementwise functions of one tensor.

use super::one;
use crate::Tensor;
use crate::backend::{Binary, Unary};
use crate::tensor::node::{Context, Op, Save};

impl Tensor {
    /// The value of an elementwise function, in the same order in memory.
    #[track_caller]
    pub(super) fn unary_value(&self, op: &str, f: Unary) -> Tensor {
        self.check_float(op);
        Tensor::build(self.layout().like(), self.dtype(), self.device(), |out| {
            self.backend().unary(f, self.view(), out)
        })
    }
}

struct Affine {
    name: &'static str,
    mul: f64,
}
impl Op for Affine {
    fn name(&self) -> &'static str {
        self.name
    }
    /// d(m x + a)/dx = m
    fn vjp(&self, _: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        one(if self.mul == 1.0 { g.clone() } else { g.mul_scalar(self.mul) })
    }
}

struct Exp;
impl Op for Exp {
    fn name(&self) -> &'static str {
        "exp"
    }
    /// dy/dx = y
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        one(g.mul(c.saved(0)))
    }
}

struct Log;
impl Op for Log {
    fn name(&self) -> &'static str {
        "log"
    }
    /// dy/dx = 1/x
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        one(g.div(c.saved(0)))
    }
}

struct Sqrt;
impl Op for Sqrt {
    fn name(&self) -> &'static str {
        "sqrt"
    }
    /// dy/dx = 1/(2y)
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        one(g.div(&c.saved(0).mul_scalar(2.0)))
    }
}

struct Abs;
impl Op for Abs {
    fn name(&self) -> &'static str {
        "abs"
    }
    /// dy/dx = the sign of x
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        one(g.masked_grad(c.saved(0), Binary::AbsGrad))
    }
}

struct Pow(f64);
impl Op for Pow {
    fn name(&self) -> &'static str {
        "pow"
    }
    /// dy/dx = p x^(p-1), and 0 for p = 0 even where x^-1 is infinite
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let p = self.0;
        one(match p {
            0.0 => g.zeros_like(),
            1.0 => g.clone(),
            _ => g.mul(&c.saved(0).pow(p - 1.0).mul_scalar(p)),
        })
    }
}

struct Clamp {
    lo: f64,
    hi: f64,
}
impl Op for Clamp {
    fn name(&self) -> &'static str {
        "clamp"
    }
    /// dy/dx = 1 where lo < x < hi, else 0
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let mask = Binary::ClampGrad { lo: self.lo, hi: self.hi };
        one(g.masked_grad(c.saved(0), mask))
    }
}

impl Tensor {
    #[track_caller]
    fn affine(&self, name: &'static str, mul: f64, add: f64) -> Tensor {
        self.unary_value(name, Unary::Affine { mul, add }).record(Affine { name, mul }, &[self], &[])
    }

    /// `x + c` for a number c. Derivative 1.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// assert_eq!(Tensor::from(&[1.0f32, 2.0][..]).add_scalar(0.5).to_vec::<f32>(), [1.5, 2.5]);
    /// ```
    ///
    /// # Panics
    /// If the dtype is no float.
    #[track_caller]
    pub fn add_scalar(&self, c: f64) -> Tensor {
        self.affine("add_scalar", 1.0, c)
    }

    /// `c x` for a number c. Derivative c.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// assert_eq!(Tensor::from(&[1.0f32, 2.0][..]).mul_scalar(0.5).to_vec::<f32>(), [0.5, 1.0]);
    /// ```
    ///
    /// # Panics
    /// If the dtype is no float.
    #[track_caller]
    pub fn mul_scalar(&self, c: f64) -> Tensor {
        self.affine("mul_scalar", c, 0.0)
    }

    /// `-x`. Derivative -1.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// assert_eq!(Tensor::from(&[1.0f32, -2.0][..]).neg().to_vec::<f32>(), [-1.0, 2.0]);
    /// ```
    ///
    /// # Panics
    /// If the dtype is no float.
    #[track_caller]
    pub fn neg(&self) -> Tensor {
        self.unary_value("neg", Unary::Neg).record(Affine { name: "neg", mul: -1.0 }, &[self], &[])
    }

    /// `e^x`. Derivative e^x.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// assert_eq!(Tensor::from(&[0.0f32, f32::NEG_INFINITY][..]).exp().to_vec::<f32>(), [1.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If the dtype is no float.
    #[track_caller]
    pub fn exp(&self) -> Tensor {
        self.unary_value("exp", Unary::Exp).record(Exp, &[self], &[Save::Output])
    }

    /// Natural logarithm; -inf at 0, NaN below. Derivative 1/x.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// assert_eq!(Tensor::from(&[1.0f32, 0.0][..]).log().to_vec::<f32>(), [0.0, f32::NEG_INFINITY]);
    /// ```
    ///
    /// # Panics
    /// If the dtype is no float.
    #[track_caller]
    pub fn log(&self) -> Tensor {
        self.unary_value("log", Unary::Log).record(Log, &[self], &[Save::Value(self)])
    }

    /// Square root; NaN below 0. Derivative 1/(2 sqrt(x)), infinite at 0.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// assert_eq!(Tensor::from(&[9.0f32, 2.25][..]).sqrt().to_vec::<f32>(), [3.0, 1.5]);
    /// ```
    ///
    /// # Panics
    /// If the dtype is no float.
    #[track_caller]
    pub fn sqrt(&self) -> Tensor {
        self.unary_value("sqrt", Unary::Sqrt).record(Sqrt, &[self], &[Save::Output])
    }

    /// `|x|`. Derivative the sign of x, 0 at 0.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// assert_eq!(Tensor::from(&[-2.0f32, 0.0, 3.0][..]).abs().to_vec::<f32>(), [2.0, 0.0, 3.0]);
    /// ```
    ///
    /// # Panics
    /// If the dtype is no float.
    #[track_caller]
    pub fn abs(&self) -> Tensor {
        self.unary_value("abs", Unary::Abs).record(Abs, &[self], &[Save::Value(self)])
    }

    /// `x^p` for a number p; NaN where x < 0 and p is not whole. Derivative p x^(p-1).
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from(&[2.0f32, 4.0][..]);
    /// assert_eq!(x.pow(3.0).to_vec::<f32>(), [8.0, 64.0]);
    /// assert_eq!(x.pow(-0.5).to_vec::<f32>()[1], 0.5);
    /// ```
    ///
    /// # Panics
    /// If the dtype is no float.
    #[track_caller]
    pub fn pow(&self, p: f64) -> Tensor {
        self.unary_value("pow", Unary::Pow(p)).record(Pow(p), &[self], &[Save::Value(self)])
    }

    /// `x^2`.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// assert_eq!(Tensor::from(&[-3.0f32, 0.5][..]).square().to_vec::<f32>(), [9.0, 0.25]);
    /// ```
    ///
    /// # Panics
    /// If the dtype is no float.
    #[track_caller]
    pub fn square(&self) -> Tensor {
        self.pow(2.0)
    }

    /// `min(max(x, lo), hi)`; None leaves that side open, NaN stays NaN. Derivative 1 where lo < x < hi, else 0:
    /// at a bound the smallest of the possible slopes, as in relu and in PyTorch 2.15 (older versions pass the
    /// gradient there).
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from(&[-2.0f32, 0.5, 7.0][..]);
    /// assert_eq!(x.clamp(-1.0, 1.0).to_vec::<f32>(), [-1.0, 0.5, 1.0]);
    /// assert_eq!(x.clamp(0.0, None).to_vec::<f32>(), [0.0, 0.5, 7.0]);
    /// ```
    ///
    /// # Panics
    /// If lo > hi.
    #[track_caller]
    pub fn clamp(&self, lo: impl Into<Option<f64>>, hi: impl Into<Option<f64>>) -> Tensor {
        let (lo, hi) = (lo.into().unwrap_or(f64::NEG_INFINITY), hi.into().unwrap_or(f64::INFINITY));
        if lo.is_nan() || hi.is_nan() || lo > hi {
            crate::error::misuse!("clamp", "the lower bound {lo} is above the upper bound {hi}; swap them");
        }
        self.unary_value("clamp", Unary::Clamp { lo, hi }).record(
            Clamp { lo, hi },
            &[self],
            &[Save::Value(self)],
        )
    }
}
