//! How smoothly pictures change along ways through latent space (Karras et al., 2018, arXiv:1812.04948, section 4.1).

use super::sets::Pair;
use crate::error::misuse;

/// The perceptual path length: the mean of |f(a) - f(b)|^2 / step^2 over pairs of pictures whose places on their ways are
/// `step` apart, without the hundredth of the pairs that are nearest and the hundredth that are farthest. Features are of
/// pictures before they are made bytes, which would swallow the difference.
///
/// ```
/// use ganvil::Tensor;
/// use ganvil::metrics::{Pair, path_length};
/// let a = Tensor::new(&[0.0, 1.0, 2.0], &[3, 1]);
/// let b = Tensor::new(&[0.5, 1.5, 2.5], &[3, 1]); // ends of steps of 0.1
/// assert!((path_length(Pair { real: &a, fake: &b }, 0.1) - 25.0).abs() < 1e-9);
/// ```
///
/// # Panics
/// If there are not as many of each, `[n, d]`, or the step is 0.
#[track_caller]
pub fn path_length(ends: Pair, step: f64) -> f64 {
    let [a, b] = ends.matrices("path_length");
    if a.shape() != b.shape() || step == 0.0 {
        misuse!(
            "path_length",
            "features {:?} and {:?}, step {step}; pairs a step > 0 apart are needed",
            a.shape(),
            b.shape()
        );
    }
    let mut squares = a.sub(&b).square().sum(&[1], false).to_vec::<f64>();
    squares.sort_unstable_by(f64::total_cmp);
    let cut = squares.len() / 100;
    let kept = &squares[cut..squares.len() - cut];
    kept.iter().sum::<f64>() / kept.len() as f64 / (step * step)
}
