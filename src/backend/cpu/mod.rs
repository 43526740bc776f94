//! The CPU backend.
//!
//! Each primitive picks the element type once and hands slices to a generic kernel. Kernels run in whatever rayon
//! pool is current; see [`crate::threads`].

mod access;
pub(crate) mod ahead;
mod conv;
mod cross_entropy;
mod elementwise;
mod float;
pub mod gemm;
mod group_norm;
mod index;
mod lanes;
mod loss;
mod map;
mod matmul;
mod max_pool;
mod norm;
mod order;
mod packed;
mod pages;
pub(crate) mod par;
mod pool;
mod random;
mod reduce;
mod rows;
pub mod simd;
mod softmax;
mod squares;
mod turn;
mod update;
mod upfirdn;
pub(crate) mod vmath;
mod widen;

pub use conv::{ConvMode, with_conv_mode};
pub use gemm::{DIRECT_B_ROWS, MatRef, fma_chain, turned};
pub use packed::Packed;
pub use pool::Buffer;

use super::lines::Lines;
use super::*;
use crate::dtype::{Element, dispatch};
use crate::rng::Key;
use access::{Word, channels, dense, dense_out, images, in_memory, pixels, row_length, slice_mut, words_mut};
use norm::Affine;
use std::borrow::Cow;
use widen::{in_float, in_float_accumulating};

/// The CPU's kernels.
pub struct Cpu;

impl Backend for Cpu {
    fn device(&self) -> Device {
        Device::Cpu
    }

    fn describe(&self) -> String {
        format!("cpu, {} (the machine has {})", simd::tier(), supported_tiers().join(", "))
    }

    fn tier(&self) -> &'static str {
        simd::tier().name()
    }

    fn alloc(&self, dtype: DType, len: usize) -> Storage {
        Storage::new(dtype, len, Memory::Cpu(Buffer::of(dtype, len)))
    }

    fn upload(&self, dtype: DType, bytes: &[u8]) -> Storage {
        let mut b = Buffer::new(bytes.len());
        b.as_mut_slice().copy_from_slice(bytes);
        Storage::new(dtype, bytes.len() / dtype.size(), Memory::Cpu(b))
    }

    fn download(&self, x: &Storage, first: usize, bytes: &mut [u8]) {
        let size = x.dtype().size();
        let Memory::Cpu(b) = x.memory() else { unreachable!("a storage goes to its own backend") };
        bytes.copy_from_slice(&b.as_slice::<u8>()[first * size..][..bytes.len()]);
    }

    fn synchronize(&self) {}

    fn pool_stats(&self) -> PoolStats {
        pool::stats()
    }

    fn trim(&self) {
        pool::trim();
    }

    fn fill(&self, value: f64, out: ViewMut) {
        // (half's own from_f64, which would be found first, rounds twice.)
        dispatch!(out.storage.dtype(), all, T => dense_out::<T>(out).fill(<T as Element>::from_f64(value)))
    }

    fn copy(&self, x: View, out: ViewMut) {
        // Only bits move, so only the size of the elements matters.
        match out.storage.dtype().size() {
            1 => copy_words::<u8>(x, out),
            2 => copy_words::<u16>(x, out),
            4 => copy_turned::<u32, f32>(x, out),
            _ => copy_turned::<u64, f64>(x, out),
        }
    }

    fn cast(&self, x: View, out: ViewMut) {
        dispatch!(x.storage.dtype(), all, X => dispatch!(out.storage.dtype(), all, O => {
            let o = slice_mut::<O>(out.storage);
            map::copy(x.slice::<X>(), x.layout, o, out.layout, |x| <O as Element>::from_f64(x.to_f64()))
        }))
    }

    fn unary(&self, f: Unary, x: View, out: ViewMut) {
        in_float([x], out, |[x], out| {
            dispatch!(x.storage.dtype(), full, T => {
                elementwise::unary::<T>(f, Some(x.parts()), slice_mut(out.storage), out.layout)
            })
        });
    }

    fn binary(&self, f: Binary, a: View, b: View, out: ViewMut) {
        in_float([a, b], out, |[a, b], out| {
            dispatch!(a.storage.dtype(), full, T => {
                elementwise::binary::<T>(f, Some(a.parts()), b.parts(), slice_mut(out.storage), out.layout)
            })
        });
    }

    fn works_in_place(&self) -> bool {
        true
    }

    fn unary_in_place(&self, f: Unary, x: ViewMut) {
        dispatch!(x.storage.dtype(), full, T => {
            elementwise::unary::<T>(f, None, slice_mut(x.storage), x.layout)
        });
    }

    fn binary_in_place(&self, f: Binary, a: ViewMut, b: View) {
        dispatch!(b.storage.dtype(), full, T => {
            elementwise::binary::<T>(f, None, b.parts(), slice_mut(a.storage), a.layout)
        });
    }

    fn compare(&self, f: Compare, a: View, b: View, out: ViewMut) {
        dispatch!(a.storage.dtype(), all, T => {
            elementwise::compare::<T>(f, a.parts(), b.parts(), slice_mut(out.storage), out.layout)
        })
    }

    fn select(&self, cond: View, a: View, b: View, out: ViewMut) {
        match out.storage.dtype().size() {
            1 => select_words::<u8>(cond, a, b, out),
            2 => select_words::<u16>(cond, a, b, out),
            4 => select_words::<u32>(cond, a, b, out),
            _ => select_words::<u64>(cond, a, b, out),
        }
    }

    fn accumulate(&self, x: View, acc: ViewMut) {
        in_float_accumulating([x], acc, |[x], acc| {
            dispatch!(x.storage.dtype(), full, T => {
                map::accumulate::<T>(x.slice(), x.layout, slice_mut(acc.storage), acc.layout)
            })
        });
    }

    fn reduce(&self, f: Reduce, x: View, over: &[bool], out: ViewMut) {
        in_float([x], out, |[x], out| {
            dispatch!(x.storage.dtype(), full, T => {
                reduce::reduce::<T>(f, x.slice(), x.layout, over, slice_mut(out.storage), out.layout)
            })
        });
    }

    fn loss(&self, f: Loss, p: View, t: View, scale: f64, out: ViewMut) {
        in_float([p, t], out, |[p, t], out| {
            dispatch!(p.storage.dtype(), full, T => {
                dense_out::<T>(out)[0] = loss::sum::<T>(f, p.parts(), t.parts(), scale)
            })
        });
    }

    fn loss_grad(&self, f: Loss, g: View, p: View, t: View, scale: f64, out: ViewMut) {
        in_float([g, p, t], out, |[g, p, t], out| {
            dispatch!(p.storage.dtype(), full, T => {
                loss::gradient::<T>(f, g.parts(), p.parts(), t.parts(), scale, slice_mut(out.storage), out.layout)
            })
        });
    }

    fn argmax(&self, x: View, out: ViewMut) {
        dispatch!(x.storage.dtype(), all, T => order::argmax::<T>(dense(x), row_length(x), dense_out(out)))
    }

    fn argsort(&self, x: View, descending: bool, out: ViewMut) {
        dispatch!(x.storage.dtype(), all, T => {
            order::argsort::<T>(dense(x), row_length(x), descending, dense_out(out))
        })
    }

    fn cumsum(&self, x: View, out: ViewMut) {
        in_float(
            [x],
            out,
            |[x], out| dispatch!(x.storage.dtype(), full, T => order::cumsum::<T>(dense(x), row_length(x), dense_out(out))),
        );
    }

    fn softmax(&self, log: bool, x: View, dim: usize, out: ViewMut) {
        let lines = Lines::of(x.layout, dim);
        dispatch!(x.storage.dtype(), full, T => softmax::softmax::<T>(log, lines, in_memory(x), dense_out(out)))
    }

    fn softmax_grad(&self, log: bool, g: View, y: View, dim: usize, out: ViewMut) {
        let lines = Lines::of(y.layout, dim);
        dispatch!(y.storage.dtype(), full, T => {
            softmax::gradient::<T>(log, lines, in_memory(g), in_memory(y), dense_out(out))
        })
    }

    fn cross_entropy(&self, x: View, class: View, loss: ViewMut, stats: ViewMut) -> Result<(), BadIndex> {
        let lines = Lines::of(x.layout, 1);
        index::check(class.slice(), class.layout, lines.length)?;
        dispatch!(x.storage.dtype(), full, T => {
            cross_entropy::forward::<T>(lines, in_memory(x), dense(class), dense_out(loss), dense_out(stats))
        });
        Ok(())
    }

    fn cross_entropy_grad(&self, g: View, x: View, class: View, stats: View, out: ViewMut) {
        dispatch!(x.storage.dtype(), full, T => {
            let g = if g.layout.is_contiguous() { dense(g) } else { &g.slice()[g.layout.offset()..][..1] };
            let known = cross_entropy::Known { g, class: dense(class), stats: dense(stats) };
            cross_entropy::gradient::<T>(Lines::of(x.layout, 1), in_memory(x), known, dense_out(out))
        })
    }

    fn rectifies(&self) -> bool {
        true
    }

    fn gemm(&self, a: View, b: View, end: Epilogue<View>, out: ViewMut) {
        dispatch!(a.storage.dtype(), float, T => matmul::matmul::<T>(a, b, end, out))
    }

    fn conv2d(&self, x: View, weight: View, end: Epilogue<View>, options: &ConvOptions, out: ViewMut) {
        let conv = conv::Conv::of(x.layout, weight.layout, out.layout, options).keeping(weight);
        dispatch!(x.storage.dtype(), full, T => {
            let end = end.map(|b| dense::<T>(b), <T as gemm::Real>::of);
            conv::forward::<T>(&conv, pixels(x), dense(weight), end, dense_out(out))
        })
    }

    fn conv2d_input_grad(
        &self,
        g: View,
        weight: View,
        bias: Option<View>,
        options: &ConvOptions,
        out: ViewMut,
    ) {
        let conv = conv::Conv::of(out.layout, weight.layout, g.layout, options).keeping(weight);
        dispatch!(g.storage.dtype(), full, T => {
            let bias = bias.map(|b| dense::<T>(b));
            conv::input_grad::<T>(&conv, pixels(g), dense(weight), bias, dense_out(out))
        })
    }

    fn conv2d_weight_grad(&self, x: View, g: View, options: &ConvOptions, out: ViewMut) {
        let conv = conv::Conv::of(x.layout, out.layout, g.layout, options);
        dispatch!(x.storage.dtype(), full, T => {
            conv::weight_grad::<T>(&conv, pixels(x), pixels(g), dense_out(out))
        })
    }

    fn index_select(
        &self,
        _: &'static str,
        x: View,
        dim: usize,
        index: View,
        out: ViewMut,
    ) -> Result<(), BadIndex> {
        index::check(index.slice(), index.layout, x.layout.shape()[dim])?;
        dispatch!(x.storage.dtype(), all, T => {
            index::index_select::<T>(&x.contiguous(), x.layout.shape(), dim, index.parts(), dense_out(out))
        });
        Ok(())
    }

    fn index_add(
        &self,
        _: &'static str,
        src: View,
        dim: usize,
        index: View,
        acc: ViewMut,
    ) -> Result<(), BadIndex> {
        index::check(index.slice(), index.layout, acc.layout.shape()[dim])?;
        in_float_accumulating([src], acc, |[src], acc| {
            dispatch!(src.storage.dtype(), full, T => {
                index::index_add::<T>(&src.contiguous(), acc.layout.shape(), dim, index.parts(), dense_out(acc))
            })
        });
        Ok(())
    }

    fn gather(
        &self,
        _: &'static str,
        x: View,
        dim: usize,
        index: View,
        out: ViewMut,
    ) -> Result<(), BadIndex> {
        index::check(index.slice(), index.layout, x.layout.shape()[dim])?;
        dispatch!(x.storage.dtype(), all, T => {
            index::gather::<T>(&x.contiguous(), x.layout.shape(), dim, index.parts(), dense_out(out))
        });
        Ok(())
    }

    fn scatter_add(
        &self,
        _: &'static str,
        src: View,
        dim: usize,
        index: View,
        acc: ViewMut,
    ) -> Result<(), BadIndex> {
        index::check(index.slice(), index.layout, acc.layout.shape()[dim])?;
        in_float_accumulating([src], acc, |[src], acc| {
            dispatch!(src.storage.dtype(), full, T => {
                index::scatter_add::<T>(&src.contiguous(), acc.layout.shape(), dim, index.parts(), dense_out(acc))
            })
        });
        Ok(())
    }

    fn batch_norm_stats(&self, x: View, mean: ViewMut, var: ViewMut) {
        dispatch!(x.storage.dtype(), full, T => {
            let (shape, x) = channels::<T>(x);
            norm::stats::<T>(shape, x, dense_out(mean), dense_out(var))
        })
    }

    fn batch_norm_apply(&self, x: View, mean: View, rstd: View, weight: View, bias: View, out: ViewMut) {
        dispatch!(x.storage.dtype(), full, T => {
            let (shape, x) = channels::<T>(x);
            let (mean, rstd, weight) = (mean.contiguous(), rstd.contiguous(), weight.contiguous());
            let p = Affine { mean: &mean, rstd: &rstd, weight: &weight };
            norm::normalise::<T>(shape, x, p, &bias.contiguous(), dense_out(out))
        })
    }

    fn batch_norm_grad(&self, g: View, x: View, stats: BatchNormStats, out: BatchNormGrads) {
        dispatch!(x.storage.dtype(), full, T => {
            let (shape, x) = channels::<T>(x);
            let (_, g) = channels::<T>(g);
            let (mean, rstd, weight) =
                (stats.mean.contiguous(), stats.rstd.contiguous(), stats.weight.contiguous());
            let p = Affine { mean: &mean, rstd: &rstd, weight: &weight };
            let (dx, dw, db) = (dense_out(out.x), dense_out(out.weight), dense_out(out.bias));
            norm::gradient::<T>(shape, g, x, p, dx, dw, db)
        })
    }

    fn group_norm(
        &self,
        shape: Groups,
        eps: f64,
        x: View,
        [weight, bias]: [Option<View>; 2],
        out: ViewMut,
        stats: ViewMut,
    ) {
        dispatch!(x.storage.dtype(), full, T => {
            let (weight, bias) = (or_all(weight, shape.channels(), 1.0), or_all(bias, shape.channels(), 0.0));
            let affine = group_norm::Affine { weight: &weight, bias: &bias };
            group_norm::forward::<T>(shape, eps, in_memory(x), affine, dense_out(out), dense_out(stats))
        })
    }

    fn group_norm_grad(
        &self,
        shape: Groups,
        g: View,
        x: View,
        stats: View,
        weight: Option<View>,
        out: GroupNormGrads,
    ) {
        dispatch!(x.storage.dtype(), full, T => {
            let weight = or_all(weight, shape.channels(), 1.0);
            let (dx, affine) = (dense_out(out.x), out.affine.map(|a| a.map(dense_out::<T>)));
            group_norm::gradient::<T>(shape, [in_memory(g), in_memory(x)], dense(stats), &weight, dx, affine)
        })
    }

    fn upfirdn2d(&self, p: Upfirdn, x: View, filter: View, out: ViewMut) {
        dispatch!(x.storage.dtype(), full, T => {
            let taps = [filter.layout.shape()[0], filter.layout.shape()[1]];
            let [_, oh, ow, _] = images(out.layout);
            let range = out.layout.dense_range();
            upfirdn::upfirdn2d::<T>(
                p,
                (pixels(x), images(x.layout)),
                (&filter.contiguous(), taps),
                (&mut slice_mut(out.storage)[range], [oh, ow]),
            )
        })
    }

    fn argmax_pool2d(&self, window: Window, x: View, out: ViewMut) {
        let [_, oh, ow, _] = images(out.layout);
        let range = out.layout.dense_range();
        dispatch!(x.storage.dtype(), full, T => {
            let out = &mut slice_mut(out.storage)[range];
            max_pool::argmax::<T>(window, pixels(x), images(x.layout), out, [oh, ow])
        })
    }

    fn random(&self, what: Random, key: Key, call: u64, out: ViewMut) {
        dispatch!(out.storage.dtype(), full, T => random::fill::<T>(what, key, call, dense_out(out)))
    }

    fn sum_squares(&self, table: &[View]) -> Vec<f64> {
        squares::sums(table)
    }

    fn update(&self, rule: Update, rows: &mut [UpdateRow]) {
        let Some(dtype) = rows.first().map(|r| r.param.dtype()) else { return };
        dispatch!(dtype, full, T => update::rows::<T>(rule, rows))
    }
}

/// A contiguous operand, or `n` times a number where there is none.
fn or_all<T: Element>(x: Option<View<'_>>, n: usize, value: f64) -> Cow<'_, [T]> {
    x.map_or_else(|| Cow::Owned(vec![<T as Element>::from_f64(value); n]), |x| Cow::Borrowed(dense(x)))
}

/// [`copy_words`], as vectors of floats of that size where the order of memory changes.
fn copy_turned<T: Word, A: gemm::Real + bytemuck::Pod>(x: View, out: ViewMut) {
    let to = bytemuck::cast_slice_mut::<T, A>(words_mut(out.storage));
    if !turn::copy(bytemuck::cast_slice::<T, A>(x.words()), x.layout, to, out.layout) {
        copy_words::<T>(x, out);
    }
}

fn copy_words<T: Word>(x: View, out: ViewMut) {
    map::copy::<T, T>(x.words(), x.layout, words_mut(out.storage), out.layout, |x| x)
}

fn select_words<T: Word>(cond: View, a: View, b: View, out: ViewMut) {
    let (a, b) = ((a.words(), a.layout), (b.words(), b.layout));
    let o = words_mut::<T>(out.storage);
    match cond.storage.dtype() {
        DType::U8 => map::select::<u8, T>(cond.parts(), a, b, o, out.layout),
        _ => map::select::<i64, T>(cond.parts(), a, b, o, out.layout),
    }
}

fn supported_tiers() -> Vec<&'static str> {
    simd::Tier::ALL.iter().filter(|t| t.is_supported()).map(|t| t.name()).collect()
}
