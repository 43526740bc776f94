//! cudarc, unmodified, running plain kernels.

mod common;

use common::Sim;
use cudarc::driver::{LaunchConfig, PushKernelArg};

const PLAIN: &str = include_str!("kernels/plain.ptx");

fn cfg(grid: u32, block: u32) -> LaunchConfig {
    LaunchConfig { grid_dim: (grid, 1, 1), block_dim: (block, 1, 1), shared_mem_bytes: 0 }
}

/// Numbers that look random and are the same each time.
fn noise(n: usize, seed: u32) -> Vec<f32> {
    let mut x = seed.wrapping_mul(747_796_405).wrapping_add(1);
    (0..n)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            (x >> 8) as f32 / (1u32 << 24) as f32 - 0.5
        })
        .collect()
}

#[test]
fn device_says_what_it_is() {
    let sim = Sim::new();
    assert_eq!(sim.ctx.name().unwrap(), "ptxsim (CPU)");
    assert_eq!(sim.ctx.compute_capability().unwrap(), (9, 0));
    assert!(sim.ctx.has_async_alloc());
}

#[test]
fn adds_vectors() {
    let sim = Sim::new();
    let f = sim.function(PLAIN, "vec_add");
    let n = 1000;
    let (a, b) = (noise(n, 1), noise(n, 2));
    let (da, db) = (sim.stream.clone_htod(&a).unwrap(), sim.stream.clone_htod(&b).unwrap());
    let mut dc = sim.stream.alloc_zeros::<f32>(n).unwrap();
    // SAFETY: the arguments are the kernel's.
    unsafe {
        sim.stream
            .launch_builder(&f)
            .arg(&da)
            .arg(&db)
            .arg(&mut dc)
            .arg(&(n as i32))
            .launch(cfg(4, 256))
            .unwrap()
    };
    let c = sim.stream.clone_dtoh(&dc).unwrap();
    for i in 0..n {
        assert_eq!(c[i], a[i] + b[i], "at {i}");
    }
}

#[test]
fn sums_by_shuffles() {
    let sim = Sim::new();
    let f = sim.function(PLAIN, "block_sum");
    let n = 5000;
    let x: Vec<f32> = (0..n).map(|i| (i % 17) as f32).collect();
    let dx = sim.stream.clone_htod(&x).unwrap();
    let mut out = sim.stream.alloc_zeros::<f32>(3).unwrap();
    // SAFETY: the arguments are the kernel's.
    unsafe { sim.stream.launch_builder(&f).arg(&dx).arg(&mut out).arg(&n).launch(cfg(3, 256)).unwrap() };
    let parts = sim.stream.clone_dtoh(&out).unwrap();
    // Whole numbers this small add without rounding in any order.
    assert_eq!(parts.iter().sum::<f32>(), x.iter().sum::<f32>());
}

#[test]
fn multiplies_matrices() {
    let sim = Sim::new();
    let f = sim.function(PLAIN, "sgemm");
    let (m, n, k) = (100usize, 70, 37);
    let (a, b) = (noise(m * k, 3), noise(k * n, 4));
    let (da, db) = (sim.stream.clone_htod(&a).unwrap(), sim.stream.clone_htod(&b).unwrap());
    let mut dc = sim.stream.alloc_zeros::<f32>(m * n).unwrap();
    let config = LaunchConfig { grid_dim: (2, 2, 1), block_dim: (256, 1, 1), shared_mem_bytes: 0 };
    let sizes = [m as i32, n as i32, k as i32];
    // SAFETY: the arguments are the kernel's.
    unsafe {
        let mut launch = sim.stream.launch_builder(&f);
        launch.arg(&da).arg(&db).arg(&mut dc).arg(&sizes[0]).arg(&sizes[1]).arg(&sizes[2]);
        launch.launch(config).unwrap()
    };
    let c = sim.stream.clone_dtoh(&dc).unwrap();
    for i in 0..m {
        for j in 0..n {
            // The kernel's own order: one fused multiply-add after another.
            let want = (0..k).fold(0f32, |s, q| a[i * k + q].mul_add(b[q * n + j], s));
            assert_eq!(c[i * n + j], want, "at {i}, {j}");
        }
    }
}

#[test]
fn transposes_through_dynamic_shared_memory() {
    let sim = Sim::new();
    let f = sim.function(PLAIN, "transpose");
    let (rows, cols) = (45usize, 70);
    let x = noise(rows * cols, 5);
    let dx = sim.stream.clone_htod(&x).unwrap();
    let mut dy = sim.stream.alloc_zeros::<f32>(rows * cols).unwrap();
    let config = LaunchConfig { grid_dim: (3, 2, 1), block_dim: (32, 8, 1), shared_mem_bytes: 32 * 33 * 4 };
    // SAFETY: the arguments are the kernel's.
    unsafe {
        sim.stream
            .launch_builder(&f)
            .arg(&dx)
            .arg(&mut dy)
            .arg(&(rows as i32))
            .arg(&(cols as i32))
            .launch(config)
            .unwrap()
    };
    let y = sim.stream.clone_dtoh(&dy).unwrap();
    for r in 0..rows {
        for c in 0..cols {
            assert_eq!(y[c * rows + r], x[r * cols + c]);
        }
    }
}

fn collatz(mut v: i32) -> i32 {
    let mut c = 0;
    while v != 1 {
        v = if v & 1 == 1 { 3 * v + 1 } else { v / 2 };
        c += 1;
        if c == 200 {
            break;
        }
    }
    c
}

#[test]
fn lanes_part_and_meet() {
    let sim = Sim::new();
    let f = sim.function(PLAIN, "collatz");
    let n = 300;
    let x: Vec<i32> = (1..=n).collect();
    let dx = sim.stream.clone_htod(&x).unwrap();
    let mut steps = sim.stream.alloc_zeros::<i32>(n as usize).unwrap();
    let mut kind = sim.stream.alloc_zeros::<i32>(n as usize).unwrap();
    // SAFETY: the arguments are the kernel's.
    unsafe {
        sim.stream
            .launch_builder(&f)
            .arg(&dx)
            .arg(&mut steps)
            .arg(&mut kind)
            .arg(&n)
            .launch(cfg(5, 64))
            .unwrap()
    };
    let (steps, kind) = (sim.stream.clone_dtoh(&steps).unwrap(), sim.stream.clone_dtoh(&kind).unwrap());
    for i in 0..n as usize {
        let c = collatz(x[i]);
        assert_eq!(steps[i], c, "at {i}");
        let warp = i / 32 * 32..(i / 32 * 32 + 32).min(n as usize);
        let want = match c % 5 {
            0 => c,
            1 => c * 3,
            // All lanes meet again after their loops, so the whole warp votes.
            2 => warp.filter(|&j| collatz(x[j]) & 1 == 1).count() as i32,
            3 => 7,
            _ => 1,
        };
        assert_eq!(kind[i], want, "at {i}");
    }
}

#[test]
fn draws_philox_numbers() {
    let sim = Sim::new();
    let f = sim.function(PLAIN, "philox_normal");
    let n = 1024usize;
    let mut out = sim.stream.alloc_zeros::<f32>(n).unwrap();
    let mut bits = sim.stream.alloc_zeros::<u32>(n).unwrap();
    // SAFETY: the arguments are the kernel's.
    unsafe {
        sim.stream
            .launch_builder(&f)
            .arg(&mut out)
            .arg(&mut bits)
            .arg(&(n as i32))
            .arg(&7u32)
            .arg(&3u32)
            .launch(cfg(2, 128))
            .unwrap()
    };
    let (out, bits) = (sim.stream.clone_dtoh(&out).unwrap(), sim.stream.clone_dtoh(&bits).unwrap());
    for i in 0..n / 4 {
        let (mut c, mut k) = ([i as u32, 0, 3, 0], [7u32, 0]);
        for _ in 0..10 {
            let p0 = u64::from(c[0]) * 0xD251_1F53;
            let p1 = u64::from(c[2]) * 0xCD9E_8D57;
            c = [(p1 >> 32) as u32 ^ c[1] ^ k[0], p1 as u32, (p0 >> 32) as u32 ^ c[3] ^ k[1], p0 as u32];
            k = [k[0].wrapping_add(0x9E37_79B9), k[1].wrapping_add(0xBB67_AE85)];
        }
        assert_eq!(bits[i * 4..i * 4 + 4], c);
        for j in [0, 2] {
            let u = (c[j] as f32 + 1.0) * 2.3283064e-10;
            let r = (-2.0 * f64::from(u).ln()).sqrt();
            let (s, q) = f64::from(std::f32::consts::TAU * (c[j + 1] as f32 * 2.3283064e-10)).sin_cos();
            assert!((f64::from(out[i * 4 + j]) - r * q).abs() < 4e-6, "at {i}");
            assert!((f64::from(out[i * 4 + j + 1]) - r * s).abs() < 4e-6, "at {i}");
        }
    }
}

#[test]
fn same_bits_for_any_number_of_threads() {
    let sim = Sim::new();
    let f = sim.function(PLAIN, "softmax");
    let (rows, cols) = (50usize, 77);
    let x = noise(rows * cols, 9);
    let labels: Vec<i64> = (0..rows as i64).map(|i| i % cols as i64).collect();
    let (dx, dl) = (sim.stream.clone_htod(&x).unwrap(), sim.stream.clone_htod(&labels).unwrap());
    let mut seen: Option<Vec<u32>> = None;
    let before = common::set_threads(1);
    for threads in [1, 2, 4] {
        common::set_threads(threads);
        let mut y = sim.stream.alloc_zeros::<f32>(rows * cols).unwrap();
        let mut loss = sim.stream.alloc_zeros::<f64>(1).unwrap();
        let width = cols as i32;
        // SAFETY: the arguments are the kernel's.
        unsafe {
            let mut launch = sim.stream.launch_builder(&f);
            launch.arg(&dx).arg(&mut y).arg(&dl).arg(&mut loss).arg(&width);
            launch.launch(cfg(rows as u32, 32)).unwrap()
        };
        let y: Vec<u32> = sim.stream.clone_dtoh(&y).unwrap().iter().map(|v| v.to_bits()).collect();
        for row in 0..rows {
            let sum: f32 = y[row * cols..(row + 1) * cols].iter().map(|&b| f32::from_bits(b)).sum();
            assert!((sum - 1.0).abs() < 1e-5);
        }
        let loss = sim.stream.clone_dtoh(&loss).unwrap()[0] / rows as f64;
        assert!((loss - (cols as f64).ln()).abs() < 0.3, "{loss}");
        assert!(seen.as_ref().is_none_or(|s| *s == y), "other bits with {threads} threads");
        seen = Some(y);
    }
    common::set_threads(before);
}

#[test]
fn constants_globals_and_atomics() {
    let sim = Sim::new();
    let f = sim.function(PLAIN, "blur");
    let x: Vec<f32> = (0..100).map(|i| i as f32).collect();
    let dx = sim.stream.clone_htod(&x).unwrap();
    let mut dy = sim.stream.alloc_zeros::<f32>(100).unwrap();
    // SAFETY: the arguments are the kernel's.
    unsafe { sim.stream.launch_builder(&f).arg(&dx).arg(&mut dy).arg(&100i32).launch(cfg(1, 128)).unwrap() };
    let y = sim.stream.clone_dtoh(&dy).unwrap();
    // The taps sum to one and are symmetric, so a ramp stays what it is away from its ends.
    assert_eq!(y[2..98], x[2..98]);
    assert_eq!(y[0], 0.375 * 0.0 + 0.25 + 0.0625 * 2.0);

    let f = sim.function(PLAIN, "histogram");
    let bytes: Vec<u8> = (0..10_000u32).map(|i| (i * i >> 3) as u8).collect();
    let dx = sim.stream.clone_htod(&bytes).unwrap();
    let mut bins = sim.stream.alloc_zeros::<u32>(256).unwrap();
    // SAFETY: the arguments are the kernel's.
    unsafe {
        sim.stream.launch_builder(&f).arg(&dx).arg(&mut bins).arg(&10_000i32).launch(cfg(3, 256)).unwrap()
    };
    let bins = sim.stream.clone_dtoh(&bins).unwrap();
    for (value, &n) in bins.iter().enumerate() {
        assert_eq!(n as usize, bytes.iter().filter(|&&b| b as usize == value).count());
    }
}

#[test]
fn slow_paths_of_sine_and_cosine() {
    let sim = Sim::new();
    let f = sim.function(PLAIN, "trig");
    let x: Vec<f32> = (0..200).map(|i| (i as f32 - 100.0) * 10f32.powi(i % 9)).collect();
    let n = x.len();
    let dx = sim.stream.clone_htod(&x).unwrap();
    let [mut s, mut c, mut t] = [0; 3].map(|_| sim.stream.alloc_zeros::<f32>(n).unwrap());
    // SAFETY: the arguments are the kernel's.
    unsafe {
        sim.stream
            .launch_builder(&f)
            .arg(&dx)
            .arg(&mut s)
            .arg(&mut c)
            .arg(&mut t)
            .arg(&(n as i32))
            .launch(cfg(2, 128))
            .unwrap()
    };
    let [s, c, t] = [s, c, t].map(|d| sim.stream.clone_dtoh(&d).unwrap());
    for i in 0..n {
        let v = f64::from(x[i]);
        // The functions' documented errors are one or two units of a result of at most one.
        assert!((f64::from(s[i]) - v.sin()).abs() < 2.5e-7, "sin {v}");
        assert!((f64::from(c[i]) - v.cos()).abs() < 2.5e-7, "cos {v}");
        assert!((f64::from(t[i]) - v.tanh()).abs() < 2.5e-7, "tanh {v}");
    }
}
