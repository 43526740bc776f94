//! Convolutions of two DCGANs in their three directions, in GFLOP/s.
//!
//!     cargo bench --bench conv
//!     GANVIL_SIMD=avx2 cargo bench --bench conv -- 'weight'
//!
//! Throughput counts the operations of the definition as elements: 2 for each tap, channel and output.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ganvil::backend::cpu::{ConvMode, simd, with_conv_mode};
use ganvil::rng::Stream;
use ganvil::{ConvOptions, DType, Device, Generator, Tensor};
use std::hint::black_box;

const BATCH: usize = 64;

/// Channels of the larger image and of the smaller one, and the larger one's side; windows of 4 x 4 that move by 2.
const LAYERS: [(usize, usize, usize); 5] =
    [(1, 64, 28), (64, 128, 14), (3, 64, 64), (128, 256, 16), (256, 512, 8)];

/// Images in channels-last order.
fn images(random: &Generator, [n, c, h, w]: [usize; 4]) -> Tensor {
    random.normal(&[n, h, w, c], 0.0, 1.0, DType::F32, Device::Cpu).permute(&[0, 3, 1, 2])
}

fn conv(c: &mut Criterion) {
    let random = Generator::new(0, Stream::General);
    let options = ConvOptions::new().stride(2).padding(1);
    for (threads, mode) in [(1, ConvMode::Fast), (2, ConvMode::Fast), (1, ConvMode::Exact)] {
        let title = format!("conv/{}/{}/{threads}t", simd::tier(), mode.name());
        let mut group = c.benchmark_group(title);
        for (channels, outputs, side) in LAYERS {
            let x = images(&random, [BATCH, channels, side, side]);
            let y = images(&random, [BATCH, outputs, side / 2, side / 2]);
            let w = random.normal(&[outputs, channels, 4, 4], 0.0, 1.0, DType::F32, Device::Cpu);
            group.throughput(Throughput::Elements(2 * (y.numel() * channels * 16) as u64));
            let mut row = |direction: &str, f: &(dyn Fn() -> Tensor + Sync)| {
                let layer = format!("{channels}<->{outputs}, {side}<->{}", side / 2);
                group.bench_function(BenchmarkId::new(direction, layer), |b| {
                    ganvil::threads(threads, || with_conv_mode(mode, || b.iter(|| black_box(f()))))
                });
            };
            row("down", &|| x.conv2d(&w, None, &options));
            row("up", &|| y.conv_transpose2d(&w, None, &options, [0, 0]));
            row("weight", &|| x.conv2d_weight_grad(&y, [4, 4], &options));
        }
        group.finish();
    }
}

criterion_group!(benches, conv);
criterion_main!(benches);
