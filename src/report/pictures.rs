//! Pictures as files of their own.

use std::fs;
use std::path::Path;

use super::grid::{GridStyle, check, encode_grid};
use crate::atomic::create_folder;
use crate::{Error, Result};

/// Saves each picture as a PNG in a new folder: `000000.png`, `000001.png`, ... The folder appears with all of them or
/// not at all; it may exist if it is empty.
///
/// `images` and the mapping to bytes are those of [`save_grid`](super::save_grid).
///
/// ```
/// use ganvil::report::save_pictures;
/// let dir = std::env::temp_dir().join(format!("ganvil-singles-{}", std::process::id()));
/// save_pictures(&dir, &[-1.0, 1.0], [2, 1, 1, 1])?;
/// assert!(dir.join("000001.png").is_file());
/// assert!(save_pictures(&dir, &[0.0], [1; 4]).unwrap_err().to_string().contains("not empty"));
/// # std::fs::remove_dir_all(&dir).unwrap();
/// # Ok::<(), ganvil::Error>(())
/// ```
///
/// # Errors
/// If the folder holds anything, or a file cannot be written.
///
/// # Panics
/// As `save_grid`.
#[track_caller]
pub fn save_pictures(dir: impl AsRef<Path>, images: &[f32], shape: [usize; 4]) -> Result<()> {
    let [n, channels, rows, cols] = shape;
    let style = GridStyle { columns: 1, scale: 1, gap: 0, background: 0 };
    check(images, shape);
    create_folder(dir.as_ref(), |dir| {
        for i in 0..n {
            let picture = &images[i * channels * rows * cols..][..channels * rows * cols];
            let path = dir.join(format!("{i:06}.png"));
            let png = encode_grid(picture, [1, channels, rows, cols], &style)?;
            fs::write(&path, png).map_err(Error::io("write", &path))?;
        }
        Ok(())
    })
}
