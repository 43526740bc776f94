//! Convolution: the forward pass and both gradients, as products of patches with weights that read the image itself.
//!
//! Images lie channels-last, weights in PyTorch's order. A patch's elements are contiguous stretches of the image
//! (`geometry.rs`), so that one microkernel (`gemm/patch.rs`) serves all three directions without a matrix of columns:
//!
//! ```text
//!                   rows            columns     terms
//! forward           output pixels   channels O  taps x channels C     correlate.rs
//! input gradient    input pixels    channels C  taps x channels O     correlate.rs, one phase for each residue of stride
//!                   g's pixels      taps x C    channels O            fold.rs, for thin or tiny images
//! weight gradient   taps x C        channels O  pixels of all images  weight_grad.rs
//! ```
//!
//! **Order of accumulation.** A sum over taps and channels goes by (ky, kx, channel), or by ascending position in the
//! adjoint, in blocks of a constant number of terms; a sum over pixels by image, row and column in groups of images
//! whose number follows from their size. Threads take images or channels, and so never change a sum.

mod correlate;
mod fold;
mod geometry;
mod pack;
#[cfg(test)]
mod tests;
mod weight_grad;
mod winograd;

use super::gemm::{Kernels, Real, Run};
use super::packed::Packed;
use super::simd::tier;
use crate::backend::{ConvOptions, Epilogue, View};
use crate::layout::Layout;
use correlate::{Correlation, Out, Source};
use fold::Fold;
use geometry::{Axis, Image, Padded, Phase, blocks, merged};
use pack::{Panels, Weights};
use weight_grad::WeightGrad;
use winograd::{Plan, Transformable};

use std::ops::Range;

pub use winograd::{ConvMode, with_conv_mode};

/// Columns below which the taps are made columns too: so few channels leave most of a vector empty.
const THIN: usize = 4;
/// More elements between pixels of a padded image whose pixels would be a multiple of 256 bytes apart.
const SPREAD: usize = 16;

/// What is done to the sums of a convolution, the bias being one for each channel of the result.
pub(super) type Ending<'a, T> = Epilogue<&'a [T], T>;

impl<T> Ending<'_, T> {
    /// The part for some channels.
    fn of(self, channels: Range<usize>) -> Self {
        Epilogue { bias: self.bias.map(|b| &b[channels]), ..self }
    }
}

/// The sizes of a convolution `x [n, C, h, w] * W [O, C/groups, kh, kw] = y [n, O, oh, ow]`, and of its adjoints.
#[derive(Clone, Copy)]
pub(super) struct Conv<'a> {
    pub count: usize,
    /// x, with all its channels.
    pub x: Image,
    /// y, with all its channels.
    pub y: Image,
    /// kh, kw.
    pub kernel: [usize; 2],
    pub options: &'a ConvOptions,
    /// Where copies of W are kept, and where W starts in its storage.
    pub packed: Option<(&'a Packed, usize)>,
}

impl<'a> Conv<'a> {
    /// For the layouts of x, W and y.
    pub fn of(x: &Layout, weight: &Layout, y: &Layout, options: &'a ConvOptions) -> Conv<'a> {
        let image = |l: &Layout| Image { c: l.shape()[1], h: l.shape()[2], w: l.shape()[3] };
        let kernel = [weight.shape()[2], weight.shape()[3]];
        Conv { count: x.shape()[0], x: image(x), y: image(y), kernel, options, packed: None }
    }

    /// The same with a place for copies of W.
    pub fn keeping(self, weight: View<'a>) -> Conv<'a> {
        Conv { packed: Some((weight.storage.packed(), weight.layout.offset())), ..self }
    }

    /// Panics unless x, W and y have the elements that the sizes say: what every pointer into them relies on.
    fn check<T>(&self, x: &[T], w: &[T], y: &[T]) {
        let [c, o] = self.channels();
        assert_eq!([c * self.options.groups, o * self.options.groups], [self.x.c, self.y.c], "conv: groups");
        assert_eq!(
            [x.len(), w.len(), y.len()],
            [self.count * self.x.len(), self.y.c * c * self.taps(), self.count * self.y.len()],
            "conv: elements of x, W and y"
        );
    }
}

impl Conv<'_> {
    fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    fn axes(&self) -> [Axis; 2] {
        Axis::both([self.x.h, self.x.w], [self.y.h, self.y.w], self.kernel, self.options)
    }

    /// Channels of x and of y in a group.
    fn channels(&self) -> [usize; 2] {
        [self.x.c / self.options.groups, self.y.c / self.options.groups]
    }

    /// One group's weights as the forward pass multiplies by them: terms are x's channels, columns y's.
    fn weights<'a, T>(&self, w: &'a [T], group: usize) -> Weights<'a, T> {
        let ([c, o], taps) = (self.channels(), self.taps());
        Weights { data: &w[group * o * c * taps..], k: c, n: o, sk: taps, sn: c * taps, taps }
    }

    /// The convolution whose adjoint this one is, if the windows of this one step by 1 and reach all over their input:
    /// x and y exchanged, taps in reverse, and as much padding as the kernel leaves.
    fn reversed(&self) -> Option<([usize; 2], ConvOptions)> {
        let o = self.options;
        let reach = [(self.kernel[0] - 1) * o.dilation[0], (self.kernel[1] - 1) * o.dilation[1]];
        let padding = [reach[0].checked_sub(o.padding[0])?, reach[1].checked_sub(o.padding[1])?];
        (o.stride == [1, 1]).then_some((padding, ConvOptions { padding, ..*o }))
    }
}

/// y = x * W + bias, perhaps rectified.
pub(super) fn forward<T: Transformable>(conv: &Conv, x: &[T], w: &[T], end: Ending<T>, y: &mut [T]) {
    forward_by(conv, winograd::plan::<T>(conv).as_ref(), x, w, end, y);
}

/// The same by tiles or, without a plan, by the definition's sums.
fn forward_by<T: Transformable>(
    conv: &Conv,
    plan: Option<&Plan>,
    x: &[T],
    w: &[T],
    end: Ending<T>,
    y: &mut [T],
) {
    conv.check(x, w, y);
    let kernels = T::kernels(tier());
    let [c, o] = conv.channels();
    let out = y.as_mut_ptr();
    for group in 0..conv.options.groups {
        let weights = conv.weights(w, group);
        let end = end.of(group * o..(group + 1) * o);
        // SAFETY: the group's first channel of the first pixel.
        let out = Out(unsafe { out.add(group * o) });
        if let Some(plan) = plan {
            // SAFETY: y has its images, and this is its only user.
            unsafe { winograd::forward(conv, plan, x, w, group, end, out) };
            continue;
        }
        match conv.reversed() {
            Some((padding, _)) if o < THIN && conv.taps() > 1 => {
                let source = unpadded(conv.count, x, conv.x, group * c, c);
                let slots: Vec<usize> = (0..conv.taps()).rev().collect();
                let folding = Folding { slots: &slots, padding, out_image: conv.y };
                let fold = folding.plan(conv, kernels, source, weights, end, out);
                // SAFETY: `out` has `count` images of y's size.
                unsafe { fold.run() }
            }
            _ => correlate(conv, kernels, x, group, weights, end, out),
        }
    }
}

/// The forward pass of a group, by patches.
fn correlate<T: Real>(
    conv: &Conv,
    kernels: &'static Kernels<T>,
    x: &[T],
    group: usize,
    weights: Weights<T>,
    end: Ending<T>,
    out: Out<T>,
) {
    let (axes, c) = (conv.axes(), weights.k);
    let [(top, bottom), (left, right)] = [axes[0].reach(), axes[1].reach()];
    let padded = Padded::new(conv.x, c, [top, left], [bottom, right], 0);
    let [y, x_axis] = &axes;
    let runs = (0..y.taps).flat_map(|ky| (0..x_axis.taps).map(move |kx| (ky, kx))).map(|(ky, kx)| Run {
        a: ky * y.dilation * padded.row + kx * x_axis.dilation * padded.pixel,
        b: (ky * x_axis.taps + kx) * c,
        len: c,
    });
    let pixels = |oy: usize, ox: usize| oy * y.stride * padded.row + ox * x_axis.stride * padded.pixel;
    let phase = Phase {
        rows: (0..conv.y.pixels()).map(|p| pixels(p / conv.y.w, p % conv.y.w)).collect(),
        outs: (0..conv.y.pixels()).map(|p| p * conv.y.c).collect(),
        blocks: blocks(merged(runs, 1, 1), 1, 1),
    };
    let slots: Vec<usize> = (0..conv.taps()).collect();
    let packed = Panels::of_taps(kernels, weights, &slots);
    let source = Source { data: x, count: conv.count, image: conv.x, c0: group * c, channels: c, padded };
    let all = Correlation {
        kernels,
        source,
        phases: &[phase],
        weights: &packed,
        end,
        out,
        out_image: conv.y.len(),
    };
    // SAFETY: the border covers what windows reach over the image; y has a pixel for each window.
    unsafe { all.run() }
}

/// x = g * W^T + bias, the adjoint of the forward pass: g is of y's size.
pub(super) fn input_grad<T: Transformable>(conv: &Conv, g: &[T], w: &[T], bias: Option<&[T]>, x: &mut [T]) {
    input_grad_by(conv, winograd::plan::<T>(conv).as_ref(), g, w, bias, x);
}

/// The same by tiles or, without a plan, by the definition's sums.
fn input_grad_by<T: Transformable>(
    conv: &Conv,
    plan: Option<&Plan>,
    g: &[T],
    w: &[T],
    bias: Option<&[T]>,
    x: &mut [T],
) {
    conv.check(x, w, g);
    let kernels = T::kernels(tier());
    let [c, o] = conv.channels();
    let out = x.as_mut_ptr();
    for group in 0..conv.options.groups {
        let weights = conv.weights(w, group);
        let weights = Weights { k: o, n: c, sk: weights.sn, sn: weights.sk, ..weights };
        let end = Ending::bias(bias).of(group * c..(group + 1) * c);
        // SAFETY: the group's first channel of the first pixel.
        let out = Out(unsafe { out.add(group * c) });
        if let Some(plan) = plan {
            // SAFETY: x has its images, and this is its only user.
            unsafe { winograd::input_grad(conv, plan, g, w, group, end.bias, out) };
            continue;
        }
        // Phases compute every tap for every pixel they reach, though it may lie in the padding.
        let [sh, sw] = conv.options.stride;
        let by_phases = conv.x.pixels() * conv.taps();
        let exactly = conv.y.pixels() * conv.taps() * sh * sw;
        if conv.taps() > 1 && (c < THIN || by_phases > 2 * exactly) {
            let source = unpadded(conv.count, g, conv.y, group * o, o);
            let slots: Vec<usize> = (0..conv.taps()).collect();
            let padding = conv.options.padding;
            let folding = Folding { slots: &slots, padding, out_image: conv.x };
            let fold = folding.plan(conv, kernels, source, weights, end, out);
            // SAFETY: `out` has `count` images of x's size.
            unsafe { fold.run() }
        } else {
            by_phase(conv, kernels, g, group, weights, end, out);
        }
    }
}

/// Images that are read as they lie.
fn unpadded<T>(count: usize, data: &[T], image: Image, c0: usize, channels: usize) -> Source<'_, T> {
    let padded = Padded::new(image, channels, [0, 0], [0, 0], 0);
    Source { data, count, image, c0, channels, padded }
}

/// The adjoint with its taps as columns, in the order of `slots`.
struct Folding<'a> {
    slots: &'a [usize],
    padding: [usize; 2],
    out_image: Image,
}

impl Folding<'_> {
    fn plan<'a, T: Real>(
        self,
        conv: &Conv,
        kernels: &'static Kernels<T>,
        source: Source<'a, T>,
        weights: Weights<T>,
        end: Ending<'a, T>,
        out: Out<T>,
    ) -> Fold<'a, T> {
        Fold {
            kernels,
            source,
            weights: Panels::of_columns(kernels, weights, self.slots),
            channels: weights.n,
            taps: conv.kernel,
            stride: conv.options.stride,
            padding: self.padding,
            dilation: conv.options.dilation,
            end,
            out,
            out_image: self.out_image,
        }
    }
}

/// The input gradient of a group, by phases: the pixels of x with one residue of (row, column) by the stride see the
/// same taps.
fn by_phase<T: Real>(
    conv: &Conv,
    kernels: &'static Kernels<T>,
    g: &[T],
    group: usize,
    weights: Weights<T>,
    end: Ending<T>,
    out: Out<T>,
) {
    let (axes, o) = (conv.axes(), weights.k);
    let phases = axes.each_ref().map(Axis::phases);
    let [(top, bottom), (left, right)] =
        [axes[0].adjoint_reach(&phases[0]), axes[1].adjoint_reach(&phases[1])];
    let padded = Padded::new(conv.y, o, [top, left], [bottom, right], 0);
    let mut slots = vec![None; conv.taps()];
    let mut next = 0;
    let mut all = Vec::with_capacity(phases[0].len() * phases[1].len());
    for (py, taps_y) in phases[0].iter().enumerate() {
        for (px, taps_x) in phases[1].iter().enumerate() {
            let mut runs = Vec::with_capacity(taps_y.len() * taps_x.len());
            for (ky, at_y) in taps_y {
                for (kx, at_x) in taps_x {
                    let row = (at_y + top as isize) as usize;
                    let column = (at_x + left as isize) as usize;
                    runs.push(Run { a: row * padded.row + column * padded.pixel, b: next * o, len: o });
                    slots[ky * conv.kernel[1] + kx] = Some(next);
                    next += 1;
                }
            }
            let [sh, sw] = conv.options.stride;
            let pixels = || {
                let rows = (py..conv.x.h).step_by(sh);
                rows.flat_map(move |y| (px..conv.x.w).step_by(sw).map(move |x| (y, x)))
            };
            all.push(Phase {
                rows: pixels().map(|(y, x)| y / sh * padded.row + x / sw * padded.pixel).collect(),
                outs: pixels().map(|(y, x)| (y * conv.x.w + x) * conv.x.c).collect(),
                blocks: blocks(merged(runs, 1, 1), 1, 1),
            });
        }
    }
    // Taps that reach no pixel, as there are fewer than the stride, come last.
    let slots: Vec<usize> = slots
        .into_iter()
        .map(|slot| {
            slot.unwrap_or_else(|| {
                next += 1;
                next - 1
            })
        })
        .collect();
    let packed = Panels::of_taps(kernels, weights, &slots);
    let source = Source { data: g, count: conv.count, image: conv.y, c0: group * o, channels: o, padded };
    let phases = &all;
    let all = Correlation { kernels, source, phases, weights: &packed, end, out, out_image: conv.x.len() };
    // SAFETY: the border covers what phases reach over the image; every pixel of x belongs to one phase.
    unsafe { all.run() }
}

/// dW of y = x * W for the upstream gradient g, in PyTorch's order.
pub(super) fn weight_grad<T: Transformable>(conv: &Conv, x: &[T], g: &[T], dw: &mut [T]) {
    weight_grad_by(conv, winograd::plan::<T>(conv).as_ref(), x, g, dw);
}

/// The same by tiles or, without a plan, by the definition's sums.
fn weight_grad_by<T: Transformable>(conv: &Conv, plan: Option<&Plan>, x: &[T], g: &[T], dw: &mut [T]) {
    conv.check(x, dw, g);
    let kernels = T::kernels(tier());
    let ([c, o], taps) = (conv.channels(), conv.taps());
    for (group, dw) in dw.chunks_exact_mut(o * c * taps).enumerate() {
        if let Some(plan) = plan {
            winograd::weight_grad(conv, plan, x, g, group, dw);
            continue;
        }
        match conv.reversed() {
            // With few channels of y the roles are exchanged, so that x's fill the vectors.
            Some((_, options)) if o < THIN && c >= THIN => {
                let conv = Conv { x: conv.y, y: conv.x, options: &options, ..*conv };
                let tap_at: Vec<usize> = (0..taps).rev().collect();
                pixel_sums(&conv, kernels, g, [group * o, o], x, [group * c, c]).run(
                    [c * taps, taps],
                    &tap_at,
                    dw,
                )
            }
            _ => {
                let tap_at: Vec<usize> = (0..taps).collect();
                pixel_sums(conv, kernels, x, [group * c, c], g, [group * o, o]).run(
                    [taps, c * taps],
                    &tap_at,
                    dw,
                )
            }
        }
    }
}

/// The sums over pixels for one group: first channel and number of them in x and in g.
fn pixel_sums<'a, T: Real>(
    conv: &Conv,
    kernels: &'static Kernels<T>,
    x: &'a [T],
    [c0, channels]: [usize; 2],
    g: &'a [T],
    [o0, outputs]: [usize; 2],
) -> WeightGrad<'a, T> {
    let axes = conv.axes();
    let [(top, bottom), (left, right)] = [axes[0].reach(), axes[1].reach()];
    let spread = if (channels * size_of::<T>()).is_multiple_of(256) { SPREAD } else { 0 };
    let padded = Padded::new(conv.x, channels, [top, left], [bottom, right], spread);
    let source = Source { data: x, count: conv.count, image: conv.x, c0, channels, padded };
    WeightGrad { kernels, source, axes, g, g_image: conv.y, o0, outputs }
}
