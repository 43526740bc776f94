//! From a drawing to the bytes of a PNG or SVG, and into a file.

use std::fmt::Display;
use std::io;
use std::path::Path;

use plotters::prelude::{BitMapBackend, DrawingBackend, IntoDrawingArea, SVGBackend};

use super::canvas::{BITMAP, Canvas, Drawn, SVG, UNITS};
use super::indexed;
use crate::atomic::write_atomic;
use crate::{Error, Result};

/// Something that can be drawn on either kind of canvas.
pub(super) trait Drawing {
    /// Width and height in units of the canvas.
    fn size(&self) -> (u32, u32);
    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Drawn<DB>;
}

/// Saves a drawing as what the path's extension says.
pub(super) fn save(path: &Path, drawing: &impl Drawing) -> Result<()> {
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    let bytes = match extension.as_deref() {
        Some("png") => png(drawing),
        Some("svg") => svg(drawing).map(String::into_bytes),
        _ => {
            let remedy = "give a name that ends in .png or .svg".into();
            return Err(Error::Argument {
                what: "file name of a plot",
                value: path.display().to_string(),
                remedy,
            });
        }
    };
    write_atomic(path, &bytes.map_err(Error::io("draw", path))?)
}

pub(super) fn png(drawing: &impl Drawing) -> io::Result<Vec<u8>> {
    // Drawn at twice the size of the result and averaged, since plotters does not smooth the edges of thick lines.
    const SHRINK: usize = 2;
    let (width, height) = drawing.size();
    let (width, height) = ((width * UNITS) as usize, (height * UNITS) as usize);
    let mut pixels = vec![0; width * height * 3];
    let area = BitMapBackend::with_buffer(&mut pixels, (width as u32, height as u32)).into_drawing_area();
    drawing.draw(&Canvas::new(area, BITMAP)).map_err(io_error)?;
    let (small, narrow) = (shrink(&pixels, width, SHRINK), (width / SHRINK) as u32);
    indexed::encode(&small, narrow, (height / SHRINK) as u32).map_err(io_error)
}

pub(super) fn svg(drawing: &impl Drawing) -> io::Result<String> {
    let (width, height) = drawing.size();
    let (wide, high) = (width * UNITS, height * UNITS);
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (wide, high)).into_drawing_area();
    drawing.draw(&Canvas::new(area, SVG)).map_err(io_error)?;
    // The drawing's units are finer than the page's.
    let fine = format!("width=\"{wide}\" height=\"{high}\"");
    Ok(svg.replacen(&fine, &format!("width=\"{width}\" height=\"{height}\""), 1))
}

fn io_error(e: impl Display) -> io::Error {
    io::Error::other(e.to_string())
}

/// Means over squares of `factor * factor` pixels of `(height, width, 3)` bytes.
fn shrink(pixels: &[u8], width: usize, factor: usize) -> Vec<u8> {
    let narrow = width / factor * 3;
    let area = (factor * factor) as u32;
    let mut sums = vec![0u32; narrow];
    let mut out = Vec::with_capacity(pixels.len() / area as usize);
    for lines in pixels.chunks_exact(width * 3 * factor) {
        sums.fill(0);
        for (i, square) in lines.chunks_exact(3 * factor).enumerate() {
            let sum = &mut sums[i * 3 % narrow..][..3];
            for pixel in square.chunks_exact(3) {
                sum.iter_mut().zip(pixel).for_each(|(s, &v)| *s += v as u32);
            }
        }
        out.extend(sums.iter().map(|&s| ((s + area / 2) / area) as u8));
    }
    out
}
