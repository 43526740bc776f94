//! Errors against f64 and special values, on every tier this machine has.
//!
//! The errors are measured over a stride through all 2^32 bit patterns, and over every one of them when
//! `GANVIL_EXHAUSTIVE=1` is set.

use super::super::simd::{Kernel, Tier, vectorize_on};
use super::Math;
use rayon::prelude::*;

/// One of the functions, on f32 under test and on f64 as the reference.
trait Function: Copy + Send + Sync {
    fn eval<T: Math, const FMA: bool>(self, x: T) -> T;
}

macro_rules! functions {
    ($($name:ident $method:ident),*) => {$(
        #[derive(Clone, Copy)]
        struct $name;
        impl Function for $name {
            #[inline(always)]
            fn eval<T: Math, const FMA: bool>(self, x: T) -> T {
                Math::$method::<FMA>(x)
            }
        }
    )*};
}
functions!(Exp exp, Log log, Log1p log1p, Tanh tanh, Sigmoid sigmoid, Softplus softplus);

/// y = f(x).
struct Map<'a, F> {
    f: F,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl<F: Function> Kernel for Map<'_, F> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Map { f, x, y } = self;
        for (y, x) in y.iter_mut().zip(x) {
            *y = f.eval::<f32, FMA>(*x);
        }
    }
}

fn supported() -> Vec<Tier> {
    Tier::ALL.into_iter().filter(|t| t.is_supported()).collect()
}

/// |y - exact| in units of the spacing of floats at `exact`. Overflow counts as 2^128, so that inf is no error
/// where f32 rounds to it.
fn ulps(y: f32, exact: f64) -> f64 {
    let end = f64::powi(2.0, 128);
    if exact.is_nan() || y.is_nan() {
        return if exact.is_nan() && y.is_nan() { 0.0 } else { f64::INFINITY };
    }
    let (y, exact) = ((y as f64).clamp(-end, end), exact.clamp(-end, end));
    let exponent = ((exact.to_bits() >> 52 & 0x7ff) as i32 - 1023).clamp(-126, 127);
    (y - exact).abs() * f64::powi(2.0, 23 - exponent)
}

/// The largest error of `f` on each tier and where, over the bit patterns `0, stride, 2 stride, ..`.
fn worst<F: Function>(f: F, tiers: &[Tier], stride: u64) -> Vec<(f64, f32)> {
    const CHUNK: u64 = 4096;
    let points = (1u64 << 32).div_ceil(stride);
    let chunk = |chunk: u64| {
        // The last chunk may wrap around to patterns already seen.
        let x: Vec<f32> =
            (chunk * CHUNK..(chunk + 1) * CHUNK).map(|i| f32::from_bits((i * stride) as u32)).collect();
        let exact: Vec<f64> = x.iter().map(|x| f.eval::<f64, true>(*x as f64)).collect();
        let mut y = vec![0.0; x.len()];
        let worst_on = |tier: &Tier| {
            vectorize_on(*tier, Map { f, x: &x, y: &mut y });
            let errors = y.iter().zip(&exact).map(|(y, exact)| ulps(*y, *exact));
            errors.zip(&x).fold((0.0, 0.0), |w, (e, x)| if e > w.0 { (e, *x) } else { w })
        };
        tiers.iter().map(worst_on).collect::<Vec<_>>()
    };
    let larger = |a: Vec<(f64, f32)>, b: Vec<(f64, f32)>| {
        a.into_iter().zip(b).map(|(a, b)| if b.0 > a.0 { b } else { a }).collect()
    };
    let none = || vec![(0.0, 0.0); tiers.len()];
    (0..points.div_ceil(CHUNK)).into_par_iter().map(chunk).reduce(none, larger)
}

/// Asserts that `f` is within `bound` ulp of f64, and that each special argument gives exactly its value.
fn check<F: Function>(f: F, name: &str, bound: f64, special: &[(f32, f32)]) {
    let tiers = supported();
    for &tier in &tiers {
        let (x, want): (Vec<f32>, Vec<f32>) = special.iter().copied().unzip();
        let mut y = vec![0.0; x.len()];
        vectorize_on(tier, Map { f, x: &x, y: &mut y });
        for ((x, y), want) in x.iter().zip(&y).zip(&want) {
            let same = y.to_bits() == want.to_bits() || y.is_nan() && want.is_nan();
            assert!(same, "{name}({x:e}) = {y:e} instead of {want:e} on {tier}");
        }
    }
    let exhaustive = std::env::var("GANVIL_EXHAUSTIVE").is_ok_and(|v| v == "1");
    let stride = if exhaustive { 1 } else { 2039 };
    for (tier, (error, at)) in tiers.iter().zip(worst(f, &tiers, stride)) {
        println!("{name} on {tier}: {error:.3} ulp at {at:e} (every {stride} bit patterns)");
        assert!(error <= bound, "{name}({at:e}) is {error} ulp off on {tier}; the bound is {bound}");
    }
}

const INF: f32 = f32::INFINITY;
const TINY: f32 = f32::from_bits(1);

#[test]
fn exp_is_within_its_bound() {
    check(
        Exp,
        "exp",
        1.1,
        &[
            (0.0, 1.0),
            (-0.0, 1.0),
            (TINY, 1.0),
            (INF, INF),
            (-INF, 0.0),
            (f32::NAN, f32::NAN),
            (f32::MAX, INF),
            (f32::MIN, 0.0),
            (88.8, INF),
            (-103.9, TINY),
            (-104.0, 0.0),
        ],
    );
}

#[test]
fn log_is_within_its_bound() {
    check(
        Log,
        "log",
        1.0,
        &[
            (1.0, 0.0),
            (0.0, -INF),
            (-0.0, -INF),
            (INF, INF),
            (-INF, f32::NAN),
            (-1.0, f32::NAN),
            (-TINY, f32::NAN),
            (f32::NAN, f32::NAN),
            (TINY, -103.278_93),
            (f32::MIN_POSITIVE, -87.336_55),
        ],
    );
}

#[test]
fn log1p_is_within_its_bound() {
    check(
        Log1p,
        "log1p",
        1.1,
        &[
            (0.0, 0.0),
            (-0.0, -0.0),
            (TINY, TINY),
            (-TINY, -TINY),
            (-1.0, -INF),
            (INF, INF),
            (-INF, f32::NAN),
            (-2.0, f32::NAN),
            (f32::NAN, f32::NAN),
            (f32::MAX, 88.722_84),
        ],
    );
}

#[test]
fn tanh_is_within_its_bound() {
    check(
        Tanh,
        "tanh",
        1.5,
        &[
            (0.0, 0.0),
            (-0.0, -0.0),
            (TINY, TINY),
            (-TINY, -TINY),
            (INF, 1.0),
            (-INF, -1.0),
            (f32::MAX, 1.0),
            (-9.1, -1.0),
            (f32::NAN, f32::NAN),
        ],
    );
}

#[test]
fn sigmoid_is_within_its_bound() {
    check(
        Sigmoid,
        "sigmoid",
        2.5,
        &[
            (0.0, 0.5),
            (-0.0, 0.5),
            (INF, 1.0),
            (-INF, 0.0),
            (-103.9, TINY),
            (17.5, 1.0),
            (f32::NAN, f32::NAN),
        ],
    );
}

#[test]
fn softplus_is_within_its_bound() {
    check(
        Softplus,
        "softplus",
        1.8,
        &[
            (0.0, std::f32::consts::LN_2),
            (INF, INF),
            (-INF, 0.0),
            (-103.9, TINY),
            (100.0, 100.0),
            (f32::NAN, f32::NAN),
        ],
    );
}

/// The f64 forms are references above, so they are held against other formulas here.
#[test]
fn f64_forms_satisfy_their_identities() {
    for i in -4000..4000 {
        let x = i as f64 / 100.0;
        let (s, p) = (Math::sigmoid::<true>(x), Math::softplus::<true>(x));
        approx::assert_relative_eq!(s, 1.0 / (1.0 + f64::exp(-x)), max_relative = 1e-15);
        approx::assert_relative_eq!(
            p,
            -Math::sigmoid::<true>(-x).ln(),
            max_relative = 1e-15,
            epsilon = 2e-16
        );
        approx::assert_relative_eq!(p - Math::softplus::<true>(-x), x, max_relative = 1e-14);
    }
    assert_eq!((Math::sigmoid::<true>(-800.0f64), Math::sigmoid::<true>(800.0f64)), (0.0, 1.0));
    assert_eq!(Math::softplus::<true>(-700.0f64), f64::exp(-700.0));
    assert_eq!(Math::softplus::<true>(800.0f64), 800.0);
    assert!(Math::sigmoid::<true>(f64::NAN).is_nan() && Math::softplus::<true>(f64::NAN).is_nan());
}
