//! The transforms compiled for every tier.

use super::points::{Fold, Gather, Map, Read, Scatter, Spread, Taps};
use super::transform::{Add, Passes, Transforms};
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
            /// As [`ColumnsFn`](super::super::transform::ColumnsFn).
            $(#[$feature])*
            unsafe fn columns<V: Vector, M: Map>(s: &[*const V::Elem], at: usize, n: usize, b: *mut V::Elem) {
                // SAFETY: passed on.
                unsafe { super::super::transform::columns::<V, M>(s, at, n, b) }
            }

            /// # Safety
            /// As [`RowsFn`](super::super::transform::RowsFn).
            $(#[$feature])*
            unsafe fn rows<V: Vector, M: Map>(
                b: *const V::Elem,
                d: &[*mut V::Elem],
                at: usize,
                n: usize,
                add: Add<V::Elem>,
            ) {
                // SAFETY: passed on.
                unsafe { super::super::transform::rows::<V, M>(b, d, at, n, add) }
            }

            const fn passes<V: Vector, M: Map>() -> Passes<V::Elem> {
                Passes { columns: columns::<V, M>, rows: rows::<V, M> }
            }

            const fn table<V: Vector>() -> Transforms<V::Elem> {
                Transforms {
                    gather: [passes::<V, Gather<3>>(), passes::<V, Gather<4>>(), passes::<V, Gather<5>>()],
                    scatter: [passes::<V, Scatter<3>>(), passes::<V, Scatter<4>>(), passes::<V, Scatter<5>>()],
                    read: by_taps!(V, Read),
                    spread: by_taps!(V, Spread),
                    taps: by_taps!(V, Taps),
                    fold: by_taps!(V, Fold),
                }
            }

            pub static F32: Transforms<f32> = table::<$v32>();
            pub static F64: Transforms<f64> = table::<$v64>();
        }
    };
}

/// For windows of 2 and of 3 taps; the latter on 3 points has one output, which no plan asks for.
macro_rules! by_taps {
    ($v:ty, $m:ident) => {
        [
            [passes::<$v, $m<3, 2>>(), passes::<$v, $m<4, 2>>(), passes::<$v, $m<5, 2>>()],
            [passes::<$v, $m<3, 3>>(), passes::<$v, $m<4, 3>>(), passes::<$v, $m<5, 3>>()],
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
