//! Elementwise functions, reductions, random numbers and optimiser steps, in elements or bytes per second.
//!
//!     cargo bench --bench map
//!     GANVIL_SIMD=portable cargo bench --bench map -- tanh

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ganvil::backend::cpu::simd;
use ganvil::optim::{Adam, Optimizer};
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Tensor};
use std::hint::black_box;

/// A batch of 64 images of 28 x 28, and a tensor that leaves the L2 cache.
const SIZES: [usize; 2] = [64 * 784, 802_816];

/// A name, a function, and how many tensors of the size it reads and writes.
type Function = (&'static str, fn(&Tensor) -> Tensor, usize);

const FUNCTIONS: [Function; 12] = [
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
    ("sum", |x| x.sum_all(), 1),
    ("mean of columns", |x| x.reshape(&[64, x.numel() / 64]).mean(&[0], false), 1),
];

/// Rows as an image of 28 x 28 has pixels.
fn rows(x: &Tensor) -> Tensor {
    x.reshape(&[x.numel() / 784, 784])
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
