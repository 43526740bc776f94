//! Dropout (Srivastava et al., JMLR 15, 2014).

use crate::error::misuse;
use crate::{Generator, Tensor};

impl Tensor {
    /// Each element is 0 with probability p, else divided by 1 - p, so that the mean stays. For training; in
    /// evaluation leave it out.
    ///
    /// ```
    /// use ganvil::{DType, Device, Generator, Tensor, rng::Stream};
    /// let x = Tensor::ones(&[1000], DType::F32, Device::Cpu);
    /// let y = x.dropout(0.5, &Generator::new(0, Stream::Dropout)).to_vec::<f32>();
    /// assert!(y.iter().all(|&v| v == 0.0 || v == 2.0));
    /// let kept = y.iter().filter(|&&v| v == 2.0).count();
    /// assert!((400..600).contains(&kept));
    /// ```
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
    /// ```
    /// use ganvil::Tensor;
    /// let (x, mask) = (Tensor::from(&[1.0f32, 2.0, 3.0][..]), Tensor::from(&[1.0f32, 0.0, 1.0][..]));
    /// assert_eq!(x.dropout_with_mask(&mask, 0.5).to_vec::<f32>(), [2.0, 0.0, 6.0]);
    /// ```
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
