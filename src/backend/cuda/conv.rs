//! Convolutions: the weight as a matrix, the tile, the phases, the splits.

use super::args::{Conv, Divisor, Ptr, narrow, too_large};
use super::gemm::{Tile, combine, splits};
use super::launch::{self, Grid, Kernel, MAX_GRID};
use super::{Cuda, copy, images, memory};
use crate::backend::{ConvOptions, Storage, View, ViewMut};
use crate::{DType, Layout};

/// The most channels of a gradient that the kernel for thin ones takes, and pixels of one of its blocks: THIN and
/// 8 PIXELS in kernels/conv.cu.
const THIN: usize = 4;
const THIN_PIXELS: usize = 32;

/// The problem as kernels take it, but for alignment and splits. x and y are channels-last, the weight is
/// `[O, C/g, kh, kw]`.
fn problem(x: &Layout, weight: &Layout, y: &Layout, o: &ConvOptions) -> Conv {
    let ([n, h, w, c], [_, oh, ow, outputs]) = (images(x), images(y));
    let (kh, kw) = (weight.shape()[2], weight.shape()[3]);
    let pair = |p: [usize; 2]| p.map(|v| narrow(v) as i32);
    // Tap k of a pixel falls on a gradient if (pixel + padding - k dilation) is a multiple of the stride: all taps
    // stride / gcd(stride, dilation) apart do together.
    let step = |d: usize| o.stride[d] / gcd(o.stride[d], o.dilation[d]);
    Conv {
        images: narrow(n),
        channels: narrow(c),
        group_channels: narrow(c / o.groups),
        outputs: narrow(outputs),
        group_outputs: narrow(outputs / o.groups),
        size: pair([h, w]),
        out: pair([oh, ow]),
        kernel: pair([kh, kw]),
        stride: pair(o.stride),
        padding: pair(o.padding),
        dilation: pair(o.dilation),
        step: pair([step(0), step(1)]),
        by_out_rows: Divisor::new(oh),
        by_out_columns: Divisor::new(ow),
        by_kernel_columns: Divisor::new(kw),
        by_group_channels: Divisor::new(c / o.groups),
        by_group_outputs: Divisor::new(outputs / o.groups),
        vec_channels: 0,
        vec_outputs: 0,
        splits: 1,
        length: 0,
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Whether quads of the channels of these operands are aligned: of every group and every pixel.
fn vec(channels: u32, groups: usize, operands: &[Ptr]) -> u32 {
    (channels.is_multiple_of(4) && groups > 0 && operands.iter().all(|p| p.is_aligned())) as u32
}

/// The weight `[O, C/g, kh, kw]` with its dimensions in the order `[g][kh][kw]` and then `[C/g][O/g]`, or `[O/g][C/g]`
/// if `outputs_first`.
fn packed(cuda: &Cuda, weight: View, groups: usize, outputs_first: bool) -> Storage {
    let [outputs, c, kh, kw] = [0, 1, 2, 3].map(|d| weight.layout.shape()[d]);
    let o = outputs / groups;
    let (s, offset) = (weight.layout.strides(), weight.layout.offset());
    let (shape, strides) = if outputs_first {
        ([groups, kh, kw, o, c], [o * s[0], s[2], s[3], s[0], s[1]])
    } else {
        ([groups, kh, kw, c, o], [o * s[0], s[2], s[3], s[1], s[0]])
    };
    let (from, to) = (Layout::strided(&shape, &strides, offset), Layout::contiguous(&shape));
    let mut out = memory::alloc(weight.storage.device(), DType::F32, to.numel());
    let view = View { storage: weight.storage, layout: &from };
    copy::copy(cuda.driver(), view, ViewMut { storage: &mut out, layout: &to });
    out
}

/// y = x * weight + bias.
pub(super) fn forward(cuda: &Cuda, x: View, weight: View, bias: Option<View>, o: &ConvOptions, y: ViewMut) {
    let mut v = problem(x.layout, weight.layout, y.layout, o);
    let matrix = packed(cuda, weight, o.groups, false);
    v.vec_channels = vec(v.group_channels, o.groups, &[x.ptr()]);
    v.vec_outputs = vec(v.group_outputs, o.groups, &[y.ptr(), memory::start(&matrix)]);
    let (m, n) = (y.layout.numel() / v.outputs as usize, v.group_outputs as usize);
    let tile = Tile::of(m, n, o.groups);
    let kernel = tile.pick(Kernel::Conv2d128, Kernel::Conv2d64);
    let bias = bias.map_or(Ptr(0), |b| b.ptr());
    for_groups(o.groups, 1, |first, some| {
        let (x, w, b, y) = shifted(&v, first, x.ptr(), memory::start(&matrix), bias, y.ptr());
        let grid = Grid(m.div_ceil(tile.size()), n.div_ceil(tile.size()), some);
        launch::conv(cuda.driver(), kernel, grid, x, w, b, y, v);
    });
}

/// dx = g * weight^T + bias.
pub(super) fn input_grad(
    cuda: &Cuda,
    g: View,
    weight: View,
    bias: Option<View>,
    o: &ConvOptions,
    dx: ViewMut,
) {
    let mut v = problem(dx.layout, weight.layout, g.layout, o);
    let matrix = packed(cuda, weight, o.groups, true);
    v.vec_outputs = vec(v.group_outputs, o.groups, &[g.ptr()]);
    v.vec_channels = vec(v.group_channels, o.groups, &[dx.ptr(), memory::start(&matrix)]);
    let [images, h, w, _] = images(dx.layout);
    // The pixels of the largest phase.
    let (m, n) = (images * h.div_ceil(o.stride[0]) * w.div_ceil(o.stride[1]), v.group_channels as usize);
    let phases = o.stride[0] * o.stride[1];
    let tile = Tile::of(m, n, o.groups * phases);
    let (kernel, blocks) = if n <= THIN {
        (Kernel::Conv2dInputGradThin, (m.div_ceil(THIN_PIXELS), 1))
    } else {
        let kernel = tile.pick(Kernel::Conv2dInputGrad128, Kernel::Conv2dInputGrad64);
        (kernel, (m.div_ceil(tile.size()), n.div_ceil(tile.size())))
    };
    let bias = bias.map_or(Ptr(0), |b| b.ptr());
    for_groups(o.groups, phases, |first, some| {
        let (dx, w, b, g) = shifted(&v, first, dx.ptr(), memory::start(&matrix), bias, g.ptr());
        // The bias is one of dx here.
        let b = if bias == Ptr(0) { b } else { Ptr(bias.0 + 4 * (first as u32 * v.group_channels) as u64) };
        launch::conv(cuda.driver(), kernel, Grid(blocks.0, blocks.1, some * phases), g, w, b, dx, v);
    });
}

/// Calls `f(first, some)` for runs of groups that fit a grid with `each` blocks a group.
fn for_groups(groups: usize, each: usize, mut f: impl FnMut(usize, usize)) {
    if each > MAX_GRID {
        too_large(format!("a stride of {each} phases: a GPU takes up to {MAX_GRID}"));
    }
    let run = MAX_GRID / each;
    (0..groups).step_by(run).for_each(|first| f(first, (groups - first).min(run)));
}

/// Where group `first` starts in x, the packed weight, a bias of y, and y.
fn shifted(v: &Conv, first: usize, x: Ptr, weight: Ptr, bias: Ptr, y: Ptr) -> (Ptr, Ptr, Ptr, Ptr) {
    let at = |p: Ptr, step: usize| if p == Ptr(0) { p } else { Ptr(p.0 + 4 * (first * step) as u64) };
    let (c, o) = (v.group_channels as usize, v.group_outputs as usize);
    let weights = c * o * (v.kernel[0] * v.kernel[1]) as usize;
    (at(x, c), at(weight, weights), at(bias, o), at(y, o))
}

/// The gradient of the weight, contiguous.
pub(super) fn weight_grad(cuda: &Cuda, x: View, g: View, o: &ConvOptions, dw: ViewMut) {
    let mut v = problem(x.layout, dw.layout, g.layout, o);
    v.vec_channels = vec(v.group_channels, o.groups, &[x.ptr()]);
    v.vec_outputs = vec(v.group_outputs, o.groups, &[g.ptr()]);
    let (kh, kw) = (v.kernel[0] as usize, v.kernel[1] as usize);
    let (m, c) = (v.group_outputs as usize, v.group_channels as usize);
    let n = kh * kw * c;
    let pixels = g.layout.numel() / v.outputs as usize;
    if o.groups > MAX_GRID {
        too_large(format!("{} groups: a GPU takes up to {MAX_GRID}", o.groups));
    }
    let tile = Tile::of(m, n, o.groups);
    let blocks = m.div_ceil(tile.size()) * n.div_ceil(tile.size()) * o.groups;
    let (splits, length) = splits(pixels, blocks);
    (v.splits, v.length) = (narrow(splits), narrow(length));
    // [splits][g][O/g][kh][kw][C/g]; the splits are added up on the way to [O][C/g][kh][kw].
    let partial = cuda.scratch(splits * dw.layout.numel());
    let kernel = tile.pick(Kernel::Conv2dWeightGrad128, Kernel::Conv2dWeightGrad64);
    let grid = Grid(m.div_ceil(tile.size()), n.div_ceil(tile.size()), o.groups * splits);
    launch::conv_weight_grad(cuda.driver(), kernel, grid, x.ptr(), g.ptr(), memory::start(&partial), v);
    let lies = Layout::strided(dw.layout.shape(), &[n, 1, kw * c, c], 0);
    combine(cuda, memory::start(&partial), None, &lies, dw, splits);
}
