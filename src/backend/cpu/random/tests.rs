//! The definition element by element, the same bits everywhere, and the distributions.

use super::box_muller::{cos_sin, radius, standard_normals, unit};
use super::*;
use crate::rng::Stream;
use rayon::prelude::*;

const NORMAL: Random = Random::Normal { mean: 0.0, std: 1.0 };
const UNIFORM: Random = Random::Uniform { lo: 0.0, hi: 1.0 };
const DRAWS: [Random; 5] = [
    NORMAL,
    UNIFORM,
    Random::Normal { mean: -3.0, std: 0.02 },
    Random::Uniform { lo: -2.5, hi: 7.0 },
    Random::Bernoulli { p: 0.3, value: 1.0 / 0.3 },
];

fn key(seed: u64) -> Key {
    Key::new(seed, Stream::Noise)
}

fn draw(what: Random, seed: u64, call: u64, len: usize) -> Vec<f32> {
    let mut out = vec![f32::NAN; len];
    fill(what, key(seed), call, &mut out);
    out
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// `out` is longer than one grain and ends in the middle of a group and of a block.
const LONG: usize = 2 * GRAIN + GROUP + 7;

#[test]
fn every_tier_and_thread_count_gives_the_same_bits() {
    for what in DRAWS {
        let want = bits(&draw(what, 1, 2, LONG));
        for tier in Tier::ALL.into_iter().filter(|t| t.is_supported()) {
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let mut got = vec![f32::NAN; LONG];
                pool.install(|| fill_on(tier, what, key(1), 2, &mut got));
                assert!(bits(&got) == want, "{what:?} on {tier} with {threads} threads");
            }
        }
    }
}

#[test]
fn an_element_does_not_depend_on_the_length_of_the_draw() {
    for what in DRAWS {
        let all = bits(&draw(what, 1, 2, LONG));
        for len in [0, 1, 2, 3, 4, 5, 15, GROUP - 1, GROUP, GROUP + 1, 1000, GRAIN, GRAIN + 1, LONG - 1] {
            assert_eq!(bits(&draw(what, 1, 2, len)), all[..len], "{what:?}, {len} elements");
        }
    }
}

#[test]
fn doubles_are_the_floats_widened() {
    for what in DRAWS {
        let mut wide = vec![f64::NAN; 1003];
        fill(what, key(9), 4, &mut wide);
        let floats = draw(what, 9, 4, 1003);
        assert!(wide.iter().zip(floats).all(|(a, b)| *a == b as f64), "{what:?}");
    }
}

#[test]
fn uniforms_and_bernoullis_follow_their_definition() {
    let call = 1 << 40 | 3;
    let uniform = draw(Random::Uniform { lo: 1.0, hi: 3.0 }, 5, call, 4003);
    let bernoulli = draw(Random::Bernoulli { p: 0.25, value: 4.0 }, 5, call, 4003);
    for i in 0..uniform.len() {
        let word = philox4x32_10(counter(i as u64 / 4, call), key(5))[i % 4];
        assert_eq!(uniform[i], 1.0 + (word >> 8) as f32 / 8_388_608.0);
        assert_eq!(bernoulli[i], if (word as f64) < 0.25 * 4_294_967_296.0 { 4.0 } else { 0.0 });
    }
}

/// Bits from an independent implementation of the module's description in NumPy's float32.
#[test]
fn normals_have_the_documented_bits() {
    let z = bits(&draw(NORMAL, 42, 7, 4004));
    assert_eq!(z[..4], [0x3e61_d344, 0xbdb8_4ea4, 0xbe9b_c440, 0x3f3c_76ce]);
    assert_eq!(z[4..8], [0x3f16_e5b0, 0xbe80_046a, 0x3d95_e43b, 0xbf49_88c9]);
    assert_eq!(z[4000..], [0xbe51_8234, 0x3f62_978f, 0x3fcb_182d, 0xbf50_3b66]);
}

#[test]
fn blocks_beyond_32_bits_use_the_second_counter_word() {
    let mut z = [0.0f32; 24];
    let source = Source { tier: tier(), key: key(42), call: 7 };
    source.fill(Normal { mean: 0.0, std: 1.0 }, 1 << 33, &mut z);
    assert_eq!(bits(&z[20..]), [0x3eb7_4fda, 0xbf5c_322a, 0x3ee2_e6fc, 0x3d8b_e94e]);
}

#[test]
fn uniform_never_reaches_its_upper_bound() {
    // Between 1 and the next float but one, half of all roundings go up to the bound or to the middle.
    let (lo, hi) = (1.0, 1.0 + 2.0 * f32::EPSILON);
    let x = draw(Random::Uniform { lo: lo as f64, hi: hi as f64 }, 3, 0, 10_000);
    assert!(x.iter().all(|x| (lo..hi).contains(x)));
    let draw = Uniform::new(lo, hi);
    assert_eq!(draw.numbers([u32::MAX, 0, 1 << 31, 1]), [1.0 + f32::EPSILON, 1.0, 1.0 + f32::EPSILON, 1.0]);
    assert_eq!(Uniform::new(0.0, 1.0).numbers([u32::MAX; 4]), [1.0 - f32::EPSILON / 2.0; 4]);
    assert_eq!(Uniform::new(2.0, 2.0).numbers([u32::MAX; 4]), [2.0; 4]);
    // hi = 0.1 lies below its own rounding to f32.
    assert!((Uniform::new(-1.0, 0.1f64 as f32).numbers([u32::MAX; 4])[0] as f64) < 0.1);
}

#[test]
fn bernoulli_is_exact_at_its_ends() {
    let words = [0, 1, u32::MAX - 1, u32::MAX];
    assert_eq!(Bernoulli::new(0.0, 2.0).numbers(words), [0.0; 4]);
    assert_eq!(Bernoulli::new(1.0, 2.0).numbers(words), [2.0; 4]);
    let unit = f64::powi(2.0, -32);
    assert_eq!(Bernoulli::new(unit, 2.0).numbers(words), [2.0, 0.0, 0.0, 0.0]);
    assert_eq!(Bernoulli::new(1.0 - unit, 2.0).numbers(words), [2.0, 2.0, 2.0, 0.0]);
    for p in [0.1, 0.5, 0.9] {
        let n = 1 << 20;
        let kept = draw(Random::Bernoulli { p, value: 1.0 }, 6, 0, n).iter().filter(|x| **x == 1.0).count();
        let deviation = (kept as f64 - p * n as f64) / (n as f64 * p * (1.0 - p)).sqrt();
        assert!(deviation.abs() < 4.0, "p = {p}: {kept} of {n}, {deviation} sigma");
    }
}

/// The largest relative error of `f`, which gives pairs (computed, exact) for a word, over a stride through all
/// words (every one with `GANVIL_EXHAUSTIVE=1`) and the neighbourhoods of the eighths of a turn.
fn worst<const N: usize>(f: impl Fn(u32) -> [(f32, f64); N] + Sync) -> f64 {
    let exhaustive = std::env::var("GANVIL_EXHAUSTIVE").is_ok_and(|v| v == "1");
    let stride = if exhaustive { 1 } else { 4093 };
    let error = |word: u32| {
        f(word).into_iter().fold(0.0f64, |m, (y, exact)| {
            let error = (y as f64 - exact).abs();
            m.max(if error == 0.0 { 0.0 } else { error / exact.abs() })
        })
    };
    let sweep = (0..(1u64 << 32).div_ceil(stride)).into_par_iter().map(|i| error((i * stride) as u32));
    let ends = (0..8u32 << 10).map(|i| error((i >> 10 << 29).wrapping_add(i & 1023).wrapping_sub(512)));
    sweep.reduce(|| 0.0, f64::max).max(ends.fold(0.0, f64::max))
}

/// sin 2 pi b / 2^32 in f64, with the relative precision of f64 near all its zeros.
fn sin_of_turns(b: u32) -> f64 {
    let b = b as i32;
    // Beyond a quarter turn sin x = sin(pi - x).
    let b = if b.unsigned_abs() > 1 << 30 { i32::MIN.wrapping_sub(b) } else { b };
    (b as f64 * (std::f64::consts::TAU / 4_294_967_296.0)).sin()
}

/// -2 ln u in f64, and its root.
fn exact_radius(a: u32) -> f64 {
    (-2.0 * (unit(a) as f64).ln()).sqrt()
}

#[test]
fn the_pieces_of_box_muller_are_within_their_bounds() {
    let r = worst(|a| [(radius(a), exact_radius(a))]);
    let circle = worst(|b| {
        let (cos, sin) = cos_sin(b);
        [(cos, sin_of_turns(b.wrapping_add(1 << 30))), (sin, sin_of_turns(b))]
    });
    let z = worst(|a| {
        let b = a.rotate_left(13) ^ 0x9e37_79b9;
        let ([z0, z1], r) = (standard_normals(a, b), exact_radius(a));
        [(z0, r * sin_of_turns(b.wrapping_add(1 << 30))), (z1, r * sin_of_turns(b))]
    });
    println!("relative errors: radius {r:.2e}, cos and sin {circle:.2e}, normals {z:.2e}");
    assert!(r <= 9.4e-8 && circle <= 1.72e-7 && z <= 3.3e-7, "{r:e} {circle:e} {z:e}");
    assert_eq!(
        [0, 1 << 30, 1 << 31, 3 << 30].map(cos_sin),
        [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)]
    );
}

#[test]
fn the_argument_of_the_logarithm_is_in_range_and_right() {
    for a in (0..1u32 << 16).flat_map(|i| [i, i << 16, !i]) {
        let (u, exact) = (unit(a) as f64, (a as f64 + 0.5) * f64::powi(2.0, -32));
        assert!(u > 0.0 && u <= 1.0 && (u - exact).abs() <= f64::powi(2.0, -24) * exact, "{a}: {u}");
    }
    assert_eq!((unit(0), unit(u32::MAX)), (1.0 / 8_589_934_592.0, 1.0));
    assert_eq!(standard_normals(u32::MAX, 12345), [0.0, 0.0]);
    assert!((radius(0) - 6.763_715).abs() < 1e-5);
}

/// The normal distribution function, by Marsaglia's series.
fn normal_cdf(x: f64) -> f64 {
    let (mut term, mut sum, mut i) = (x, x, 1.0);
    while sum + term != sum {
        i += 2.0;
        term *= x * x / i;
        sum += term;
    }
    0.5 + sum * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
}

/// sqrt(n) times the largest distance between the empirical and the true distribution function
/// (Kolmogorov, Smirnov); above 1.95 in one of a thousand samples.
fn kolmogorov_smirnov(x: &[f32], cdf: impl Fn(f64) -> f64) -> f64 {
    let mut x = x.to_vec();
    x.sort_unstable_by(f32::total_cmp);
    let n = x.len() as f64;
    let distance = |(i, x): (usize, &f32)| {
        let f = cdf(*x as f64);
        (f - i as f64 / n).max((i + 1) as f64 / n - f)
    };
    x.iter().enumerate().map(distance).fold(0.0, f64::max) * n.sqrt()
}

/// Mean of f over a sample.
fn mean(x: &[f32], f: impl Fn(f64) -> f64) -> f64 {
    x.iter().map(|x| f(*x as f64)).sum::<f64>() / x.len() as f64
}

#[test]
fn normals_are_normal() {
    let n = 1 << 20;
    let sigma = 1.0 / (n as f64).sqrt();
    let z = draw(NORMAL, 11, 0, n);
    // E z^k and the variance of z^k.
    for (k, moment, variance) in
        [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0), (6, 15.0, 10170.0)]
    {
        let deviation = (mean(&z, |z| z.powi(k)) - moment) / (f64::sqrt(variance) * sigma);
        assert!(deviation.abs() < 4.0, "E z^{k} is {deviation} sigma off");
    }
    let ks = kolmogorov_smirnov(&z, normal_cdf);
    assert!(ks < 1.95, "Kolmogorov-Smirnov {ks}");
    let largest = z.iter().fold(0.0f32, |m, z| m.max(z.abs()));
    assert!((4.2..6.0).contains(&largest), "the largest of {n} normals is {largest}");

    let scaled = draw(Random::Normal { mean: 2.0, std: 0.5 }, 11, 0, n);
    assert!(scaled.iter().zip(&z).all(|(x, z)| *x == 2.0 + 0.5 * z));
}

#[test]
fn uniforms_are_uniform() {
    let n = 1 << 20;
    let u = draw(UNIFORM, 12, 0, n);
    let ks = kolmogorov_smirnov(&u, |u| u);
    assert!(ks < 1.95, "Kolmogorov-Smirnov {ks}");
    let mut counts = [0u32; 1024];
    u.iter().for_each(|u| counts[(u * 1024.0) as usize] += 1);
    let chi2: f64 = counts.iter().map(|c| (*c as f64 - 1024.0).powi(2) / 1024.0).sum();
    // 1023 degrees of freedom: mean 1023, standard deviation 45.2.
    assert!((chi2 - 1023.0).abs() < 4.0 * 45.2, "chi-square {chi2}");
}

/// sqrt(n) times the correlation of f(x_i) and f(y_i).
fn correlation(x: &[f32], y: &[f32], f: impl Fn(f64) -> f64) -> f64 {
    let (mx, my) = (mean(x, &f), mean(y, &f));
    let (mut xy, mut xx, mut yy) = (0.0, 0.0, 0.0);
    for (x, y) in x.iter().zip(y) {
        let (x, y) = (f(*x as f64) - mx, f(*y as f64) - my);
        (xy, xx, yy) = (xy + x * y, xx + x * x, yy + y * y);
    }
    xy / (xx * yy).sqrt() * (x.len() as f64).sqrt()
}

#[test]
fn streams_calls_and_neighbours_are_independent() {
    let n = 1 << 18;
    let base = draw(NORMAL, 13, 0, n);
    let mut stream = vec![0.0; n];
    fill(NORMAL, Key::new(13, Stream::Dropout), 0, &mut stream);
    let others = [("call", draw(NORMAL, 13, 1, n)), ("seed", draw(NORMAL, 14, 0, n)), ("stream", stream)];
    for (name, other) in &others {
        assert_ne!(bits(&base[..8]), bits(&other[..8]), "same numbers for another {name}");
        for r in [correlation(&base, other, |z| z), correlation(&base, other, |z| z * z)] {
            assert!(r.abs() < 4.0, "correlated with another {name}: {r} sigma");
        }
    }
    // Lag 1 pairs the two numbers of one radius, lag 2 those of one block, 4 and GROUP neighbouring blocks.
    for lag in [1, 2, 3, 4, GROUP] {
        let (x, y) = (&base[..n - lag], &base[lag..]);
        for r in [correlation(x, y, |z| z), correlation(x, y, |z| z * z)] {
            assert!(r.abs() < 4.0, "correlated at lag {lag}: {r} sigma");
        }
    }
}
