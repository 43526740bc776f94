//! How far two sets cover each other: balls around the points of one, counted where points of the other lie.
//!
//! The radius of a point is the distance to its k-th nearest other point of its own set.
//!
//! - Improved precision and recall (Kynkäänniemi et al., 2019, arXiv:1904.06991, section 2): precision is the share of
//!   generated points in the ball of some real one, recall the share of real points in the ball of some generated one;
//!   k = 3. Precision is quality, recall variety. An outlier among the real points has a large ball and lets anything
//!   near it pass.
//! - Density and coverage (Naeem et al., 2020, arXiv:2002.09797, section 3): density counts in how many balls of real
//!   points a generated one lies, divided by k (for equal distributions 1 on average, and it can be more); coverage is
//!   the share of real points whose ball has a generated one (for equal distributions 1 - 2^-k); k = 5.
//!
//! As the authors have it, the border belongs to the ball for the first pair and not for the second: of a set of copies,
//! whose radii are 0, precision is 1 and density 0.

use super::neighbours::{Points, radii};
use super::sets::Pair;
use crate::error::misuse;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// See the module: `fake` in `real`, and `real` in `fake`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PrecisionRecall {
    /// Share of generated points in a ball of a real one.
    pub precision: f64,
    /// Share of real points in a ball of a generated one.
    pub recall: f64,
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct DensityCoverage {
    /// Balls of real points around a generated one, divided by k; mean over these.
    pub density: f64,
    /// Share of real points whose ball has a generated one.
    pub coverage: f64,
}

/// Points with their balls.
pub(super) struct Manifold {
    points: Points,
    /// Squared radii by [`K_PRECISION`](Manifold::K_PRECISION) or its like, and by the k of density and coverage.
    radii: [Vec<f64>; 2],
    k: [usize; 2],
}

impl Manifold {
    /// Neighbours of precision and recall as published.
    pub const K_PRECISION: usize = 3;
    /// Neighbours of density and coverage as published.
    pub const K_DENSITY: usize = 5;

    /// With the radii for both pairs of measures.
    #[track_caller]
    pub fn new(points: Points, k: [usize; 2]) -> Manifold {
        let n = points.len();
        if k.contains(&0) || k.iter().any(|k| *k >= n) {
            misuse!(
                "manifold",
                "the {k:?} nearest others of {n} points; give more points than neighbours, and k > 0"
            );
        }
        Manifold { radii: radii(&points, k), points, k }
    }

    /// Both pairs in one pass over the distances.
    pub fn compare(real: &Manifold, fake: &Manifold) -> (PrecisionRecall, DensityCoverage) {
        let (n, m) = (real.points.len(), fake.points.len());
        let precise: Vec<AtomicBool> = (0..m).map(|_| AtomicBool::new(false)).collect();
        let of_real = real.points.map(&fake.points, |i, row| {
            let [border, inner] = [real.radii[0][i], real.radii[1][i]];
            let (mut recalled, mut inside) = (false, 0u64);
            for (j, d) in row.iter().enumerate() {
                if *d <= border && !precise[j].load(Relaxed) {
                    precise[j].store(true, Relaxed);
                }
                recalled |= *d <= fake.radii[0][j];
                inside += u64::from(*d < inner);
            }
            (recalled, inside)
        });
        let share = |count: usize, of: usize| count as f64 / of as f64;
        let inside: u64 = of_real.iter().map(|r| r.1).sum();
        (
            PrecisionRecall {
                precision: share(precise.iter().filter(|p| p.load(Relaxed)).count(), m),
                recall: share(of_real.iter().filter(|r| r.0).count(), n),
            },
            DensityCoverage {
                density: inside as f64 / (real.k[1] * m) as f64,
                coverage: share(of_real.iter().filter(|r| r.1 > 0).count(), n),
            },
        )
    }
}

#[track_caller]
fn of(what: &'static str, pair: Pair, k: usize) -> (PrecisionRecall, DensityCoverage) {
    let [real, fake] = pair.matrices(what).map(|x| Manifold::new(Points::new(x), [k, k]));
    Manifold::compare(&real, &fake)
}

/// Improved precision and recall with the k-th neighbour.
///
/// ```
/// use ganvil::Tensor;
/// use ganvil::metrics::{Pair, precision_recall};
/// let real = Tensor::new(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], &[6, 1]);
/// let collapsed = Tensor::new(&[2.0, 2.1, 2.2], &[3, 1]);
/// let found = precision_recall(Pair { real: &real, fake: &collapsed }, 1);
/// assert_eq!((found.precision, found.recall), (1.0, 1.0 / 6.0)); // good, and all the same
/// ```
///
/// # Panics
/// If the features are not matrices of as many columns, or a set has no more points than k.
#[track_caller]
pub fn precision_recall(pair: Pair, k: usize) -> PrecisionRecall {
    of("precision_recall", pair, k).0
}

/// Density and coverage with the k-th neighbour.
///
/// ```
/// use ganvil::Tensor;
/// use ganvil::metrics::{Pair, density_coverage};
/// let real = Tensor::new(&[0.0, 1.0, 2.0, 3.0], &[4, 1]);
/// let fake = Tensor::new(&[0.5, 9.0], &[2, 1]);
/// let found = density_coverage(Pair { real: &real, fake: &fake }, 1);
/// assert_eq!((found.density, found.coverage), (1.0, 0.5));
/// ```
///
/// # Panics
/// As [`precision_recall`].
#[track_caller]
pub fn density_coverage(pair: Pair, k: usize) -> DensityCoverage {
    of("density_coverage", pair, k).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;
    use crate::{DType, Device, Generator, Tensor};

    fn normal(seed: u64, mean: f64, std: f64) -> Tensor {
        Generator::new(seed, Stream::General).normal(&[500, 6], mean, std, DType::F64, Device::Cpu)
    }

    fn both(real: &Tensor, fake: &Tensor) -> [f64; 4] {
        let (p, d) = (precision_recall(Pair { real, fake }, 3), density_coverage(Pair { real, fake }, 5));
        [p.precision, p.recall, d.density, d.coverage]
    }

    #[test]
    fn equal_distributions_have_what_the_papers_say() {
        let [precision, recall, density, coverage] = both(&normal(0, 0.0, 1.0), &normal(1, 0.0, 1.0));
        assert!((precision - recall).abs() < 0.1 && precision > 0.7, "{precision} {recall}");
        assert!((density - 1.0).abs() < 0.1, "{density}");
        assert!((coverage - (1.0 - 0.5f64.powi(5))).abs() < 0.03, "{coverage}");
    }

    #[test]
    fn a_narrow_set_is_precise_and_a_wide_one_recalls() {
        let real = normal(0, 0.0, 1.0);
        let [precision, recall, ..] = both(&real, &normal(1, 0.0, 0.3));
        assert!(precision > 0.95 && recall < 0.3, "{precision} {recall}");
        let [precision, recall, ..] = both(&real, &normal(1, 0.0, 3.0));
        assert!(precision < 0.3 && recall > 0.95, "{precision} {recall}");
        // Exchanged, one is the other: the names keep them apart.
        let (a, b) = (normal(2, 0.0, 1.0), normal(3, 0.5, 0.5));
        let there = precision_recall(Pair { real: &a, fake: &b }, 3);
        let back = precision_recall(Pair { real: &b, fake: &a }, 3);
        assert_eq!((there.precision, there.recall), (back.recall, back.precision));
        assert_ne!(there.precision, there.recall);
    }

    #[test]
    fn far_sets_share_nothing_and_copies_have_no_density() {
        let real = normal(0, 0.0, 1.0);
        assert_eq!(both(&real, &normal(1, 1e3, 1.0)), [0.0; 4]);
        let same = real.narrow(0, 7, 1).expand(&[500, 6]).contiguous();
        let [precision, recall, ..] = both(&real, &same);
        assert_eq!((precision, recall), (1.0, 1.0 / 500.0));
        let [precision, _, density, _] = both(&same, &same);
        assert_eq!((precision, density), (1.0, 0.0), "balls of radius 0");
    }
}
