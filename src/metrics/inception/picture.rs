//! Pictures as the network takes them: red, green and blue, 299 x 299, in [-1, 1].

use crate::data::Images;
use crate::{Error, Result, Tensor};

/// Rows, and columns, of a picture.
pub(super) const SIDE: usize = 299;

/// Refuses what is no set of grey or coloured pictures.
pub(super) fn check(images: &Images) -> Result<()> {
    let [channels, rows, cols] = images.shape();
    let known = channels == 1 || channels == 3;
    if known
        && rows > 0
        && cols > 0
        && images.count > 0
        && images.pixels.len() == images.count * images.area()
    {
        return Ok(());
    }
    Err(Error::Argument {
        what: "images",
        value: format!("{} x {channels} x {rows} x {cols}", images.count),
        remedy: format!(
            "the Inception network sees pictures of 1 or 3 channels with at least one pixel, and at least one of them \
             (count x channels x rows x columns, a byte each; there are {} bytes)",
            images.pixels.len()
        ),
    })
}

/// Picture `i` as `[1, 3, 299, 299]`: grey in all three channels, bytes as v / 255, resized, and 2 x - 1 of that. Alone,
/// so that large pictures do not lie in memory together as floats.
pub(super) fn prepared(images: &Images, i: usize) -> Tensor {
    let [channels, rows, cols] = images.shape();
    let unit: Vec<f32> = images.image(i).iter().map(|v| f32::from(*v) / 255.0).collect();
    let unit = Tensor::new(&unit, &[1, channels, rows, cols]);
    let small = resized(&resized(&unit, 3, SIDE), 2, SIDE);
    small.mul_scalar(2.0).add_scalar(-1.0).expand(&[1, 3, SIDE, SIDE])
}

/// Images `[n, c, h, w]` with dimension 2 or 3 read at `size` places, the mean of the two nearest pixels weighted by
/// distance. Pixels are squares whose centres count (PyTorch's `align_corners = false`); one made smaller is not made
/// smooth before.
pub(super) fn resized(x: &Tensor, dim: isize, size: usize) -> Tensor {
    let (first, second, share) = places(x.size(dim), size);
    let shape = if dim == 2 { [1, 1, size, 1] } else { [1, 1, 1, size] };
    let pixel = |index: &[i64]| x.index_select(dim, &Tensor::new(index, &[size]));
    let share = Tensor::new(&share, &shape);
    pixel(&first).mul(&share.neg().add_scalar(1.0)).add(&pixel(&second).mul(&share))
}

/// For each of `to` places among `from` pixels: the pixel before, the one behind it if there is one, and the share of
/// that. In f32, as PyTorch finds them for images of that type: at pixel 300 it rounds to 3e-5 of a pixel.
fn places(from: usize, to: usize) -> (Vec<i64>, Vec<i64>, Vec<f32>) {
    let scale = from as f32 / to as f32;
    let place = |i: usize| {
        let at = (scale * (i as f32 + 0.5) - 0.5).max(0.0);
        let first = (at as usize).min(from - 1);
        let second = (first + 1).min(from - 1);
        (first as i64, second as i64, (at - first as f32).clamp(0.0, 1.0))
    };
    let all: Vec<_> = (0..to).map(place).collect();
    (all.iter().map(|p| p.0).collect(), all.iter().map(|p| p.1).collect(), all.iter().map(|p| p.2).collect())
}
