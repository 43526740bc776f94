//! Self-attention over the pixels of an image (Zhang et al., 2019, arXiv:1805.08318).

use crate::Tensor;
use crate::error::misuse;

/// The weight `[out, in]` or `[out, in, 1, 1]` and the bias `[out]` of a convolution of 1 x 1 pixels.
pub type Projection<'a> = (&'a Tensor, Option<&'a Tensor>);

impl Tensor {
    /// Attention of each pixel of images `[n, c, h, w]` to all pixels of its image:
    ///
    /// `y_i = gamma o_i + x_i`, `o_i = sum_j a_ij v_j`, `a_ij = softmax_j(q_i . k_j)`
    ///
    /// where q, k and v are the pixels multiplied by the projections (query and key `[c', c]`, value `[c, c]`), and
    /// gamma `[1]` starts at 0 in training. There is no scaling by `1 / sqrt(c')`. Attention costs `(h w)^2` values for
    /// each image. f32 and f64; any order of derivative.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::new(&[1.0f64, 3.0], &[1, 1, 1, 2]);
    /// let (zero, one) = (Tensor::from([[0.0f64]]), Tensor::from([[1.0f64]]));
    /// // With queries of 0 every pixel attends to all alike: the mean of 1 and 3 is added.
    /// let y = x.self_attention((&zero, None), (&one, None), (&one, None), &Tensor::from(&[1.0f64][..]));
    /// assert_eq!(y.to_vec::<f64>(), [3.0, 5.0]);
    /// ```
    ///
    /// # Panics
    /// If x is no batch of images, or a projection or gamma do not fit.
    #[track_caller]
    pub fn self_attention(
        &self,
        query: Projection,
        key: Projection,
        value: Projection,
        gamma: &Tensor,
    ) -> Tensor {
        const OP: &str = "self_attention";
        let [n, c, h, w] = self.check_images(OP);
        for (name, (weight, bias)) in [("query", query), ("key", key), ("value", value)] {
            self.check_projection(name, weight, bias);
        }
        if query.0.shape()[0] != key.0.shape()[0] || value.0.shape()[0] != c {
            misuse!(
                OP,
                "query and key must have equally many rows and value {c} for x {:?}, got {:?}, {:?} and {:?}",
                self.shape(),
                query.0.shape(),
                key.0.shape(),
                value.0.shape()
            );
        }
        self.check_with(OP, gamma);
        if gamma.shape() != [1] {
            misuse!(OP, "gamma must be [1] for x {:?}, got {:?}", self.shape(), gamma.shape());
        }
        let pixels = self.permute(&[0, 2, 3, 1]).reshape(&[n, h * w, c]);
        let project =
            |(weight, bias): Projection| pixels.linear(&weight.reshape(&[weight.shape()[0], c]), bias);
        let (q, k, v) = (project(query), project(key), project(value));
        let attended = q.matmul(&k.transpose(1, 2)).softmax(-1).matmul(&v);
        attended.reshape(&[n, h, w, c]).permute(&[0, 3, 1, 2]).mul(gamma).add(self)
    }

    #[track_caller]
    fn check_projection(&self, name: &str, weight: &Tensor, bias: Option<&Tensor>) {
        const OP: &str = "self_attention";
        self.check_with(OP, weight);
        let c = self.shape()[1];
        let fits = matches!(*weight.shape(), [_, i] | [_, i, 1, 1] if i == c);
        if !fits {
            misuse!(
                OP,
                "{name} must be [out, {c}] or [out, {c}, 1, 1] for x {:?}, got {:?}",
                self.shape(),
                weight.shape()
            );
        }
        let Some(bias) = bias else { return };
        self.check_with(OP, bias);
        if bias.shape() != &weight.shape()[..1] {
            misuse!(OP, "the bias of {name} {:?} must be [out], got {:?}", weight.shape(), bias.shape());
        }
    }
}
