//! Whole kernels against what a GPU computed: `forms/whole.txt` holds an NVIDIA H100's results.
//!
//! `PTXSIM_ORACLE=/path/to/libcuda.so.1 PTXSIM_ORACLE_OUT=FILE cargo test --test whole` asks that driver.

mod common;

use common::Sim;
use cudarc::driver::{CudaSlice, LaunchConfig, PushKernelArg};
use std::fmt::Write;

const PLAIN: &str = include_str!("kernels/plain.ptx");
const WIDE: &str = include_str!("kernels/wide.ptx");
const EXPECTED: &str = include_str!("forms/whole.txt");

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 ^ self.0 >> 33).wrapping_mul(0xff51afd7ed558ccd) >> 3
    }
}

fn ints(n: usize, seed: u64) -> Vec<u32> {
    let mut r = Random(seed);
    (0..n).map(|i| (r.next() >> [20, 4, 50, 28][i % 4]) as u32).collect()
}

/// Numbers of many magnitudes, most of them near one.
fn doubles(n: usize, seed: u64) -> Vec<f64> {
    let mut r = Random(seed);
    (0..n)
        .map(|i| {
            let m = (r.next() >> 10) as f64 / (1u64 << 50) as f64 - 4.0;
            m * [1.0, 0.25, 3.0, 40.0, 1e-3, 1e5][i % 6]
        })
        .collect()
}

fn floats(n: usize, seed: u64) -> Vec<f32> {
    doubles(n, seed).into_iter().map(|x| x as f32).collect()
}

/// How near results must be: bit for bit, or so many units in the last place (of single or double precision),
/// where a value is below one, of one. Kernels whose PTX approximates (`ex2.approx` and its kin) need that room.
#[derive(Clone, Copy)]
enum Near {
    Bits,
    Single(f64),
    Double(f64),
}

struct Result {
    name: &'static str,
    near: Near,
    words: Vec<u64>,
}

fn cfg(grid: u32, block: u32) -> LaunchConfig {
    LaunchConfig { grid_dim: (grid, 1, 1), block_dim: (block, 1, 1), shared_mem_bytes: 0 }
}

macro_rules! launch {
    ($sim:expr, $ptx:expr, $name:expr, $config:expr, $($arg:expr),*) => {{
        let f = $sim.function($ptx, $name);
        // SAFETY: the arguments are the kernel's.
        unsafe { $sim.stream.launch_builder(&f)$(.arg($arg))*.launch($config) }.unwrap();
    }};
}

fn words32<T: cudarc::driver::DeviceRepr + Clone + Default>(
    sim: &Sim,
    d: &CudaSlice<T>,
    f: impl Fn(T) -> u32,
) -> Vec<u64> {
    sim.stream.clone_dtoh(d).unwrap().into_iter().map(|v| u64::from(f(v))).collect()
}

fn all(sim: &Sim) -> Vec<Result> {
    let s = &sim.stream;
    let mut out = vec![];
    let mut keep = |name, near, words| out.push(Result { name, near, words });
    let n = 64usize;
    let (x, y) = (s.clone_htod(&ints(n, 1)).unwrap(), s.clone_htod(&ints(n, 2)).unwrap());
    let z = s
        .clone_htod(
            &ints(2 * n, 3).chunks(2).map(|p| u64::from(p[0]) << 32 | u64::from(p[1])).collect::<Vec<_>>(),
        )
        .unwrap();
    let mut o = s.alloc_zeros::<u32>(n * 48).unwrap();
    launch!(sim, WIDE, "wide_int", cfg(2, 32), &x, &y, &z, &mut o, &(n as i32));
    keep("wide_int", Near::Bits, words32(sim, &o, |v| v));

    let [a, b, c] = [4, 5, 6].map(|seed| s.clone_htod(&floats(n, seed)).unwrap());
    let mut o = s.alloc_zeros::<f32>(n * 64).unwrap();
    launch!(sim, WIDE, "wide_float", cfg(2, 32), &a, &b, &c, &mut o, &(n as i32));
    keep("wide_float", Near::Single(8.0), words32(sim, &o, f32::to_bits));

    let [a, b] = [7, 8].map(|seed| s.clone_htod(&doubles(n, seed)).unwrap());
    let mut o = s.alloc_zeros::<f64>(n * 32).unwrap();
    launch!(sim, WIDE, "wide_double", cfg(2, 32), &a, &b, &mut o, &(n as i32));
    let words = s.clone_dtoh(&o).unwrap().into_iter().map(f64::to_bits).collect();
    keep("wide_double", Near::Double(4.0), words);

    let small: Vec<u32> = ints(96, 9).iter().map(|v| v % 37).collect();
    let x = s.clone_htod(&small).unwrap();
    let mut o = s.alloc_zeros::<u32>(96 * 24).unwrap();
    launch!(sim, WIDE, "wide_warp", cfg(3, 32), &x, &mut o);
    keep("wide_warp", Near::Bits, words32(sim, &o, |v| v));

    let x = s.clone_htod(&ints(512, 10)).unwrap();
    let mut i32s = s.alloc_zeros::<i32>(16).unwrap();
    let mut u32s = s.clone_htod(&vec![u32::MAX; 16]).unwrap();
    let mut u64s = s.clone_htod(&[0u64, 0, 0, u64::MAX]).unwrap();
    let mut f32s = s.alloc_zeros::<f32>(1).unwrap();
    launch!(sim, WIDE, "wide_atomics", cfg(4, 128), &mut i32s, &mut u32s, &mut u64s, &mut f32s, &x);
    keep("wide_atomics i32", Near::Bits, words32(sim, &i32s, |v| v as u32));
    keep("wide_atomics u32", Near::Bits, words32(sim, &u32s, |v| v));
    keep("wide_atomics u64", Near::Bits, s.clone_dtoh(&u64s).unwrap());
    // The sum of whole numbers this small is exact in any order.
    keep("wide_atomics f32", Near::Bits, words32(sim, &f32s, f32::to_bits));

    let mut x = s.clone_htod(&ints(8 + n, 11)).unwrap();
    launch!(sim, WIDE, "wide_local", cfg(1, 64), &mut x, &(n as i32));
    keep("wide_local", Near::Bits, words32(sim, &x, |v| v));

    let x = s.clone_htod(&floats(400, 12)).unwrap();
    let mut o = s.alloc_zeros::<f32>(400).unwrap();
    launch!(sim, PLAIN, "leaky4", cfg(1, 64), &x, &mut o, &100i64, &0.2f32);
    keep("leaky4", Near::Bits, words32(sim, &o, f32::to_bits));

    let mut o = s.alloc_zeros::<f32>(4).unwrap();
    launch!(sim, PLAIN, "block_sum", cfg(4, 256), &x, &mut o, &400i32);
    keep("block_sum", Near::Bits, words32(sim, &o, f32::to_bits));

    let (m, n, k) = (20i32, 30i32, 50i32);
    let [a, b] =
        [(m * k, 13), (k * n, 14)].map(|(len, seed)| s.clone_htod(&floats(len as usize, seed)).unwrap());
    let mut o = s.alloc_zeros::<f32>((m * n) as usize).unwrap();
    launch!(sim, PLAIN, "sgemm", cfg(1, 256), &a, &b, &mut o, &m, &n, &k);
    keep("sgemm", Near::Bits, words32(sim, &o, f32::to_bits));

    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Step {
        rates: [f32; 4],
        t: i32,
    }
    // SAFETY: plain numbers.
    unsafe impl cudarc::driver::DeviceRepr for Step {}
    let step = Step { rates: [1e-3, 0.9, 0.999, 1e-8], t: 7 };
    let [mut p, g, mut m1] = [15, 16, 17].map(|seed| s.clone_htod(&floats(100, seed)).unwrap());
    let mut v = s.clone_htod(&floats(100, 18).iter().map(|x| x * x).collect::<Vec<_>>()).unwrap();
    launch!(sim, PLAIN, "adam", cfg(1, 128), &mut p, &g, &mut m1, &mut v, &100i32, &step);
    keep("adam m", Near::Bits, words32(sim, &m1, f32::to_bits));
    keep("adam v", Near::Bits, words32(sim, &v, f32::to_bits));
    keep("adam p", Near::Single(2.0), words32(sim, &p, f32::to_bits));

    let mut normal = s.alloc_zeros::<f32>(256).unwrap();
    let mut bits = s.alloc_zeros::<u32>(256).unwrap();
    launch!(sim, PLAIN, "philox_normal", cfg(1, 64), &mut normal, &mut bits, &256i32, &5u32, &6u32);
    keep("philox bits", Near::Bits, words32(sim, &bits, |v| v));
    keep("philox normal", Near::Single(4.0), words32(sim, &normal, f32::to_bits));

    let x = s.clone_htod(&floats(6 * 50, 19)).unwrap();
    let label = s.clone_htod(&[1i64, 2, 3, 4, 5, 49]).unwrap();
    let mut o = s.alloc_zeros::<f32>(6 * 50).unwrap();
    let mut loss = s.alloc_zeros::<f64>(1).unwrap();
    launch!(sim, PLAIN, "softmax", cfg(6, 32), &x, &mut o, &label, &mut loss, &50i32);
    keep("softmax", Near::Single(4.0), words32(sim, &o, f32::to_bits));

    let x: Vec<i32> = (1..=150).collect();
    let x = s.clone_htod(&x).unwrap();
    let [mut steps, mut kind] = [0; 2].map(|_| s.alloc_zeros::<i32>(150).unwrap());
    launch!(sim, PLAIN, "collatz", cfg(3, 64), &x, &mut steps, &mut kind, &150i32);
    keep("collatz steps", Near::Bits, words32(sim, &steps, |v| v as u32));

    let x = s.clone_htod(&floats(120, 20)).unwrap();
    let [mut sine, mut cosine, mut tanh] = [0; 3].map(|_| s.alloc_zeros::<f32>(120).unwrap());
    launch!(sim, PLAIN, "trig", cfg(1, 128), &x, &mut sine, &mut cosine, &mut tanh, &120i32);
    keep("trig sine", Near::Bits, words32(sim, &sine, f32::to_bits));
    keep("trig cosine", Near::Bits, words32(sim, &cosine, f32::to_bits));
    keep("trig tanh", Near::Single(2.0), words32(sim, &tanh, f32::to_bits));

    let mut o = s.alloc_zeros::<u16>(120).unwrap();
    launch!(sim, PLAIN, "to_bf16", cfg(1, 128), &x, &mut o, &120i32);
    keep("to_bf16", Near::Bits, words32(sim, &o, u32::from));
    out
}

fn agree(near: Near, got: u64, want: u64) -> bool {
    let close = |g: f64, w: f64, ulp: f64| {
        (g.is_nan() && w.is_nan()) || g == w || (g - w).abs() <= ulp * w.abs().max(1.0)
    };
    got == want
        || match near {
            Near::Bits => false,
            Near::Single(n) => {
                let [g, w] = [got, want].map(|b| f64::from(f32::from_bits(b as u32)));
                close(g, w, n * 2f64.powi(-23))
            }
            Near::Double(n) => close(f64::from_bits(got), f64::from_bits(want), n * 2f64.powi(-52)),
        }
}

#[test]
fn whole_kernels_give_what_a_gpu_gives() {
    let sim = Sim::new();
    let results = all(&sim);
    sim.stream.synchronize().unwrap_or_else(|_| panic!("{}", common::last_report()));
    if let Ok(path) = std::env::var("PTXSIM_ORACLE_OUT") {
        let mut text = String::from("# What an NVIDIA H100 computes.\n");
        for r in &results {
            let hex: Vec<String> = r.words.iter().map(|w| format!("{w:x}")).collect();
            let _ = writeln!(text, "{} | {}", r.name, hex.join(" "));
        }
        std::fs::write(path, text).expect("written");
        return;
    }
    let mut wrong = vec![];
    for r in &results {
        let line = EXPECTED.lines().find_map(|l| l.strip_prefix(r.name)?.strip_prefix(" | "));
        let Some(line) = line else {
            wrong.push(format!("{}: a GPU was never asked", r.name));
            continue;
        };
        let want: Vec<u64> = line.split(' ').map(|w| u64::from_str_radix(w, 16).expect("hex")).collect();
        assert_eq!(want.len(), r.words.len(), "{}", r.name);
        let bad: Vec<usize> = (0..want.len()).filter(|&i| !agree(r.near, r.words[i], want[i])).collect();
        if let Some(&i) = bad.first() {
            let others: Vec<usize> = bad.iter().copied().take(12).collect();
            wrong.push(format!(
                "{}: {} of {} wrong; {:x} at {i}, a GPU gives {:x} (wrong at {others:?})",
                r.name,
                bad.len(),
                want.len(),
                r.words[i],
                want[i]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
