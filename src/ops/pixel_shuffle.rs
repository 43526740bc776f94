//! Channels to space and back (Shi et al., 2016, arXiv:1609.05158).

use crate::Tensor;
use crate::error::misuse;

impl Tensor {
    /// Channels rearranged to pixels: `[n, c r^2, h, w]` to `[n, c, h r, w r]`, where pixel `(y r + i, x r + j)` of
    /// channel k is pixel `(y, x)` of channel `k r^2 + i r + j`. All dtypes; a linear map whose adjoint is
    /// [`Tensor::pixel_unshuffle`].
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::new(&[1i64, 2, 3, 4], &[1, 4, 1, 1]);
    /// let y = x.pixel_shuffle(2);
    /// assert_eq!((y.shape(), y.to_vec::<i64>()), (&[1, 1, 2, 2][..], vec![1, 2, 3, 4]));
    /// ```
    ///
    /// # Panics
    /// If there are not four dimensions, the factor is 0, or its square does not divide the channels.
    #[track_caller]
    pub fn pixel_shuffle(&self, upscale_factor: usize) -> Tensor {
        let r = upscale_factor;
        let square = r.saturating_mul(r);
        let [n, c, h, w] = self.check_shuffled("pixel_shuffle", r);
        if !c.is_multiple_of(square) {
            misuse!(
                "pixel_shuffle",
                "the {c} channels of x {:?} cannot be cut into blocks of {r} x {r}; use a multiple of {square}",
                self.shape()
            );
        }
        let c = c / square;
        super::check_shape("pixel_shuffle", &[n, c, h.saturating_mul(r), w.saturating_mul(r)]);
        let cells = self.permute(&[0, 2, 3, 1]).reshape(&[n, h, w, c, r, r]);
        let images = cells.permute(&[0, 1, 4, 2, 5, 3]).reshape(&[n, h * r, w * r, c]);
        images.permute(&[0, 3, 1, 2])
    }

    /// Pixels rearranged to channels, the inverse of [`Tensor::pixel_shuffle`]: `[n, c, h r, w r]` to
    /// `[n, c r^2, h, w]`. All dtypes.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::new(&[1i64, 2, 3, 4], &[1, 1, 2, 2]);
    /// let y = x.pixel_unshuffle(2);
    /// assert_eq!((y.shape(), y.to_vec::<i64>()), (&[1, 4, 1, 1][..], vec![1, 2, 3, 4]));
    /// ```
    ///
    /// # Panics
    /// If there are not four dimensions, the factor is 0, or it does not divide height and width.
    #[track_caller]
    pub fn pixel_unshuffle(&self, downscale_factor: usize) -> Tensor {
        let r = downscale_factor;
        let [n, c, h, w] = self.check_shuffled("pixel_unshuffle", r);
        if !h.is_multiple_of(r) || !w.is_multiple_of(r) {
            misuse!(
                "pixel_unshuffle",
                "height and width of x {:?} cannot be cut into blocks of {r} x {r}; use multiples of {r}",
                self.shape()
            );
        }
        let (h, w) = (h / r, w / r);
        super::check_shape("pixel_unshuffle", &[n, c.saturating_mul(r.saturating_mul(r)), h, w]);
        let cells = self.permute(&[0, 2, 3, 1]).reshape(&[n, h, r, w, r, c]);
        let images = cells.permute(&[0, 1, 3, 5, 2, 4]).reshape(&[n, h, w, c * r * r]);
        images.permute(&[0, 3, 1, 2])
    }

    #[track_caller]
    fn check_shuffled(&self, op: &str, factor: usize) -> [usize; 4] {
        if self.rank() != 4 {
            misuse!(op, "needs images [batch, channels, height, width], got shape {:?}", self.shape());
        }
        if factor == 0 {
            misuse!(op, "the factor must be at least 1, got 0 (x is {:?})", self.shape());
        }
        std::array::from_fn(|d| self.shape()[d])
    }
}
