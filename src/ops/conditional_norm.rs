//! Batch normalisation whose scale and shift depend on a sample's class (Dumoulin et al., 2017, arXiv:1610.07629; de
//! Vries et al., 2017, arXiv:1707.00683).

use super::norm::BatchNorm;
use crate::error::misuse;
use crate::{Dims, Tensor};

impl Tensor {
    /// Batch normalisation with the batch's own statistics, as in [`Tensor::batch_norm`], scaled and shifted by the
    /// rows of two tables that a sample's class names:
    ///
    /// `y = gamma[class] (x - mean) / sqrt(var + eps) + beta[class]`
    ///
    /// for x `[n, c, ..]`, class i64 `[n]`, and gamma and beta `[classes, c]`. f32 and f64; any order of derivative.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f64], [3.0]]);
    /// let (gamma, beta) = (Tensor::from([[1.0f64], [10.0]]), Tensor::from([[0.0f64], [0.5]]));
    /// let y = x.conditional_batch_norm(&Tensor::from(&[0i64, 1][..]), &gamma, &beta, 0.0).y;
    /// assert_eq!(y.to_vec::<f64>(), [-1.0, 10.5]);
    /// ```
    ///
    /// # Panics
    /// If shapes do not fit, a class has no row, or a channel has fewer than two elements.
    #[track_caller]
    pub fn conditional_batch_norm(
        &self,
        class: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        eps: f64,
    ) -> BatchNorm {
        self.check_conditional("conditional_batch_norm", class, gamma, beta);
        let (one, zero) = self.plain_affine();
        let normed = self.batch_norm(&one, &zero, eps);
        BatchNorm { y: normed.y.conditioned(class, gamma, beta), ..normed }
    }

    /// [`Tensor::conditional_batch_norm`] with given statistics `[c]`, as in evaluation. A sample's result does not
    /// depend on the others.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let (x, class) = (Tensor::from([[5.0f64]]), Tensor::from(&[1i64][..]));
    /// let (gamma, beta) = (Tensor::from([[1.0f64], [10.0]]), Tensor::from([[0.0f64], [0.5]]));
    /// let (mean, var) = (Tensor::from(&[1.0f64][..]), Tensor::from(&[4.0f64][..]));
    /// assert_eq!(x.conditional_batch_norm_eval(&class, &gamma, &beta, &mean, &var, 0.0).item(), 20.5);
    /// ```
    ///
    /// # Panics
    /// If shapes do not fit, or a class has no row.
    #[track_caller]
    pub fn conditional_batch_norm_eval(
        &self,
        class: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        mean: &Tensor,
        var: &Tensor,
        eps: f64,
    ) -> Tensor {
        self.check_conditional("conditional_batch_norm_eval", class, gamma, beta);
        let (one, zero) = self.plain_affine();
        self.batch_norm_eval(&one, &zero, mean, var, eps).conditioned(class, gamma, beta)
    }

    /// The weight and bias that leave a normalised tensor as it is.
    fn plain_affine(&self) -> (Tensor, Tensor) {
        let full = |v| Tensor::full(&[self.shape()[1]], v, self.dtype(), self.device());
        (full(1.0), full(0.0))
    }

    fn conditioned(&self, class: &Tensor, gamma: &Tensor, beta: &Tensor) -> Tensor {
        let mut spread: Dims = Dims::filled(self.rank(), 1);
        (spread[0], spread[1]) = (self.shape()[0], self.shape()[1]);
        let rows = |table: &Tensor| Tensor::embedding(class, table).reshape(&spread);
        self.mul(&rows(gamma)).add(&rows(beta))
    }

    #[track_caller]
    fn check_conditional(&self, op: &str, class: &Tensor, gamma: &Tensor, beta: &Tensor) {
        self.check_full(op);
        if self.rank() < 2 || class.shape() != &self.shape()[..1] {
            misuse!(
                op,
                "needs x [batch, channels, ..] and class [batch], got {:?} and {:?}",
                self.shape(),
                class.shape()
            );
        }
        for (name, t) in [("gamma", gamma), ("beta", beta)] {
            self.check_with(op, t);
            if t.rank() != 2 || t.shape()[1] != self.shape()[1] || t.shape() != gamma.shape() {
                misuse!(
                    op,
                    "gamma and beta must both be [classes, channels] = [_, {}] for x {:?}, {name} is {:?}",
                    self.shape()[1],
                    self.shape(),
                    t.shape()
                );
            }
        }
    }
}
