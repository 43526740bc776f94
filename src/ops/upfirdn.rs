//! Images upsampled, filtered by a finite impulse response, and downsampled (as in Karras et al., 2020,
//! arXiv:1912.04958): what blurs, pools and resizes are made of.

use super::one;
use crate::backend::{Upfirdn, ViewMut};
use crate::error::misuse;
use crate::tensor::is_recording;
use crate::tensor::node::{Context, Op, Save};
use crate::{Layout, Tensor};

struct UpfirdnOp {
    p: Upfirdn,
    /// Height and width of the input.
    size: [usize; 2],
}
impl Op for UpfirdnOp {
    fn name(&self) -> &'static str {
        "upfirdn2d"
    }
    /// The adjoint, which is of the same kind: up and down exchanged, the filter turned round, and `pad' = K - 1 - pad`
    /// for a filter of K entries.
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let (filter, p) = (c.saved(0), self.p);
        let pad = [0, 1].map(|d| filter.shape()[d] as isize - 1 - p.pad[d]);
        let adjoint = Upfirdn { up: p.down, down: p.up, pad, flip: !p.flip };
        one(g.resampled(filter, adjoint, self.size))
    }
}

impl Tensor {
    /// Upsamples images `[n, c, h, w]` by `up`, pads them with zeros, convolves every channel with the `filter`
    /// `[kh, kw]`, and keeps one result of `down`:
    ///
    /// `y[.., i, j] = sum_{k, l} filter[k, l] z[.., i down_h + kh - 1 - k, j down_w + kw - 1 - l]`
    ///
    /// where z has every pixel followed by `up - 1` zeros in each direction, and then a border of
    /// `padding = [left, right, top, bottom]` zeros; negative numbers crop. `up` and `down` are `[height, width]`. The
    /// result has `(h up_h + top + bottom - kh) / down_h + 1` rows, rounded down, and columns likewise. As in StyleGAN2
    /// this is a convolution, which reads the filter from its end; a correlation is had with `filter.flip(&[0, 1])`.
    ///
    /// The filter is a constant; the result is in channels-last order. f32 and f64; any order of derivative.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::new(&[1.0f32, 2.0, 4.0], &[1, 1, 1, 3]);
    /// let f = Tensor::from([[1.0f32, 10.0]]);
    /// let filtered = x.upfirdn2d(&f, [1, 1], [1, 1], [1, 0, 0, 0]);
    /// assert_eq!(filtered.to_vec::<f32>(), [1.0, 12.0, 24.0]);
    /// let doubled = x.upfirdn2d(&Tensor::from([[1.0f32, 1.0]]), [1, 2], [1, 1], [1, 0, 0, 0]);
    /// assert_eq!(doubled.to_vec::<f32>(), [1.0, 1.0, 2.0, 2.0, 4.0, 4.0]);
    /// ```
    ///
    /// # Panics
    /// If x or the filter have other ranks, the filter is empty, larger than the padded image or tracked, or `up` or
    /// `down` hold a 0.
    #[track_caller]
    pub fn upfirdn2d(
        &self,
        filter: &Tensor,
        up: [usize; 2],
        down: [usize; 2],
        padding: [isize; 4],
    ) -> Tensor {
        const OP: &str = "upfirdn2d";
        let [_, _, h, w] = self.check_images(OP);
        self.check_with(OP, filter);
        if filter.rank() != 2 || filter.numel() == 0 {
            misuse!(
                OP,
                "the filter must be a matrix with entries, got shape {:?} for x {:?}",
                filter.shape(),
                self.shape()
            );
        }
        if filter.is_tracked() && is_recording() {
            misuse!(
                OP,
                "the filter {:?} is a constant and cannot have a gradient (x is {:?}); detach it, or use conv2d",
                filter.shape(),
                self.shape()
            );
        }
        if up.contains(&0) || down.contains(&0) {
            misuse!(OP, "up {up:?} and down {down:?} must be at least 1 (x is {:?})", self.shape());
        }
        let [left, right, top, bottom] = padding.map(|p| p as i128);
        let size = [(h, 0, top + bottom), (w, 1, left + right)].map(|(n, d, border)| {
            let padded = (n as i128).saturating_mul(up[d] as i128) + border;
            (padded - filter.shape()[d] as i128).div_euclid(down[d] as i128) + 1
        });
        if size.iter().any(|&n| n < 1) {
            misuse!(
                OP,
                "the filter {:?} does not fit x {:?} upsampled by {up:?} with a border {padding:?}; pad more",
                filter.shape(),
                self.shape()
            );
        }
        let size = size.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let pad = [padding[2], padding[0]];
        self.resampled(filter, Upfirdn { up, down, pad, flip: true }, size)
    }

    /// The primitive of the same name, giving images of this height and width.
    #[track_caller]
    pub(super) fn resampled(&self, filter: &Tensor, p: Upfirdn, size: [usize; 2]) -> Tensor {
        let shape = [self.shape()[0], self.shape()[1], size[0], size[1]];
        super::check_shape("upfirdn2d", &shape);
        let x = self.detach().to_channels_last();
        let y = Tensor::build(Layout::channels_last(&shape), self.dtype(), self.device(), |out: ViewMut| {
            self.backend().upfirdn2d(p, x.view(), filter.view(), out)
        });
        let [_, _, h, w] = self.image_sizes();
        y.record(UpfirdnOp { p, size: [h, w] }, &[self], &[Save::Value(filter)])
    }

    /// Panics unless this is `[images, channels, height, width]` in f32 or f64.
    #[track_caller]
    pub(super) fn check_images(&self, op: &str) -> [usize; 4] {
        self.check_full(op);
        if self.rank() != 4 {
            misuse!(op, "needs images [batch, channels, height, width], got shape {:?}", self.shape());
        }
        self.image_sizes()
    }

    fn image_sizes(&self) -> [usize; 4] {
        std::array::from_fn(|d| self.shape()[d])
    }
}
