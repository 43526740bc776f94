//! Batch dimensions: offsets of the products, what may be folded into rows, and the checks at the entry.

use super::block::Out;
use super::{MatMut, MatRef};
use crate::MAX_RANK;

/// A batch dimension: its size, and the strides by which its index moves A, B and C. Those of A and B may be 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchDim {
    /// Number of products along it.
    pub size: usize,
    /// Stride of A.
    pub a: usize,
    /// Stride of B.
    pub b: usize,
    /// Stride of C.
    pub c: usize,
}

/// The batch dimensions larger than 1.
#[derive(Clone, Copy)]
pub(super) struct Batch {
    dims: [BatchDim; MAX_RANK],
    rank: usize,
}

impl Batch {
    /// At most [`MAX_RANK`] dimensions.
    pub fn new(dims: &[BatchDim]) -> Batch {
        let mut batch = Batch { dims: [BatchDim { size: 1, a: 0, b: 0, c: 0 }; MAX_RANK], rank: 0 };
        for &d in dims.iter().filter(|d| d.size != 1) {
            batch.dims[batch.rank] = d;
            batch.rank += 1;
        }
        batch
    }

    fn dims(&self) -> &[BatchDim] {
        &self.dims[..self.rank]
    }

    /// Number of products.
    pub fn count(&self) -> usize {
        self.dims().iter().map(|d| d.size).product()
    }

    /// Offsets of product p in A, B and C.
    pub fn offsets(&self, mut p: usize) -> (usize, usize, usize) {
        let mut at = (0, 0, 0);
        for d in self.dims().iter().rev() {
            let i = p % d.size;
            p /= d.size;
            at = (at.0 + i * d.a, at.1 + i * d.b, at.2 + i * d.c);
        }
        at
    }

    /// Exchanges A and B.
    pub fn swap(&mut self) {
        for d in &mut self.dims {
            (d.a, d.b) = (d.b, d.a);
        }
    }

    /// Turns inner dimensions over which B does not move, and over which the rows of A and C go on evenly, into
    /// more rows: one large product instead of many small ones.
    pub fn fold<T>(&mut self, m: &mut usize, a: &mut MatRef<T>, c: &mut Out<T>) {
        while let Some(d) = self.dims().last() {
            let even = *m == 1 || (d.a == *m * a.rs && d.c == *m * c.rs);
            if d.b != 0 || !even {
                return;
            }
            if *m == 1 {
                (a.rs, c.rs) = (d.a, d.c);
            }
            *m *= d.size;
            self.rank -= 1;
        }
    }

    /// Panics unless every element of every product is inside its slice, and C's elements are distinct.
    #[track_caller]
    pub fn check<T>(
        &self,
        [m, n, k]: [usize; 3],
        a: &MatRef<T>,
        b: &MatRef<T>,
        bias: Option<(&[T], usize)>,
        c: &MatMut<T>,
    ) {
        let dims = |stride: fn(&BatchDim) -> usize| self.dims().iter().map(move |d| (d.size, stride(d)));
        if k > 0 {
            fits("a", a.data.len(), dims(|d| d.a).chain([(m, a.rs), (k, a.cs)]));
            fits("b", b.data.len(), dims(|d| d.b).chain([(k, b.rs), (n, b.cs)]));
        }
        if let Some((bias, stride)) = bias {
            fits("bias", bias.len(), [(n, stride)].into_iter());
        }
        let axes = dims(|d| d.c).chain([(m, c.rs), (n, c.cs)]);
        fits("c", c.data.len(), axes.clone());
        distinct(axes);
    }
}

/// Panics unless the last element of an operand with these (size, stride) is one of `len`.
#[track_caller]
fn fits(name: &str, len: usize, axes: impl Iterator<Item = (usize, usize)> + Clone) {
    // None: the index does not even fit a usize.
    let last =
        axes.clone().try_fold(0usize, |sum, (size, stride)| sum.checked_add((size - 1).checked_mul(stride)?));
    if last.is_none_or(|last| last >= len) {
        let axes: Vec<_> = axes.collect();
        panic!("gemm: {name} has {len} elements, too few for its dimensions (size, stride) {axes:?}");
    }
}

/// Panics unless each dimension's stride exceeds the extent of all dimensions of smaller stride. To be called after
/// [`fits`], so that nothing overflows.
#[track_caller]
fn distinct(axes: impl Iterator<Item = (usize, usize)>) {
    // Size 1 and stride 0 stand for no dimension: they sort first and have no extent.
    let mut sorted = [(0, 1); MAX_RANK + 2];
    for (s, (size, stride)) in sorted.iter_mut().zip(axes.filter(|&(size, _)| size > 1)) {
        *s = (stride, size);
    }
    sorted.sort_unstable();
    let mut extent = 0;
    for (stride, size) in sorted.into_iter().filter(|&(_, size)| size > 1) {
        assert!(
            stride > extent,
            "gemm: elements of c coincide: its dimensions (stride, size) are {sorted:?}"
        );
        extent += (size - 1) * stride;
    }
}
