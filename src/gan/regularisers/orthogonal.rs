//! Orthogonal regularisation of G's weights.
//!
//! R = || W W^T o (1 - I) ||_F^2  (Brock et al., 2018, arXiv:1809.11096, section 3.1; weight 1e-4), or
//! R = || W W^T - I ||_F^2  (Brock et al., 2016, arXiv:1609.07093), summed over layers
//!
//! The rows of W are a layer's filters: a kernel `[out, in, kh, kw]` is the matrix `[out, in kh kw]`, that of a
//! transposed convolution with its outputs first; biases, gains and label tables are left alone. The first form only asks
//! filters not to resemble each other, the second also fixes their norm. G then gives sensible samples for noise that it
//! has seldom seen, which truncation relies on. Pitfall: the gradient is 4 (W W^T o (1 - I)) W; the published PyTorch code
//! adds half of that to the gradients, so its 1e-4 is 5e-5 here.

use crate::names::unknown;
use crate::nn::Module;
use crate::{Error, Tensor};
use serde::{Deserialize, Serialize};

/// Which of the two is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrthogonalForm {
    /// The overlaps of different filters: BigGAN's.
    #[default]
    OffDiagonal,
    /// Their norms, too.
    Full,
}

impl std::str::FromStr for OrthogonalForm {
    type Err = Error;
    fn from_str(s: &str) -> Result<OrthogonalForm, Error> {
        match s {
            "off-diagonal" => Ok(OrthogonalForm::OffDiagonal),
            "full" => Ok(OrthogonalForm::Full),
            _ => Err(unknown("orthogonal form", s, &["off-diagonal", "full"])),
        }
    }
}

/// The regulariser of a network, without its weight; `[]`. None if it has no weights.
///
/// ```
/// use ganvil::gan::{OrthogonalForm, orthogonal};
/// use ganvil::nn::Linear;
/// use ganvil::{Generator, Tensor, rng::Stream};
/// let mut f = Linear::new(2, 2, true, &Generator::new(0, Stream::Init));
/// f.weight = Tensor::from([[3.0f64, 0.0], [0.0, 2.0]]).requires_grad();
/// assert_eq!(orthogonal(&f, OrthogonalForm::OffDiagonal).unwrap().item(), 0.0);
/// assert_eq!(orthogonal(&f, OrthogonalForm::Full).unwrap().item(), 8.0 * 8.0 + 3.0 * 3.0);
/// ```
pub fn orthogonal(net: &dyn Module, form: OrthogonalForm) -> Option<Tensor> {
    let mut sum: Option<Tensor> = None;
    net.visit_weights("", &mut |_, w, outputs| {
        let rows = w.transpose(0, outputs);
        let n = rows.shape()[0];
        let rows = rows.reshape(&[n, w.numel() / n.max(1)]);
        let products = rows.matmul(&rows.t());
        // The product is symmetric. Masked, not subtracted: what is orthogonal gives exactly 0.
        let off = products.tril(-1).square().sum_all().mul_scalar(2.0);
        let r = match form {
            OrthogonalForm::OffDiagonal => off,
            OrthogonalForm::Full => off.add(&products.diagonal(0).add_scalar(-1.0).square().sum_all()),
        };
        sum = Some(sum.take().map_or_else(|| r.clone(), |s| s.add(&r)));
    });
    sum
}
