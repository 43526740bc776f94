//! Four ways to multiply matrices on a GPU, and what each asks of the memory.
//!
//!     cargo run --release --example gemm_ladder --features ptxsim              on the simulator: counts
//!     cargo run --release --example gemm_ladder -- cuda 1024                   on a GPU: times
//!
//! kernels/gemm.cu has the kernels, from the one that is easiest to read to the one that ops launch. The simulator executes
//! their PTX and counts: those numbers are facts about the kernels. How long it takes itself says nothing about a GPU.

use ganvil::backend::cuda::{self, CUDA, PTXSIM, Rung};
use ganvil::backend::{Backend, View, ViewMut};
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Layout};
use std::time::Instant;

fn main() -> ganvil::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let device: Device = arguments.next().map_or(Ok(Device::Ptxsim), |name| name.parse())?;
    let n: usize = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(256);
    println!("{}, {n} x {n} x {n}", cuda::open(device)?);
    let gpu = if device == Device::Cuda { &CUDA } else { &PTXSIM };
    let random = Generator::new(0, Stream::General);
    let matrix = || random.normal(&[n, n], 0.0, 1.0, DType::F32, Device::Cpu);
    let (a, b) = (matrix(), matrix());
    let want = a.matmul(&b).to_vec::<f32>();
    let square = Layout::contiguous(&[n, n]);
    let upload = |m: &ganvil::Tensor| {
        gpu.upload(DType::F32, &m.to_vec::<f32>().iter().flat_map(|v| v.to_ne_bytes()).collect::<Vec<u8>>())
    };
    let (x, y) = (upload(&a), upload(&b));
    let mut z = gpu.alloc(DType::F32, n * n);
    let mut multiply = |rung| {
        let (x, y) = (View { storage: &x, layout: &square }, View { storage: &y, layout: &square });
        gpu.gemm_rung(rung, x, y, ViewMut { storage: &mut z, layout: &square });
        gpu.synchronize();
    };
    if device == Device::Cuda {
        println!("rung             us   GFLOP/s");
    } else {
        println!("rung       warp instructions  FMA share  sectors / ideal  bank conflicts");
    }
    for rung in Rung::ALL {
        multiply(rung);
        cuda::simulator_counts();
        if device == Device::Cuda {
            let times: Vec<f64> = (0..20)
                .map(|_| {
                    let t = Instant::now();
                    multiply(rung);
                    t.elapsed().as_secs_f64()
                })
                .collect();
            let best = times.into_iter().fold(f64::MAX, f64::min);
            println!(
                "{:<10} {:>8.1} {:>9.0}",
                rung.name(),
                best * 1e6,
                2.0 * (n as f64).powi(3) / best / 1e9
            );
        } else {
            multiply(rung);
            let counts: serde_json::Value =
                serde_json::from_str(&cuda::simulator_counts().unwrap_or_default()).unwrap_or_default();
            let c = &counts["total"];
            let instructions = c["warp_instructions"].as_u64().unwrap_or(0);
            let fma = (n * n * n / 32) as f64 / instructions as f64;
            let (sectors, ideal) = (
                c["global"]["sectors"].as_u64().unwrap_or(0),
                c["global"]["ideal_sectors"].as_u64().unwrap_or(0),
            );
            println!(
                "{:<10} {instructions:>17} {:>9.1}% {sectors:>9} / {ideal:<9} {:>10}",
                rung.name(),
                100.0 * fma,
                c["shared"]["bank_conflicts"]
            );
        }
    }
    let mut bytes = vec![0u8; 4 * n * n];
    gpu.download(&z, 0, &mut bytes);
    let got = bytes.as_chunks::<4>().0.iter().map(|b| f32::from_ne_bytes(*b));
    let error = got.zip(&want).map(|(g, w)| (g - w).abs()).fold(0.0, f32::max);
    println!("largest difference from the CPU's product: {error:.1e}");
    Ok(())
}
