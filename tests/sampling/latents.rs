//! Truncated normal numbers, and ways between latent vectors.

use crate::common::Scratch;
use crate::{assert_says, sampler};
use approx::assert_relative_eq;
use ganvil::gan::{NormStatistics, Prior, Truncation, TruncationKind, slerp, truncated_normal};
use ganvil::rng::Stream;
use ganvil::{Device, Generator};

const KINDS: [TruncationKind; 2] = [TruncationKind::Resample, TruncationKind::Scaled];

fn draw(n: usize, latent: usize, tau: f64, kind: TruncationKind, seed: u64) -> Vec<f32> {
    truncated_normal(n, latent, Truncation { tau, kind }, seed).to_vec()
}

/// The normal distribution function, by Simpson's rule on its density; good to 1e-10 for |x| below 10.
fn normal_cdf(x: f64) -> f64 {
    let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let n = 2000;
    let h = x / n as f64;
    let inner: f64 = (1..n).map(|i| density(i as f64 * h) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
    0.5 + (density(0.0) + inner + density(x)) * h / 3.0
}

#[test]
fn truncated_numbers_have_their_distribution() {
    let n = 40_000;
    for (tau, kind) in [0.05, 0.5, 1.0, 1.3, 2.0, 3.5].into_iter().flat_map(|t| KINDS.map(|k| (t, k))) {
        let (bound, scale) = if kind == TruncationKind::Resample { (tau, 1.0) } else { (2.0, tau) };
        let mut z: Vec<f64> = draw(n / 100, 100, tau, kind, 3).into_iter().map(f64::from).collect();
        assert!(z.iter().all(|v| v.abs() <= bound * scale), "{tau} {kind:?}");
        z.sort_by(f64::total_cmp);
        // Kolmogorov and Smirnov: the largest gap exceeds 1.95 / sqrt(n) once in a thousand.
        let (low, high) = (normal_cdf(-bound), normal_cdf(bound));
        let gap = z.iter().enumerate().map(|(i, v)| {
            let want = (normal_cdf(v / scale) - low) / (high - low);
            (want - i as f64 / n as f64).abs().max((want - (i + 1) as f64 / n as f64).abs())
        });
        let gap = gap.fold(0.0, f64::max);
        assert!(gap < 1.95 / (n as f64).sqrt(), "{tau} {kind:?}: {gap}");
    }
}

#[test]
fn a_truncated_vector_depends_on_seed_and_number_alone() {
    for kind in KINDS {
        let many = draw(50, 30, 0.7, kind, 5);
        assert_eq!(draw(9, 30, 0.7, kind, 5), many[..9 * 30]);
        assert_eq!(ganvil::threads(3, || draw(50, 30, 0.7, kind, 5)), many);
        assert_ne!(draw(50, 30, 0.7, kind, 6), many);
        // The vectors are not copies of each other.
        assert!((1..50).all(|i| many[i * 30..][..30] != many[..30]));
    }
}

#[test]
fn what_lies_within_the_threshold_stays() {
    let plain = Prior::Normal.draw(40, 50, &Generator::new(8, Stream::Samples), Device::Cpu).to_vec::<f32>();
    for tau in [0.3, 1.0, 2.5] {
        let cut = draw(40, 50, tau, TruncationKind::Resample, 8);
        let kept = plain.iter().zip(&cut).filter(|(p, c)| p == c).count();
        assert_eq!(kept, plain.iter().filter(|v| (v.abs() as f64) < tau).count(), "{tau}");
    }
    let two = draw(40, 50, 2.0, TruncationKind::Resample, 8);
    let scaled: Vec<f32> = two.iter().map(|v| v * 0.5).collect();
    assert_eq!(draw(40, 50, 0.5, TruncationKind::Scaled, 8), scaled);
}

#[test]
fn truncation_is_refused_where_it_means_nothing() {
    let tmp = Scratch::new("truncation");
    let cut = |prior, tau| {
        let truncation = Truncation { tau, kind: TruncationKind::Resample };
        sampler(&tmp, prior).latents(2, 0, Some(truncation)).err().map(|e| e.to_string())
    };
    assert_eq!(cut(Prior::Normal, 0.5), None);
    assert_says(&cut(Prior::Sphere, 0.5).unwrap(), &["invalid --truncation '0.5'", "sphere"]);
    assert_says(&cut(Prior::Uniform, 0.5).unwrap(), &["uniform"]);
    for tau in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_says(&cut(Prior::Normal, tau).unwrap(), &["invalid --truncation", "positive number"]);
    }
    let names: [TruncationKind; 2] = ["resample", "scaled"].map(|n| n.parse().unwrap());
    assert_eq!(names, KINDS);
    assert_says(&"scale".parse::<TruncationKind>().unwrap_err().to_string(), &["did you mean 'scaled'?"]);
}

fn norm(v: &[f32]) -> f64 {
    v.iter().map(|&x| (x as f64).powi(2)).sum::<f64>().sqrt()
}

fn angle(a: &[f32], b: &[f32]) -> f64 {
    let dot: f64 = a.iter().zip(b).map(|(&x, &y)| x as f64 * y as f64).sum();
    (dot / (norm(a) * norm(b))).clamp(-1.0, 1.0).acos()
}

#[test]
fn slerp_turns_at_a_steady_rate_and_keeps_lengths() {
    let random = Generator::new(2, Stream::General);
    let all = Prior::Normal.draw(20, 64, &random, Device::Cpu).to_vec::<f32>();
    for pair in all.chunks_exact(128) {
        let (a, b) = pair.split_at(64);
        assert_eq!((slerp(a, b, 0.0), slerp(a, b, 1.0)), (a.to_vec(), b.to_vec()));
        for t in [0.1, 0.5, 0.75] {
            let p = slerp(a, b, t);
            assert_relative_eq!(norm(&p), (1.0 - t) * norm(a) + t * norm(b), max_relative = 1e-6);
            assert_relative_eq!(angle(a, &p), t * angle(a, b), max_relative = 1e-5);
            assert_relative_eq!(angle(&p, b), (1.0 - t) * angle(a, b), max_relative = 1e-5);
            let back = slerp(b, a, 1.0 - t);
            p.iter().zip(back).for_each(|(x, y)| assert!((x - y).abs() < 1e-5));
        }
    }
}

#[test]
fn slerp_is_a_straight_line_where_the_circle_is_not_known() {
    let a = [3.0, 0.0, -1.0];
    assert_eq!(slerp(&a, &[6.0, 0.0, -2.0], 0.5), [4.5, 0.0, -1.5]);
    assert_eq!(slerp(&a, &[-3.0, 0.0, 1.0], 0.25), [1.5, 0.0, -0.5]);
    assert_eq!(slerp(&a, &[0.0; 3], 0.5), [1.5, 0.0, -0.5]);
    assert_eq!(slerp(&[0.0; 3], &[0.0; 3], 0.5), [0.0; 3]);
}

#[test]
#[should_panic(expected = "slerp: vectors of 2 and 3 elements")]
fn slerp_of_vectors_that_do_not_fit_is_misuse() {
    slerp(&[0.0; 2], &[0.0; 3], 0.5);
}

#[test]
fn strips_begin_and_end_at_samples() {
    let tmp = Scratch::new("strips");
    for prior in Prior::ALL {
        let s = sampler(&tmp, prior);
        let ends = s.latents(6, 4, None).unwrap();
        let strip = s.strip(&ends, 5);
        assert_eq!(strip.z.shape(), [15, 12]);
        let area = 60;
        let (images, samples) = (s.generate(&strip, NormStatistics::Running), s.sample(6, 4));
        for row in 0..3 {
            for (column, end) in [(0, 2 * row), (4, 2 * row + 1)] {
                let place = row * 5 + column;
                assert_eq!(
                    images[place * area..][..area],
                    samples[end * area..][..area],
                    "{prior:?} row {row}"
                );
            }
        }
        let z = strip.z.to_vec::<f32>();
        // The middle lies where the prior does.
        let middle = &z[2 * 12..3 * 12];
        let (a, b) = (&z[..12], &z[4 * 12..5 * 12]);
        match prior {
            Prior::Uniform => middle.iter().zip(a.iter().zip(b)).for_each(|(m, (a, b))| {
                assert!((m - (a + b) / 2.0).abs() < 1e-6);
            }),
            Prior::Normal | Prior::Sphere => {
                assert_relative_eq!(norm(middle), (norm(a) + norm(b)) / 2.0, max_relative = 1e-6)
            }
        }
    }
}

#[test]
fn rounds_pass_through_their_points_and_close() {
    let tmp = Scratch::new("rounds");
    let s = sampler(&tmp, Prior::Normal);
    let rounds = s.rounds(3, 4, 9, None).unwrap();
    let points = s.latents(12, 9, None).unwrap().z.to_vec::<f32>();
    for k in 0..4 {
        let z = rounds(k as f64 / 4.0).z.to_vec::<f32>();
        for i in 0..3 {
            assert_eq!(z[i * 12..][..12], points[(i * 4 + k) * 12..][..12], "sample {i} at point {k}");
        }
    }
    // Near the end it is near the beginning.
    let (last, first) = (rounds(1.0 - 1e-9).z.to_vec::<f32>(), rounds(0.0).z.to_vec::<f32>());
    last.iter().zip(first).for_each(|(a, b)| assert!((a - b).abs() < 1e-5));
}
