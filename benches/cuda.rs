//! Kernels on a GPU: the GEMM ladder, convolutions, elementwise functions, losses, normalisation, additions
//! to indexed places, the optimiser.
//!
//!     cargo bench --bench cuda                    prints a line for each kernel and shape
//!     cargo bench --bench cuda -- conv            those whose name holds "conv"
//!
//! Columns: what, microseconds (median of batches of launches, each batch waited for), GFLOP/s or GB/s. Bytes are those
//! that must move: operands once in, results once out. Without a GPU it prints why it is skipped.

use ganvil::autograd::{GradOptions, grad_with};
use ganvil::backend::cuda::{self, CUDA, Rung};
use ganvil::backend::{self, View, ViewMut};
use ganvil::optim::{Adam, Optimizer};
use ganvil::rng::Stream;
use ganvil::{ConvOptions, DType, Device, Generator, Layout, Reduction, Tensor, no_grad};
use std::time::Instant;

/// What a rate counts.
enum Work {
    Flops(usize),
    Bytes(usize),
}

struct Bench {
    filter: Option<String>,
}

impl Bench {
    fn run(&self, name: &str, work: Work, mut f: impl FnMut()) {
        if self.filter.as_ref().is_some_and(|filter| !name.contains(filter.as_str())) {
            return;
        }
        let sync = || backend::of(Device::Cuda).synchronize();
        let mut timed = |count: usize| {
            let start = Instant::now();
            (0..count).for_each(|_| f());
            sync();
            start.elapsed().as_secs_f64() / count as f64
        };
        // The first launch loads and compiles its module.
        timed(3);
        let count = ((2e-3 / timed(10)) as usize).clamp(5, 2000);
        let mut times: Vec<f64> = (0..15).map(|_| timed(count)).collect();
        times.sort_by(f64::total_cmp);
        let seconds = times[times.len() / 2];
        let (rate, unit) = match work {
            Work::Flops(n) => (n as f64 / seconds / 1e9, "GFLOP/s"),
            Work::Bytes(n) => (n as f64 / seconds / 1e9, "GB/s"),
        };
        println!("{name:<44} {:>10.2} us {rate:>10.1} {unit}", seconds * 1e6);
    }
}

fn normal(shape: &[usize]) -> Tensor {
    Generator::new(0, Stream::General).normal(shape, 0.0, 1.0, DType::F32, Device::Cuda)
}

/// Dense in channels-last order, as results of layers are.
fn image(shape: [usize; 4]) -> Tensor {
    normal(&[shape[0], shape[2], shape[3], shape[1]]).permute(&[0, 3, 1, 2])
}

fn ladder(b: &Bench) {
    for (m, n, k) in [(64, 784, 256), (256, 256, 256), (1024, 1024, 1024), (4096, 4096, 4096)] {
        let gpu = backend::of(Device::Cuda);
        let bytes = |n: usize| (0..n).flat_map(|i| ((i % 7) as f32 - 3.0).to_ne_bytes()).collect::<Vec<u8>>();
        let (x, y) = (gpu.upload(DType::F32, &bytes(m * k)), gpu.upload(DType::F32, &bytes(k * n)));
        let mut z = gpu.alloc(DType::F32, m * n);
        let (lx, ly, lz) =
            (Layout::contiguous(&[m, k]), Layout::contiguous(&[k, n]), Layout::contiguous(&[m, n]));
        for rung in Rung::ALL {
            b.run(&format!("gemm {} {m} {n} {k}", rung.name()), Work::Flops(2 * m * n * k), || {
                let (x, y) = (View { storage: &x, layout: &lx }, View { storage: &y, layout: &ly });
                CUDA.gemm_rung(rung, x, y, ViewMut { storage: &mut z, layout: &lz });
            });
        }
    }
}

fn convolutions(b: &Bench) {
    // Images, channels, side, outputs: layers of dcgan28 and dcgan64, all 4 x 4 with stride 2 and padding 1.
    for (n, c, side, o) in [
        (64, 1, 28, 64),
        (64, 64, 14, 128),
        (64, 3, 64, 64),
        (64, 64, 32, 128),
        (64, 128, 16, 256),
        (64, 256, 8, 512),
    ] {
        let options = ConvOptions::new().stride(2).padding(1);
        let (x, w) = (image([n, c, side, side]), normal(&[o, c, 4, 4]));
        let g = image([n, o, side / 2, side / 2]);
        let work = || Work::Flops(2 * n * (side / 2) * (side / 2) * o * c * 16);
        let shape = format!("{n}x{c}x{side}x{side} -> {o}");
        b.run(&format!("conv2d {shape}"), work(), || drop(x.conv2d(&w, None, &options)));
        b.run(&format!("conv2d_input_grad {shape}"), work(), || {
            drop(g.conv_transpose2d(&w, None, &options, [0, 0]));
        });
        b.run(&format!("conv2d_weight_grad {shape}"), work(), || {
            drop(x.conv2d_weight_grad(&g, [4, 4], &options));
        });
    }
}

fn memory_bound(b: &Bench) {
    let n = 16 << 20;
    let (x, y) = (normal(&[n]), normal(&[n]));
    b.run("copy 16M", Work::Bytes(8 * n), || drop(x.add_scalar(0.0)));
    b.run("leaky_relu 16M", Work::Bytes(8 * n), || drop(x.leaky_relu(0.2)));
    b.run("tanh 16M", Work::Bytes(8 * n), || drop(x.tanh()));
    b.run("add 16M", Work::Bytes(12 * n), || drop(x.add(&y)));
    b.run("sum 16M", Work::Bytes(4 * n), || drop(x.sum_all()));
    let target = y.sigmoid();
    b.run("bce_with_logits 16M", Work::Bytes(8 * n), || drop(x.bce_with_logits(&target, Reduction::Mean)));
    let m = x.reshape(&[4096, 4096]);
    b.run("transpose 4096x4096", Work::Bytes(8 * n), || drop(m.t().contiguous()));
    b.run("softmax 4096x4096", Work::Bytes(8 * n), || drop(m.softmax(1)));
    let t = m.clone().requires_grad();
    let y = t.softmax(1);
    b.run("softmax_grad 4096x4096", Work::Bytes(12 * n), || {
        let options =
            GradOptions { grad_outputs: std::slice::from_ref(&m), create_graph: false, retain_graph: true };
        drop(grad_with(&[&y], &[&t], &options));
    });
    let class = m.argmax(1, false);
    b.run("cross_entropy 4096x4096", Work::Bytes(4 * n), || drop(m.cross_entropy(&class, Reduction::Mean)));
    let loss = t.cross_entropy(&class, Reduction::Mean);
    b.run("cross_entropy_grad 4096x4096", Work::Bytes(8 * n), || {
        drop(grad_with(&[&loss], &[&t], &GradOptions { retain_graph: true, ..GradOptions::default() }));
    });
    let random = Generator::new(0, Stream::General);
    b.run("normal 16M", Work::Bytes(4 * n), || drop(random.normal(&[n], 0.0, 1.0, DType::F32, Device::Cuda)));
    let (rows, width) = (x.reshape(&[16384, 1024]).requires_grad(), [1024]);
    let (w, bias) = (normal(&width).requires_grad(), normal(&width).requires_grad());
    b.run("layer_norm 16384x1024", Work::Bytes(8 * n), || {
        drop(no_grad(|| rows.layer_norm(&width, Some(&w), Some(&bias), 1e-5)));
    });
    let (z, g) = (rows.layer_norm(&width, Some(&w), Some(&bias), 1e-5), y.reshape(&[16384, 1024]).detach());
    b.run("layer_norm_grad 16384x1024", Work::Bytes(20 * n), || {
        let options =
            GradOptions { grad_outputs: std::slice::from_ref(&g), create_graph: false, retain_graph: true };
        drop(grad_with(&[&z], &[&rows, &w, &bias], &options));
    });
    let (x, c) = (image([64, 128, 28, 28]), 128);
    let (w, bias) = (normal(&[c]), normal(&[c]));
    b.run("group_norm 64x128x28x28 by 32", Work::Bytes(8 * x.numel()), || {
        drop(x.group_norm(32, Some(&w), Some(&bias), 1e-5));
    });
    b.run("instance_norm 64x128x28x28", Work::Bytes(8 * x.numel()), || {
        drop(x.instance_norm(Some(&w), Some(&bias), 1e-5));
    });
    b.run("batch_norm 64x128x28x28", Work::Bytes(12 * x.numel()), || drop(x.batch_norm(&w, &bias, 1e-5).y));
}

/// The gradients of an embedding with few rows, and of a choice of single elements.
fn scattering(b: &Bench) {
    let index = |n: usize, rows: usize| {
        let each: Vec<i64> = (0..n).map(|i| (i * 7919 % rows) as i64).collect();
        Tensor::from(&each[..]).to_device(Device::Cuda)
    };
    for (n, rows, width) in [(65536, 10, 128), (65536, 50_000, 128)] {
        let (table, src, index) = (normal(&[rows, width]), normal(&[n, width]), index(n, rows));
        let bytes = 4 * n * width + 8 * n + 8 * rows * width;
        b.run(&format!("index_add {n}x{width} -> {rows}"), Work::Bytes(bytes), || {
            drop(table.index_add(0, &index, &src));
        });
    }
    let (n, places) = (1 << 20, 1000);
    let (acc, src, index) = (normal(&[places]), normal(&[n]), index(n, places));
    b.run("scatter_add 1M -> 1000", Work::Bytes(12 * n + 8 * places), || {
        drop(acc.scatter_add(0, &index, &src));
    });
}

fn optimiser(b: &Bench) {
    let mut params: Vec<Tensor> = (0..4).map(|_| normal(&[1024, 1024])).collect();
    let count: usize = params.iter().map(|p| p.numel()).sum();
    let mut adam = Optimizer::new(Adam::default());
    let grads: Vec<Tensor> = (0..4).map(|_| normal(&[1024, 1024])).collect();
    b.run("adam 4.2M", Work::Bytes(28 * count), || {
        adam.step(params.iter_mut().collect(), grads.iter().cloned().map(Some).collect());
    });
}

fn main() {
    // `cargo bench` says --bench; what is left is a filter.
    let filter = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    match cuda::open(Device::Cuda) {
        Err(e) => return println!("SKIPPED: {e}"),
        Ok(description) => println!("{description}"),
    }
    let b = Bench { filter };
    ladder(&b);
    convolutions(&b);
    memory_bound(&b);
    scattering(&b);
    optimiser(&b);
}
