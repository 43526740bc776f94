//! Selecting, gathering and scattering along a dimension.

use super::args::{Divisor, Ptr, narrow};
use super::copy::by_size;
use super::driver::Driver;
use super::launch::{self, Grid, Kernel};
use super::BLOCK;
use crate::backend::{View, ViewMut};
use cudarc::driver::DevicePtr;

/// A shape around a dimension: what is before it, itself, what is behind it.
fn around(shape: &[usize], dim: usize) -> (usize, usize, usize) {
    (shape[..dim].iter().product(), shape[dim], shape[dim + 1..].iter().product())
}

/// Where kernels note an index that is none.
fn note_place(d: &Driver) -> Ptr {
    Ptr(d.bad_index.device_ptr(&d.stream).0)
}

/// out = the entries of dimension `dim` of the contiguous x listed in `index`.
pub(super) fn index_select(d: &Driver, x: View, dim: usize, index: View, out: ViewMut) {
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
        note_place(d),
        narrow(n),
    );
}

/// `out[.., j, ..] = x[.., index[.., j, ..], ..]`; x and index are contiguous.
pub(super) fn gather(d: &Driver, x: View, dim: usize, index: View, out: ViewMut) {
    let ((_, size, _), (_, count, inner)) =
        (around(x.layout.shape(), dim), around(out.layout.shape(), dim));
    debug_assert_eq!(&x.layout.shape()[dim + 1..], &out.layout.shape()[dim + 1..]);
    let kernels = [Kernel::GatherB1, Kernel::GatherB2, Kernel::GatherB4, Kernel::GatherB8];
    let n = out.layout.numel();
    launch::gather(
        d,
        by_size(kernels, out.storage.dtype()),
        Grid::over(n, BLOCK),
        x.ptr(),
        index.ptr(),
        out.ptr(),
        narrow(size),
        Divisor::new(count),
        Divisor::new(inner),
        note_place(d),
        narrow(n),
    );
}

/// acc += the contiguous src at the entries of dimension `dim` listed in `index`.
pub(super) fn index_add(d: &Driver, src: View, dim: usize, index: View, acc: ViewMut) {
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
        note_place(d),
        narrow(columns),
    );
}

/// `acc[.., index[.., j, ..], ..] += src[.., j, ..]`; src and index are contiguous.
pub(super) fn scatter_add(d: &Driver, src: View, dim: usize, index: View, acc: ViewMut) {
    let ((outer, size, inner), count) = (around(acc.layout.shape(), dim), src.layout.shape()[dim]);
    let columns = outer * inner;
    launch::scatter_add(
        d,
        Kernel::ScatterAddF32,
        Grid::over(columns, BLOCK),
        src.ptr(),
        index.ptr(),
        acc.ptr(),
        narrow(size),
        narrow(count),
        Divisor::new(inner),
        note_place(d),
        narrow(columns),
    );
}
