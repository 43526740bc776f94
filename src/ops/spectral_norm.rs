//! Spectral normalisation (Miyato et al., 2018, arXiv:1802.05957): weights divided by their largest singular value.

use super::constant;
use crate::error::misuse;
use crate::{Tensor, no_grad};

/// Which of the two vectors a power iteration renews first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SpectralOrder {
    /// `v <- norm(M^T u)`, then `u <- norm(M v)`: the paper's, and `torch.nn.utils.spectral_norm`'s. The old v plays no
    /// part.
    #[default]
    VFirst,
    /// `u <- norm(M v)`, then `v <- norm(M^T u)`: `torch.nn.utils.parametrizations.spectral_norm`'s. The old u plays no
    /// part.
    UFirst,
}

/// The result of [`Tensor::spectral_norm`].
pub struct SpectralNorm {
    /// `W / sigma`, of W's shape.
    pub weight: Tensor,
    /// `[m]`, of norm 1: the left singular vector that the iteration is at; a constant.
    pub u: Tensor,
    /// `[k]`, of norm 1: the right one; a constant.
    pub v: Tensor,
}

impl Tensor {
    /// This weight W divided by an estimate of its largest singular value, after one power iteration.
    ///
    /// With M the matrix `[m, k]` whose rows are the entries of dimension `dim` (0; 1 for transposed convolutions), the
    /// iteration goes from u `[m]` and v `[k]` to the next two, `norm(x) = x / max(|x|, eps)`, and then
    /// `sigma = u^T M v`. To the derivative u and v are constants and sigma is not:
    /// `dL/dW = (G - <G, W / sigma> u v^T) / sigma`. f32 and f64; any order of derivative.
    ///
    /// For a convolution sigma belongs to the kernel as a matrix; the map from image to image may stretch by up to
    /// `sqrt(kh kw)` more.
    ///
    /// ```
    /// use ganvil::{SpectralOrder, Tensor};
    /// let w = Tensor::from([[3.0f64, 0.0], [0.0, 1.0]]);
    /// let (mut u, mut v) = (Tensor::from(&[0.6f64, 0.8][..]), Tensor::from(&[0.6f64, 0.8][..]));
    /// for _ in 0..20 {
    ///     let next = w.spectral_norm(&u, &v, 0, SpectralOrder::VFirst, 1e-12);
    ///     (u, v) = (next.u, next.v);
    /// }
    /// let normed = w.spectral_norm(&u, &v, 0, SpectralOrder::VFirst, 1e-12).weight;
    /// assert!((normed.to_vec::<f64>()[0] - 1.0).abs() < 1e-12);
    /// ```
    ///
    /// # Panics
    /// If W has no dimensions or no `dim`, or u or v have other shapes than `[m]` and `[k]`.
    #[track_caller]
    pub fn spectral_norm(
        &self,
        u: &Tensor,
        v: &Tensor,
        dim: isize,
        order: SpectralOrder,
        eps: f64,
    ) -> SpectralNorm {
        let matrix = self.spectral_matrix("spectral_norm", u, v, dim);
        let (u, v) = no_grad(|| {
            let (m, u, v) = (matrix.detach(), u.detach(), v.detach());
            let left = |v: &Tensor| m.times(v).normalised(eps);
            let right = |u: &Tensor| m.t().times(u).normalised(eps);
            match order {
                SpectralOrder::VFirst => {
                    let v = right(&u);
                    (left(&v), v)
                }
                SpectralOrder::UFirst => {
                    let u = left(&v);
                    let v = right(&u);
                    (u, v)
                }
            }
        });
        SpectralNorm { weight: self.div(&matrix.form(&u, &v)), u, v }
    }

    /// This weight W divided by `sigma = u^T M v` for given vectors, as in evaluation; M as in
    /// [`Tensor::spectral_norm`].
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let (w, x) = (Tensor::from([[4.0f64, 0.0], [0.0, 1.0]]), Tensor::from(&[1.0f64, 0.0][..]));
    /// assert_eq!(w.spectral_norm_eval(&x, &x, 0).to_vec::<f64>(), [1.0, 0.0, 0.0, 0.25]);
    /// ```
    ///
    /// # Panics
    /// As [`Tensor::spectral_norm`].
    #[track_caller]
    pub fn spectral_norm_eval(&self, u: &Tensor, v: &Tensor, dim: isize) -> Tensor {
        let matrix = self.spectral_matrix("spectral_norm_eval", u, v, dim);
        self.div(&matrix.form(&u.detach(), &v.detach()))
    }

    /// The entries of a dimension as rows of a matrix that u and v fit.
    #[track_caller]
    fn spectral_matrix(&self, op: &str, u: &Tensor, v: &Tensor, dim: isize) -> Tensor {
        self.check_full(op);
        let d = self.dim(op, dim);
        let m = self.shape()[d];
        let k: usize = (0..self.rank()).filter(|&i| i != d).map(|i| self.shape()[i]).product();
        for (name, t, n) in [("u", u, m), ("v", v, k)] {
            self.check_with(op, t);
            if t.shape() != [n] {
                misuse!(
                    op,
                    "{name} must be [{n}] for a weight {:?} and dim {dim}, got {:?}",
                    self.shape(),
                    t.shape()
                );
            }
        }
        let order: Vec<isize> =
            std::iter::once(d).chain((0..self.rank()).filter(|&i| i != d)).map(|i| i as isize).collect();
        self.permute(&order).reshape(&[m, k])
    }

    /// The product of this matrix with a vector.
    fn times(&self, x: &Tensor) -> Tensor {
        self.matmul(&x.unsqueeze(1)).squeeze(1)
    }

    /// u^T M v
    fn form(&self, u: &Tensor, v: &Tensor) -> Tensor {
        u.unsqueeze(0).matmul(&self.matmul(&v.unsqueeze(1))).reshape(&[])
    }

    fn normalised(&self, eps: f64) -> Tensor {
        self.div(&self.norm(&[], false).maximum(&constant(self, eps)))
    }
}
