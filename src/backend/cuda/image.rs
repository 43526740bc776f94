//! Resampling and pooling of channels-last images.

use super::args::{self, Divisor, Resampling, narrow};
use super::driver::Driver;
use super::launch::{self, Grid, Kernel};
use super::{BLOCK, images};
use crate::backend::{Upfirdn, View, ViewMut, Window};

fn pair(p: [usize; 2]) -> [i32; 2] {
    p.map(|v| narrow(v) as i32)
}

/// Upsampling, filtering, downsampling.
pub(super) fn upfirdn2d(d: &Driver, p: Upfirdn, x: View, filter: View, out: ViewMut) {
    let ([_, h, w, _], [_, oh, ow, c]) = (images(x.layout), images(out.layout));
    let n = out.layout.numel();
    let p = Resampling {
        up: pair(p.up),
        down: pair(p.down),
        pad: p.pad.map(|v| v as i32),
        taps: pair([filter.layout.shape()[0], filter.layout.shape()[1]]),
        size: pair([h, w]),
        columns: Divisor::new(ow),
        rows: Divisor::new(oh),
        channels: Divisor::new(c),
        flip: p.flip as u32,
    };
    launch::upfirdn(
        d,
        Kernel::Upfirdn2dF32,
        Grid::over(n, BLOCK),
        x.ptr(),
        filter.ptr(),
        out.ptr(),
        p,
        narrow(n),
    );
}

/// Where the largest element of each window is.
pub(super) fn argmax_pool2d(d: &Driver, window: Window, x: View, out: ViewMut) {
    let ([_, h, w, _], [_, oh, ow, c]) = (images(x.layout), images(out.layout));
    let n = out.layout.numel();
    let window = args::Window {
        kernel: pair(window.kernel),
        stride: pair(window.stride),
        padding: pair(window.padding),
        size: pair([h, w]),
        columns: Divisor::new(ow),
        rows: Divisor::new(oh),
        channels: Divisor::new(c),
    };
    launch::argmax_pool(
        d,
        Kernel::ArgmaxPool2dF32,
        Grid::over(n, BLOCK),
        x.ptr(),
        out.ptr(),
        window,
        narrow(n),
    );
}
