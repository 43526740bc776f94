//! Images made larger by whole factors.

use crate::backend::Upfirdn;
use crate::error::misuse;
use crate::{PadMode, Tensor};
use serde::{Deserialize, Serialize};

/// What [`Tensor::interpolate`] puts between pixels.
///
/// ```
/// use ganvil::Interpolation;
/// assert_eq!(serde_json::from_str::<Interpolation>("\"bilinear\"")?, Interpolation::Bilinear);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// The pixel itself: `y[i] = x[floor(i / factor)]`.
    #[default]
    Nearest,
    /// A mean of the two nearest pixels in each direction, weighted by distance; pixels are squares whose centres count
    /// (PyTorch's `align_corners = false`), and the outermost pixels go on beyond the edge.
    Bilinear,
}

/// The taps of one dimension for a factor of bilinear interpolation, and the zeros before the first input when one
/// pixel is repeated at either end. Output i lies at `(i + 1/2) / factor - 1/2`, so that an input d positions on in the
/// upsampled row has the weight `1 - |d + (factor - 1) / 2| / factor`.
fn triangle(factor: usize) -> (Vec<f64>, isize) {
    let f = factor as isize;
    let weight = |d: isize| 1.0 - (d as f64 + (f - 1) as f64 / 2.0).abs() / f as f64;
    let taps: Vec<isize> = (-2 * f..=2 * f).filter(|&d| weight(d) > 0.0).collect();
    (taps.iter().map(|&d| weight(d)).collect(), -taps[0] - f)
}

impl Tensor {
    /// Images `[n, c, h, w]` made larger by whole factors `scale_factor = [height, width]`:
    ///
    /// - nearest: `y[.., i, j] = x[.., floor(i / fh), floor(j / fw)]`;
    /// - bilinear: x read at `((i + 1/2) / fh - 1/2, (j + 1/2) / fw - 1/2)`, clamped to the image.
    ///
    /// f32 and f64; any order of derivative.
    ///
    /// ```
    /// use ganvil::{Interpolation, Tensor};
    /// let x = Tensor::new(&[0.0f32, 4.0], &[1, 1, 1, 2]);
    /// assert_eq!(x.interpolate([1, 2], Interpolation::Nearest).to_vec::<f32>(), [0.0, 0.0, 4.0, 4.0]);
    /// assert_eq!(x.interpolate([1, 2], Interpolation::Bilinear).to_vec::<f32>(), [0.0, 1.0, 3.0, 4.0]);
    /// ```
    ///
    /// # Panics
    /// If x is no batch of images, or a factor is 0.
    #[track_caller]
    pub fn interpolate(&self, scale_factor: [usize; 2], mode: Interpolation) -> Tensor {
        let [n, c, h, w] = self.check_images("interpolate");
        if scale_factor.contains(&0) {
            misuse!(
                "interpolate",
                "scale_factor {scale_factor:?} must be at least 1 (x is {:?}); use avg_pool2d for smaller images",
                self.shape()
            );
        }
        let [fh, fw] = scale_factor;
        let size = [h.saturating_mul(fh), w.saturating_mul(fw)];
        super::check_shape("interpolate", &[n, c, size[0], size[1]]);
        match mode {
            _ if scale_factor == [1, 1] => self.clone(),
            Interpolation::Bilinear if self.numel() > 0 => self.between_pixels(scale_factor, size),
            _ => self.enlarged(scale_factor, size),
        }
    }

    fn enlarged(&self, up: [usize; 2], size: [usize; 2]) -> Tensor {
        let filter = Tensor::full(&up, 1.0, self.dtype(), self.device());
        let pad = up.map(|f| f as isize - 1);
        self.resampled(&filter, Upfirdn { up, down: [1, 1], pad, flip: false }, size)
    }

    fn between_pixels(&self, up: [usize; 2], size: [usize; 2]) -> Tensor {
        let [rows, columns] = up.map(triangle);
        let weights: Vec<f64> = rows.0.iter().flat_map(|a| columns.0.iter().map(move |b| a * b)).collect();
        let filter = Tensor::new(&weights, &[rows.0.len(), columns.0.len()]);
        let filter = filter.to_dtype(self.dtype()).to_device(self.device());
        let wide = self.pad(&[1, 1, 1, 1], PadMode::Replicate);
        wide.resampled(&filter, Upfirdn { up, down: [1, 1], pad: [rows.1, columns.1], flip: false }, size)
    }
}
