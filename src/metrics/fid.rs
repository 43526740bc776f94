//! Fréchet distances of features (Heusel et al., 2017, arXiv:1706.08500, section 4; as published code has them).
//!
//! Both sets are described by mean and covariance, as if they were Gaussian:
//!
//! FID = |mu_r - mu_f|^2 + tr(S_r + S_f - 2 (S_r S_f)^(1/2)),
//!
//! S with n - 1. The root's trace is the sum of the roots of the eigenvalues of S_r^(1/2) S_f S_r^(1/2), which is
//! symmetric and has no negative ones but by rounding: two symmetric eigenvalue problems, finite whatever the rank.
//! (The usual `sqrtm` of S_r S_f, which is not symmetric, gives large imaginary parts for fewer samples than features.)
//!
//! Pitfalls: the distance is biased upwards by about c / n for n samples, so that values of different n do not compare,
//! and it knows nothing but two moments: a set with the same ones can look like nothing. [`fid_infinity`] removes the
//! first term of the bias.

use super::sets::{Pair, Rows, matrix, shuffled};
use crate::error::misuse;
use crate::{DType, Tensor};
use faer::{MatRef, Side};

/// Mean and covariance of features.
#[derive(Clone)]
pub struct Moments {
    /// f64 `[1, d]`.
    mean: Tensor,
    /// f64 `[d, d]`, with n - 1.
    covariance: Tensor,
}

impl Moments {
    /// Of features `[n, d]`, one sample a row.
    ///
    /// # Panics
    /// With less than two rows: one has no covariance.
    #[track_caller]
    pub fn of(features: &Tensor) -> Moments {
        let x = matrix("moments", features);
        let n = x.shape()[0];
        if n < 2 {
            misuse!("moments", "the covariance of {n} sample is not defined; give two or more");
        }
        let mean = x.mean(&[0], true);
        let centred = x.sub(&mean);
        let covariance = centred.t().matmul(&centred).mul_scalar(1.0 / (n - 1) as f64);
        Moments { mean, covariance }
    }

    /// The squared Fréchet distance of the Gaussians with these moments; at least 0.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// use ganvil::metrics::Moments;
    /// let of = |v: &[f64]| Moments::of(&Tensor::new(v, &[3, 1]));
    /// // Means 0 and 4, deviations 1 and 2: 4^2 + (2 - 1)^2.
    /// assert!((of(&[-1.0, 0.0, 1.0]).distance(&of(&[2.0, 4.0, 6.0])) - 17.0).abs() < 1e-12);
    /// ```
    ///
    /// # Panics
    /// If the two are of different numbers of features, or not finite.
    #[track_caller]
    pub fn distance(&self, other: &Moments) -> f64 {
        let (d, e) = (self.mean.shape()[1], other.mean.shape()[1]);
        if d != e {
            misuse!("frechet_distance", "moments of {d} and of {e} features; both need the same network");
        }
        let root = square_root(&self.covariance);
        let inner = root.matmul(&other.covariance).matmul(&root);
        let cross: f64 = eigenvalues(&inner).iter().map(|v| v.max(0.0).sqrt()).sum();
        let means = self.mean.sub(&other.mean).square().sum_all().item();
        let traces = self.covariance.trace().item() + other.covariance.trace().item();
        // Rounding can leave equal moments just below.
        (means + traces - 2.0 * cross).max(0.0)
    }
}

/// The Fréchet distance of two sets of features.
///
/// ```
/// use ganvil::metrics::{Pair, frechet_distance};
/// use ganvil::{DType, Device, Generator, rng::Stream};
/// let x = Generator::new(0, Stream::General).normal(&[40, 6], 0.0, 1.0, DType::F64, Device::Cpu);
/// assert!(frechet_distance(Pair { real: &x, fake: &x }) < 1e-12);
/// ```
///
/// # Panics
/// If they are not matrices of as many columns and of two rows or more.
#[track_caller]
pub fn frechet_distance(pair: Pair) -> f64 {
    let [real, fake] = pair.matrices("frechet_distance");
    Moments::of(&real).distance(&Moments::of(&fake))
}

/// The distance extrapolated to infinitely many generated samples (Chong and Forsyth, 2020, arXiv:1911.07023): the
/// distance at five sizes evenly spaced in 1/n from a fifth of the samples to all of them, each of a draw by `seed`, a
/// straight line in 1/n through them, its value at 0. The bias that the finite number of real samples has remains.
///
/// # Panics
/// As [`frechet_distance`], and with fewer than ten generated samples.
#[track_caller]
pub fn fid_infinity(pair: Pair, seed: u64) -> f64 {
    const SIZES: usize = 5;
    let [real, fake] = pair.matrices("fid_infinity");
    let n = fake.shape()[0];
    if n < 2 * SIZES {
        misuse!("fid_infinity", "{n} generated samples; a line needs {} or more", 2 * SIZES);
    }
    let (of_real, fake) = (Moments::of(&real), Rows::new(&fake));
    let points: Vec<(f64, f64)> = (0..SIZES)
        .map(|i| {
            // 1/n from 5/n to 1/n.
            let size = n / (SIZES - i);
            let draw = &shuffled(n, seed, i as u64)[..size];
            (1.0 / size as f64, of_real.distance(&Moments::of(&fake.pick(draw))))
        })
        .collect();
    let mean = |f: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(f).sum::<f64>() / SIZES as f64;
    let (x, y) = (mean(&|p| p.0), mean(&|p| p.1));
    let slope = mean(&|p| (p.0 - x) * (p.1 - y)) / mean(&|p| (p.0 - x).powi(2));
    y - slope * x
}

/// The symmetric root of a covariance, `[d, d]`: V sqrt(L) V^T for S = V L V^T, eigenvalues below 0 taken as 0.
#[track_caller]
fn square_root(s: &Tensor) -> Tensor {
    let (values, d) = (s.to_vec::<f64>(), s.shape()[0]);
    let eigen = MatRef::from_row_major_slice(&values, d, d).self_adjoint_eigen(Side::Lower);
    let Ok(eigen) = eigen else { not_finite() };
    let (u, l) = (eigen.U(), eigen.S().column_vector());
    let vectors: Vec<f64> = (0..d * d).map(|at| u[(at / d, at % d)]).collect();
    let roots: Vec<f64> = (0..d).map(|i| l[i].max(0.0).sqrt()).collect();
    let vectors = Tensor::new(&vectors, &[d, d]);
    vectors.mul(&Tensor::new(&roots, &[1, d])).matmul(&vectors.t())
}

/// Of a matrix that is symmetric but for rounding.
#[track_caller]
fn eigenvalues(s: &Tensor) -> Vec<f64> {
    debug_assert_eq!(s.dtype(), DType::F64);
    let (values, d) = (s.add(&s.t()).mul_scalar(0.5).to_vec::<f64>(), s.shape()[0]);
    let found = MatRef::from_row_major_slice(&values, d, d).self_adjoint_eigenvalues(Side::Lower);
    found.unwrap_or_else(|_| not_finite())
}

#[cold]
#[track_caller]
fn not_finite() -> ! {
    misuse!("frechet_distance", "the covariance has values that are not finite, so the features have")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Device;
    use crate::Generator;
    use crate::rng::Stream;

    fn normal(shape: [usize; 2], seed: u64) -> Tensor {
        Generator::new(seed, Stream::General).normal(&shape, 0.0, 1.0, DType::F64, Device::Cpu)
    }

    fn of(real: &Tensor, fake: &Tensor) -> f64 {
        frechet_distance(Pair { real, fake })
    }

    #[test]
    fn a_set_is_at_no_distance_from_its_permutation() {
        let x = normal([300, 20], 0);
        let mixed = Rows::new(&x).pick(&shuffled(300, 7, 0));
        let trace = Moments::of(&x).covariance.trace().item();
        assert!(of(&x, &x) < 1e-6 * trace && of(&x, &mixed) < 1e-6 * trace);
    }

    #[test]
    fn rotations_of_both_sets_change_nothing() {
        let (x, y) = (normal([200, 12], 1), normal([150, 12], 2).mul_scalar(1.7).add_scalar(0.3));
        // The left singular vectors of a random matrix, by Gram and Schmidt.
        let mut axes: Vec<Vec<f64>> = Vec::new();
        for row in normal([12, 12], 3).to_vec::<f64>().chunks_exact(12) {
            let mut v = row.to_vec();
            for a in &axes {
                let dot: f64 = v.iter().zip(a).map(|(v, a)| v * a).sum();
                v.iter_mut().zip(a).for_each(|(v, a)| *v -= dot * a);
            }
            let norm = v.iter().map(|v| v * v).sum::<f64>().sqrt();
            axes.push(v.into_iter().map(|v| v / norm).collect());
        }
        let turn = Tensor::new(&axes.concat(), &[12, 12]);
        let (before, after) = (of(&x, &y), of(&x.matmul(&turn), &y.matmul(&turn)));
        assert!((before - after).abs() < 1e-9 * before, "{before} {after}");
    }

    #[test]
    fn fewer_samples_than_features_give_a_finite_distance() {
        let (x, y) = (normal([10, 64], 4), normal([12, 64], 5));
        let d = of(&x, &y);
        assert!(d.is_finite() && d > 0.0);
        assert!(of(&x, &x) < 1e-6 * 64.0);
        // One image over and over: no covariance at all.
        let same = x.narrow(0, 0, 1).expand(&[10, 64]).contiguous();
        assert!(of(&x, &same).is_finite());
    }

    #[test]
    fn the_line_in_1_over_n_takes_the_bias_away() {
        let (x, y) = (normal([4000, 16], 6), normal([2000, 16], 7));
        let (biased, line) = (of(&x, &y), fid_infinity(Pair { real: &x, fake: &y }, 0));
        assert!(biased > 0.05 && line.abs() < 0.6 * biased, "{biased} {line}");
    }
}
