//! What the classifier makes of some digits.

use super::{Classifier, ClassifierNet, digits};
use crate::data::{Dataset, Images};
use crate::error::misuse;
use crate::{DType, Result, Tensor};
use serde::Serialize;

const CLASSES: usize = ClassifierNet::CLASSES;

/// Which classes the classifier finds in pictures, and how sure it is.
///
/// With p(y|x) the softmax of its logits, c(x) = argmax p(y|x) and q(y) the share of pictures with c(x) = y:
///
/// - confidence: the mean of max p(y|x);
/// - entropy: H(q) = -sum q ln q, in nats; ln 10 = 2.303 for equal shares;
/// - divergence from equal shares: KL(q || uniform) = ln 10 - H(q), in nats. The shares of n pictures of equally likely
///   classes have 9 / (2n) on average;
/// - agreement: the share of pictures with c(x) the class asked for, for real pictures their label (GAN-test of Shmelkov
///   et al., 2018, arXiv:1807.09499).
///
/// None of them sees variety within a class: one good picture of each digit has the best figures of all.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClassReport {
    /// Pictures.
    pub n: usize,
    /// Mean of the largest probability.
    pub confidence: f64,
    /// Share of pictures taken for each class.
    pub shares: Vec<f64>,
    /// The smallest of them.
    pub min_share: f64,
    /// Of the shares, in nats.
    pub entropy: f64,
    /// KL(shares || uniform) in nats.
    pub kl_to_uniform: f64,
    /// None where no classes were asked for.
    pub agreement: Option<Agreement>,
}

/// How often the classifier finds the class that was asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// Share of all pictures.
    pub overall: f64,
    /// Share of those of each class; None for a class that was not asked for.
    pub per_class: Vec<Option<f64>>,
}

impl ClassReport {
    /// Looks at images of 28 x 28, with the class of each if it is known.
    ///
    /// ```
    /// use ganvil::data::Images;
    /// use ganvil::metrics::{ClassReport, Classifier};
    /// let black = Images { count: 4, channels: 1, rows: 28, cols: 28, pixels: vec![0; 4 * 784] };
    /// let report = ClassReport::new(&Classifier::mnist()?, &black, None)?;
    /// assert_eq!((report.entropy, report.min_share), (0.0, 0.0)); // all are taken for one digit
    /// assert!((report.kl_to_uniform - 10f64.ln()).abs() < 1e-12);
    /// # Ok::<(), ganvil::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the images are not grey and 28 x 28.
    ///
    /// # Panics
    /// If there are no images, not as many classes as images, or a class above 9.
    #[track_caller]
    pub fn new(classifier: &Classifier, images: &Images, asked: Option<&[u32]>) -> Result<ClassReport> {
        let n = images.count;
        if n == 0 || asked.is_some_and(|a| a.len() != n || a.iter().any(|c| *c as usize >= CLASSES)) {
            misuse!(
                "class_report",
                "needs images, and for each a class below {CLASSES} or no classes at all"
            );
        }
        let logits = classifier.logits(&digits::tensor(images)?);
        Ok(ClassReport::of_probabilities(&logits.to_dtype(DType::F64).softmax(1), asked))
    }

    /// Of the probabilities that a network gives each class, f64 `[n, classes]`.
    pub(super) fn of_probabilities(probabilities: &Tensor, asked: Option<&[u32]>) -> ClassReport {
        let (n, classes) = (probabilities.shape()[0], probabilities.shape()[1]);
        let most: Vec<(usize, f64)> =
            probabilities.to_vec::<f64>().chunks_exact(classes).map(largest).collect();
        let mut shares = vec![0.0; classes];
        most.iter().for_each(|(class, _)| shares[*class] += 1.0);
        shares.iter_mut().for_each(|share| *share /= n as f64);
        // -0 would be printed so.
        let entropy = shares.iter().filter(|q| **q > 0.0).map(|q| -q * q.ln()).sum::<f64>().max(0.0);
        ClassReport {
            n,
            confidence: most.iter().map(|(_, p)| p).sum::<f64>() / n as f64,
            min_share: shares.iter().copied().fold(1.0, f64::min),
            entropy,
            // Rounding may leave equal shares just below 0.
            kl_to_uniform: ((classes as f64).ln() - entropy).max(0.0),
            agreement: asked.map(|asked| Agreement::new(&most, asked, classes)),
            shares,
        }
    }

    /// [`ClassReport::new`] of real digits, which have labels: the figures that no samples can be expected to pass.
    ///
    /// # Errors
    /// If they are not labelled grey pictures of 28 x 28 in at most ten classes.
    pub fn of_data(classifier: &Classifier, data: &Dataset) -> Result<ClassReport> {
        ClassReport::new(classifier, &data.images, Some(digits::labels(data)?))
    }
}

impl Agreement {
    fn new(found: &[(usize, f64)], asked: &[u32], classes: usize) -> Agreement {
        let (mut right, mut all) = (vec![0u64; classes], vec![0u64; classes]);
        for ((class, _), asked) in found.iter().zip(asked) {
            all[*asked as usize] += 1;
            right[*asked as usize] += u64::from(*class == *asked as usize);
        }
        let share = |right: u64, all: u64| (all > 0).then(|| right as f64 / all as f64);
        Agreement {
            overall: right.iter().sum::<u64>() as f64 / asked.len() as f64,
            per_class: right.iter().zip(all).map(|(r, a)| share(*r, a)).collect(),
        }
    }
}

/// The first largest number and its place.
fn largest(values: &[f64]) -> (usize, f64) {
    values.iter().copied().enumerate().fold((0, f64::MIN), |most, v| if v.1 > most.1 { v } else { most })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_counts_by_the_class_that_was_asked_for() {
        let found = [(0, 1.0), (1, 1.0), (1, 1.0), (9, 1.0)];
        let agreement = Agreement::new(&found, &[0, 1, 0, 1], CLASSES);
        assert_eq!(agreement.overall, 0.5);
        let mut want = vec![None; CLASSES];
        (want[0], want[1]) = (Some(0.5), Some(0.5));
        assert_eq!(agreement.per_class, want);
    }

    #[test]
    fn the_first_of_equal_numbers_is_the_largest() {
        assert_eq!(largest(&[0.1, 0.4, 0.4, 0.1]), (1, 0.4));
    }
}
