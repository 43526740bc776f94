//! How transforms and products reach what they work on: a tile's pixels in an image, its points in the matrices, and the
//! matrices as the microkernel takes them.

use super::tiers::Transformable;
use crate::backend::cpu::conv::geometry::Image;
use crate::backend::cpu::gemm::{Kernels, Tile, TileBias};
use std::ops::Range;

/// Elements of f32 in a cache line.
pub const LINE: usize = 16;

/// Reads a word of each cache line of some of an image's rows, one after the other as the hardware expects it: tiles read
/// them in an order that nothing foresees.
///
/// # Safety
/// `src` has the image, or all of it but its first channels.
pub unsafe fn touch<T: Copy>(src: *const T, image: Image, number: usize, rows: Range<usize>) {
    let at = |row: usize| number * image.len() + row * image.w * image.c;
    for i in (at(rows.start)..at(rows.end).saturating_sub(image.c - 1)).step_by(64 / size_of::<T>()) {
        // SAFETY: at least a pixel before the end of the rows, so inside the image by the caller's promise.
        unsafe { std::ptr::read_volatile(src.add(i)) };
    }
}

/// Elements of a row that has at least so many: an odd number of cache lines of f32. A transform takes lines from as many
/// rows as a tile has points; if those were a power of two apart, they would share a few sets of the cache. With an odd
/// number of rows to a matrix, no two of 64 matrices begin in one set.
pub fn spread_out(n: usize) -> usize {
    (n.div_ceil(LINE) | 1) * LINE
}

/// A product of the widest tile's columns: A(i, k) is `a[i * ars + k * aks]`.
pub struct Matrices<T> {
    pub a: *const T,
    pub ars: usize,
    pub aks: usize,
    pub b: *const T,
    pub ldb: usize,
    pub c: *mut T,
    pub ldc: usize,
}

impl<T: Transformable> Matrices<T> {
    /// C = [C +] A B for so many rows and terms.
    ///
    /// # Safety
    /// All named elements are valid, those of C for this thread alone; the machine has the kernels' tier.
    pub unsafe fn multiply(&self, kernels: &Kernels<T>, rows: usize, terms: usize, accumulate: bool) {
        for i in (0..rows).step_by(kernels.mr) {
            let tile = Tile {
                k: terms,
                // SAFETY: row i is one of A's.
                a: unsafe { self.a.add(i * self.ars) },
                ars: self.ars,
                aks: self.aks,
                b: self.b,
                ldb: self.ldb,
                // SAFETY: row i is one of C's.
                c: unsafe { self.c.add(i * self.ldc) },
                ldc: self.ldc,
                cols: kernels.nr(),
                accumulate,
                bias: TileBias::None,
                slope: None,
            };
            // SAFETY: the caller's promise.
            unsafe { (kernels.tiles[1][(rows - i).min(kernels.mr) - 1])(&tile) };
        }
    }
}
