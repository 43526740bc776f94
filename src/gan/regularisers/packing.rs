//! Packing, PacGAN (Lin et al., 2018, arXiv:1712.04086): D judges m samples at a time.
//!
//! m samples of a batch are put behind each other along the channels, `[n, c, h, w]` to `[n / m, m c, h, w]`, all real or
//! all fake; only D's first layer is wider. A G with few modes gives packs of look-alikes, which data never are, so D sees
//! what is missing. m is 2 to 4. Pitfalls: a step has 1 / m as many judgements, so D learns more slowly; a pack is one
//! sample for gradient penalties (one eps, one norm); samples of a pack must be of one class, so it does not go with
//! labels here.

use crate::Tensor;
use crate::error::misuse;

/// Packs of `m` samples that follow each other in the batch.
///
/// ```
/// use ganvil::{Tensor, gan::pack};
/// let packs = pack(&Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]), 2);
/// assert_eq!((packs.shape(), packs.to_vec::<f32>()), (&[1, 4][..], vec![1.0, 2.0, 3.0, 4.0]));
/// ```
///
/// # Panics
/// If m does not divide the batch.
#[track_caller]
pub fn pack(x: &Tensor, m: usize) -> Tensor {
    if m == 1 {
        return x.clone();
    }
    let mut shape = x.shape().to_vec();
    if shape.len() < 2 || m == 0 || !shape[0].is_multiple_of(m) {
        misuse!("pack", "packs of {m} do not divide the batch of x {shape:?}; use a divisor of its size");
    }
    (shape[0], shape[1]) = (shape[0] / m, shape[1] * m);
    x.reshape(&shape)
}
