//! The same bits on any number of threads, and for a sample whatever stands beside it in its batch.

use crate::row::bits;
use crate::tensors::{Choices, choices};
use ganvil::autograd::grad;
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Tensor};
use proptest::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::LazyLock;

/// Enough for kernels to share out their work.
const ELEMENTS: usize = 160_000;

static POOLS: LazyLock<[ThreadPool; 3]> =
    LazyLock::new(|| [1, 2, 3].map(|n| ThreadPoolBuilder::new().num_threads(n).build().expect("threads")));

fn normal(shape: &[usize], dtype: DType, c: &mut Choices) -> Tensor {
    Generator::new(c.seed(), Stream::General).normal(shape, 0.0, 1.0, DType::F32, Device::Cpu).to_dtype(dtype)
}

/// Sizes that are small, around powers of two, or large, with no more elements than given in all.
fn sizes(rank: usize, elements: usize, c: &mut Choices) -> Vec<usize> {
    let mut left = elements;
    let mut sizes: Vec<usize> = (0..rank)
        .map(|_| {
            let n = (1 << c.below(12)) + c.below(3);
            let n = if c.flag() { n } else { 1 + c.below(n) };
            let n = n.clamp(1, left);
            left /= n;
            n
        })
        .collect();
    if rank > 0 {
        let (a, b) = (c.below(rank), c.below(rank));
        sizes.swap(a, b);
    }
    sizes
}

/// Dense in any order of its dimensions, or without the first entry of one of them.
fn strided(shape: &[usize], dtype: DType, c: &mut Choices) -> Tensor {
    let p = c.permutation(shape.len());
    let stored: Vec<usize> = p.iter().map(|&d| shape[d]).collect();
    let mut back = vec![0; p.len()];
    p.iter().enumerate().for_each(|(i, &d)| back[d] = i as isize);
    let x = normal(&stored, dtype, c).permute(&back);
    let d = c.below(shape.len());
    if c.below(3) == 1 && shape[d] > 1 { x.narrow(d as isize, 1, shape[d] - 1) } else { x }
}

/// An op, or the gradient of one, of a tensor of any shape.
fn op(kind: usize, x: &Tensor, c: &mut Choices) -> Vec<Tensor> {
    let (dims, (_, dim)) = (c.dims(x.rank()), c.dim(x.rank()));
    let wide = x.to_dtype(DType::F32);
    let normed = |x: &Tensor| {
        let channels = x.shape()[1];
        let w = Tensor::ones(&[channels], DType::F32, Device::Cpu).requires_grad();
        let x = x.detach().requires_grad();
        let n = x.batch_norm(&w, &w.mul_scalar(0.5), 1e-5);
        let grads = grad(&[&n.y], &[&x, &w], &[x.detach()], false);
        [n.y, n.mean, n.var].into_iter().chain(grads.into_iter().flatten()).collect()
    };
    match kind {
        0 => vec![x.sum(&dims, false)],
        1 => vec![x.norm(&dims, true)],
        2 => vec![x.mean(&dims, false), x.max(&dims, false)],
        3 => vec![x.var(&dims, true, false)],
        4 => vec![wide.softmax(dim), wide.log_softmax(dim)],
        5 => vec![x.cumsum(dim), x.exp(), x.add(&x.tanh())],
        6 => vec![x.argmax(dim, false), x.mul(&x.sum(&[dim], true))],
        7 if x.rank() > 1 && x.numel() > x.shape()[1] => normed(&wide),
        8 => vec![wide.layer_norm(&wide.shape()[x.rank() / 2..x.rank()], None, None, 1e-5)],
        _ => vec![x.reshape(&[x.numel()]).add_scalar(1.0), x.contiguous(), x.lt(&x.neg())],
    }
}

fn products(c: &mut Choices) -> impl Fn() -> Vec<Tensor> + Sync + use<> {
    let dtype = c.of(&[DType::F32, DType::F64, DType::BF16]);
    let s = sizes(3, 1 << 21, c);
    let (m, k, n) = (s[0].min(400), s[1].min(700), s[2].min(400));
    let (a, b) = (strided(&[m, k], dtype, c), strided(&[k, n], dtype, c));
    let k = a.shape()[1].min(b.shape()[0]);
    let (a, b) = (a.narrow(1, 0, k), b.narrow(0, 0, k));
    let v = normal(&[b.shape()[1]], dtype, c);
    move || {
        let [x, w] = [&a, &b].map(|t| t.detach().requires_grad());
        let (y, z) = (x.matmul(&w), x.linear(&w.t(), Some(&v)));
        let grads = grad(&[&y, &z], &[&x, &w], &[y.detach(), z.detach()], false);
        [y, z].into_iter().chain(grads.into_iter().flatten()).collect()
    }
}

/// The results on 1, 2 and 3 threads must be the same.
fn check_threads(what: &str, f: impl Fn() -> Vec<Tensor> + Sync) {
    let [one, others @ ..] = &*POOLS;
    let all = |pool: &ThreadPool| -> Vec<Vec<u64>> { pool.install(|| f().iter().map(bits).collect()) };
    let want = all(one);
    for pool in others {
        let got = all(pool);
        let threads = pool.current_num_threads();
        assert_eq!(got.len(), want.len(), "{what}: other gradients on {threads} threads");
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            let differ = got.iter().zip(want).filter(|(g, w)| g != w).count();
            assert!(
                got == want,
                "{what}: {differ} of {} of result {i} differ on {threads} threads",
                want.len()
            );
        }
    }
}

/// A tensor whose slowest dimension is the batch; the others lie in any order. There may be gaps, or repeats.
fn batch(shape: &[usize], dtype: DType, c: &mut Choices) -> Tensor {
    #[derive(Clone, Copy, PartialEq)]
    enum Lies {
        Whole,
        Inside,
        Apart,
        Repeated,
    }
    let lies: Vec<Lies> = shape
        .iter()
        .map(|_| c.of(&[Lies::Whole, Lies::Whole, Lies::Whole, Lies::Inside, Lies::Apart, Lies::Repeated]))
        .collect();
    let length = |d: usize| match lies[d] {
        Lies::Whole => shape[d],
        Lies::Inside => shape[d] + 2,
        Lies::Apart => 2 * shape[d],
        Lies::Repeated => 1,
    };
    let order: Vec<usize> =
        std::iter::once(0).chain(c.permutation(shape.len() - 1).iter().map(|d| d + 1)).collect();
    let stored: Vec<usize> = order.iter().map(|&d| length(d)).collect();
    let mut back = vec![0; order.len()];
    order.iter().enumerate().for_each(|(i, &d)| back[d] = i as isize);
    let mut x = normal(&stored, dtype, c).permute(&back);
    for (d, lies) in lies.iter().enumerate() {
        x = match lies {
            Lies::Inside => x.narrow(d as isize, 1, shape[d]),
            Lies::Apart => x.slice(d as isize, 1, isize::MAX, 2),
            Lies::Whole | Lies::Repeated => x,
        };
    }
    x.expand(shape)
}

/// Ops that treat every entry of dimension 0 alone, on x `[n, ..]` and weights.
fn sample_wise(kind: usize, x: &Tensor, w: &[Tensor; 3], c: &mut Choices) -> Tensor {
    let inner: Vec<isize> = c.dims(x.rank() - 1).iter().map(|d| if *d < 0 { *d } else { d + 1 }).collect();
    let inner = if inner.is_empty() { (1..x.rank() as isize).collect() } else { inner };
    let dim = inner[0];
    let channels = x.shape()[1];
    match kind {
        0 => x.linear(&w[0], Some(&w[1])),
        1 => x.matmul(&w[0].t()),
        2 => x.sum(&inner, false),
        3 => x.norm(&inner, true),
        4 => x.var(&inner, false, true),
        5 => x.layer_norm(&x.shape()[1..], None, None, 1e-5),
        6 => x.softmax(dim),
        7 => x.log_softmax(dim),
        8 => x.group_norm(channels, None, None, 1e-5),
        9 => x.cumsum(dim),
        10 => x.batch_norm_eval(&w[2], &w[2], &w[2], &w[2].square(), 1e-5),
        11 => x.tanh().mul(x).add(&x.exp()).sigmoid(),
        12 => x.max(&inner, false),
        13 if x.rank() > 2 => x.t().matmul(x),
        14 => x.mul(&w[0].narrow(0, 0, 1).reshape(&[w[0].shape()[1]])),
        _ => x.mean(&inner, true).sub(x),
    }
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn any_number_of_threads_gives_the_same_bits(mut c in choices()) {
        let rank = 1 + c.below(4);
        let dtype = c.of(&[DType::F32, DType::F64, DType::F16, DType::BF16]);
        let shape = sizes(rank, ELEMENTS, &mut c);
        let (x, kind) = (strided(&shape, dtype, &mut c), c.below(10));
        check_threads(&format!("kind {kind} of {:?}", x.layout()), || op(kind, &x, &mut c.clone()));
    }

    #[test]
    fn products_have_the_same_bits_on_any_number_of_threads(mut c in choices()) {
        check_threads("products", products(&mut c));
    }

    #[test]
    fn a_sample_does_not_depend_on_its_batch_mates(mut c in choices()) {
        let dtype = c.of(&[DType::F32, DType::F64]);
        let sample = { let rank = 1 + c.below(3); sizes(rank, 3000, &mut c) };
        let most = c.of(&[8, 300]).min(ELEMENTS / sample.iter().product::<usize>());
        let n = 2 + c.below(most - 1);
        let x = batch(&[&[n], &sample[..]].concat(), dtype, &mut c);
        let (inner, out) = (sample[sample.len() - 1], 1 + c.below(70));
        let w = [
            normal(&[out, inner], dtype, &mut c),
            normal(&[out], dtype, &mut c),
            normal(&[sample[0]], dtype, &mut c),
        ];
        let kind = c.below(16);
        let of = |x: &Tensor| sample_wise(kind, x, &w, &mut c.clone());
        let all = of(&x);
        let mut ends = c.clone();
        let start = ends.below(n);
        for (start, length) in [(start, 1), (0, 1 + ends.below(n)), (start, 1 + ends.below(n - start))] {
            let part = of(&x.narrow(0, start, length));
            assert!(
                bits(&part) == bits(&all.narrow(0, start, length)),
                "kind {kind}: samples {start}.. ({length} of {n}) of {:?}", x.layout()
            );
        }
    }

    #[test]
    fn a_row_of_a_product_does_not_depend_on_the_others(mut c in choices()) {
        let dtype = c.of(&[DType::F32, DType::F64, DType::BF16]);
        let s = sizes(3, 1 << 20, &mut c);
        let (m, k, n) = (s[0].min(300), s[1].min(700), s[2].min(300));
        // Rows side by side, or interleaved.
        let a = if c.flag() { normal(&[k, m], dtype, &mut c).t() } else { normal(&[m, k], dtype, &mut c) };
        let b = if c.flag() { normal(&[n, k], dtype, &mut c).t() } else { normal(&[k, n], dtype, &mut c) };
        let y = a.matmul(&b);
        let start = c.below(m);
        for length in [1, 1 + c.below(m - start)] {
            let part = a.narrow(0, start, length).matmul(&b);
            assert!(bits(&part) == bits(&y.narrow(0, start, length)), "rows {start}.. ({length}) of {m} {k} {n}");
        }
    }
}
