//! AVX2 with FMA: 6 x 16 tiles of f32, 6 x 8 of f64, that is 12 accumulators, two vectors of B and a broadcast in
//! the 16 registers.

use super::dot::{Dots, dots};
use super::kernel::{Kernels, Tile, Vector, tile, tiles, transpose};
use super::patch::{PatchTile, patch};
use super::row::{Row, row};
use std::arch::x86_64::*;

/// `MASK[8 - n ..]` starts with n lanes of ones.
static MASK: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

macro_rules! vector {
    ($v:ident, $e:ident, $lanes:literal, $lane_words:literal, $zero:ident, $set1:ident, $load:ident,
     $maskload:ident, $store:ident, $maskstore:ident, $add:ident, $fma:ident, $sum:ident, $cmp:ident,
     $blend:ident) => {
        impl Vector for $v {
            type Elem = $e;
            const LANES: usize = $lanes;
            #[inline(always)]
            unsafe fn zero() -> $v {
                // SAFETY: the caller runs on this tier, by the trait's contract; nothing in memory is touched.
                unsafe { $zero() }
            }
            #[inline(always)]
            unsafe fn splat(x: $e) -> $v {
                // SAFETY: the caller runs on this tier, by the trait's contract; nothing in memory is touched.
                unsafe { $set1(x) }
            }
            #[inline(always)]
            unsafe fn load(p: *const $e) -> $v {
                // SAFETY: the caller vouches for the tier and for a whole vector at p, by the trait's contract.
                unsafe { $load(p) }
            }
            #[inline(always)]
            unsafe fn load_first(p: *const $e, n: usize) -> $v {
                // SAFETY: the caller vouches for the tier and for n elements at p, by the trait's contract; the mask hides the rest.
                unsafe { $maskload(p, _mm256_loadu_si256(MASK.as_ptr().add(8 - n * $lane_words).cast())) }
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut $e) {
                // SAFETY: the caller vouches for the tier and for a whole vector at p, by the trait's contract.
                unsafe { $store(p, self) }
            }
            #[inline(always)]
            unsafe fn store_first(self, p: *mut $e, n: usize) {
                // SAFETY: the caller vouches for the tier and for n elements at p, by the trait's contract; the mask hides the rest.
                unsafe { $maskstore(p, _mm256_loadu_si256(MASK.as_ptr().add(8 - n * $lane_words).cast()), self) }
            }
            #[inline(always)]
            unsafe fn add(self, other: $v) -> $v {
                // SAFETY: the caller runs on this tier, by the trait's contract; nothing in memory is touched.
                unsafe { $add(self, other) }
            }
            #[inline(always)]
            unsafe fn mul_add(self, b: $v, c: $v) -> $v {
                // SAFETY: the caller runs on this tier, by the trait's contract; nothing in memory is touched.
                unsafe { $fma(self, b, c) }
            }
            #[inline(always)]
            unsafe fn or_where_not_positive(self, other: $v) -> $v {
                // SAFETY: the caller runs on this tier, by the trait's contract; nothing in memory is touched.
                unsafe { $blend(self, other, $cmp::<_CMP_LE_OQ>(self, $zero())) }
            }
            #[inline(always)]
            unsafe fn sum(self) -> $e {
                // SAFETY: the caller runs on this tier, by the trait's contract; nothing in memory is touched.
                unsafe { $sum(self) }
            }
        }
    };
}
vector!(
    __m256,
    f32,
    8,
    1,
    _mm256_setzero_ps,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_maskload_ps,
    _mm256_storeu_ps,
    _mm256_maskstore_ps,
    _mm256_add_ps,
    _mm256_fmadd_ps,
    sum_f32,
    _mm256_cmp_ps,
    _mm256_blendv_ps
);
vector!(
    __m256d,
    f64,
    4,
    2,
    _mm256_setzero_pd,
    _mm256_set1_pd,
    _mm256_loadu_pd,
    _mm256_maskload_pd,
    _mm256_storeu_pd,
    _mm256_maskstore_pd,
    _mm256_add_pd,
    _mm256_fmadd_pd,
    sum_f64,
    _mm256_cmp_pd,
    _mm256_blendv_pd
);

/// [`Vector::sum`]
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn sum_f32(x: __m256) -> f32 {
    let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
    let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)))
}

/// [`Vector::sum`]
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn sum_f64(x: __m256d) -> f64 {
    let x = _mm_add_pd(_mm256_castpd256_pd128(x), _mm256_extractf128_pd::<1>(x));
    _mm_cvtsd_f64(_mm_add_sd(x, _mm_unpackhi_pd(x, x)))
}

/// # Safety
/// As [`TileFn`](super::kernel::TileFn).
#[target_feature(enable = "avx2,fma")]
unsafe fn run<V: Vector, const MR: usize, const NV: usize>(t: &Tile<V::Elem>) {
    // SAFETY: passed on.
    unsafe { tile::<V, MR, NV>(t) }
}

/// # Safety
/// As [`PatchFn`](super::patch::PatchFn).
#[target_feature(enable = "avx2,fma")]
unsafe fn run_patch<V: Vector, const MR: usize, const NV: usize>(t: &PatchTile<V::Elem>) {
    // SAFETY: passed on.
    unsafe { patch::<V, MR, NV>(t) }
}

/// # Safety
/// As [`RowFn`](super::row::RowFn).
#[target_feature(enable = "avx2,fma")]
unsafe fn run_row<V: Vector>(r: &Row<V::Elem>) {
    // SAFETY: passed on.
    unsafe { row::<V>(r) }
}

/// # Safety
/// As [`DotsFn`](super::dot::DotsFn).
#[target_feature(enable = "avx2,fma")]
unsafe fn run_dots<V: Vector, const NV: usize, const MR: usize>(d: &Dots<V::Elem>) {
    // SAFETY: passed on.
    unsafe { dots::<V, NV, MR>(d) }
}

/// A panel of B is 256 x 16 x 4 bytes = 16 KiB, half of the L1 of the machines whose widest tier this is.
pub(super) static F32: Kernels<f32> = Kernels {
    mr: 6,
    lanes: 8,
    kc: 256,
    tiles: [tiles!(run::<__m256, 1>: 1 2 3 4 5 6), tiles!(run::<__m256, 2>: 1 2 3 4 5 6)],
    transpose: transpose::<f32, 8>,
    patch_mr: 6,
    patches: [run_patch::<__m256, 6, 1>, run_patch::<__m256, 6, 2>],
    row: run_row::<__m256>,
    dots: run_dots::<__m256, 4, 2>,
};

/// As for f32, in bytes.
pub(super) static F64: Kernels<f64> = Kernels {
    mr: 6,
    lanes: 4,
    kc: 256,
    tiles: [tiles!(run::<__m256d, 1>: 1 2 3 4 5 6), tiles!(run::<__m256d, 2>: 1 2 3 4 5 6)],
    transpose: transpose::<f64, 4>,
    patch_mr: 6,
    patches: [run_patch::<__m256d, 6, 1>, run_patch::<__m256d, 6, 2>],
    row: run_row::<__m256d>,
    dots: run_dots::<__m256d, 8, 1>,
};
