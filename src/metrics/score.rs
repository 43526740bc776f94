//! The classifier score (Salimans et al., 2016, arXiv:1606.03498, section 4), "inception score" with the network of that
//! name: exp(E KL(p(y|x) || p(y))), p(y) the mean over the same split.
//!
//! From 1 to the number of classes: high where every sample is surely of one class and all classes are there alike. It
//! looks at no real sample and is blind to what happens within a class: one good picture of each class has the highest
//! score of all.

use super::kid::mean_and_deviation;
use crate::error::misuse;
use crate::{DType, Tensor};

/// A score over splits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Mean of the splits' scores.
    pub mean: f64,
    /// Their deviation (population).
    pub deviation: f64,
}

/// The score of probabilities `[n, classes]`, split i being rows \[i n / splits, (i + 1) n / splits). Samples that are
/// sorted by class are to be shuffled first: a split with one class has a score of 1.
///
/// ```
/// use ganvil::Tensor;
/// use ganvil::metrics::classifier_score;
/// let sure = Tensor::eye(4, ganvil::DType::F64, ganvil::Device::Cpu);
/// assert!((classifier_score(&sure, 1).mean - 4.0).abs() < 1e-12);
/// assert_eq!(classifier_score(&sure, 4).mean, 1.0);
/// ```
///
/// # Panics
/// If they are not `[n, classes]`, or there are more splits than rows or none.
#[track_caller]
pub fn classifier_score(probabilities: &Tensor, splits: usize) -> Score {
    let &[n, classes] = probabilities.shape() else {
        misuse!("classifier_score", "probabilities are [n, classes], got {:?}", probabilities.shape())
    };
    if splits == 0 || splits > n || classes == 0 {
        misuse!(
            "classifier_score",
            "{splits} splits of {n} samples in {classes} classes; use 1 to {n} splits"
        );
    }
    let p = probabilities.to_dtype(DType::F64).to_vec::<f64>();
    let scores: Vec<f64> = (0..splits)
        .map(|i| of_split(&p[i * n / splits * classes..(i + 1) * n / splits * classes], classes))
        .collect();
    let (mean, deviation) = mean_and_deviation(&scores);
    Score { mean, deviation }
}

fn of_split(p: &[f64], classes: usize) -> f64 {
    let n = (p.len() / classes) as f64;
    let mut marginal = vec![0.0; classes];
    for row in p.chunks_exact(classes) {
        marginal.iter_mut().zip(row).for_each(|(m, v)| *m += v / n);
    }
    // 0 ln 0 = 0.
    let term = |(p, m): (&f64, &f64)| if *p > 0.0 { p * (p.ln() - m.ln()) } else { 0.0 };
    let kl: f64 = p.chunks_exact(classes).map(|row| row.iter().zip(&marginal).map(term).sum::<f64>()).sum();
    (kl / n).exp()
}
