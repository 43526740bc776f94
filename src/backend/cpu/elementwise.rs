//! The elementwise functions, one expression each; `map` has the loops.

use super::float::Float;
use super::loss::{self, PairLoss};
use super::map::{Map1, Map2, map1, map2};
use super::vmath::Math;
use crate::Layout;
use crate::backend::{Binary, Compare, Loss, Unary};

/// Defines elementwise functions of one value, each a type that the loop is compiled for, and the function that
/// picks the one a [`Unary`] names. Constants are rounded once, to the type that is computed in.
macro_rules! unary {
    ($($pattern:pat => $name:ident($($c:ident = $value:expr),*) |$x:ident, $fma:ident| $body:expr;)*) => {
        $(
            #[derive(Clone, Copy)]
            struct $name<T> { $($c: T,)* _type: std::marker::PhantomData<T> }
            impl<T: Float> Map1<T, T> for $name<T> {
                #[inline(always)]
                fn call<const $fma: bool>(self, x: T) -> T {
                    $(let $c = self.$c;)*
                    let $x = x;
                    $body
                }
            }
        )*
        /// out = f(x), or f(out) without an operand.
        pub(super) fn unary<T: Float>(f: Unary, x: Option<(&[T], &Layout)>, out: &mut [T], ol: &Layout) {
            match f {
                $($pattern => {
                    let f = $name::<T> { $($c: Float::c($value),)* _type: std::marker::PhantomData };
                    map1(f, x, out, ol)
                })*
            }
        }
    };
}

unary! {
    Unary::Neg => Neg() |x, FMA| -x;
    Unary::Exp => Exp() |x, FMA| Math::exp::<FMA>(x);
    Unary::Log => Log() |x, FMA| Math::log::<FMA>(x);
    Unary::Sqrt => Sqrt() |x, FMA| Math::sqrt(x);
    Unary::Abs => Abs() |x, FMA| Float::abs(x);
    Unary::Tanh => Tanh() |x, FMA| Math::tanh::<FMA>(x);
    Unary::Sigmoid => Sigmoid() |x, FMA| Math::sigmoid::<FMA>(x);
    Unary::Relu => Relu() |x, FMA| if x <= Float::ZERO { Float::ZERO } else { x };
    Unary::LeakyRelu(s) => LeakyRelu(slope = s) |x, FMA| if x > Float::ZERO { x } else { slope * x };
    // For the usual beta of 1 both factors are exact.
    Unary::Softplus { beta, threshold } => Softplus(beta = beta, unscale = 1.0 / beta, linear = threshold) |x, FMA| {
        let bx = beta * x;
        let curved = unscale * Math::softplus::<FMA>(bx);
        if bx > linear { x } else { curved }
    };
    Unary::Affine { mul, add: 0.0 } => Scale(mul = mul) |x, FMA| mul * x;
    Unary::Affine { mul, add } => Affine(mul = mul, add = add) |x, FMA| mul * x + add;
    Unary::Pow(2.0) => Square() |x, FMA| x * x;
    Unary::Pow(3.0) => Cube() |x, FMA| x * x * x;
    Unary::Pow(0.5) => Root() |x, FMA| Math::sqrt(x);
    Unary::Pow(-0.5) => InverseRoot() |x, FMA| T::ONE / Math::sqrt(x);
    Unary::Pow(-1.0) => Inverse() |x, FMA| T::ONE / x;
    Unary::Pow(p) => Pow(p = p) |x, FMA| Math::powf(x, p);
    Unary::Clamp { lo, hi } => Clamp(lo = lo, hi = hi) |x, FMA| {
        let x = if x < lo { lo } else { x };
        if x > hi { hi } else { x }
    };
}

/// As `unary!`, for functions of two values.
macro_rules! binary {
    ($($pattern:pat => $name:ident($($c:ident = $value:expr),*) |$a:ident, $b:ident, $fma:ident| $body:expr;)*) => {
        $(
            #[derive(Clone, Copy)]
            struct $name<T> { $($c: T,)* _type: std::marker::PhantomData<T> }
            impl<T: Float> Map2<T, T, T> for $name<T> {
                #[inline(always)]
                fn call<const $fma: bool>(self, a: T, b: T) -> T {
                    $(let $c = self.$c;)*
                    let ($a, $b) = (a, b);
                    $body
                }
            }
        )*
        /// out = f(a, b), or f(out, b) without a first operand; b lies as `out` does then.
        pub(super) fn binary<T: Float>(
            f: Binary,
            a: Option<(&[T], &Layout)>,
            b: (&[T], &Layout),
            out: &mut [T],
            ol: &Layout,
        ) {
            match f {
                $($pattern => {
                    let f = $name::<T> { $($c: Float::c($value),)* _type: std::marker::PhantomData };
                    map2(f, a, b, out, ol)
                })*
            }
        }
    };
}

binary! {
    Binary::Add => Add() |a, b, FMA| a + b;
    Binary::Sub => Sub() |a, b, FMA| a - b;
    Binary::Mul => Mul() |a, b, FMA| a * b;
    Binary::Div => Div() |a, b, FMA| a / b;
    // A comparison with NaN is false, and only NaN differs from itself.
    Binary::Maximum => Maximum() |a, b, FMA| if a > b || a.is_not_a_number() { a } else { b };
    Binary::Minimum => Minimum() |a, b, FMA| if a < b || a.is_not_a_number() { a } else { b };
    Binary::Loss(Loss::Bce) => Bce() |p, t, FMA| PairLoss::value::<FMA>(loss::Bce, p, t);
    Binary::Loss(Loss::BceWithLogits) => BceWithLogits() |p, t, FMA| PairLoss::value::<FMA>(loss::BceWithLogits, p, t);
    Binary::Loss(Loss::SquaredError) => SquaredError() |p, t, FMA| PairLoss::value::<FMA>(loss::SquaredError, p, t);
    Binary::Loss(Loss::AbsoluteError) => AbsoluteError() |p, t, FMA| PairLoss::value::<FMA>(loss::AbsoluteError, p, t);
    // A slope of 0 gives 0 whatever g is, infinite ones included.
    Binary::LeakyReluGrad(0.0) => ReluGrad() |g, y, FMA| if y > Float::ZERO { g } else { Float::ZERO };
    Binary::LeakyReluGrad(s) => LeakyReluGrad(slope = s) |g, y, FMA| if y > Float::ZERO { g } else { slope * g };
    Binary::ClampGrad { lo, hi } => ClampGrad(lo = lo, hi = hi) |g, x, FMA| {
        if x > lo && x < hi { g } else { Float::ZERO }
    };
    Binary::AbsGrad => AbsGrad() |g, x, FMA| {
        let below = if x < Float::ZERO { -g } else { Float::ZERO };
        if x > Float::ZERO { g } else { below }
    };
    Binary::TanhGrad => TanhGrad() |g, y, FMA| g * (T::ONE - y * y);
    Binary::SigmoidGrad => SigmoidGrad() |g, y, FMA| g * (y * (T::ONE - y));
}

/// out = 1 where a ? b, else 0. One loop serves all comparisons: it tells less, equal, greater and unordered apart
/// and looks the answer up.
pub(super) fn compare<T: PartialOrd + Copy + Sync>(
    f: Compare,
    a: (&[T], &Layout),
    b: (&[T], &Layout),
    out: &mut [u8],
    ol: &Layout,
) {
    const LESS: u8 = 1;
    const EQUAL: u8 = 2;
    const GREATER: u8 = 4;
    const UNORDERED: u8 = 8;
    let holds = match f {
        Compare::Eq => EQUAL,
        Compare::Ne => LESS | GREATER | UNORDERED,
        Compare::Lt => LESS,
        Compare::Le => LESS | EQUAL,
        Compare::Gt => GREATER,
        Compare::Ge => GREATER | EQUAL,
    };
    super::map::zip(a, b, out, ol, |a: T, b: T| {
        let case = match a.partial_cmp(&b) {
            Some(std::cmp::Ordering::Less) => LESS,
            Some(std::cmp::Ordering::Equal) => EQUAL,
            Some(std::cmp::Ordering::Greater) => GREATER,
            None => UNORDERED,
        };
        (case & holds != 0) as u8
    });
}
