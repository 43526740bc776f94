//! Comparisons and selection.

use super::{broadcast, check_devices, constant, elementwise_layout, expand_layout};
use crate::backend::{Compare, View};
use crate::error::misuse;
use crate::layout::broadcast_shapes;
use crate::tensor::node::{Context, NonDifferentiable, Op, Save};
use crate::{DType, Tensor};

impl Tensor {
    #[track_caller]
    fn compare(&self, name: &'static str, f: Compare, other: &Tensor) -> Tensor {
        self.check_with(name, other);
        let shape = broadcast(name, self.shape(), other.shape());
        let (la, lb) = (expand_layout(self, &shape), expand_layout(other, &shape));
        let a = View { layout: &la, ..self.view() };
        let b = View { layout: &lb, ..other.view() };
        let layout = elementwise_layout(&shape, [self, other]);
        Tensor::build(layout, DType::U8, self.device(), |out| self.backend().compare(f, a, b, out)).record(
            NonDifferentiable(name),
            &[self, other],
            &[],
        )
    }
}

impl Tensor {
    /// Panics unless a number is a value of this tensor's dtype, if that is an integer type: rounding 0.5 to 0 would turn
    /// `x >= 0.5` into `x >= 0`. Floats round it.
    #[track_caller]
    pub(super) fn check_constant(&self, name: &str, c: f64) {
        let (lo, hi) = match self.dtype() {
            DType::U8 => (0.0, 255.0),
            // Beyond 2^53 not every integer is a number.
            DType::I64 => (-(2f64.powi(53)), 2f64.powi(53)),
            _ => return,
        };
        if !(lo..=hi).contains(&c) || c.fract() != 0.0 {
            misuse!(
                name,
                "{c} is no {}, the dtype of x {:?}; use a whole number in range, or convert with to_dtype(DType::F64) first",
                self.dtype(),
                self.shape()
            );
        }
    }
}

macro_rules! comparisons {
    ($($name:ident, $scalar:ident, $kind:ident, $sign:literal;)*) => {
        impl Tensor {
            $(
                #[doc = concat!("`a ", $sign, " b`, broadcast: a u8 mask with 1 where it holds. No derivative.")]
                #[doc = concat!(
                    "\n\n```\nuse ganvil::Tensor;\n",
                    "let (a, b) = (Tensor::from(&[1.0f32, 2.0, 3.0][..]), Tensor::from(&[2.0f32][..]));\n",
                    "let want = [1.0, 2.0, 3.0].map(|v| (v ", $sign, " 2.0) as u8);\n",
                    "assert_eq!(a.", stringify!($name), "(&b).to_vec::<u8>(), want);\n",
                    "assert_eq!(a.", stringify!($scalar), "(2.0).to_vec::<u8>(), want);\n```\n\n",
                    "# Panics\nIf shapes do not broadcast, or dtypes or devices differ.",
                )]
                #[track_caller]
                pub fn $name(&self, other: &Tensor) -> Tensor {
                    self.compare(stringify!($name), Compare::$kind, other)
                }

                #[doc = concat!("`x ", $sign, " c` for a number c: a u8 mask. No derivative. \n\n# Panics\nIf this is an integer tensor and c is not whole or not in the dtype's range.")]
                #[track_caller]
                pub fn $scalar(&self, c: f64) -> Tensor {
                    self.check_constant(stringify!($name), c);
                    self.compare(stringify!($name), Compare::$kind, &constant(self, c))
                }
            )*
        }
    };
}
comparisons! {
    eq, eq_scalar, Eq, "==";
    ne, ne_scalar, Ne, "!=";
    lt, lt_scalar, Lt, "<";
    le, le_scalar, Le, "<=";
    gt, gt_scalar, Gt, ">";
    ge, ge_scalar, Ge, ">=";
}

struct Where;
impl Op for Where {
    fn name(&self) -> &'static str {
        "where"
    }
    /// The gradient goes to whichever side was chosen.
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let (cond, zero) = (c.saved(0), constant(g, 0.0));
        vec![c.needs(0).then(|| cond.where_(g, &zero)), c.needs(1).then(|| cond.where_(&zero, g))]
    }
}

impl Tensor {
    /// `a` where this mask is not 0, else `b`; all three broadcast. The mask is u8 or i64 and has no derivative.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from(&[-1.0f32, 2.0][..]);
    /// let y = x.gt_scalar(0.0).where_(&x, &x.mul_scalar(-3.0));
    /// assert_eq!(y.to_vec::<f32>(), [3.0, 2.0]);
    /// ```
    ///
    /// # Panics
    /// If the mask is of another dtype, shapes do not broadcast, or `a` and `b` differ in dtype.
    #[track_caller]
    pub fn where_(&self, a: &Tensor, b: &Tensor) -> Tensor {
        if !matches!(self.dtype(), DType::U8 | DType::I64) {
            misuse!(
                "where",
                "the condition must be u8 or i64, got {} (shape {:?}); compare first, as in x.gt_scalar(0.0)",
                self.dtype(),
                self.shape()
            );
        }
        check_devices("where", self, a);
        a.check_with("where", b);
        a.check_float("where");
        let (sc, sa, sb) = (self.shape(), a.shape(), b.shape());
        let Some(shape) = broadcast_shapes(sa, sb).and_then(|s| broadcast_shapes(&s, sc)) else {
            misuse!(
                "where",
                "shapes {sc:?} (condition), {sa:?} and {sb:?} do not broadcast; aligned at the last dimension, sizes must be equal or 1"
            );
        };
        let [lc, la, lb] = [self, a, b].map(|t| expand_layout(t, &shape));
        let value = Tensor::build(elementwise_layout(&shape, [a, b]), a.dtype(), a.device(), |out| {
            self.backend().select(
                View { layout: &lc, ..self.view() },
                View { layout: &la, ..a.view() },
                View { layout: &lb, ..b.view() },
                out,
            )
        });
        let (a, b) = (a.to_result(&shape), b.to_result(&shape));
        let cond = self.detach();
        value.record(Where, &[&a, &b], &[Save::Value(&cond)])
    }
}
