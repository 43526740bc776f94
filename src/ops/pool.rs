//! Pooling: one value for each window of an image.

use crate::backend::{Upfirdn, Window};
use crate::error::misuse;
use crate::{DType, Layout, Tensor};

impl Tensor {
    /// The mean of each window of images `[n, c, h, w]`: windows of `kernel_size`, `stride` apart, over an image with a
    /// border of `padding` zeros, which count (the divisor is always `kh kw`). All three are `[height, width]`; the
    /// result has `(h + 2 padding - kernel_size) / stride + 1` rows, rounded down, and columns likewise.
    ///
    /// f32 and f64; any order of derivative.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::new(&[1.0f32, 2.0, 3.0, 6.0, 5.0, 5.0, 5.0, 5.0], &[1, 2, 2, 2]);
    /// assert_eq!(x.avg_pool2d([2, 2], [2, 2], [0, 0]).to_vec::<f32>(), [3.0, 5.0]);
    /// ```
    ///
    /// # Panics
    /// If x is no batch of images, a window has no pixel or is larger than the padded image, the stride is 0, or the
    /// padding more than half of the window.
    #[track_caller]
    pub fn avg_pool2d(&self, kernel_size: [usize; 2], stride: [usize; 2], padding: [usize; 2]) -> Tensor {
        let window = Window { kernel: kernel_size, stride, padding };
        let size = self.check_window("avg_pool2d", window);
        self.box_mean(kernel_size, stride, padding, size)
    }

    fn box_mean(
        &self,
        kernel: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        size: [usize; 2],
    ) -> Tensor {
        let share = 1.0 / (kernel[0] * kernel[1]) as f64;
        let filter = Tensor::full(&kernel, share, self.dtype(), self.device());
        let pad = padding.map(|p| p as isize);
        self.resampled(&filter, Upfirdn { up: [1, 1], down: stride, pad, flip: false }, size)
    }

    /// Images `[n, c, h, w]` averaged down to `output_size = [oh, ow]`: output row i is the mean of the rows
    /// `floor(i h / oh) .. ceil((i + 1) h / oh)`, columns likewise (PyTorch's rule). With `[1, 1]` it is the mean of
    /// every channel.
    ///
    /// f32 and f64; any order of derivative.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::new(&[1.0f32, 2.0, 3.0, 4.0, 5.0], &[1, 1, 1, 5]);
    /// assert_eq!(x.adaptive_avg_pool2d([1, 1]).to_vec::<f32>(), [3.0]);
    /// assert_eq!(x.adaptive_avg_pool2d([1, 2]).to_vec::<f32>(), [2.0, 4.0]); // of 1 2 3 and 3 4 5
    /// ```
    ///
    /// # Panics
    /// If x is no batch of images, or x or the output have no pixels.
    #[track_caller]
    pub fn adaptive_avg_pool2d(&self, output_size: [usize; 2]) -> Tensor {
        let [_, _, h, w] = self.check_images("adaptive_avg_pool2d");
        if output_size.contains(&0) || h == 0 || w == 0 {
            misuse!(
                "adaptive_avg_pool2d",
                "needs pixels on both sides, got x {:?} and output_size {output_size:?}",
                self.shape()
            );
        }
        let [oh, ow] = output_size;
        if output_size == [1, 1] {
            return self.mean(&[2, 3], true);
        }
        if h.is_multiple_of(oh) && w.is_multiple_of(ow) {
            let cell = [h / oh, w / ow];
            return self.box_mean(cell, cell, [0, 0], output_size);
        }
        self.mean_cells(2, oh).mean_cells(3, ow)
    }

    /// One dimension averaged down to `n` cells that may overlap.
    fn mean_cells(&self, d: isize, n: usize) -> Tensor {
        let size = self.size(d);
        let cells: Vec<Tensor> = (0..n)
            .map(|i| {
                let (start, end) = (i * size / n, ((i + 1) * size).div_ceil(n));
                self.narrow(d, start, end - start).mean(&[d], true)
            })
            .collect();
        Tensor::cat(&cells.iter().collect::<Vec<_>>(), d)
    }

    /// The largest element of each window of images `[n, c, h, w]`; windows as in [`Tensor::avg_pool2d`], but what they
    /// cover beyond the edge is left out. NaN counts as larger than any number. The gradient goes to the element that
    /// was the largest, the first of equal ones in row-major order; which one it was is a constant to higher
    /// derivatives.
    ///
    /// f32 and f64; any order of derivative.
    ///
    /// ```
    /// use ganvil::{Tensor, autograd::grad};
    /// let x = Tensor::new(&[1.0f32, 7.0, 7.0, 2.0, -1.0, -2.0], &[1, 1, 2, 3]).requires_grad();
    /// let y = x.max_pool2d([2, 2], [1, 1], [0, 0]);
    /// assert_eq!(y.to_vec::<f32>(), [7.0, 7.0]);
    /// let g = grad(&[&y.sum_all()], &[&x], &[], false)[0].clone().unwrap();
    /// assert_eq!(g.to_vec::<f32>(), [0.0, 2.0, 0.0, 0.0, 0.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If x is no batch of images, a window has no pixel or is larger than the padded image, the stride is 0, or the
    /// padding more than half of the window.
    #[track_caller]
    pub fn max_pool2d(&self, kernel_size: [usize; 2], stride: [usize; 2], padding: [usize; 2]) -> Tensor {
        let window = Window { kernel: kernel_size, stride, padding };
        let [oh, ow] = self.check_window("max_pool2d", window);
        let (n, c, pixels) = (self.shape()[0], self.shape()[1], self.shape()[2] * self.shape()[3]);
        super::check_shape("max_pool2d", &[n, c, oh, ow]);
        let x = self.detach().to_channels_last();
        let at = Tensor::build(Layout::channels_last(&[n, c, oh, ow]), DType::I64, self.device(), |out| {
            self.backend().argmax_pool2d(window, x.view(), out)
        });
        let at = at.permute(&[0, 2, 3, 1]).reshape(&[n, oh * ow, c]);
        let rows = self.permute(&[0, 2, 3, 1]).reshape(&[n, pixels, c]);
        rows.gather(1, &at).reshape(&[n, oh, ow, c]).permute(&[0, 3, 1, 2])
    }

    /// The height and width of the result of a pooling.
    #[track_caller]
    fn check_window(&self, op: &str, window: Window) -> [usize; 2] {
        let [_, _, h, w] = self.check_images(op);
        let Window { kernel, stride, padding } = window;
        if kernel.contains(&0) || stride.contains(&0) {
            misuse!(
                op,
                "kernel_size {kernel:?} and stride {stride:?} must be at least 1 (x is {:?})",
                self.shape()
            );
        }
        // As in PyTorch: every window then holds a pixel.
        if (0..2).any(|d| padding[d] > kernel[d] / 2) {
            misuse!(
                op,
                "padding {padding:?} is more than half of kernel_size {kernel:?} (x is {:?}); pad less",
                self.shape()
            );
        }
        let size = [(h, 0), (w, 1)].map(|(n, d)| {
            let padded = n.saturating_add(2 * padding[d]);
            if n == 0 { None } else { padded.checked_sub(kernel[d]).map(|room| room / stride[d] + 1) }
        });
        let [Some(oh), Some(ow)] = size else {
            misuse!(
                op,
                "kernel_size {kernel:?} does not fit x {:?} with padding {padding:?}; use a smaller one",
                self.shape()
            );
        };
        [oh, ow]
    }
}
