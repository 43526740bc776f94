//! Plain Rust, vectorised by the compiler for what every machine of the architecture has: 4 x 8 tiles of f32 and
//! 4 x 4 of f64, which fill the 16 registers of SSE2. Products are rounded before they are added, because without
//! the instruction a fused multiply-add is a call of the C library.

use super::dot::{Dots, dots};
use super::element::Real;
use super::kernel::{Kernels, Tile, Vector, tile, tiles, transpose};
use super::patch::{PatchTile, patch};
use super::row::{Row, row};

/// N lanes, 16 bytes in all.
#[derive(Clone, Copy)]
pub struct Lanes<A, const N: usize>([A; N]);

impl<A: Real, const N: usize> Vector for Lanes<A, N> {
    type Elem = A;
    const LANES: usize = N;
    #[inline(always)]
    unsafe fn zero() -> Self {
        Lanes([A::ZERO; N])
    }
    #[inline(always)]
    unsafe fn splat(x: A) -> Self {
        Lanes([x; N])
    }
    #[inline(always)]
    unsafe fn load(p: *const A) -> Self {
        // SAFETY: the caller vouches for N elements at p, by the trait's contract; an array has their alignment.
        Lanes(unsafe { p.cast::<[A; N]>().read() })
    }
    #[inline(always)]
    unsafe fn load_first(p: *const A, n: usize) -> Self {
        // SAFETY: the caller vouches for n elements at p, by the trait's contract, and i < n.
        Lanes(std::array::from_fn(|i| if i < n { unsafe { *p.add(i) } } else { A::ZERO }))
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut A) {
        // SAFETY: the caller vouches for N elements at p, by the trait's contract; an array has their alignment.
        unsafe { p.cast::<[A; N]>().write(self.0) }
    }
    #[inline(always)]
    unsafe fn store_first(self, p: *mut A, n: usize) {
        for (i, x) in self.0.into_iter().enumerate().take(n) {
            // SAFETY: the caller vouches for n elements at p, by the trait's contract, and i < n.
            unsafe { *p.add(i) = x };
        }
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Lanes(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }
    #[inline(always)]
    unsafe fn mul_add(self, b: Self, c: Self) -> Self {
        Lanes(std::array::from_fn(|i| self.0[i] * b.0[i] + c.0[i]))
    }
    #[inline(always)]
    unsafe fn or_where_not_positive(self, other: Self) -> Self {
        Lanes(std::array::from_fn(|i| if self.0[i] <= A::ZERO { other.0[i] } else { self.0[i] }))
    }
    #[inline(always)]
    unsafe fn sum(mut self) -> A {
        let mut n = N;
        while n > 1 {
            n /= 2;
            (0..n).for_each(|i| self.0[i] = self.0[i] + self.0[i + n]);
        }
        self.0[0]
    }
}

/// # Safety
/// As [`TileFn`](super::kernel::TileFn).
unsafe fn run<V: Vector, const MR: usize, const NV: usize>(t: &Tile<V::Elem>) {
    // SAFETY: passed on.
    unsafe { tile::<V, MR, NV>(t) }
}

/// # Safety
/// As [`PatchFn`](super::patch::PatchFn).
unsafe fn run_patch<V: Vector, const MR: usize, const NV: usize>(t: &PatchTile<V::Elem>) {
    // SAFETY: passed on.
    unsafe { patch::<V, MR, NV>(t) }
}

/// # Safety
/// As [`RowFn`](super::row::RowFn).
unsafe fn run_row<V: Vector>(r: &Row<V::Elem>) {
    // SAFETY: passed on.
    unsafe { row::<V>(r) }
}

/// # Safety
/// As [`DotsFn`](super::dot::DotsFn).
unsafe fn run_dots<V: Vector, const NV: usize, const MR: usize>(d: &Dots<V::Elem>) {
    // SAFETY: passed on.
    unsafe { dots::<V, NV, MR>(d) }
}

/// The kc of the other tiers; its panels of B are 8 KiB.
pub(super) static F32: Kernels<f32> = Kernels {
    mr: 4,
    lanes: 4,
    kc: 256,
    tiles: [tiles!(run::<Lanes<f32, 4>, 1>: 1 2 3 4), tiles!(run::<Lanes<f32, 4>, 2>: 1 2 3 4)],
    transpose: transpose::<f32, 4>,
    patch_mr: 4,
    patches: [run_patch::<Lanes<f32, 4>, 4, 1>, run_patch::<Lanes<f32, 4>, 4, 2>],
    row: run_row::<Lanes<f32, 4>>,
    dots: run_dots::<Lanes<f32, 4>, 8, 1>,
};

/// As for f32, in bytes.
pub(super) static F64: Kernels<f64> = Kernels {
    mr: 4,
    lanes: 2,
    kc: 256,
    tiles: [tiles!(run::<Lanes<f64, 2>, 1>: 1 2 3 4), tiles!(run::<Lanes<f64, 2>, 2>: 1 2 3 4)],
    transpose: transpose::<f64, 2>,
    patch_mr: 4,
    patches: [run_patch::<Lanes<f64, 2>, 4, 1>, run_patch::<Lanes<f64, 2>, 4, 2>],
    row: run_row::<Lanes<f64, 2>>,
    dots: run_dots::<Lanes<f64, 2>, 16, 1>,
};
