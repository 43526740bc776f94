//! Batch norm of images, forward and with its gradients, in bytes per second.
//!
//!     cargo bench --bench norm
//!     GANVIL_SIMD=portable cargo bench --bench norm -- gradients
//!
//! Layer, group and instance norm and softmax are in `map`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ganvil::autograd::grad;
use ganvil::backend::cpu::simd;
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Tensor};
use std::hint::black_box;

/// The activations of DCGANs of 28 x 28 and of 64 x 64: samples, channels, rows, columns.
const SHAPES: [[usize; 4]; 3] = [[64, 128, 7, 7], [64, 64, 14, 14], [64, 64, 32, 32]];

fn norm(c: &mut Criterion) {
    let random = Generator::new(0, Stream::General);
    let images = |[n, c, h, w]: [usize; 4]| {
        random.normal(&[n, h, w, c], 0.0, 1.0, DType::F32, Device::Cpu).permute(&[0, 3, 1, 2])
    };
    for threads in [1, 2] {
        let mut group = c.benchmark_group(format!("norm/{}/{threads}t", simd::tier()));
        for shape in SHAPES {
            let (x, g) = (images(shape).requires_grad(), images(shape));
            let one = |v| Tensor::full(&[shape[1]], v, DType::F32, Device::Cpu).requires_grad();
            let (weight, bias, constant) = (one(1.0), one(0.0), x.detach());
            let id = |what: &str| BenchmarkId::new(what, format!("{shape:?}"));
            // Two readings, for the statistics and for the result, and one writing.
            group.throughput(Throughput::Bytes(12 * x.numel() as u64));
            group.bench_function(id("batch_norm"), |b| {
                let (weight, bias) = (weight.detach(), bias.detach());
                ganvil::threads(threads, || b.iter(|| black_box(constant.batch_norm(&weight, &bias, 1e-5).y)))
            });
            // And of both operands twice, and one writing.
            group.throughput(Throughput::Bytes(32 * x.numel() as u64));
            group.bench_function(id("batch_norm and gradients"), |b| {
                let g = std::slice::from_ref(&g);
                ganvil::threads(threads, || {
                    b.iter(|| grad(&[&x.batch_norm(&weight, &bias, 1e-5).y], &[&x, &weight, &bias], g, false))
                })
            });
        }
        group.finish();
    }
}

criterion_group!(benches, norm);
criterion_main!(benches);
