//! Label flips: now and then D is told that a real sample is fake and a fake one real (Chintala et al., 2016, "How to
//! train a GAN?", NIPS tutorial; Salimans et al., 2016, arXiv:1606.03498, section 3.4, for why soft targets help).
//!
//! With probability p, place i of D's batch exchanges a(x_i) and a(G(z_i)) before the loss is taken. So it goes with
//! every loss, those without labels included. The best D becomes ((1 - p) p_data + p p_g) / (p_data + p_g): it is never
//! certain, and the gradients it gives are never quite gone. Pitfall: only in D's update; p is small, 0.05 say, and 0.5
//! would tell D nothing.

use crate::Tensor;

/// D's outputs on real and on fake samples, exchanged where `mask`, of their shape, is not 0.
///
/// ```
/// use ganvil::{Tensor, gan::flip_labels};
/// let (real, fake) = (Tensor::from([[1.0f32], [2.0]]), Tensor::from([[-1.0f32], [-2.0]]));
/// let (r, f) = flip_labels(&real, &fake, &Tensor::from([[0u8], [1]]));
/// assert_eq!((r.to_vec::<f32>(), f.to_vec::<f32>()), (vec![1.0, -2.0], vec![-1.0, 2.0]));
/// ```
#[track_caller]
pub fn flip_labels(real: &Tensor, fake: &Tensor, mask: &Tensor) -> (Tensor, Tensor) {
    (mask.where_(fake, real), mask.where_(real, fake))
}
