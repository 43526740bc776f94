//! Convolution with a kernel of its own for every sample.

use crate::backend::ConvOptions;
use crate::error::misuse;
use crate::{Dims, Tensor};

impl Tensor {
    /// StyleGAN2's modulated convolution (Karras et al., 2020, arXiv:1912.04958, section 2.2), stride 1: sample n is
    /// convolved with the weight whose input channels are scaled by its style, and, with `demodulate`, whose output
    /// channels are scaled to norm 1:
    ///
    /// ```text
    /// w'[n, o, i, k] = s[n, i] W[o, i, k]      w'' = w' / sqrt(sum over i, k of w'^2 + eps)
    /// ```
    ///
    /// for x `[n, I, h, w]`, W `[O, I, kh, kw]` and styles s `[n, I]`. No kernel per sample is ever made: scaling the
    /// channels of x, convolving with W, and scaling the channels of the result is the same function. Composed of ops, so
    /// differentiable in all three to any order.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::new(&[1.0f32, 2.0, 3.0, 4.0], &[1, 2, 1, 2]);
    /// let (w, s) = (Tensor::new(&[1.0f32, 1.0], &[1, 2, 1, 1]), Tensor::new(&[1.0f32, 10.0], &[1, 2]));
    /// assert_eq!(x.modulated_conv2d(&w, &s, [0, 0], None).to_vec::<f32>(), [31.0, 42.0]);
    /// let y = x.modulated_conv2d(&w, &s, [0, 0], Some(1e-8)); // divided by sqrt(1^2 + 10^2)
    /// assert!((y.to_vec::<f32>()[0] - 31.0 / 101f32.sqrt()).abs() < 1e-5);
    /// ```
    ///
    /// # Panics
    /// If the sizes do not fit; see [`Tensor::conv2d`].
    #[track_caller]
    pub fn modulated_conv2d(
        &self,
        weight: &Tensor,
        style: &Tensor,
        padding: [usize; 2],
        demodulate: Option<f64>,
    ) -> Tensor {
        let (sx, sw) = (self.shape(), weight.shape());
        if sx.len() != 4 || sw.len() != 4 || style.shape() != &sx[..2] {
            misuse!(
                "modulated_conv2d",
                "needs x [n, I, h, w], weight [O, I, kh, kw] and style [n, I], got x {sx:?}, weight {sw:?} and style {:?}",
                style.shape()
            );
        }
        let over_pixels = |t: &Tensor| {
            let shape: Dims = t.shape().iter().copied().chain([1, 1]).collect();
            t.reshape(&shape)
        };
        let options = ConvOptions { padding, ..ConvOptions::new() };
        let y = self.mul(&over_pixels(style)).conv2d(weight, None, &options);
        let Some(eps) = demodulate else { return y };
        // [n, O]: the squared norms of all samples' weights are one product of squares.
        let square_norms = style.square().matmul(&weight.square().sum(&[2, 3], false).t());
        y.div(&over_pixels(&square_norms.add_scalar(eps).sqrt()))
    }
}
