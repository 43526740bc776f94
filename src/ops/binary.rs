//! Elementwise arithmetic on two broadcast tensors, and the operators.

use super::{broadcast, constant, elementwise_layout, expand_layout};
use crate::Tensor;
use crate::backend::{Binary, View};
use crate::tensor::node::{Context, Op, Save};
use std::ops;

impl Tensor {
    /// The value of an elementwise function of two tensors, broadcast.
    #[track_caller]
    pub(super) fn binary_value(&self, op: &str, f: Binary, other: &Tensor) -> Tensor {
        self.check_with(op, other);
        self.check_float(op);
        let shape = broadcast(op, self.shape(), other.shape());
        let (la, lb) = (expand_layout(self, &shape), expand_layout(other, &shape));
        let a = View { layout: &la, ..self.view() };
        let b = View { layout: &lb, ..other.view() };
        Tensor::build(elementwise_layout(&shape, [self, other]), self.dtype(), self.device(), |out| {
            self.backend().binary(f, a, b, out)
        })
    }
}

struct Add;
impl Op for Add {
    fn name(&self) -> &'static str {
        "add"
    }
    /// d(a+b) = da + db
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        (0..2).map(|i| c.needs(i).then(|| g.clone())).collect()
    }
}

struct Sub;
impl Op for Sub {
    fn name(&self) -> &'static str {
        "sub"
    }
    /// d(a-b) = da - db
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        vec![c.needs(0).then(|| g.clone()), c.needs(1).then(|| g.neg())]
    }
}

struct Mul;
impl Op for Mul {
    fn name(&self) -> &'static str {
        "mul"
    }
    /// d(ab) = b da + a db
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        vec![c.needs(0).then(|| g.mul(c.saved(1))), c.needs(1).then(|| g.mul(c.saved(0)))]
    }
}

struct Div;
impl Op for Div {
    fn name(&self) -> &'static str {
        "div"
    }
    /// d(a/b) = da/b - (a/b) db/b
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let b = c.saved(0);
        vec![c.needs(0).then(|| g.div(b)), c.needs(1).then(|| g.mul(c.saved(1)).div(b).neg())]
    }
}

/// Maximum and minimum.
struct Extremum {
    name: &'static str,
    largest: bool,
}
impl Op for Extremum {
    fn name(&self) -> &'static str {
        self.name
    }
    /// The gradient goes to the side that was taken, half to each of two equal ones, and to both where one is NaN.
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let (a, b) = (c.saved(0), c.saved(1));
        let (winner, loser) = if self.largest { (a, b) } else { (b, a) };
        let (shared, zero) = (a.eq(b).where_(&g.mul_scalar(0.5), g), constant(g, 0.0));
        vec![
            c.needs(0).then(|| winner.lt(loser).where_(&zero, &shared)),
            c.needs(1).then(|| winner.gt(loser).where_(&zero, &shared)),
        ]
    }
}

/// Undoes the broadcasting of inputs of an op whose own rule works in the result's shape. Recorded between an input
/// and the op, so that each rule stays a line of calculus.
impl Tensor {
    /// This tensor expanded to the result's shape, if it is tracked and has another; expansion's own rule sums the
    /// gradient back.
    pub(super) fn to_result(&self, shape: &[usize]) -> Tensor {
        if self.shape() == shape || !self.is_tracked() { self.clone() } else { self.expand_to(shape) }
    }

    /// `a + b`, broadcast. Derivatives 1 and 1.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
    /// let row = Tensor::from(&[10.0f32, 20.0][..]);
    /// assert_eq!((&x + &row).to_vec::<f32>(), [11.0, 22.0, 13.0, 24.0]);
    /// assert_eq!((x + 0.5).to_vec::<f32>(), [1.5, 2.5, 3.5, 4.5]);
    /// ```
    ///
    /// # Panics
    /// If shapes do not broadcast, dtypes or devices differ, or the dtype is no float.
    #[track_caller]
    pub fn add(&self, other: &Tensor) -> Tensor {
        let y = self.binary_value("add", Binary::Add, other);
        let (a, b) = (self.to_result(y.shape()), other.to_result(y.shape()));
        y.record(Add, &[&a, &b], &[])
    }

    /// `a - b`, broadcast. Derivatives 1 and -1.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let (a, b) = (Tensor::from(&[1.0f32, 6.0][..]), Tensor::from(&[4.0f32, 3.0][..]));
    /// assert_eq!((&a - &b).to_vec::<f32>(), [-3.0, 3.0]);
    /// assert_eq!((1.0 - a).to_vec::<f32>(), [0.0, -5.0]);
    /// ```
    ///
    /// # Panics
    /// As [`Tensor::add`].
    #[track_caller]
    pub fn sub(&self, other: &Tensor) -> Tensor {
        let y = self.binary_value("sub", Binary::Sub, other);
        let (a, b) = (self.to_result(y.shape()), other.to_result(y.shape()));
        y.record(Sub, &[&a, &b], &[])
    }

    /// `a b` element by element, broadcast. Derivatives b and a.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let (a, b) = (Tensor::from(&[1.0f32, 6.0][..]), Tensor::from(&[4.0f32, 3.0][..]));
    /// assert_eq!((a * b).to_vec::<f32>(), [4.0, 18.0]);
    /// ```
    ///
    /// # Panics
    /// As [`Tensor::add`].
    #[track_caller]
    pub fn mul(&self, other: &Tensor) -> Tensor {
        let y = self.binary_value("mul", Binary::Mul, other);
        let (a, b) = (self.to_result(y.shape()), other.to_result(y.shape()));
        y.record(Mul, &[&a, &b], &[Save::If(b.is_tracked(), &a), Save::If(a.is_tracked(), &b)])
    }

    /// `a / b` element by element, broadcast. Derivatives 1/b and -a/b^2.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let (a, b) = (Tensor::from(&[1.0f32, 6.0][..]), Tensor::from(&[4.0f32, 3.0][..]));
    /// assert_eq!((a / b).to_vec::<f32>(), [0.25, 2.0]);
    /// ```
    ///
    /// # Panics
    /// As [`Tensor::add`].
    #[track_caller]
    pub fn div(&self, other: &Tensor) -> Tensor {
        let y = self.binary_value("div", Binary::Div, other);
        let (a, b) = (self.to_result(y.shape()), other.to_result(y.shape()));
        y.record(Div, &[&a, &b], &[Save::Value(&b), Save::Output])
    }

    #[track_caller]
    fn extremum(&self, op: Extremum, f: Binary, other: &Tensor) -> Tensor {
        let y = self.binary_value(op.name, f, other);
        let (a, b) = (self.to_result(y.shape()), other.to_result(y.shape()));
        let compared = [Save::Value(&a.detach()), Save::Value(&b.detach())];
        y.record(op, &[&a, &b], &compared)
    }

    /// The larger of a and b, element by element, broadcast; NaN where either is. The gradient goes to the larger one,
    /// half to each where they are equal, and to both where one is NaN.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let (a, b) = (Tensor::from(&[1.0f32, 5.0][..]), Tensor::from(&[3.0f32, 2.0][..]));
    /// assert_eq!(a.maximum(&b).to_vec::<f32>(), [3.0, 5.0]);
    /// ```
    ///
    /// # Panics
    /// As [`Tensor::add`].
    #[track_caller]
    pub fn maximum(&self, other: &Tensor) -> Tensor {
        self.extremum(Extremum { name: "maximum", largest: true }, Binary::Maximum, other)
    }

    /// The smaller of a and b, element by element, broadcast; NaN where either is. The gradient goes to the smaller
    /// one, half to each where they are equal, and to both where one is NaN.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let (a, b) = (Tensor::from(&[1.0f32, 5.0][..]), Tensor::from(&[3.0f32, 2.0][..]));
    /// assert_eq!(a.minimum(&b).to_vec::<f32>(), [1.0, 2.0]);
    /// ```
    ///
    /// # Panics
    /// As [`Tensor::add`].
    #[track_caller]
    pub fn minimum(&self, other: &Tensor) -> Tensor {
        self.extremum(Extremum { name: "minimum", largest: false }, Binary::Minimum, other)
    }
}

/// `a op b` for tensors by value or reference, and with a number on either side.
macro_rules! operator {
    ($trait:ident, $method:ident, |$x:ident, $c:ident| $right:expr, |$d:ident, $y:ident| $left:expr) => {
        operator!(@tensors $trait, $method, Tensor, Tensor);
        operator!(@tensors $trait, $method, Tensor, &Tensor);
        operator!(@tensors $trait, $method, &Tensor, Tensor);
        operator!(@tensors $trait, $method, &Tensor, &Tensor);
        operator!(@number $trait, $method, Tensor, |$x, $c| $right, |$d, $y| $left);
        operator!(@number $trait, $method, &Tensor, |$x, $c| $right, |$d, $y| $left);
    };
    (@tensors $trait:ident, $method:ident, $a:ty, $b:ty) => {
        impl ops::$trait<$b> for $a {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, other: $b) -> Tensor {
                Tensor::$method(&self, &other)
            }
        }
    };
    (@number $trait:ident, $method:ident, $a:ty, |$x:ident, $c:ident| $right:expr, |$d:ident, $y:ident| $left:expr) => {
        impl ops::$trait<f64> for $a {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, $c: f64) -> Tensor {
                let $x = &self;
                $right
            }
        }
        impl ops::$trait<$a> for f64 {
            type Output = Tensor;
            #[track_caller]
            fn $method(self, y: $a) -> Tensor {
                let ($d, $y) = (self, &y);
                $left
            }
        }
    };
}
operator!(Add, add, |x, c| x.add_scalar(c), |c, x| x.add_scalar(c));
operator!(Sub, sub, |x, c| x.add_scalar(-c), |c, x| x.neg().add_scalar(c));
operator!(Mul, mul, |x, c| x.mul_scalar(c), |c, x| x.mul_scalar(c));
operator!(Div, div, |x, c| x.div(&constant(x, c)), |c, x| Tensor::div(&constant(x, c), x));

impl ops::Neg for Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        Tensor::neg(&self)
    }
}

impl ops::Neg for &Tensor {
    type Output = Tensor;
    #[track_caller]
    fn neg(self) -> Tensor {
        Tensor::neg(self)
    }
}
