//! Feature matching (Salimans et al., 2016, arXiv:1606.03498, section 3.1): another goal for G.
//!
//! L_G = ||E f(x) - E f(G(z))||_2^2,  f the input of D's last layer, flattened
//!
//! G is to give what D finds typical of the data, not to beat the D of the moment, so it does not run after it; D is
//! trained as ever. Best known for semi-supervised learning. Pitfalls: only means are matched, so variety within the mean
//! is not asked for; the distance grows with the number of features, and so does the learning rate that it amounts to
//! under plain SGD.

use crate::Tensor;

/// The squared distance of the mean features of two batches `[n, ..]`; `[]`.
///
/// ```
/// use ganvil::{Tensor, gan::feature_matching};
/// let (real, fake) = (Tensor::from([[1.0f64, 0.0], [3.0, 0.0]]), Tensor::from([[0.0f64, 1.0]]));
/// assert_eq!(feature_matching(&real, &fake).item(), 4.0 + 1.0);
/// ```
#[track_caller]
pub fn feature_matching(real: &Tensor, fake: &Tensor) -> Tensor {
    real.mean(&[0], false).sub(&fake.mean(&[0], false)).square().sum_all()
}
