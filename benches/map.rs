//! Elementwise functions, reductions, random numbers and optimiser steps, in elements or bytes per second.
//!
//!     cargo bench --bench map
//!     GANVIL_SIMD=portable cargo bench --bench map -- tanh

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ganvil::autograd::grad;
use ganvil::backend::cpu::simd;
use ganvil::optim::{Adam, Optimizer};
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Reduction, Tensor};
use std::hint::black_box;

/// A batch of 64 images of 28 x 28, and a tensor that leaves the L2 cache.
const SIZES: [usize; 2] = [64 * 784, 802_816];

/// A name, a function, and how many tensors of the size it reads and writes.
type Function = (&'static str, fn(&Tensor) -> Tensor, usize);

const FUNCTIONS: [Function; 15] = [
    ("add", |x| x + x, 2),
    ("leaky_relu", |x| x.leaky_relu(0.2), 2),
    ("exp", |x| x.exp(), 2),
    ("log", |x| x.log(), 2),
    ("tanh", |x| x.tanh(), 2),
    ("sigmoid", |x| x.sigmoid(), 2),
    ("softplus", |x| x.softplus(1.0, 20.0), 2),
    ("softmax of rows", |x| rows(x).softmax(1), 2),
    ("log_softmax of rows", |x| rows(x).log_softmax(1), 2),
    ("softmax of columns", |x| rows(x).softmax(0), 2),
    ("layer_norm of rows", |x| rows(x).layer_norm(&[784], None, None, 1e-5), 2),
    ("instance_norm of pixels", |x| pixels(x).instance_norm(None, None, 1e-5), 2),
    ("group_norm of pixels", |x| pixels(x).group_norm(4, None, None, 1e-5), 2),
    ("sum", |x| x.sum_all(), 1),
    ("mean of columns", |x| x.reshape(&[64, x.numel() / 64]).mean(&[0], false), 1),
];

/// Rows as an image of 28 x 28 has pixels.
fn rows(x: &Tensor) -> Tensor {
    x.reshape(&[x.numel() / 784, 784])
}

/// Images of 7 x 7 with 16 channels, channels last.
fn pixels(x: &Tensor) -> Tensor {
    x.reshape(&[x.numel() / 784, 7, 7, 16]).permute(&[0, 3, 1, 2])
}

fn map(c: &mut Criterion) {
    let random = Generator::new(0, Stream::General);
    for threads in [1, 2] {
        let mut group = c.benchmark_group(format!("map/{}/{threads}t", simd::tier()));
        for n in SIZES {
            let x = random.uniform(&[n], 0.1, 2.0, DType::F32, Device::Cpu);
            for (name, f, tensors) in FUNCTIONS {
                group.throughput(Throughput::Bytes((4 * n * tensors) as u64));
                group.bench_function(BenchmarkId::new(name, n), |b| {
                    ganvil::threads(threads, || b.iter(|| black_box(f(&x))))
                });
            }
            let (logits, tracked) = (rows(&x), rows(&x).requires_grad());
            let class = logits.argmax(1, false);
            group.throughput(Throughput::Bytes(4 * n as u64));
            group.bench_function(BenchmarkId::new("cross_entropy", n), |b| {
                ganvil::threads(threads, || {
                    b.iter(|| black_box(logits.cross_entropy(&class, Reduction::Mean)))
                })
            });
            group.throughput(Throughput::Bytes(12 * n as u64));
            group.bench_function(BenchmarkId::new("cross_entropy and gradient", n), |b| {
                ganvil::threads(threads, || {
                    b.iter(|| {
                        grad(&[&tracked.cross_entropy(&class, Reduction::Mean)], &[&tracked], &[], false)
                    })
                })
            });
            let (image, w, g) =
                (pixels(&x).requires_grad(), Tensor::ones(&[16], DType::F32, Device::Cpu), pixels(&x));
            let w = w.requires_grad();
            group.throughput(Throughput::Bytes(20 * n as u64));
            group.bench_function(BenchmarkId::new("group_norm and gradient", n), |b| {
                let y = || image.group_norm(4, Some(&w), Some(&w), 1e-5);
                ganvil::threads(threads, || {
                    b.iter(|| grad(&[&y()], &[&image, &w], std::slice::from_ref(&g), false))
                })
            });
            group.throughput(Throughput::Elements(n as u64));
            group.bench_function(BenchmarkId::new("normal", n), |b| {
                ganvil::threads(threads, || b.iter(|| random.normal(&[n], 0.0, 1.0, DType::F32, Device::Cpu)))
            });
        }
        let n = 785_000;
        group.throughput(Throughput::Bytes(7 * 4 * n as u64));
        group.bench_function(BenchmarkId::new("adam", n), |b| {
            let mut p = random.normal(&[n], 0.0, 1.0, DType::F32, Device::Cpu);
            let g = random.normal(&[n], 0.0, 1.0, DType::F32, Device::Cpu);
            let mut adam = Optimizer::new(Adam::default());
            ganvil::threads(threads, || b.iter(|| adam.step(vec![&mut p], vec![Some(g.clone())])))
        });
        group.finish();
    }
}

criterion_group!(benches, map);
criterion_main!(benches);
