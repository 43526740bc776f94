//! Two sets of features that are compared, and the draws that pick samples of a set.

use crate::error::misuse;
use crate::rng::{Key, Philox, Stream};
use crate::{DType, Tensor};
use rand::seq::SliceRandom;

/// Features of real and of generated samples: `[n, d]` and `[m, d]`, a sample a row.
///
/// The two have names because their order has been got wrong: exchanged, precision is recall.
///
/// ```
/// use ganvil::Tensor;
/// use ganvil::metrics::{Pair, frechet_distance};
/// let real = Tensor::new(&[0.0, 2.0], &[2, 1]);
/// let fake = Tensor::new(&[3.0, 5.0], &[2, 1]);
/// assert_eq!(frechet_distance(Pair { real: &real, fake: &fake }), 9.0);
/// ```
#[derive(Clone, Copy)]
pub struct Pair<'a> {
    /// Of real samples.
    pub real: &'a Tensor,
    /// Of generated ones.
    pub fake: &'a Tensor,
}

impl Pair<'_> {
    /// Both as f64 on the host, `[n, d]` and `[m, d]`.
    ///
    /// # Panics
    /// If they are not matrices of as many columns, or one has no rows.
    #[track_caller]
    pub(super) fn matrices(&self, what: &'static str) -> [Tensor; 2] {
        let (real, fake) = (matrix(what, self.real), matrix(what, self.fake));
        if real.shape()[1] != fake.shape()[1] {
            misuse!(
                what,
                "real features are {:?} and fake ones {:?}; both need the same number of columns, from one network",
                real.shape(),
                fake.shape()
            );
        }
        [real, fake]
    }
}

/// Features as f64 on the host.
#[track_caller]
pub(super) fn matrix(what: &'static str, features: &Tensor) -> Tensor {
    match features.shape() {
        [n, d] if *n > 0 && *d > 0 => {
            features.to_device(crate::Device::Cpu).to_dtype(DType::F64).contiguous()
        }
        other => misuse!(what, "features are [n, d] with n, d > 0, got {other:?}"),
    }
}

/// The numbers below `n` in an order drawn by `seed` and `call`: the same for everybody who draws it.
pub(super) fn shuffled(n: usize, seed: u64, call: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut Philox::new(Key::new(seed, Stream::General), call));
    order
}

/// A matrix whose rows are picked again and again.
pub(super) struct Rows {
    values: Vec<f64>,
    columns: usize,
}

impl Rows {
    /// Of f64 `[n, d]`.
    pub fn new(x: &Tensor) -> Rows {
        Rows { values: x.to_vec(), columns: x.shape()[1] }
    }

    /// `[index.len(), d]`.
    pub fn pick(&self, index: &[usize]) -> Tensor {
        let d = self.columns;
        let values: Vec<f64> =
            index.iter().flat_map(|&i| &self.values[i * d..(i + 1) * d]).copied().collect();
        Tensor::new(&values, &[index.len(), d])
    }
}
