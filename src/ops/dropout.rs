//! Dropout (Srivastava et al., JMLR 15, 2014).

use crate::error::misuse;
use crate::{Generator, Tensor};

impl Tensor {
    /// Each element is 0 with probability p, else divided by 1 - p, so that the mean stays. For training; in
    /// evaluation leave it out.
    ///
    /// # Panics
    /// If p lies outside of [0, 1].
    #[track_caller]
    pub fn dropout(&self, p: f64, random: &Generator) -> Tensor {
        check_p(p);
        self.check_full("dropout");
        let mask = random.bernoulli(self.shape(), 1.0 - p, keep_scale(p), self.dtype(), self.device());
        self.mul(&mask)
    }

    /// Dropout with a given mask (1 = kept): `x mask / (1 - p)`. No gradient for the mask.
    ///
    /// # Panics
    /// If p lies outside of [0, 1] or the shapes differ.
    #[track_caller]
    pub fn dropout_with_mask(&self, mask: &Tensor, p: f64) -> Tensor {
        check_p(p);
        if mask.shape() != self.shape() {
            misuse!("dropout", "the mask {:?} must have the shape of x {:?}", mask.shape(), self.shape());
        }
        self.check_with("dropout", mask);
        self.check_float("dropout");
        self.mul(&mask.detach().mul_scalar(keep_scale(p)))
    }
}

/// What kept elements are multiplied with; with p = 1 none are.
fn keep_scale(p: f64) -> f64 {
    if p < 1.0 { 1.0 / (1.0 - p) } else { 0.0 }
}

#[track_caller]
fn check_p(p: f64) {
    if !(0.0..=1.0).contains(&p) {
        misuse!("dropout", "the drop probability must lie in [0, 1], got {p}");
    }
}
