//! Layers without parameters of the progressively grown GAN (Karras et al., 2018, arXiv:1710.10196).

use crate::Tensor;
use crate::error::misuse;

impl Tensor {
    /// Each pixel's channels scaled to a mean square of 1: `y = x / sqrt(mean_c x^2 + eps)`, c being dimension 1. The
    /// paper's eps is 1e-8. f32 and f64; any order of derivative.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let y = Tensor::from([[1.0f64, 7.0], [3.0, -3.0]]).pixel_norm(0.0);
    /// assert!((y.to_vec::<f64>()[1] - 1.4).abs() < 1e-15);
    /// assert_eq!(y.to_vec::<f64>()[2..], [1.0, -1.0]);
    /// ```
    ///
    /// # Panics
    /// If there are fewer than two dimensions.
    #[track_caller]
    pub fn pixel_norm(&self, eps: f64) -> Tensor {
        self.check_full("pixel_norm");
        if self.rank() < 2 {
            misuse!("pixel_norm", "needs x [batch, channels, ..], got shape {:?}", self.shape());
        }
        self.mul(&self.square().mean(&[1], true).add_scalar(eps).pow(-0.5))
    }

    /// Images `[n, c, h, w]` with `num_channels` more channels that say how much samples differ, by which a
    /// discriminator sees a generator that lacks variety.
    ///
    /// The batch is read as `[g, n/g, f, c/f, h, w]` with `g = min(group_size, n)` (None: n) and `f = num_channels`; the
    /// standard deviation over g, `sqrt(var + eps)` with the biased variance, is averaged over c/f, h and w, and sample
    /// i gets row `i mod (n/g)` of the result, the same at every pixel. The paper's eps is 1e-8, its group all of the
    /// batch; StyleGAN's group is 4. f32 and f64; any order of derivative.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::new(&[1.0f64, 3.0], &[2, 1, 1, 1]);
    /// let y = x.minibatch_stddev(None, 1, 0.0);
    /// assert_eq!((y.shape(), y.to_vec::<f64>()), (&[2, 2, 1, 1][..], vec![1.0, 1.0, 3.0, 1.0]));
    /// ```
    ///
    /// # Panics
    /// If x is no batch of images or is empty, the group does not divide the batch, or `num_channels` the channels.
    #[track_caller]
    pub fn minibatch_stddev(&self, group_size: Option<usize>, num_channels: usize, eps: f64) -> Tensor {
        let [n, c, h, w] = self.check_images("minibatch_stddev");
        let (g, f) = (group_size.unwrap_or(n).min(n), num_channels);
        if self.numel() == 0 || g == 0 || !n.is_multiple_of(g) {
            misuse!(
                "minibatch_stddev",
                "groups of {g} do not divide the batch of x {:?}; use a divisor of {n}",
                self.shape()
            );
        }
        if f == 0 || !c.is_multiple_of(f) {
            misuse!(
                "minibatch_stddev",
                "num_channels {f} does not divide the {c} channels of x {:?}; use a divisor",
                self.shape()
            );
        }
        let grouped = self.reshape(&[g, n / g, f, c / f, h, w]);
        let deviation = grouped.var(&[0], false, false).add_scalar(eps).sqrt().mean(&[2, 3, 4], false);
        let rows = deviation.reshape(&[1, n / g, f]).expand(&[g, n / g, f]).reshape(&[n, f, 1, 1]);
        Tensor::cat(&[self, &rows.expand(&[n, f, h, w])], 1)
    }
}
