//! Matrix multiplication: C = A B + bias, perhaps rectified, for operands of any strides.
//!
//! The algorithm is that of BLIS (Van Zee and van de Geijn, "BLIS: A Framework for Rapidly Instantiating BLAS
//! Functionality", 2015): loops over blocks that fit the caches (`block.rs`), packed panels of B (`pack.rs`), and a
//! microkernel that keeps a tile of C in registers (`kernel.rs`, one vector type per tier). It departs from it in that
//! A is broadcast from where it lies whenever its rows or columns are contiguous, and B is packed panel by panel
//! just before use.
//!
//! **Order of accumulation.** An element of C is the sum over blocks of kc terms, in order; inside a block the terms
//! are added one by one to 0, in order; the bias is added last, and the rectifier applied to that. Blocks depend on k and the tier only. A product of one column
//! has the order of `dot.rs`, from so many terms on, in f32 and f64. So an element's bits are the same for any number of
//! threads, whatever m, the batch, strides and the caches are, and whatever n above 1 is.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod batch;
mod block;
mod cache;
mod dot;
mod element;
mod kernel;
mod pack;
mod patch;
mod peak;
mod portable;
mod row;
mod share;
mod threads;

#[cfg(test)]
mod tests;

pub use batch::BatchDim;
pub use block::DIRECT_B_ROWS;
pub(super) use element::is_acc;
pub use element::{GemmElement, Real};
pub(super) use kernel::{Kernels, Tile, TileBias, Vector};
pub use pack::turned;
pub(super) use patch::{PatchTile, Run};
pub use peak::fma_chain;
pub(super) use portable::Lanes;
pub(super) use threads::{balanced, cut, fork, largest, wanted};

use crate::backend::Epilogue;
use crate::backend::cpu::Buffer;
use crate::backend::cpu::simd::{Tier, tier};
use crate::{Element, MAX_RANK};
use batch::Batch;
use block::{Bias, Blocking, Job, Out};
use dot::{Dots, MIN_TERMS};
use share::Share;

/// A matrix to read: element (i, j) is `data[i * rs + j * cs]`. Strides may be 0 (a broadcast dimension).
pub struct MatRef<'a, T> {
    /// The storage, from the matrix's first element on.
    pub data: &'a [T],
    /// Stride of the rows.
    pub rs: usize,
    /// Stride of the columns.
    pub cs: usize,
}

impl<T> Clone for MatRef<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for MatRef<'_, T> {}

impl<'a, T> MatRef<'a, T> {
    /// The matrix whose rows and columns are exchanged.
    pub fn transposed(self) -> MatRef<'a, T> {
        MatRef { data: self.data, rs: self.cs, cs: self.rs }
    }

    /// The matrix whose first element is `offset` further.
    fn skip(self, offset: usize) -> MatRef<'a, T> {
        MatRef { data: &self.data[offset..], ..self }
    }

    /// The part that starts at element (i, j).
    fn from(self, i: usize, j: usize) -> MatRef<'a, T> {
        self.skip(i * self.rs + j * self.cs)
    }
}

/// A matrix to write: element (i, j) is `data[i * rs + j * cs]`. Its elements must be distinct, with one stride
/// larger than the extent of the other dimension.
pub struct MatMut<'a, T> {
    /// The storage, from the matrix's first element on.
    pub data: &'a mut [T],
    /// Stride of the rows.
    pub rs: usize,
    /// Stride of the columns.
    pub cs: usize,
}

/// What is done to the sums of a product: see [`Epilogue`]. The bias is a slice and a stride.
pub type Ending<'a, T> = Epilogue<(&'a [T], usize), <T as GemmElement>::Acc>;

/// C (m x n) = A (m x k) B (k x n) + bias, perhaps rectified.
///
/// The bias is a slice and a stride: column j gets `bias[j * stride]`. C is only written; k = 0 gives the bias, or 0.
/// Runs on as many threads of the current rayon pool as the work is worth. Half types are summed in f32 and rounded
/// once. The module's docs state the order of the sums.
///
/// # Panics
/// If a slice is too short for the sizes and strides, or if elements of C coincide.
#[track_caller]
pub fn gemm<T: GemmElement>(
    m: usize,
    n: usize,
    k: usize,
    a: MatRef<T>,
    b: MatRef<T>,
    end: Ending<T>,
    c: MatMut<T>,
) {
    gemm_batch(&[], [m, n, k], a, b, end, c);
}

/// [`gemm`] for every index of the batch dimensions `dims` (outermost first, at most [`MAX_RANK`]): `a`, `b` and `c`
/// describe the first product, of sizes `[m, n, k]`. All products share the bias.
///
/// Small products run in parallel with each other, large ones one after the other, each on all threads.
///
/// # Panics
/// As [`gemm`]; also if the products' elements of C are not recognisably distinct: when all dimensions of C
/// larger than 1 are sorted by stride, each stride must exceed the extent of those before it.
#[track_caller]
pub fn gemm_batch<T: GemmElement>(
    dims: &[BatchDim],
    size: [usize; 3],
    a: MatRef<T>,
    b: MatRef<T>,
    end: Ending<T>,
    c: MatMut<T>,
) {
    gemm_on(tier(), None, dims, size, a, b, end, c);
}

/// [`gemm_batch`] with the kernels of a given tier, and blocks of given sizes for tests.
#[track_caller]
#[allow(clippy::too_many_arguments)] // the operands of a GEMM
fn gemm_on<T: GemmElement>(
    tier: Tier,
    blocking: Option<Blocking>,
    dims: &[BatchDim],
    [m, n, k]: [usize; 3],
    a: MatRef<T>,
    b: MatRef<T>,
    end: Ending<T>,
    c: MatMut<T>,
) {
    assert!(tier.is_supported(), "gemm: this machine has no {tier}");
    assert!(dims.len() <= MAX_RANK, "gemm: {} batch dimensions, at most {MAX_RANK} are possible", dims.len());
    let mut batch = Batch::new(dims);
    if m == 0 || n == 0 || batch.count() == 0 {
        return;
    }
    let Ending { bias, slope } = end;
    batch.check([m, n, k], &a, &b, bias, &c);

    let (mut m, mut a) = (m, a);
    let mut c = Out { data: c.data.as_mut_ptr(), rs: c.rs, cs: c.cs };
    batch.fold(&mut m, &mut a, &mut c);
    if k == 0 {
        return fill(&batch, m, n, end, c);
    }

    let kernels = T::Acc::kernels(tier);
    if is_acc::<T>() && n == 1 && k >= MIN_TERMS {
        return dot_products(kernels, &batch, [m, k], a, b, end, c);
    }
    let blocking = blocking.unwrap_or_else(|| Blocking::new(kernels));
    // C^T = B^T A^T where that makes C's rows contiguous, and puts a lone column into the lanes of vectors. The
    // products and their order stay the same.
    let swap = m > 1 && c.rs == 1 && (c.cs != 1 || n == 1);
    let bias_len = if bias.is_some() { n.next_multiple_of(16) } else { 0 };
    let columns = n;
    let (mut n, mut b) = (n, b);
    if swap {
        (m, n, a, b, c) = (n, m, b.transposed(), a.transposed(), Out { rs: c.cs, cs: c.rs, ..c });
        batch.swap();
    }
    let job = Job { m, n, k, a, b, bias: Bias::None, slope, c, kernels, blocking };
    let share = Share::new(&job, batch.count());
    let mut buffer =
        Buffer::of(<T::Acc as Element>::DTYPE, bias_len + share.parts() * share.scratch_len(&job));
    let (wide, scratch) = buffer.as_mut_slice::<T::Acc>().split_at_mut(bias_len);
    if let Some((bias, stride)) = bias {
        for (j, w) in wide[..columns].iter_mut().enumerate() {
            *w = bias[j * stride].widen();
        }
    }
    let wide = &wide[..columns.min(bias_len)];
    let bias = match (bias, swap) {
        (None, _) => Bias::None,
        (Some(_), false) => Bias::PerColumn(wide),
        (Some(_), true) => Bias::PerRow(wide),
    };
    share.run(&Job { bias, ..job }, &batch, scratch);
}

/// Multiply-adds of a tile that take as long as one of a dot product, which waits for memory.
const MADDS_OF_A_DOT: usize = 4;

/// Products of one column. T is its own accumulator.
fn dot_products<T: GemmElement>(
    kernels: &Kernels<T::Acc>,
    batch: &Batch,
    [m, k]: [usize; 2],
    a: MatRef<T>,
    b: MatRef<T>,
    end: Ending<T>,
    c: Out<T>,
) {
    let bias = end.bias.map(|(bias, _)| bias[0].widen());
    // All products' rows are shared out together.
    let all = batch.count() * m;
    let parts = wanted(MADDS_OF_A_DOT.saturating_mul(all).saturating_mul(k)).min(all);
    fork(0..parts, &mut [(); 0], 0, &|part, _| {
        let (range, c): (_, Out<T>) = (cut(all, parts, part), c);
        let mut row = range.start;
        while row < range.end {
            let (p, first) = (row / m, row % m);
            let rows = (m - first).min(range.end - row);
            row += rows;
            let (ao, bo, co) = batch.offsets(p);
            let (a, b) = (a.from(first, 0).skip(ao), b.skip(bo));
            // Terms that are apart are brought together, whatever their strides, so that these decide no bits.
            let copy_a = (a.cs != 1).then(|| turned(a, rows, k));
            let copy_b = (b.rs != 1).then(|| turned(b.transposed(), 1, k));
            let (a_data, lda) = match &copy_a {
                Some(copy) => (copy.as_slice::<T::Acc>().as_ptr(), copy.as_slice::<T::Acc>().len() / rows),
                None => (a.data.as_ptr().cast(), a.rs),
            };
            let b_data = match &copy_b {
                Some(copy) => copy.as_slice::<T::Acc>().as_ptr(),
                None => b.data.as_ptr().cast(),
            };
            // SAFETY: the first of these rows of product p is inside C, by `Batch::check`.
            let c_data = unsafe { c.data.add(co + first * c.rs) }.cast();
            let dots =
                Dots { m: rows, k, a: a_data, lda, b: b_data, bias, slope: end.slope, c: c_data, ldc: c.rs };
            // SAFETY: T is T::Acc; the operands' sizes are checked, and each part writes rows of its own. Tables of kernels
            // are handed out for supported tiers only.
            unsafe { (kernels.dots)(&dots) };
        }
    });
}

/// C = bias or 0, perhaps rectified: products of no terms.
fn fill<T: GemmElement>(batch: &Batch, m: usize, n: usize, end: Ending<T>, c: Out<T>) {
    for p in 0..batch.count() {
        let (_, _, first) = batch.offsets(p);
        for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let sum = end.bias.map_or(T::Acc::ZERO, |(bias, stride)| bias[j * stride].widen());
            let value = T::narrow(end.slope.map_or(sum, |slope| sum.rectified(slope)));
            // SAFETY: element (i, j) of product p is inside C, by `Batch::check`.
            unsafe { *c.data.add(first + i * c.rs + j * c.cs) = value };
        }
    }
}
