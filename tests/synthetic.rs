//! The distributions in the plane are what their formulas say. Bounds are five standard errors of the statistic.

use ganvil::data::{Mixture, Synthetic};
use std::f64::consts::PI;

const N: usize = 50_000;

fn points(what: Synthetic, n: usize) -> Vec<[f64; 2]> {
    what.samples(11).take(n).into_iter().map(|p| p.map(f64::from)).collect()
}

/// Whether the mean of independent values is the one expected.
fn assert_mean(what: &str, values: impl Iterator<Item = f64>, want: f64) {
    let v: Vec<f64> = values.collect();
    let n = v.len() as f64;
    let mean = v.iter().sum::<f64>() / n;
    let variance = v.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    let error = 5.0 * (variance / n).sqrt();
    assert!(variance > 0.0 && (mean - want).abs() < error, "{what}: {mean}, not {want} to {error}");
}

fn mixtures() -> [(Synthetic, Mixture); 3] {
    [Synthetic::Ring8, Synthetic::Grid25, Synthetic::ImbalancedRing].map(|s| (s, s.mixture().unwrap()))
}

#[test]
fn the_ring_has_eight_centres_and_no_end_point() {
    for what in [Synthetic::Ring8, Synthetic::ImbalancedRing] {
        let ring = what.mixture().unwrap();
        assert_eq!((ring.modes(), ring.sigma), (8, 0.01));
        for (i, [x, y]) in ring.centres.iter().enumerate() {
            let angle = 2.0 * PI * i as f64 / 8.0;
            assert!((x - angle.cos()).abs() < 1e-15 && (y - angle.sin()).abs() < 1e-15, "centre {i}");
            // With the end point among eight angles, the last centre would be the first.
            let [nx, ny] = ring.centres[(i + 1) % 8];
            assert!(((x - nx).hypot(y - ny) - 2.0 * (PI / 8.0).sin()).abs() < 1e-15, "neighbours of {i}");
        }
    }
    assert_eq!(Synthetic::Ring8.mixture().unwrap().weights, [0.125; 8]);
    let weights = Synthetic::ImbalancedRing.mixture().unwrap().weights;
    assert!(weights.iter().enumerate().all(|(i, w)| *w == (8 - i) as f64 / 36.0), "{weights:?}");
}

#[test]
fn the_grid_has_every_pair_of_coordinates() {
    let grid = Synthetic::Grid25.mixture().unwrap();
    assert_eq!((grid.modes(), grid.sigma), (25, 0.05));
    for x in [-4.0, -2.0, 0.0, 2.0, 4.0] {
        for y in [-4.0, -2.0, 0.0, 2.0, 4.0] {
            assert_eq!(grid.centres.iter().filter(|c| **c == [x, y]).count(), 1, "({x}, {y})");
        }
    }
    assert!(grid.weights.iter().all(|w| (w - 0.04).abs() < 1e-15));
}

#[test]
fn mixtures_have_their_shares_means_and_covariance() {
    for (what, mixture) in mixtures() {
        let samples: Vec<_> = points(what, N).into_iter().map(|p| (mixture.nearest(p).0, p)).collect();
        for (i, &[cx, cy]) in mixture.centres.iter().enumerate() {
            let name = format!("{what}, mode {i}");
            let share = samples.iter().map(|(mode, _)| (*mode == i) as u8 as f64);
            assert_mean(&format!("{name}, share"), share, mixture.weights[i]);
            let of = || samples.iter().filter(|(mode, _)| *mode == i).map(|(_, p)| p);
            assert_mean(&format!("{name}, x"), of().map(|p| p[0]), cx);
            assert_mean(&format!("{name}, y"), of().map(|p| p[1]), cy);
        }
        let offsets = || samples.iter().map(|(i, p)| [0, 1].map(|k| p[k] - mixture.centres[*i][k]));
        let square = mixture.sigma.powi(2);
        assert_mean(&format!("{what}, variance of x"), offsets().map(|d| d[0] * d[0]), square);
        assert_mean(&format!("{what}, variance of y"), offsets().map(|d| d[1] * d[1]), square);
        assert_mean(&format!("{what}, covariance"), offsets().map(|d| d[0] * d[1]), 0.0);
    }
}

/// In the units of the roll, a point at angle a lies at radius t = a + 2 pi k plus noise.
#[test]
fn the_roll_turns_one_and_a_half_times_at_a_steady_rate() {
    let (mut turns, mut residues) = (Vec::new(), Vec::new());
    for [x, y] in points(Synthetic::SwissRoll, N).into_iter().map(|p| p.map(|v| 7.5 * v)) {
        let (radius, angle) = (x.hypot(y), y.atan2(x));
        let t = angle + 2.0 * PI * ((radius - angle) / (2.0 * PI)).round();
        turns.push(t);
        residues.push(radius - t);
    }
    let (low, high) = (1.5 * PI, 4.5 * PI);
    // Noise of 0.25 across the ends moves the angle by 0.25 / t at most a few times.
    assert!(turns.iter().all(|t| (low - 0.35..high + 0.15).contains(t)));
    assert_mean("t", turns.iter().copied(), 3.0 * PI);
    assert_mean("the spread of t", turns.iter().map(|t| (t - 3.0 * PI).powi(2)), (high - low).powi(2) / 12.0);
    assert_mean("residue", residues.iter().copied(), 0.0);
    // Radial noise, and the noise along the circle, n / t, by which the angle is off.
    let want = 0.25f64.powi(2) * (1.0 + (1.0 / low - 1.0 / high) / (high - low));
    assert_mean("squared residue", residues.iter().map(|r| r * r), want);
}

#[test]
fn the_moons_have_the_moments_of_two_half_circles() {
    let p = points(Synthetic::TwoMoons, N);
    let noise = 0.05f64.powi(2);
    // x is cos a or 1 - cos a, y is sin a or 1/2 - sin a; the mean of sin a over half a turn is 2/pi.
    assert_mean("x", p.iter().map(|p| p[0]), 0.5);
    assert_mean("y", p.iter().map(|p| p[1]), 0.25);
    assert_mean("x^2", p.iter().map(|p| p[0] * p[0]), (0.5 + 1.5) / 2.0 + noise);
    assert_mean("y^2", p.iter().map(|p| p[1] * p[1]), (0.5 + 0.75 - 2.0 / PI) / 2.0 + noise);
    // Noise of 0.05 along the radius of one circle or the other: no normal number among 100,000 exceeds 5.5, and what
    // noise across it adds, 0.05^2 * 5.5^2 / 2, is little.
    let to_arc =
        |[x, y]: [f64; 2]| f64::min((x.hypot(y) - 1.0).abs(), ((x - 1.0).hypot(y - 0.5) - 1.0).abs());
    assert!(p.iter().all(|&p| to_arc(p) < 5.5 * 0.05 + 0.04));
    assert!(p.iter().any(|p| p[1] > 0.9) && p.iter().any(|p| p[1] < -0.4));
}

#[test]
fn a_sample_depends_on_the_seed_and_its_number_alone() {
    for what in Synthetic::ALL {
        let whole = what.samples(5).take(100);
        assert_eq!(what.samples(5).take(100), whole);
        for seed in [4, 6, 5 + (1 << 32)] {
            let other = what.samples(seed).take(100);
            assert!(other.iter().zip(&whole).all(|(a, b)| a != b), "{what}, seed {seed}");
        }
        let mut parts = what.samples(5);
        let parts: Vec<_> = [60, 0, 1, 39].into_iter().flat_map(|n| parts.take(n)).collect();
        assert_eq!(parts, whole, "{what}");
        for position in [0, 1, 59, 99] {
            assert_eq!(
                what.samples_from(5, position).take(100 - position as usize),
                whole[position as usize..]
            );
        }
        // No two alike: neighbouring numbers make independent samples.
        let mut bits: Vec<_> = what.samples(5).take(5000).into_iter().map(|p| p.map(f32::to_bits)).collect();
        bits.sort_unstable();
        bits.dedup();
        assert!(bits.len() > 4990, "{what}: {}", bits.len());
    }
}

/// Checkpoints rely on the samples staying what they are, also across versions of rand and rand_distr.
#[test]
fn the_samples_are_pinned() {
    let got = Synthetic::ALL.map(|what| what.samples_from(1, 1 << 40).take(1)[0].map(f32::to_bits));
    assert_eq!(got, PINNED, "{got:#010x?}");
}
const PINNED: [[u32; 2]; 5] = [
    [0x3bd9d459, 0xbf80e0c2],
    [0x40022093, 0x407dce1c],
    [0x3faa3309, 0xbf6f6203],
    [0x3e79827d, 0x3f7b9f7a],
    [0xbf7e4c57, 0xbbe0c1b7],
];

#[test]
fn names_are_the_same_everywhere() {
    for what in Synthetic::ALL {
        assert_eq!(what.to_string(), what.name());
        assert_eq!(what.name().parse::<Synthetic>().unwrap(), what);
        let json = serde_json::to_string(&what).unwrap();
        assert_eq!(json, format!("\"{what}\""));
        assert_eq!(serde_json::from_str::<Synthetic>(&json).unwrap(), what);
    }
    let text = "two-moon".parse::<Synthetic>().unwrap_err().to_string();
    let all = "ring8, grid25, swiss-roll, two-moons, imbalanced-ring";
    for part in ["invalid distribution 'two-moon'", "did you mean 'two-moons'?", all] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!"mnist".parse::<Synthetic>().unwrap_err().to_string().contains("did you mean"));
}

#[test]
#[should_panic(expected = "a positive share for each mode")]
fn shares_must_match_the_modes() {
    let _ = Mixture::ring(3, 1.0, 0.1).weighted(&[1.0, 2.0]);
}
