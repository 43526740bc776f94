//! Matrix products at the shapes of small GANs, in GFLOP/s.
//!
//!     cargo bench --bench gemm                    (all threads)
//!     GANVIL_SIMD=avx2 cargo bench --bench gemm -- 'NT 64'
//!
//! Throughput counts 2 m n k floating-point operations as elements. `plain` is the textbook triple loop, for scale.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ganvil::backend::cpu::simd;
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Tensor};
use std::hint::black_box;

/// Which operands are stored transposed, and m, n, k: forward (NT), input gradient (NN) and weight gradient (TN) of the
/// layers of the fully connected GANs, and squares.
const SHAPES: [(&str, usize, usize, usize); 12] = [
    ("NT", 64, 512, 784),
    ("NN", 64, 784, 512),
    ("TN", 512, 784, 64),
    ("NT", 64, 256, 512),
    ("NT", 64, 784, 256),
    ("NN", 64, 256, 784),
    ("TN", 784, 256, 64),
    ("NT", 64, 256, 100),
    ("NT", 64, 1, 256),
    ("NN", 128, 128, 128),
    ("NN", 512, 512, 512),
    ("NN", 1024, 1024, 1024),
];

fn operand(rows: usize, columns: usize, transposed: bool, random: &Generator) -> Tensor {
    let stored = if transposed { [columns, rows] } else { [rows, columns] };
    let x = random.normal(&stored, 0.0, 1.0, DType::F32, Device::Cpu);
    if transposed { x.t() } else { x }
}

fn plain(a: &[f32], b: &[f32], c: &mut [f32], (m, n, k): (usize, usize, usize)) {
    for i in 0..m {
        for j in 0..n {
            c[i * n + j] = (0..k).map(|p| a[i * k + p] * b[p * n + j]).sum();
        }
    }
}

fn gemm(c: &mut Criterion) {
    let random = Generator::new(0, Stream::General);
    for threads in [1, 2] {
        let mut group = c.benchmark_group(format!("gemm/{}/{threads}t", simd::tier()));
        for (kind, m, n, k) in SHAPES {
            let a = operand(m, k, kind.starts_with('T'), &random);
            let b = operand(k, n, kind.ends_with('T'), &random);
            group.throughput(Throughput::Elements((2 * m * n * k) as u64));
            group.bench_function(BenchmarkId::from_parameter(format!("{kind} {m} {n} {k}")), |bench| {
                ganvil::threads(threads, || bench.iter(|| black_box(a.matmul(&b))))
            });
        }
        group.finish();
    }
    let (m, n, k) = (64, 512, 784);
    let (a, b) = (operand(m, k, false, &random).to_vec(), operand(k, n, false, &random).to_vec());
    let mut out = vec![0.0f32; m * n];
    let mut group = c.benchmark_group("gemm/plain/1t");
    group.throughput(Throughput::Elements((2 * m * n * k) as u64));
    group.sample_size(10);
    group.bench_function(format!("NN {m} {n} {k}"), |bench| {
        bench.iter(|| plain(&a, &b, black_box(&mut out), (m, n, k)))
    });
    group.finish();
}

criterion_group!(benches, gemm);
criterion_main!(benches);
