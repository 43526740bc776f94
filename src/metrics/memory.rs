//! Whether samples are copies of training images (a check that published work makes by eye: nearest neighbours beside
//! samples; here it is a number).
//!
//! For each sample the nearest training image, in pixels and in features. How near is near is what held-out real images
//! say, which no training has seen: a sample counts as a copy if it is nearer to a training image than all but one in a
//! hundred of those are. So held-out images have a share of 1 % by themselves, and a generator that has learnt the
//! distribution about as many.
//!
//! Pitfall: a copy moved by two pixels is far off in pixels; features see through that, and see nothing of small changes
//! that they were trained to ignore.

use super::neighbours::{Points, nearest};
use super::sets::matrix;
use crate::Tensor;
use crate::error::misuse;

/// Nearest training images.
#[derive(Clone, Debug, PartialEq)]
pub struct Nearest {
    /// The training image nearest to each sample, the first of several.
    pub index: Vec<usize>,
    /// How far it is: Euclidean, in the units of the features.
    pub distance: Vec<f64>,
}

/// Training images taken at a time, which bounds the memory for their distances.
const CHUNK: usize = 8192;

/// The training image nearest to each sample: `samples` `[n, d]`, `training` `[m, d]`, pixels or features.
///
/// ```
/// use ganvil::Tensor;
/// use ganvil::metrics::nearest_training;
/// let training = Tensor::new(&[0.0, 4.0, 10.0], &[3, 1]);
/// let found = nearest_training(&Tensor::new(&[9.0, 4.0], &[2, 1]), &training);
/// assert_eq!((found.index, found.distance), (vec![2, 1], vec![1.0, 0.0]));
/// ```
///
/// # Panics
/// If they are not matrices of as many columns.
#[track_caller]
pub fn nearest_training(samples: &Tensor, training: &Tensor) -> Nearest {
    let samples = Points::new(matrix("nearest_training", samples));
    let &[m, d] = training.shape() else {
        misuse!("nearest_training", "training features are [m, d], got {:?}", training.shape())
    };
    if m == 0 || d != samples.x.shape()[1] {
        misuse!(
            "nearest_training",
            "training features {:?} for samples {:?}",
            training.shape(),
            samples.x.shape()
        );
    }
    let mut best = vec![(0, f64::INFINITY); samples.len()];
    for start in (0..m).step_by(CHUNK) {
        let part = matrix("nearest_training", &training.narrow(0, start, CHUNK.min(m - start)));
        for (best, (i, d)) in best.iter_mut().zip(nearest(&samples, &Points::new(part))) {
            if d < best.1 {
                *best = (start + i, d);
            }
        }
    }
    Nearest { index: best.iter().map(|b| b.0).collect(), distance: best.iter().map(|b| b.1.sqrt()).collect() }
}

/// The share of samples that are nearer to a training image than 99 in 100 of the held-out images are.
///
/// ```
/// use ganvil::metrics::copied_share;
/// let held_out: Vec<f64> = (0..200).map(f64::from).collect(); // 2 is the first that is not among the nearest 1 %
/// assert_eq!(copied_share(&[0.0, 1.5, 2.0, 50.0], &held_out), 0.5);
/// ```
///
/// # Panics
/// If either is empty.
#[track_caller]
pub fn copied_share(samples: &[f64], held_out: &[f64]) -> f64 {
    let sorted = sorted("copied_share", samples, held_out);
    let limit = sorted[sorted.len() / 100];
    samples.iter().filter(|d| **d < limit).count() as f64 / samples.len() as f64
}

/// The share of samples that are farther from every training image than 99 in 100 of the held-out images are: in pixels,
/// those with noise or debris, which a classifier is trained to look past.
///
/// ```
/// use ganvil::metrics::stray_share;
/// let held_out: Vec<f64> = (0..200).map(f64::from).collect();
/// assert_eq!(stray_share(&[0.0, 197.0, 198.0, 500.0], &held_out), 0.5);
/// ```
///
/// # Panics
/// If either is empty.
#[track_caller]
pub fn stray_share(samples: &[f64], held_out: &[f64]) -> f64 {
    let sorted = sorted("stray_share", samples, held_out);
    let limit = sorted[sorted.len() - 1 - sorted.len() / 100];
    samples.iter().filter(|d| **d > limit).count() as f64 / samples.len() as f64
}

/// The distances of held-out images, from the nearest.
#[track_caller]
fn sorted(what: &'static str, samples: &[f64], held_out: &[f64]) -> Vec<f64> {
    if samples.is_empty() || held_out.is_empty() {
        misuse!(what, "{} samples and {} held-out images; both are needed", samples.len(), held_out.len());
    }
    let mut sorted = held_out.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}
