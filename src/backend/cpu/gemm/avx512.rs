//! AVX-512: 12 x 32 tiles of f32, 12 x 16 of f64, that is 24 accumulators, two vectors of B and a broadcast in the
//! 32 registers.

use super::avx2;
use super::dot::{Dots, dots};
use super::kernel::{Kernels, Tile, Vector, tile, tiles, transpose};
use super::patch::{PatchTile, patch};
use super::row::{Row, row};
use std::arch::x86_64::*;

macro_rules! vector {
    ($v:ident, $e:ident, $lanes:literal, $mask:ident, $zero:ident, $set1:ident, $load:ident, $maskload:ident,
     $store:ident, $maskstore:ident, $add:ident, $fma:ident, $sum:ident, $cmp:ident,
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
                unsafe { $maskload(((1u32 << n) - 1) as $mask, p) }
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut $e) {
                // SAFETY: the caller vouches for the tier and for a whole vector at p, by the trait's contract.
                unsafe { $store(p, self) }
            }
            #[inline(always)]
            unsafe fn store_first(self, p: *mut $e, n: usize) {
                // SAFETY: the caller vouches for the tier and for n elements at p, by the trait's contract; the mask hides the rest.
                unsafe { $maskstore(p, ((1u32 << n) - 1) as $mask, self) }
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
                unsafe { $blend(self, $cmp::<_CMP_LE_OQ>(self, $zero()), other) }
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
    __m512,
    f32,
    16,
    __mmask16,
    _mm512_setzero_ps,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_maskz_loadu_ps,
    _mm512_storeu_ps,
    _mm512_mask_storeu_ps,
    _mm512_add_ps,
    _mm512_fmadd_ps,
    sum_f32,
    _mm512_cmp_ps_mask,
    _mm512_mask_mov_ps
);
vector!(
    __m512d,
    f64,
    8,
    __mmask8,
    _mm512_setzero_pd,
    _mm512_set1_pd,
    _mm512_loadu_pd,
    _mm512_maskz_loadu_pd,
    _mm512_storeu_pd,
    _mm512_mask_storeu_pd,
    _mm512_add_pd,
    _mm512_fmadd_pd,
    sum_f64,
    _mm512_cmp_pd_mask,
    _mm512_mask_mov_pd
);

/// [`Vector::sum`]
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn sum_f32(x: __m512) -> f32 {
    avx2::sum_f32(_mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps::<1>(x)))
}

/// [`Vector::sum`]
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn sum_f64(x: __m512d) -> f64 {
    avx2::sum_f64(_mm256_add_pd(_mm512_castpd512_pd256(x), _mm512_extractf64x4_pd::<1>(x)))
}

/// # Safety
/// As [`TileFn`](super::kernel::TileFn).
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn run<V: Vector, const MR: usize, const NV: usize>(t: &Tile<V::Elem>) {
    // SAFETY: passed on.
    unsafe { tile::<V, MR, NV>(t) }
}

/// # Safety
/// As [`PatchFn`](super::patch::PatchFn).
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn run_patch<V: Vector, const MR: usize, const NV: usize>(t: &PatchTile<V::Elem>) {
    // SAFETY: passed on.
    unsafe { patch::<V, MR, NV>(t) }
}

/// # Safety
/// As [`RowFn`](super::row::RowFn).
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn run_row<V: Vector>(r: &Row<V::Elem>) {
    // SAFETY: passed on.
    unsafe { row::<V>(r) }
}

/// # Safety
/// As [`DotsFn`](super::dot::DotsFn).
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn run_dots<V: Vector, const NV: usize, const MR: usize>(d: &Dots<V::Elem>) {
    // SAFETY: passed on.
    unsafe { dots::<V, NV, MR>(d) }
}

/// A panel of B is 256 x 32 x 4 bytes = 32 KiB and stays in L1 while the rows of A pass.
pub(super) static F32: Kernels<f32> = Kernels {
    mr: 12,
    lanes: 16,
    kc: 256,
    tiles: [
        tiles!(run::<__m512, 1>: 1 2 3 4 5 6 7 8 9 10 11 12),
        tiles!(run::<__m512, 2>: 1 2 3 4 5 6 7 8 9 10 11 12),
    ],
    transpose: transpose_f32,
    patch_mr: 8,
    patches: [run_patch::<__m512, 8, 1>, run_patch::<__m512, 8, 2>],
    row: run_row::<__m512>,
    dots: run_dots::<__m512, 2, 4>,
};

/// 16 x 16 blocks in registers.
///
/// # Safety
/// As [`TransposeFn`](super::kernel::TransposeFn).
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn transpose_f32(src: *const f32, lds: usize, rows: usize, depth: usize, dst: *mut f32, ldd: usize) {
    let mut k = 0;
    while k < depth {
        let n = (depth - k).min(16);
        let mut r = [_mm512_setzero_ps(); 16];
        // SAFETY: run j < rows has n more elements at k; row k + i < depth of dst has 16.
        unsafe {
            for (j, r) in r.iter_mut().enumerate() {
                if j < rows {
                    *r = Vector::load_first(src.add(j * lds + k), n);
                }
            }
            let r = transpose_16x16(r);
            for (i, r) in r.iter().enumerate() {
                if i < n {
                    r.store(dst.add((k + i) * ldd));
                }
            }
        }
        k += 16;
    }
}

/// Transposes 4 x 4 blocks within the 128-bit quarters, then the quarters.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_16x16(r: [__m512; 16]) -> [__m512; 16] {
    // t[4g + c], quarter q: column 4q + c of rows 4g .. 4g+4.
    let mut t = r;
    for g in (0..16).step_by(4) {
        let ab_lo = _mm512_castps_pd(_mm512_unpacklo_ps(r[g], r[g + 1]));
        let ab_hi = _mm512_castps_pd(_mm512_unpackhi_ps(r[g], r[g + 1]));
        let cd_lo = _mm512_castps_pd(_mm512_unpacklo_ps(r[g + 2], r[g + 3]));
        let cd_hi = _mm512_castps_pd(_mm512_unpackhi_ps(r[g + 2], r[g + 3]));
        t[g] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab_lo, cd_lo));
        t[g + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab_lo, cd_lo));
        t[g + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab_hi, cd_hi));
        t[g + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab_hi, cd_hi));
    }
    // Column 4q + c is quarter q of t[c], t[4 + c], t[8 + c], t[12 + c].
    let mut out = r;
    for c in 0..4 {
        let even01 = _mm512_shuffle_f32x4::<0b10_00_10_00>(t[c], t[4 + c]);
        let even23 = _mm512_shuffle_f32x4::<0b10_00_10_00>(t[8 + c], t[12 + c]);
        let odd01 = _mm512_shuffle_f32x4::<0b11_01_11_01>(t[c], t[4 + c]);
        let odd23 = _mm512_shuffle_f32x4::<0b11_01_11_01>(t[8 + c], t[12 + c]);
        out[c] = _mm512_shuffle_f32x4::<0b10_00_10_00>(even01, even23);
        out[4 + c] = _mm512_shuffle_f32x4::<0b10_00_10_00>(odd01, odd23);
        out[8 + c] = _mm512_shuffle_f32x4::<0b11_01_11_01>(even01, even23);
        out[12 + c] = _mm512_shuffle_f32x4::<0b11_01_11_01>(odd01, odd23);
    }
    out
}

/// As for f32, in bytes.
pub(super) static F64: Kernels<f64> = Kernels {
    mr: 12,
    lanes: 8,
    kc: 256,
    tiles: [
        tiles!(run::<__m512d, 1>: 1 2 3 4 5 6 7 8 9 10 11 12),
        tiles!(run::<__m512d, 2>: 1 2 3 4 5 6 7 8 9 10 11 12),
    ],
    transpose: transpose::<f64, 8>,
    patch_mr: 8,
    patches: [run_patch::<__m512d, 8, 1>, run_patch::<__m512d, 8, 2>],
    row: run_row::<__m512d>,
    dots: run_dots::<__m512d, 4, 2>,
};
