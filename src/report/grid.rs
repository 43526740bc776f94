//! Pictures side by side in one PNG.

use std::path::Path;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, ImageFormat, ImageResult};

use crate::atomic::write_atomic;
use crate::data::from_unit;
use crate::error::misuse;
use crate::{Error, Result};

/// How a grid is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridStyle {
    /// Pictures per row.
    pub columns: usize,
    /// Each pixel becomes a square of this side.
    pub scale: usize,
    /// Width of the lines between the pictures and around them, in pixels of the PNG.
    pub gap: usize,
    /// Grey level of those lines and of places without a picture.
    pub background: u8,
}

impl Default for GridStyle {
    /// Eight pictures per row, twice their size, thin dark grey lines.
    fn default() -> GridStyle {
        GridStyle { columns: 8, scale: 2, gap: 2, background: 64 }
    }
}

/// Saves pictures as a grid, filled row by row. The file appears whole or not at all.
///
/// `images` is `(n, channels, rows, cols)` row-major with one channel (grey) or three (red, green, blue), values in
/// \[-1, 1\]. The mapping to bytes is that of [`from_unit`], the same for every picture of every run: brightness is
/// never stretched to the values at hand.
///
/// Fails if the file cannot be written, or if there are no pictures or too many for a PNG. Panics if `images` does
/// not have the length that `shape` asks for or the number of channels is neither one nor three.
#[track_caller]
pub fn save_grid(path: impl AsRef<Path>, images: &[f32], shape: [usize; 4], style: &GridStyle) -> Result<()> {
    let png = encode_grid(images, shape, style)?;
    write_atomic(path.as_ref(), &png)
}

/// The PNG of [`save_grid`] in memory; it is the same for the same values.
#[track_caller]
pub fn encode_grid(images: &[f32], shape: [usize; 4], style: &GridStyle) -> Result<Vec<u8>> {
    check(images, shape);
    let grid = Grid::new(shape, style)?;
    let pixels = grid.render(images);
    let colour = if grid.channels == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
    // Memory does not fail to be written to, and the sizes have been checked.
    Ok(encode_png(&pixels, grid.width as u32, grid.height as u32, colour).expect("PNG of a checked size"))
}

/// Panics unless these are values of pictures that can be shown.
#[track_caller]
pub(super) fn check(images: &[f32], shape: [usize; 4]) {
    let [n, channels, rows, cols] = shape;
    let wanted = [channels, rows, cols].iter().try_fold(n, |len, &d| len.checked_mul(d));
    if wanted != Some(images.len()) {
        misuse!("save_grid", "{} values for images of shape {shape:?}", images.len());
    }
    if channels != 1 && channels != 3 {
        misuse!("save_grid", "{channels} channels in shape {shape:?}; one or three can be shown");
    }
}

/// The mean absolute difference of two grids' values, which are in [-1, 1]; lines between pictures count as equal. None if
/// one is no PNG or they differ in size.
///
/// ```
/// use ganvil::report::{GridStyle, encode_grid, grid_change};
/// let style = GridStyle { gap: 0, ..GridStyle::default() };
/// let grid = |v: [f32; 2]| encode_grid(&v, [2, 1, 1, 1], &style).unwrap();
/// assert_eq!(grid_change(&grid([-1.0, 1.0]), &grid([-1.0, -1.0])), Some(1.0));
/// ```
pub fn grid_change(before: &[u8], now: &[u8]) -> Option<f64> {
    let [before, now] =
        [before, now].map(|png| image::load_from_memory_with_format(png, ImageFormat::Png).ok());
    let (before, now) = (before?, now?);
    if (before.width(), before.height(), before.color()) != (now.width(), now.height(), now.color()) {
        return None;
    }
    let (a, b) = (before.as_bytes(), now.as_bytes());
    let sum: u64 = a.iter().zip(b).map(|(a, b)| a.abs_diff(*b) as u64).sum();
    Some(sum as f64 / 127.5 / a.len().max(1) as f64)
}

/// `pixels` as the bytes of a PNG.
fn encode_png(pixels: &[u8], width: u32, height: u32, colour: ExtendedColorType) -> ImageResult<Vec<u8>> {
    let mut png = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut png, CompressionType::Default, FilterType::Adaptive);
    encoder.write_image(pixels, width, height, colour)?;
    Ok(png)
}

/// The sizes of a grid, all known to fit.
pub(super) struct Grid {
    pub channels: usize,
    rows: usize,
    cols: usize,
    style: GridStyle,
    pub width: usize,
    pub height: usize,
}

impl Grid {
    pub fn new([n, channels, rows, cols]: [usize; 4], style: &GridStyle) -> Result<Grid> {
        let refuse = |what, value: usize, remedy: &str| {
            Err(Error::Argument { what, value: value.to_string(), remedy: remedy.to_string() })
        };
        if n * channels * rows * cols == 0 {
            return refuse("number of images", n, "a grid needs at least one, and that not empty");
        }
        if style.columns == 0 || style.scale == 0 {
            let (what, value) = if style.columns == 0 {
                ("grid columns", style.columns)
            } else {
                ("grid scale", style.scale)
            };
            return refuse(what, value, "give at least 1");
        }
        let columns = style.columns.min(n);
        let side = |tiles: usize, size: usize| {
            let step = size.checked_mul(style.scale)?.checked_add(style.gap)?;
            tiles.checked_mul(step)?.checked_add(style.gap).filter(|&side| side <= i32::MAX as usize)
        };
        let sides = side(columns, cols).zip(side(n.div_ceil(columns), rows));
        // 1 GiB, far beyond what a person can look at.
        let fits = |&(w, h): &(usize, usize)| w as u64 * h as u64 * channels as u64 <= 1 << 30;
        match sides.filter(fits) {
            Some((width, height)) => {
                Ok(Grid { channels, rows, cols, style: GridStyle { columns, ..*style }, width, height })
            }
            None => {
                refuse("number of images", n, "the grid would exceed 1 GiB; show fewer or scale them less")
            }
        }
    }

    /// `(height, width, channels)` bytes.
    pub fn render(&self, images: &[f32]) -> Vec<u8> {
        let Grid { channels, rows, cols, style, width, height } = *self;
        let mut out = vec![style.background; width * height * channels];
        for (i, picture) in images.chunks_exact(channels * rows * cols).enumerate() {
            let left = style.gap + i % style.columns * (cols * style.scale + style.gap);
            let top = style.gap + i / style.columns * (rows * style.scale + style.gap);
            for y in 0..rows * style.scale {
                let line = ((top + y) * width + left) * channels;
                let line = &mut out[line..][..cols * style.scale * channels];
                for (x, pixel) in line.chunks_exact_mut(channels).enumerate() {
                    let at = y / style.scale * cols + x / style.scale;
                    for (c, byte) in pixel.iter_mut().enumerate() {
                        *byte = from_unit(picture[c * rows * cols + at]);
                    }
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atomic::tests::Folder;

    #[test]
    fn every_pixel_lies_where_it_should() {
        // Three 2 x 3 pictures in two columns, scaled by 2, lines of 1.
        let images: Vec<f32> = (0..18).map(|v| v as f32 / 9.0 - 1.0).collect();
        let style = GridStyle { columns: 2, scale: 2, gap: 1, background: 77 };
        let f = Folder::new("grid");
        let path = f.0.join("grid.png");
        save_grid(&path, &images, [3, 1, 2, 3], &style).unwrap();
        let png = image::open(&path).unwrap();
        assert!(matches!(png, image::DynamicImage::ImageLuma8(_)));
        let png = png.into_luma8();
        assert_eq!(png.dimensions(), (15, 11));
        let mut seen = 0;
        for (x, y, pixel) in png.enumerate_pixels() {
            let (tile_x, in_x, tile_y, in_y) = (x / 7, x % 7, y / 5, y % 5);
            let tile = tile_y * 2 + tile_x;
            let want = if in_x == 0 || in_y == 0 || tile >= 3 {
                77
            } else {
                seen += 1;
                from_unit(images[(tile * 6 + (in_y - 1) / 2 * 3 + (in_x - 1) / 2) as usize])
            };
            assert_eq!(pixel.0[0], want, "({x}, {y})");
        }
        assert_eq!(seen, 18 * 4);
    }

    #[test]
    fn colours_are_planes() {
        let images = [-1.0, 1.0, 0.0, 1.0, -1.0, 0.5]; // red, green, blue plane of a 1 x 2 picture
        let style = GridStyle { columns: 8, scale: 1, gap: 0, background: 0 };
        let png = encode_grid(&images, [1, 3, 1, 2], &style).unwrap();
        let png = image::load_from_memory(&png).unwrap().into_rgb8();
        assert_eq!(png.into_raw(), [0, 128, 0, 255, 255, 191]);
    }

    #[test]
    fn the_mapping_does_not_depend_on_the_values_at_hand() {
        let style = GridStyle { columns: 1, scale: 1, gap: 0, background: 0 };
        let images = [0.1, 0.2, f32::NAN, 7.0];
        let png = encode_grid(&images, [1, 1, 2, 2], &style).unwrap();
        assert_eq!(image::load_from_memory(&png).unwrap().into_luma8().into_raw(), [140, 153, 0, 255]);
    }

    #[test]
    fn what_cannot_be_shown_is_refused() {
        let style = GridStyle::default();
        let text = |images: &[f32], shape, style: &GridStyle| {
            encode_grid(images, shape, style).unwrap_err().to_string()
        };
        assert!(text(&[], [0, 1, 28, 28], &style).contains("number of images '0'"));
        assert!(text(&[0.0], [1; 4], &GridStyle { columns: 0, ..style }).contains("grid columns '0'"));
        assert!(text(&[0.0], [1; 4], &GridStyle { scale: 0, ..style }).contains("grid scale '0'"));
        for scale in [40_000, usize::MAX] {
            assert!(text(&[0.0], [1; 4], &GridStyle { scale, ..style }).contains("1 GiB"));
        }
    }

    #[test]
    #[should_panic(expected = "save_grid: 5 values for images of shape [1, 1, 2, 3]")]
    fn a_wrong_length_is_misuse() {
        let _ = encode_grid(&[0.0; 5], [1, 1, 2, 3], &GridStyle::default());
    }

    #[test]
    #[should_panic(expected = "2 channels")]
    fn two_channels_are_misuse() {
        let _ = encode_grid(&[0.0; 12], [1, 2, 2, 3], &GridStyle::default());
    }
}
