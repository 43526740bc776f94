//! Selecting, gathering and scattering along a dimension.

use super::args::{Divisor, Nest, Ptr, Steps, narrow};
use super::copy::by_size;
use super::driver::Driver;
use super::launch::{self, Grid, Kernel};
use super::{BLOCK, Cuda, scatter};
use crate::Layout;
use crate::backend::{View, ViewMut};

/// Indices that a thread for each column goes through as fast as they are sorted: each is a read, an addition and a write
/// that wait for one another, some 0.4 us, and a sort takes seven launches or more.
const FEW: usize = 64;
/// Columns of a scatter_add from which on such threads fill a large GPU. They move 20 bytes a term, and the sort, which
/// has all columns' terms to sort, some 30 and 20 for each 8 bits of the places' number.
const MANY: usize = 8192;

/// A shape around a dimension: what is before it, itself, what is behind it.
pub(super) fn around(shape: &[usize], dim: usize) -> (usize, usize, usize) {
    (shape[..dim].iter().product(), shape[dim], shape[dim + 1..].iter().product())
}

/// out = the entries of dimension `dim` of the contiguous x listed in `index`.
pub(super) fn index_select(d: &Driver, x: View, dim: usize, index: View, out: ViewMut, bad: Ptr) {
    let ((_, size, inner), count) = (around(x.layout.shape(), dim), index.layout.numel());
    let kernels =
        [Kernel::IndexSelectB1, Kernel::IndexSelectB2, Kernel::IndexSelectB4, Kernel::IndexSelectB8];
    let n = out.layout.numel();
    launch::index_select(
        d,
        by_size(kernels, out.storage.dtype()),
        Grid::over(n, BLOCK),
        x.ptr(),
        index.ptr(),
        out.ptr(),
        narrow(size),
        Divisor::new(count),
        Divisor::new(inner),
        narrow(index.layout.strides()[0]),
        bad,
        narrow(n),
    );
}

/// A layout without its dimension `dim`; offsets are left to the pointers.
fn without(l: &Layout, shape: &[usize], dim: usize) -> Layout {
    let kept = |v: &[usize]| (0..v.len()).filter(|&d| d != dim).map(|d| v[d]).collect::<Vec<_>>();
    Layout::strided(&kept(shape), &kept(l.strides()), 0)
}

/// `out[.., j, ..] = x[.., index[.., j, ..], ..]`.
pub(super) fn gather(d: &Driver, x: View, dim: usize, index: View, out: ViewMut, bad: Ptr) {
    let mut strides = x.layout.strides().to_vec();
    let step = std::mem::replace(&mut strides[dim], 0);
    let base = Layout::strided(index.layout.shape(), &strides, 0);
    let kernels = [Kernel::GatherB1, Kernel::GatherB2, Kernel::GatherB4, Kernel::GatherB8];
    let n = out.layout.numel();
    launch::gather(
        d,
        by_size(kernels, out.storage.dtype()),
        Grid::over(n, BLOCK),
        x.ptr(),
        index.ptr(),
        out.ptr(),
        Nest::of([out.layout, index.layout, &base]),
        narrow(x.layout.shape()[dim]),
        narrow(step),
        bad,
        narrow(n),
    );
}

/// acc += the contiguous src at the entries of dimension `dim` listed in `index`.
pub(super) fn index_add(cuda: &Cuda, src: View, dim: usize, index: View, acc: ViewMut, bad: Ptr) {
    if index.layout.numel() > FEW {
        return scatter::index_add(cuda, src, dim, index, acc, bad);
    }
    let d = cuda.driver();
    let (outer, size, inner) = around(acc.layout.shape(), dim);
    let columns = outer * inner;
    launch::index_add(
        d,
        Kernel::IndexAddF32,
        Grid::over(columns, BLOCK),
        src.ptr(),
        index.ptr(),
        acc.ptr(),
        narrow(size),
        narrow(index.layout.numel()),
        Divisor::new(inner),
        narrow(index.layout.strides()[0]),
        bad,
        narrow(columns),
    );
}

/// `acc[.., index[.., j, ..], ..] += src[.., j, ..]`.
pub(super) fn scatter_add(cuda: &Cuda, src: View, dim: usize, index: View, acc: ViewMut, bad: Ptr) {
    // Columns are as many as the index has; acc may be larger.
    let shape = index.layout.shape();
    let columns = [acc.layout, src.layout, index.layout].map(|l| without(l, shape, dim));
    let n = columns[0].numel();
    if shape[dim] > FEW && (1..MANY).contains(&n) {
        return scatter::scatter_add(cuda, src, dim, index, acc, bad);
    }
    let d = cuda.driver();
    let step = |l: &Layout| narrow(l.strides()[dim]);
    launch::scatter_add(
        d,
        Kernel::ScatterAddF32,
        Grid::over(n, BLOCK),
        src.ptr(),
        index.ptr(),
        acc.ptr(),
        Nest::of([&columns[0], &columns[1], &columns[2]]),
        Steps { acc: step(acc.layout), src: step(src.layout), index: step(index.layout) },
        narrow(acc.layout.shape()[dim]),
        narrow(shape[dim]),
        bad,
        narrow(n),
    );
}
