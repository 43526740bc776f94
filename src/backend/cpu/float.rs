//! What generic kernels know of their element types.

use super::vmath::Math;
use crate::Element;
use half::{bf16, f16};
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// A float type that kernels compute in: f32 or f64.
pub(super) trait Wide:
    Float<Wide = Self>
    + Math
    + Default
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
{
    /// 0
    const ZERO: Self;
    /// 1
    const ONE: Self;
    /// -infinity
    const NEG_INFINITY: Self;
    /// A constant, rounded to this type.
    fn c(v: f64) -> Self;
    fn abs(self) -> Self;
}

/// A float type of tensors, with the type that kernels compute in for it.
pub(super) trait Float: Element {
    type Wide: Wide;
    fn widen(self) -> Self::Wide;
    /// Rounded to nearest.
    fn narrow(w: Self::Wide) -> Self;
}

macro_rules! wide {
    ($t:ident) => {
        impl Wide for $t {
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
        impl Float for $t {
            type Wide = $t;
            #[inline(always)]
            fn widen(self) -> $t {
                self
            }
            #[inline(always)]
            fn narrow(w: $t) -> $t {
                w
            }
        }
    };
}
wide!(f32);
wide!(f64);

macro_rules! half {
    ($t:ident) => {
        impl Float for $t {
            type Wide = f32;
            #[inline(always)]
            fn widen(self) -> f32 {
                self.to_f32()
            }
            #[inline(always)]
            fn narrow(w: f32) -> $t {
                $t::from_f32(w)
            }
        }
    };
}
half!(f16);
half!(bf16);
