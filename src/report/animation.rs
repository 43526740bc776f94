//! Pictures that change, as a GIF.

use std::path::Path;

use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, Frame, RgbaImage};

use super::grid::{Grid, GridStyle, check};
use crate::atomic::write_atomic;
use crate::{Error, Result};

/// Saves an animation that is shown over and over; each frame is a grid as [`save_grid`](super::save_grid) draws it, of
/// as many milliseconds (in steps of ten). The file appears whole or not at all.
///
/// A GIF has 256 colours per frame: grey pictures are exact, others come near.
///
/// ```
/// use ganvil::report::{GridStyle, save_gif};
/// let path = std::env::temp_dir().join(format!("ganvil-blink-{}.gif", std::process::id()));
/// let frames = [-1.0, 1.0].map(|v| vec![v; 4]);
/// save_gif(&path, frames, [1, 1, 2, 2], &GridStyle::default(), 500)?;
/// assert!(std::fs::read(&path).unwrap().starts_with(b"GIF89a"));
/// # std::fs::remove_file(&path).unwrap();
/// # Ok::<(), ganvil::Error>(())
/// ```
///
/// # Errors
/// As `save_grid`; if there are no frames, or they are wider or higher than the 65,535 pixels of a GIF.
///
/// # Panics
/// As `save_grid`.
#[track_caller]
pub fn save_gif(
    path: impl AsRef<Path>,
    frames: impl IntoIterator<Item = Vec<f32>>,
    shape: [usize; 4],
    style: &GridStyle,
    milliseconds: u32,
) -> Result<()> {
    let path = path.as_ref();
    write_atomic(path, &encode_gif(path, frames, shape, style, milliseconds)?)
}

/// `path` is for messages.
#[track_caller]
fn encode_gif(
    path: &Path,
    frames: impl IntoIterator<Item = Vec<f32>>,
    shape: [usize; 4],
    style: &GridStyle,
    milliseconds: u32,
) -> Result<Vec<u8>> {
    let grid = Grid::new(shape, style)?;
    let (width, height) = (grid.width, grid.height);
    if width.max(height) > u16::MAX as usize {
        let problem = format!("{width} x {height} pixels are too many for a GIF; show fewer samples");
        return Err(Error::format(path, problem));
    }
    let (mut gif, mut count) = (Vec::new(), 0);
    let cannot = |e: image::ImageError| Error::format(path, format!("the GIF cannot be written: {e}"));
    {
        let mut encoder = GifEncoder::new_with_speed(&mut gif, SPEED);
        encoder.set_repeat(Repeat::Infinite).map_err(cannot)?;
        for images in frames {
            check(&images, shape);
            let pixels = grid.render(&images);
            let rgba = match grid.channels {
                1 => pixels.iter().flat_map(|&v| [v, v, v, u8::MAX]).collect(),
                _ => pixels.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], u8::MAX]).collect(),
            };
            let frame = RgbaImage::from_raw(width as u32, height as u32, rgba).expect("four bytes a pixel");
            let delay = Delay::from_numer_denom_ms(milliseconds, 1);
            encoder.encode_frame(Frame::from_parts(frame, 0, 0, delay)).map_err(cannot)?;
            count += 1;
        }
    }
    if count == 0 {
        return Err(Error::format(path, "a GIF needs at least one frame"));
    }
    Ok(gif)
}

/// How hard the encoder looks for the best 256 colours, 1 (very) to 30.
const SPEED: i32 = 10;
