//! Pictures as the classifier sees them: grey, 28 x 28, of 8 bits, in [-1, 1].

use super::ClassifierNet;
use crate::data::{Dataset, Images, from_unit, to_unit};
use crate::{Error, Result, Tensor};

const SIDE: usize = ClassifierNet::SIDE;

/// Samples as their PNGs would have them, each number in [-1, 1] one of 256, without the background around them:
/// `samples` is `[n, channels * rows * columns]` for the shape given. Where pictures were padded to `pad` pixels a side
/// before training, the middle 28 x 28 remain, which is where the digit was.
///
/// ```
/// use ganvil::metrics::digit_images;
/// let samples = vec![0.001; 32 * 32];
/// let images = digit_images(&samples, [1, 32, 32], Some(32))?;
/// assert_eq!((images.shape(), images.pixels[0]), ([1, 28, 28], 128));
/// let error = digit_images(&samples, [1, 32, 32], None).unwrap_err();
/// assert!(error.to_string().contains("'1 x 32 x 32'"));
/// # Ok::<(), ganvil::Error>(())
/// ```
///
/// # Errors
/// If they are of another size and not padded to it, or not grey.
pub fn digit_images(samples: &[f32], shape: [usize; 3], pad: Option<usize>) -> Result<Images> {
    let pixels: Vec<u8> = inner(samples, shape, pad)?.into_iter().map(from_unit).collect();
    Ok(Images { count: pixels.len() / (SIDE * SIDE), channels: 1, rows: SIDE, cols: SIDE, pixels })
}

/// The same as numbers, `[n, 1, 28, 28]`: not made bytes.
///
/// # Errors
/// As [`digit_images`].
pub(super) fn middle(samples: &[f32], shape: [usize; 3], pad: Option<usize>) -> Result<Tensor> {
    let values = inner(samples, shape, pad)?;
    Ok(Tensor::new(&values, &[values.len() / (SIDE * SIDE), 1, SIDE, SIDE]))
}

/// The middle 28 x 28 of padded pictures.
fn inner(samples: &[f32], shape: [usize; 3], pad: Option<usize>) -> Result<Vec<f32>> {
    let [channels, rows, cols] = shape;
    let padded = rows == cols && rows > SIDE && pad == Some(rows);
    if channels != 1 || ([rows, cols] != [SIDE; 2] && !padded) {
        return Err(wrong_shape(shape));
    }
    let first = (rows - SIDE) / 2;
    let images = samples.chunks_exact(rows * cols);
    let lines = images.flat_map(|image| image.chunks_exact(cols).skip(first).take(SIDE));
    Ok(lines.flat_map(|line| &line[first..first + SIDE]).copied().collect())
}

/// Refuses pictures of another shape, which is said.
pub(super) fn check(images: &Images) -> Result<()> {
    if images.shape() == [1, SIDE, SIDE] { Ok(()) } else { Err(wrong_shape(images.shape())) }
}

/// `[n, 1, 28, 28]` in [-1, 1].
///
/// # Errors
/// If the images are of another shape.
pub(super) fn tensor(images: &Images) -> Result<Tensor> {
    check(images)?;
    let pixels: Vec<f32> = images.pixels.iter().map(|v| to_unit(*v)).collect();
    Ok(Tensor::new(&pixels, &[images.count, 1, SIDE, SIDE]))
}

/// The labels of a data set of ten classes at most.
///
/// # Errors
/// If it has none, or more.
pub(super) fn labels(data: &Dataset) -> Result<&[u32]> {
    let classes = ClassifierNet::CLASSES;
    data.labels.as_deref().filter(|_| data.classes.len() <= classes).ok_or_else(|| Error::Argument {
        what: "--data",
        value: data.name.clone(),
        remedy: format!(
            "the classifier tells {classes} classes apart, and the data has {}; give MNIST or data of its form",
            if data.labels.is_some() { data.classes.len().to_string() } else { "no labels".into() }
        ),
    })
}

fn wrong_shape([channels, rows, cols]: [usize; 3]) -> Error {
    Error::Argument {
        what: "image shape",
        value: format!("{channels} x {rows} x {cols}"),
        remedy: format!(
            "the classifier sees grey pictures of 1 x {SIDE} x {SIDE} (channels x rows x columns), also with \
             background around them; use such data, and for another size of picture train with --pad N, not --size N"
        ),
    }
}
