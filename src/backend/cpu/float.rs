//! What generic kernels know of their element types.
//!
//! Kernels compute in f32 and f64. Half types are storage: the backend widens their operands to f32 and rounds the
//! result once.

use super::vmath::Math;
use crate::Element;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// A float type that kernels compute in: f32 or f64.
pub(super) trait Float:
    Element
    + Math
    + Default
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
{
    const ZERO: Self;
    const ONE: Self;
    const NEG_INFINITY: Self;
    /// A constant, rounded to this type.
    fn c(v: f64) -> Self;
    fn abs(self) -> Self;
    /// Whether this is NaN, as a comparison that vectorises.
    #[inline(always)]
    #[allow(clippy::eq_op)]
    fn is_not_a_number(self) -> bool {
        self != self
    }
}

macro_rules! float {
    ($t:ident) => {
        impl Float for $t {
            const ZERO: $t = 0.0;
            const ONE: $t = 1.0;
            const NEG_INFINITY: $t = $t::NEG_INFINITY;
            #[inline(always)]
            fn c(v: f64) -> $t {
                v as $t
            }
            #[inline(always)]
            fn abs(self) -> $t {
                $t::abs(self)
            }
        }
    };
}
float!(f32);
float!(f64);
