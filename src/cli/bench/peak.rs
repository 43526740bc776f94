//! The machine's ceilings, measured where the kernels run.

use super::kernels::{Bench, Work};
use crate::backend::cpu::fma_chain;
use rayon::prelude::*;
use std::hint::black_box;
use std::time::Instant;

/// Multiply-adds of f32 of the tier, on all threads, with nothing to load: GFLOP/s.
pub fn fma(threads: usize) -> f64 {
    const ROUNDS: usize = 200_000;
    let once = || {
        let start = Instant::now();
        let flops: usize = (0..threads).into_par_iter().map(|_| black_box(fma_chain(ROUNDS))).sum();
        flops as f64 / start.elapsed().as_secs_f64() * 1e-9
    };
    // The first wakes the threads and the clock.
    (0..9).map(|_| once()).skip(2).fold(0.0, f64::max)
}

/// Copies of arrays that a thread reads and writes over and over, `bytes` for all threads and both sides together: GB/s
/// read and written.
pub fn copy(bytes: usize, threads: usize) -> f64 {
    let each = (bytes / threads / 2 / 4).max(64);
    let mut sides: Vec<_> = (0..threads).map(|_| (vec![1.0f32; each], vec![0.0f32; each])).collect();
    let rounds = (50_000_000 / (8 * each)).clamp(1, 100_000);
    let mut once = || {
        let start = Instant::now();
        sides.par_iter_mut().for_each(|(from, to)| {
            for _ in 0..rounds {
                black_box(&mut *to).copy_from_slice(black_box(from));
            }
        });
        (8 * each * threads * rounds) as f64 / start.elapsed().as_secs_f64() * 1e-9
    };
    let mut rates: Vec<f64> = (0..7).map(|_| once()).collect();
    rates.sort_by(f64::total_cmp);
    rates[3]
}

/// Giving half of nothing to another thread and waiting for it, in microseconds.
pub fn fork_join() -> f64 {
    let mut times: Vec<f64> = (0..2000)
        .map(|_| {
            let start = Instant::now();
            rayon::join(|| black_box(()), || black_box(()));
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The rows of `ganvil bench peak`.
pub fn rows(b: &mut Bench) -> crate::Result<()> {
    let (threads, fma) = (b.threads, b.fma);
    b.given("multiply-adds, f32", fma, "GFLOP/s")?;
    for (what, bytes) in
        [("copy in L1, 24 KiB", 24 << 10), ("copy in L2, 600 KiB", 600 << 10), ("copy in L3, 8 MiB", 8 << 20)]
    {
        b.given(&format!("{what} a thread"), copy(bytes * threads, threads), "GB/s")?;
    }
    b.given("copy in memory, 384 MiB", copy(384 << 20, threads), "GB/s")?;
    b.given("fork and join", fork_join(), "us")?;
    let n = 1 << 22;
    let (x, mut y) = (vec![1.0f32; n], vec![0.0f32; n]);
    b.row("memcpy of 16 MiB, one thread", Work::Bytes(8 * n), || y.copy_from_slice(black_box(&x)))
}
