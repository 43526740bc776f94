//! Element types: what is stored, and what is computed with.

use super::kernel::Kernels;
use crate::Element;
use crate::backend::cpu::simd::Tier;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use std::any::TypeId;

/// A type matrices can have. The half types are widened to f32 while they are packed, summed in f32, and
/// rounded once when the result is written.
pub trait GemmElement: Element {
    /// The type of the products and sums.
    type Acc: Real;
    /// The value as an accumulator, exactly.
    fn widen(self) -> Self::Acc;
    /// The nearest representable value, ties to even.
    fn narrow(acc: Self::Acc) -> Self;
    /// [`widen`](GemmElement::widen) of a run of elements; both slices have one length.
    fn widen_slice(src: &[Self], dst: &mut [Self::Acc]);
}

/// Whether T is its own accumulator, so that kernels may read and write it where it lies.
#[inline(always)]
pub fn is_acc<T: GemmElement>() -> bool {
    TypeId::of::<T>() == TypeId::of::<T::Acc>()
}

/// The types there are kernels for: f32 and f64.
pub trait Real:
    GemmElement<Acc = Self> + PartialOrd + std::ops::Add<Output = Self> + std::ops::Mul<Output = Self>
{
    /// 0
    const ZERO: Self;
    /// The nearest value.
    fn of(x: f64) -> Self;
    /// A tier's kernels.
    fn kernels(tier: Tier) -> &'static Kernels<Self>;
    /// x where x > 0, else slope x, or 0 if the slope is 0. NaN stays NaN.
    #[inline(always)]
    fn rectified(self, slope: Self) -> Self {
        match (self <= Self::ZERO, slope == Self::ZERO) {
            (false, _) => self,
            (true, false) => slope * self,
            (true, true) => Self::ZERO,
        }
    }
}

macro_rules! real {
    ($t:ident, $kernels:ident) => {
        impl GemmElement for $t {
            type Acc = $t;
            #[inline(always)]
            fn widen(self) -> $t {
                self
            }
            #[inline(always)]
            fn narrow(acc: $t) -> $t {
                acc
            }
            #[inline(always)]
            fn widen_slice(src: &[$t], dst: &mut [$t]) {
                dst.copy_from_slice(src);
            }
        }

        impl Real for $t {
            const ZERO: $t = 0.0;
            #[inline(always)]
            fn of(x: f64) -> $t {
                x as $t
            }
            fn kernels(tier: Tier) -> &'static Kernels<$t> {
                match tier {
                    #[cfg(target_arch = "x86_64")]
                    Tier::Avx512 => &super::avx512::$kernels,
                    #[cfg(target_arch = "x86_64")]
                    Tier::Avx2 => &super::avx2::$kernels,
                    _ => &super::portable::$kernels,
                }
            }
        }
    };
}
real!(f32, F32);
real!(f64, F64);

impl GemmElement for f16 {
    type Acc = f32;
    #[inline(always)]
    fn widen(self) -> f32 {
        self.to_f32()
    }
    #[inline(always)]
    fn narrow(acc: f32) -> f16 {
        f16::from_f32(acc)
    }
    fn widen_slice(src: &[f16], dst: &mut [f32]) {
        src.convert_to_f32_slice(dst);
    }
}

impl GemmElement for bf16 {
    type Acc = f32;
    #[inline(always)]
    fn widen(self) -> f32 {
        // A bfloat16 is the upper half of the f32 of the same value.
        f32::from_bits((self.to_bits() as u32) << 16)
    }
    #[inline(always)]
    fn narrow(acc: f32) -> bf16 {
        bf16::from_f32(acc)
    }
    fn widen_slice(src: &[bf16], dst: &mut [f32]) {
        assert_eq!(src.len(), dst.len());
        for (d, s) in dst.iter_mut().zip(src) {
            *d = s.widen();
        }
    }
}
