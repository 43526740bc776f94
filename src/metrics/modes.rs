//! Which modes of a mixture a generator covers, and how well (the protocol of VEEGAN, Srivastava et al., 2017,
//! arXiv:1705.07761, and of PacGAN, Lin et al., 2018, arXiv:1712.04086).
//!
//! A sample is of high quality (HQ) if it lies within 3 sigma (Euclidean) of the nearest centre; a mode is captured if
//! it is the nearest of at least one HQ sample. The usual number of samples is 2500. The distributions compared are
//! q_i, the share of mode i among the HQ samples, and the mixture's weights w_i:
//!
//! reverse KL = sum_i q_i ln(q_i / w_i),  JSD = (KL(q || m) + KL(w || m)) / 2 with m = (q + w) / 2
//!
//! Perfect samples of round Gaussians in the plane are of high quality with probability 1 - exp(-9/2) = 0.9889. More is
//! not better: it means that the modes are too narrow, which [`ModeCoverage::width`] shows. No number alone tells the
//! whole: a single good sample captures a mode.

use super::divergence::{js, kl};
use crate::data::Mixture;
use serde::Serialize;

/// How far from a centre a sample may lie, in sigmas.
const REACH: f64 = 3.0;

/// What [`mode_coverage`] counted.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModeCoverage {
    /// Samples looked at.
    pub samples: usize,
    /// HQ samples of each mode, in the order of the mixture's centres.
    pub counts: Vec<usize>,
    /// sqrt(mean d^2 / 2) / sigma over the HQ samples, d their distance to the centre: 0.974 for perfect samples, less
    /// for modes that are too narrow. `None` without HQ samples.
    pub width: Option<f64>,
    /// KL(q || w) in nats: 0 where the modes have the shares they should have. A missing mode adds nothing by itself.
    /// `None` without HQ samples.
    pub reverse_kl: Option<f64>,
    /// The Jensen-Shannon divergence of q and w in nats, from 0 to ln 2. `None` without HQ samples.
    pub jsd: Option<f64>,
}

impl ModeCoverage {
    /// Modes with at least one HQ sample.
    ///
    /// ```
    /// # use ganvil::{data::Synthetic, metrics::mode_coverage};
    /// let ring = Synthetic::Ring8.mixture().unwrap();
    /// assert_eq!(mode_coverage(&[[1.0, 0.0], [1.0, 0.02], [0.0, 0.0]], &ring).captured(), 1);
    /// ```
    pub fn captured(&self) -> usize {
        self.counts.iter().filter(|&&n| n > 0).count()
    }

    /// Share of HQ samples among all; 0 without samples.
    ///
    /// ```
    /// # use ganvil::{data::Synthetic, metrics::mode_coverage};
    /// let ring = Synthetic::Ring8.mixture().unwrap();
    /// assert_eq!(mode_coverage(&[[1.0, 0.0], [1.0, 0.02], [0.0, 0.0], [1.0, 0.04]], &ring).high_quality(), 0.5);
    /// ```
    pub fn high_quality(&self) -> f64 {
        self.counts.iter().sum::<usize>() as f64 / self.samples.max(1) as f64
    }
}

/// Assigns samples to the modes of a mixture. Samples that are not finite are of low quality.
///
/// ```
/// use ganvil::{data::Synthetic, metrics::mode_coverage};
///
/// let grid = Synthetic::Grid25;
/// let perfect = mode_coverage(&grid.samples(0).take(2500), &grid.mixture().unwrap());
/// assert_eq!(perfect.captured(), 25);
/// assert!((perfect.high_quality() - 0.9889).abs() < 0.01);
/// assert!(perfect.reverse_kl.unwrap() < 0.02);
/// ```
pub fn mode_coverage(samples: &[[f32; 2]], mixture: &Mixture) -> ModeCoverage {
    let mut counts = vec![0; mixture.modes()];
    let mut squares = 0.0;
    for point in samples {
        let (mode, distance) = mixture.nearest(point.map(f64::from));
        if distance <= REACH * mixture.sigma {
            counts[mode] += 1;
            squares += distance * distance;
        }
    }
    let total = counts.iter().sum::<usize>() as f64;
    let q: Vec<f64> = counts.iter().map(|&n| n as f64 / total).collect();
    let any = |value: f64| (total > 0.0).then_some(value);
    ModeCoverage {
        samples: samples.len(),
        width: any((squares / total / 2.0).sqrt() / mixture.sigma),
        reverse_kl: any(kl(&q, &mixture.weights)),
        jsd: any(js(&q, &mixture.weights)),
        counts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Synthetic;
    use std::f64::consts::LN_2;

    #[test]
    fn the_three_sigma_rule_counts_by_hand() {
        // Two modes at (1, 0) and (-1, 0), reach 0.3.
        let two = Mixture::ring(2, 1.0, 0.1);
        let samples =
            [[1.0, 0.29], [1.0, 0.31], [-1.0, 0.0], [-1.2, 0.2], [f32::NAN, 0.0], [f32::INFINITY, 0.0]];
        let c = mode_coverage(&samples, &two);
        assert_eq!((c.samples, &c.counts[..], c.captured()), (6, &[1, 2][..], 2));
        assert_eq!(c.high_quality(), 0.5);
        let (third, half) = (1.0 / 3.0f64, 0.5);
        let want = third * (third / half).ln() + 2.0 * third * (2.0 * third / half).ln();
        assert!((c.reverse_kl.unwrap() - want).abs() < 1e-15);
        let mean_square = (0.29f64.powi(2) + 0.0 + 0.08) / 3.0;
        assert!((c.width.unwrap() - (mean_square / 2.0).sqrt() / 0.1).abs() < 1e-6, "{:?}", c.width);
    }

    #[test]
    fn a_missing_mode_and_no_sample_at_all() {
        let two = Mixture::ring(2, 1.0, 0.1);
        let one = mode_coverage(&[[1.0, 0.0]; 10], &two);
        assert_eq!((one.captured(), one.high_quality()), (1, 1.0));
        assert!((one.reverse_kl.unwrap() - LN_2).abs() < 1e-15);
        let jsd = (4.0f64 / 3.0).ln() / 2.0 + (2.0f64 / 3.0).ln() / 4.0 + LN_2 / 4.0;
        assert!((one.jsd.unwrap() - jsd).abs() < 1e-15, "{:?}", one.jsd);
        for none in [mode_coverage(&[], &two), mode_coverage(&[[0.0, 0.0]; 4], &two)] {
            assert_eq!(
                (none.captured(), none.high_quality(), none.reverse_kl, none.width),
                (0, 0.0, None, None)
            );
        }
    }

    /// Perfect samples: the share within 3 sigma is 1 - exp(-9/2), the expected divergence (modes - 1) / (2 N).
    #[test]
    fn perfect_samples_meet_the_known_values() {
        let n = 20_000;
        for what in [Synthetic::Ring8, Synthetic::Grid25, Synthetic::ImbalancedRing] {
            let mixture = what.mixture().unwrap();
            let c = mode_coverage(&what.samples(3).take(n), &mixture);
            let p = 1.0 - (-4.5f64).exp();
            let deviation = (p * (1.0 - p) / n as f64).sqrt();
            assert!((c.high_quality() - p).abs() < 5.0 * deviation, "{what}: {}", c.high_quality());
            assert_eq!(c.captured(), mixture.modes());
            // 2 N KL is chi-squared with modes - 1 degrees of freedom: mean k, variance 2 k.
            let (k, x) = ((mixture.modes() - 1) as f64, 2.0 * n as f64 * c.reverse_kl.unwrap());
            assert!(x > 0.0 && x < k + 5.0 * (2.0 * k).sqrt(), "{what}: {x}");
            // d^2 / (2 sigma^2) is exponential with mean 1, cut off at 9/2: mean 1 - 4.5 e^-4.5 / (1 - e^-4.5).
            let mean = 1.0 - 4.5 * (-4.5f64).exp() / p;
            let w2 = c.width.unwrap().powi(2);
            assert!((w2 - mean).abs() < 5.0 / (n as f64).sqrt(), "{what}: {w2} for {mean}");
        }
    }
}
