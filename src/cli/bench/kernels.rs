//! `ganvil bench gemm`, `conv`, `map`, `norm` and `optim`: kernels as ops call them (products into memory that is there), each
//! with its share of what the machine can do at that moment.

use super::peak;
use crate::autograd::{GradOptions, grad_with};
use crate::backend::cpu::simd::tier;
use crate::backend::cpu::{ConvMode, DIRECT_B_ROWS, MatRef, turned, with_conv_mode};
use crate::backend::{Epilogue, ViewMut};
use crate::optim::{Adam, Optimizer};
use crate::rng::Stream;
use crate::{ConvOptions, DType, Device, Generator, Layout, Reduction, Result, Tensor};
use serde_json::json;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

#[derive(clap::Args)]
pub struct Args {
    /// Kernel threads
    #[arg(long, default_value_t = 1, value_name = "N")]
    threads: usize,
    /// Convolutions: fast or exact
    #[arg(long, value_name = "WAY", default_value = "fast")]
    conv: ConvMode,
    /// Only rows whose name has this in it
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Print one JSON object for each row
    #[arg(long)]
    json: bool,
}

/// What a call does, from which its rate follows.
#[derive(Clone, Copy)]
pub enum Work {
    /// Floating-point operations.
    Flops(usize),
    /// Bytes that must be moved at least.
    Bytes(usize),
}

/// Measures and prints.
pub struct Bench {
    pub threads: usize,
    /// GFLOP/s of multiply-adds.
    pub fma: f64,
    conv: ConvMode,
    only: String,
    json: bool,
    /// Rates of copies by their bytes.
    copies: BTreeMap<usize, f64>,
}

/// Runs rows on their threads.
pub fn run(args: &Args, rows: fn(&mut Bench) -> Result<()>) -> Result<()> {
    let threads = super::super::threads(Some(args.threads))?;
    crate::threads(threads, || {
        let fma = peak::fma(threads);
        note!("{} {}, {threads} threads, {fma:.0} GFLOP/s", tier(), args.conv.name());
        if threads > 1 {
            note!("fork and join {:.2} us", peak::fork_join());
        }
        let (only, copies) = (args.only.clone(), BTreeMap::new());
        rows(&mut Bench { threads, fma, conv: args.conv, only, json: args.json, copies })
    })
}

impl Bench {
    /// A row: the median of 15 measurements of some milliseconds each.
    pub fn row(&mut self, name: &str, work: Work, mut f: impl FnMut()) -> Result<()> {
        if !name.contains(&self.only) {
            return Ok(());
        }
        let mut time = |rounds: usize| {
            let start = Instant::now();
            (0..rounds).for_each(|_| f());
            start.elapsed().as_secs_f64() / rounds as f64
        };
        time(2);
        let rounds = (0.004 / time(1).max(1e-7)).clamp(1.0, 10_000.0) as usize;
        let mut times: Vec<f64> = (0..15).map(|_| time(rounds)).collect();
        times.sort_by(f64::total_cmp);
        let seconds = times[times.len() / 2];
        let (amount, unit, peak) = match work {
            Work::Flops(n) => (n, "GFLOP/s", self.fma),
            Work::Bytes(n) => {
                let threads = self.threads;
                (n, "GB/s", *self.copies.entry(n).or_insert_with(|| peak::copy(n, threads)))
            }
        };
        let rate = amount as f64 / seconds * 1e-9;
        self.print(name, Some(seconds), rate, unit, Some(rate / peak))
    }

    /// A row of which the rate is known.
    pub fn given(&self, name: &str, rate: f64, unit: &str) -> Result<()> {
        if name.contains(&self.only) { self.print(name, None, rate, unit, None) } else { Ok(()) }
    }

    fn print(
        &self,
        name: &str,
        seconds: Option<f64>,
        rate: f64,
        unit: &str,
        share: Option<f64>,
    ) -> Result<()> {
        let us = seconds.map(|s| s * 1e6);
        if self.json {
            let row = json!({
                "name": name, "threads": self.threads, "tier": tier().name(), "conv": self.conv.name(),
                "us": us, "rate": rate, "unit": unit, "share": share,
            });
            return super::super::print(&format!("{row}\n"));
        }
        let us = us.map_or("-".into(), |us| format!("{us:.1}"));
        let share = share.map_or("-".into(), |s| format!("{:.0} %", 100.0 * s));
        super::super::print(&format!("{name} | {} | {us} | {rate:.1} {unit} | {share}\n", self.threads))
    }
}

fn normal(shape: &[usize]) -> Tensor {
    Generator::new(0, Stream::General).normal(shape, 0.0, 1.0, DType::F32, Device::Cpu)
}

/// Images in channels-last order.
fn images([n, c, h, w]: [usize; 4]) -> Tensor {
    normal(&[n, h, w, c]).permute(&[0, 3, 1, 2])
}

/// How operands are stored (T: transposed), m, n, k: squares, and layers of GANs forward (NT), for the input (NN) and for
/// the weight (TN).
const PRODUCTS: &str = "NN 64 64 64, NN 128 128 128, NN 256 256 256, NN 512 512 512, NN 1024 1024 1024, \
    NN 2048 2048 2048, NT 512 512 512, TN 512 512 512, NT 64 512 784, NN 64 784 512, TN 512 784 64, NT 128 512 784, \
    NN 128 784 512, TN 512 784 128, NT 64 784 512, NT 128 784 512, NT 64 256 100, NN 64 100 256, TN 256 100 64, \
    NT 128 256 100, TN 256 100 128, NT 64 128 128, TN 128 128 64, NT 64 784 256, NT 64 256 784, NN 64 784 256, \
    TN 256 784 64, TN 784 256 64, NT 64 1 128, TN 1 128 64, NT 64 6272 100, TN 6272 100 64, NT 64 1 6272, \
    NT 3136 128 1024, NN 3136 1024 128, TN 128 1024 3136, NT 4096 256 2048, NN 4096 2048 256, TN 256 2048 4096";

/// `ganvil bench gemm`
pub fn gemm(b: &mut Bench) -> Result<()> {
    for name in PRODUCTS.split(", ") {
        let (stored, sizes) = name.split_once(' ').expect("a kind and sizes");
        let sizes: Vec<usize> = sizes.split(' ').map(|v| v.parse().expect("a number")).collect();
        let [m, n, k] = sizes[..] else { unreachable!("three sizes") };
        let operand = |rows, columns, turned: bool| {
            if turned { normal(&[columns, rows]).t() } else { normal(&[rows, columns]) }
        };
        let (x, y) = (operand(m, k, stored.starts_with('T')), operand(k, n, stored.ends_with('T')));
        let (backend, layout) = (x.backend(), Layout::contiguous(&[m, n]));
        let mut c = backend.alloc(DType::F32, m * n);
        b.row(name, Work::Flops(2 * m * n * k), || {
            backend.gemm(
                x.view(),
                y.view(),
                Epilogue::default(),
                ViewMut { storage: black_box(&mut c), layout: &layout },
            );
        })?;
        // A weight that lies transposed is turned once and multiplied by several batches: what turning it takes.
        if stored == "NT" && m <= DIRECT_B_ROWS && n > 1 {
            let data = y.t().to_vec::<f32>();
            let weight = MatRef { data: &data[..], rs: 1, cs: k };
            b.row(&format!("{name}, turning B"), Work::Bytes(8 * n * k), || {
                drop(black_box(turned(weight, k, n)));
            })?;
        }
    }
    Ok(())
}

/// A convolution from the larger image to the smaller one, both square.
struct Layer {
    /// What stands before its sizes in a row's name.
    name: &'static str,
    batch: usize,
    /// Of the larger image and of the smaller one.
    channels: [usize; 2],
    /// Of the larger image.
    side: usize,
    window: usize,
    stride: usize,
    padding: usize,
}

/// A layer of one of the two DCGANs: 4 x 4 windows, a batch of 64.
const fn of_dcgan(
    name: &'static str,
    channels: [usize; 2],
    side: usize,
    stride: usize,
    padding: usize,
) -> Layer {
    Layer { name, batch: 64, channels, side, window: 4, stride, padding }
}

/// A layer that no network here has.
const fn odd(
    name: &'static str,
    batch: usize,
    channels: [usize; 2],
    side: usize,
    [window, stride, padding]: [usize; 3],
) -> Layer {
    Layer { name, batch, channels, side, window, stride, padding }
}

const LAYERS: [Layer; 19] = [
    of_dcgan("28", [1, 64], 28, 2, 1),
    of_dcgan("28", [64, 128], 14, 2, 1),
    of_dcgan("64", [3, 64], 64, 2, 1),
    of_dcgan("64", [64, 128], 32, 2, 1),
    of_dcgan("64", [128, 256], 16, 2, 1),
    of_dcgan("64", [256, 512], 8, 2, 1),
    of_dcgan("64", [512, 1], 4, 1, 0),
    of_dcgan("64", [512, 100], 4, 1, 0),
    odd("odd, 64 of 5x5 by 2", 64, [48, 96], 15, [5, 2, 2]),
    odd("odd, 50 of 3x3 by 1", 50, [64, 64], 32, [3, 1, 1]),
    odd("odd, 33 of 3x3 by 1", 33, [48, 96], 16, [3, 1, 1]),
    odd("odd, 7 of 3x3 by 2", 7, [96, 96], 32, [3, 2, 1]),
    odd("odd, 20 of 5x5 by 1", 20, [32, 48], 28, [5, 1, 2]),
    odd("odd, 100 of 5x5 by 2", 100, [64, 128], 14, [5, 2, 2]),
    odd("odd, 17 of 4x4 by 2", 17, [96, 192], 32, [4, 2, 1]),
    odd("odd, 48 of 1x1 by 1", 48, [64, 128], 16, [1, 1, 0]),
    odd("odd, 50 of 3x3 by 1", 50, [3, 48], 32, [3, 1, 1]),
    odd("odd, 13 of 4x4 by 2", 13, [5, 70], 31, [4, 2, 1]),
    odd("odd, 31 of 7x7 by 1", 31, [3, 32], 32, [7, 1, 3]),
];

/// `ganvil bench conv`: down is the forward pass of a convolution and the input gradient of a transposed one, up the other
/// way round.
pub fn conv(b: &mut Bench) -> Result<()> {
    let mode = b.conv;
    for Layer { name, batch, channels: [c, o], side, window: k, stride, padding } in LAYERS {
        let options = ConvOptions::new().stride(stride).padding(padding);
        let small = (side + 2 * padding - k) / stride + 1;
        let rest = [(side + 2 * padding - k) % stride; 2];
        let (x, g) = (images([batch, c, side, side]), images([batch, o, small, small]));
        let w = normal(&[o, c, k, k]);
        let work = Work::Flops(2 * batch * small * small * k * k * c * o);
        let name = format!("{name}: {c}<->{o}, {side}<->{small}");
        let mut row = |what: &str, f: &dyn Fn() -> Tensor| {
            let name = format!("{name}, {what}");
            with_conv_mode(mode, || b.row(&name, work, || drop(black_box(f()))))
        };
        row("down", &|| x.conv2d(&w, None, &options))?;
        row("up", &|| g.conv_transpose2d(&w, None, &options, rest))?;
        row("weight", &|| x.conv2d_weight_grad(&g, [k, k], &options))?;
    }
    Ok(())
}

/// What a gradient costs by itself: `y` was computed from `of`, and is walked again and again.
fn backward(y: &Tensor, of: &[&Tensor], g: Option<&Tensor>) {
    let grad_outputs = g.map_or(&[][..], std::slice::from_ref);
    let options = GradOptions { grad_outputs, retain_graph: true, ..GradOptions::default() };
    drop(black_box(grad_with(&[y], of, &options)));
}

/// `ganvil bench map`
pub fn map(b: &mut Bench) -> Result<()> {
    let random = Generator::new(1, Stream::General);
    for n in [64 * 64, 64 * 784, 64 * 128 * 49, 64 * 64 * 196, 64 * 64 * 1024] {
        let (x, g) = (normal(&[n]), normal(&[n]));
        let leaf = x.detach().requires_grad();
        let (leaky, tanh) = (leaf.leaky_relu(0.2), leaf.tanh());
        let mut row = |what: &str, tensors: usize, f: &mut dyn FnMut()| {
            b.row(&format!("{what} {n}"), Work::Bytes(4 * tensors * n), f)
        };
        row("leaky_relu fwd", 2, &mut || drop(black_box(x.leaky_relu(0.2))))?;
        row("leaky_relu bwd", 3, &mut || backward(&leaky, &[&leaf], Some(&g)))?;
        row("tanh fwd", 2, &mut || drop(black_box(x.tanh())))?;
        row("tanh bwd", 3, &mut || backward(&tanh, &[&leaf], Some(&g)))?;
        row("sigmoid fwd", 2, &mut || drop(black_box(x.sigmoid())))?;
        row("exp fwd", 2, &mut || drop(black_box(x.exp())))?;
        row("add", 3, &mut || drop(black_box(x.add(&g))))?;
        row("sum", 1, &mut || drop(black_box(x.sum_all())))?;
        row("randn", 1, &mut || drop(black_box(random.normal(&[n], 0.0, 1.0, DType::F32, Device::Cpu))))?;
    }
    for n in [64, 64 * 784] {
        let target = Tensor::ones(&[n], DType::F32, Device::Cpu);
        let p = random.uniform(&[n], 0.0, 1.0, DType::F32, Device::Cpu);
        let leaf = p.detach().requires_grad();
        type Loss = fn(&Tensor, &Tensor, Reduction) -> Tensor;
        for (what, loss) in [("bce", Tensor::bce as Loss), ("bce_with_logits", Tensor::bce_with_logits)] {
            b.row(&format!("{what} fwd {n}"), Work::Bytes(8 * n), || {
                drop(black_box(loss(&p, &target, Reduction::Mean)));
            })?;
            let y = loss(&leaf, &target, Reduction::Mean);
            b.row(&format!("{what} bwd {n}"), Work::Bytes(12 * n), || backward(&y, &[&leaf], None))?;
        }
    }
    Ok(())
}

/// `ganvil bench norm`
pub fn norm(b: &mut Bench) -> Result<()> {
    for shape in [[64, 128, 7, 7], [64, 64, 14, 14], [64, 64, 32, 32]] {
        let (x, g, c) = (images(shape), images(shape), shape[1]);
        let (weight, bias) = (Tensor::ones(&[c], DType::F32, Device::Cpu), normal(&[c]));
        let n = x.numel();
        b.row(&format!("batch_norm fwd {shape:?}"), Work::Bytes(12 * n), || {
            drop(black_box(x.batch_norm(&weight, &bias, 1e-5).y));
        })?;
        let leaves = [&x, &weight, &bias].map(|t| t.detach().requires_grad());
        let y = leaves[0].batch_norm(&leaves[1], &leaves[2], 1e-5).y;
        b.row(&format!("batch_norm bwd {shape:?}"), Work::Bytes(20 * n), || {
            backward(&y, &leaves.each_ref(), Some(&g));
        })?;
        b.row(&format!("group_norm of 8 fwd {shape:?}"), Work::Bytes(8 * n), || {
            drop(black_box(x.group_norm(8, Some(&weight), Some(&bias), 1e-5)));
        })?;
    }
    let x = normal(&[4096, 1000]);
    b.row("softmax fwd [4096, 1000]", Work::Bytes(8 * x.numel()), || drop(black_box(x.softmax(1))))
}

/// `ganvil bench optim`
pub fn optim(b: &mut Bench) -> Result<()> {
    // Weights of its transposed convolutions and of its batch norms.
    let g64: &[&[usize]] = &[
        &[512, 256, 4, 4],
        &[256, 128, 4, 4],
        &[128, 64, 4, 4],
        &[100, 512, 4, 4],
        &[64, 3, 4, 4],
        &[512],
        &[256],
        &[128],
        &[64],
    ];
    for (name, shapes) in [("one tensor of 3.5 M", &[&[3_500_000][..]][..]), ("weights of dcgan64's G", g64)]
    {
        let mut parameters: Vec<Tensor> = shapes.iter().map(|s| normal(s).requires_grad()).collect();
        let grads: Vec<Tensor> = shapes.iter().map(|s| normal(s)).collect();
        let n: usize = grads.iter().map(Tensor::numel).sum();
        let mut adam = Optimizer::new(Adam::default());
        b.row(&format!("adam, {name}"), Work::Bytes(28 * n), || {
            adam.step(parameters.iter_mut().collect(), grads.iter().cloned().map(Some).collect());
        })?;
    }
    Ok(())
}
