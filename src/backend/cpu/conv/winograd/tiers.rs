//! The transforms compiled for every tier.

use super::points::{Fold, Gather, Map, Read, Scatter, Spread, Taps};
use super::transform::{Grid, Inward, Outward, Points, Then, Transforms, along, down};
use crate::backend::cpu::gemm::{Real, Vector};
use crate::backend::cpu::simd::Tier;

/// The types that there are transforms for.
pub trait Transformable: Real {
    /// A tier's transforms.
    fn transforms(tier: Tier) -> &'static Transforms<Self>;
}

/// The passes with some instructions, and the tables of their vectors.
macro_rules! tier {
    ($tier:ident, $(#[$feature:meta])* $v32:ty, $v64:ty) => {
        mod $tier {
            use super::*;

            /// # Safety
            /// As [`Inward`] says.
            $(#[$feature])*
            unsafe fn in_down<V: Vector, M: Map>(f: Grid<V::Elem>, columns: usize, n: usize, b: *mut V::Elem) {
                // SAFETY: passed on.
                unsafe { down::<V, M>(f, columns, n, b) }
            }

            /// # Safety
            /// As [`Inward`] says.
            $(#[$feature])*
            unsafe fn in_along<V: Vector, M: Map>(b: *const V::Elem, to: Points<V::Elem>, rows: usize, n: usize) {
                // SAFETY: passed on.
                unsafe { along::<V, M>(b, to, rows, n, Then::NOTHING) }
            }

            /// # Safety
            /// As [`Outward`] says.
            $(#[$feature])*
            unsafe fn out_down<V: Vector, M: Map>(f: Points<V::Elem>, columns: usize, n: usize, b: *mut V::Elem) {
                // SAFETY: passed on.
                unsafe { down::<V, M>(f, columns, n, b) }
            }

            /// # Safety
            /// As [`Outward`] says.
            $(#[$feature])*
            unsafe fn out_along<V: Vector, M: Map>(
                b: *const V::Elem,
                to: Grid<V::Elem>,
                rows: usize,
                n: usize,
                then: Then<V::Elem>,
            ) {
                // SAFETY: passed on.
                unsafe { along::<V, M>(b, to, rows, n, then) }
            }

            const fn inward<V: Vector, M: Map>() -> Inward<V::Elem> {
                Inward { operands: M::IN, results: M::OUT, down: in_down::<V, M>, along: in_along::<V, M> }
            }
            const fn outward<V: Vector, M: Map>() -> Outward<V::Elem> {
                Outward { operands: M::IN, results: M::OUT, down: out_down::<V, M>, along: out_along::<V, M> }
            }

            const fn table<V: Vector>() -> Transforms<V::Elem> {
                Transforms {
                    lanes: V::LANES,
                    gather: [inward::<V, Gather<3>>(), inward::<V, Gather<4>>(), inward::<V, Gather<5>>()],
                    scatter: [outward::<V, Scatter<3>>(), outward::<V, Scatter<4>>(), outward::<V, Scatter<5>>()],
                    read: by_taps!(outward, V, Read),
                    spread: by_taps!(inward, V, Spread),
                    taps: by_taps!(inward, V, Taps),
                    fold: by_taps!(outward, V, Fold),
                }
            }

            pub static F32: Transforms<f32> = table::<$v32>();
            pub static F64: Transforms<f64> = table::<$v64>();
        }
    };
}

/// For windows of 2 and of 3 taps; the latter on 3 points has one output, which no plan asks for.
macro_rules! by_taps {
    ($kind:ident, $v:ty, $m:ident) => {
        [
            [$kind::<$v, $m<3, 2>>(), $kind::<$v, $m<4, 2>>(), $kind::<$v, $m<5, 2>>()],
            [$kind::<$v, $m<3, 3>>(), $kind::<$v, $m<4, 3>>(), $kind::<$v, $m<5, 3>>()],
        ]
    };
}

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{__m256, __m256d, __m512, __m512d};

#[cfg(target_arch = "x86_64")]
tier!(
    avx512,
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
    __m512,
    __m512d
);
#[cfg(target_arch = "x86_64")]
tier!(
    avx2,
    #[target_feature(enable = "avx2,fma")]
    __m256,
    __m256d
);
tier!(portable, crate::backend::cpu::gemm::Lanes<f32, 4>, crate::backend::cpu::gemm::Lanes<f64, 2>);

macro_rules! transformable {
    ($t:ident, $table:ident) => {
        impl Transformable for $t {
            fn transforms(tier: Tier) -> &'static Transforms<$t> {
                match tier {
                    #[cfg(target_arch = "x86_64")]
                    Tier::Avx512 => &avx512::$table,
                    #[cfg(target_arch = "x86_64")]
                    Tier::Avx2 => &avx2::$table,
                    _ => &portable::$table,
                }
            }
        }
    };
}
transformable!(f32, F32);
transformable!(f64, F64);
