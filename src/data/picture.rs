//! One picture: what its file says of it, its pixels, and the shape that training wants it in.

use std::fs;
use std::io::{BufRead, Cursor, Seek};
use std::path::Path;

use image::imageops::{self, FilterType};
use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageBuffer, ImageDecoder, ImageReader, Pixel, RgbImage};

use super::dataset::ImageOptions;
use crate::{Error, Result};

/// What a picture's first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub rows: usize,
    pub cols: usize,
    pub grey: bool,
}

/// No picture for training is nearly as large; a file may claim to be.
const MOST_BYTES: u64 = 1 << 30;

/// Reads a picture's size and kind, and no more of the file than that needs.
pub(super) fn header(path: &Path) -> Result<Header> {
    let reader = ImageReader::open(path).map_err(Error::io("open", path))?;
    let mut decoder = decoder(path, reader)?;
    let (width, height) = decoder.dimensions();
    let (mut rows, mut cols) = (height as usize, width as usize);
    if turns_sideways(decoder.orientation().map_err(unreadable(path))?) {
        (rows, cols) = (cols, rows);
    }
    Ok(Header { rows, cols, grey: !decoder.color_type().has_color() })
}

/// Reads a picture and turns it upright.
pub(super) fn decode(path: &Path) -> Result<DynamicImage> {
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    if bytes.starts_with(&[0xff, 0xd8]) && !jpeg_has_end(&bytes) {
        return Err(broken(path, "it ends in the middle"));
    }
    let mut decoder = decoder(path, ImageReader::new(Cursor::new(bytes)))?;
    let orientation = decoder.orientation().map_err(unreadable(path))?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(unreadable(path))?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

fn decoder<'a, R: BufRead + Seek + 'a>(
    path: &Path,
    reader: ImageReader<R>,
) -> Result<impl ImageDecoder + use<'a, R>> {
    // The contents decide, whatever the name.
    let reader = reader.with_guessed_format().map_err(Error::io("read", path))?;
    let decoder = reader.into_decoder().map_err(unreadable(path))?;
    if decoder.total_bytes() > MOST_BYTES {
        let (width, height) = decoder.dimensions();
        return Err(Error::format(
            path,
            format!("{width} x {height} pixels are more than 1 GiB; scale the picture down"),
        ));
    }
    Ok(decoder)
}

fn unreadable(path: &Path) -> impl FnOnce(image::ImageError) -> Error {
    |e| match e {
        image::ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
            broken(path, "it ends in the middle")
        }
        e => broken(path, &e.to_string()),
    }
}

fn broken(path: &Path, why: &str) -> Error {
    Error::format(path, format!("not a readable PNG or JPEG picture ({why}); repair or remove the file"))
}

/// Whether width and height are exchanged.
fn turns_sideways(orientation: Orientation) -> bool {
    use Orientation::*;
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// Whether a JPEG stream has its end marker: decoders fill up what is missing with grey and say nothing.
///
/// Segments begin with FF and their kind, and tell their length; the compressed data behind a start of scan (DA) end
/// at the next marker, as FF is followed by 00 or by a restart marker (D0 to D7) inside of them.
fn jpeg_has_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        // Any number of fill bytes may stand before a marker's kind.
        while bytes.get(at..at + 2) == Some(&[0xff, 0xff]) {
            at += 1;
        }
        let Some(&[0xff, kind, high, low]) = bytes.get(at..at + 4).and_then(|b| b.first_chunk()) else {
            return bytes.get(at..at + 2) == Some(&[0xff, 0xd9]);
        };
        match kind {
            0xd9 => return true,
            0x01 | 0xd0..=0xd8 => at += 2,
            _ => at += 2 + u16::from_be_bytes([high, low]) as usize,
        }
        if kind == 0xda {
            let data = bytes.get(at..).unwrap_or_default();
            let end = data.windows(2).position(|w| w[0] == 0xff && !matches!(w[1], 0 | 0xd0..=0xd7 | 0xff));
            match end {
                Some(end) => at += end,
                None => return false,
            }
        }
    }
}

/// How pictures are brought into one shape.
pub(super) struct Fit {
    channels: usize,
    /// The side of the square that is cut out and scaled.
    size: Option<usize>,
    /// Rows and columns before padding and after.
    inner: [usize; 2],
    outer: [usize; 2],
}

impl Fit {
    /// The plan for pictures of these channels and, unless the options set a size, these rows and columns.
    pub fn new(options: &ImageOptions, channels: usize, native: [usize; 2]) -> Result<Fit> {
        let inner = options.size.map_or(native, |n| [n, n]);
        if let Some(pad) = options.pad.filter(|&pad| inner.iter().any(|&side| side > pad)) {
            let [rows, cols] = inner;
            let remedy =
                format!("the images are {cols} x {rows}, so give {} or more", inner[0].max(inner[1]));
            return Err(Error::Argument { what: "--pad", value: pad.to_string(), remedy });
        }
        let outer = options.pad.map_or(inner, |n| [n, n]);
        Ok(Fit { channels: options.channels.unwrap_or(channels), size: options.size, inner, outer })
    }

    /// `[channels, rows, cols]` of the result.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.outer[0], self.outer[1]]
    }

    /// Bytes of the result.
    pub fn len(&self) -> usize {
        self.shape().iter().product()
    }

    /// Writes a picture as planes, `[channels, rows, cols]`. Fails with its rows and columns if they are not those that
    /// the plan was made for.
    pub fn apply(&self, picture: DynamicImage, out: &mut [u8]) -> Result<(), [usize; 2]> {
        match self.channels {
            1 => self.place(grey(picture), out),
            _ => self.place(rgb(picture), out),
        }
    }

    fn place<P: Pixel<Subpixel = u8> + 'static>(
        &self,
        mut image: ImageBuffer<P, Vec<u8>>,
        out: &mut [u8],
    ) -> Result<(), [usize; 2]> {
        if let Some(n) = self.size {
            image = square(image, n as u32);
        }
        let found = [image.height() as usize, image.width() as usize];
        if found != self.inner {
            return Err(found);
        }
        let [_, rows, cols] = self.shape();
        // What cannot be halved is one more below and on the right.
        let (top, left) = ((rows - found[0]) / 2, (cols - found[1]) / 2);
        out.fill(0);
        for (x, y, pixel) in image.enumerate_pixels() {
            let at = (top + y as usize) * cols + left + x as usize;
            for (c, &v) in pixel.channels().iter().enumerate() {
                out[c * rows * cols + at] = v;
            }
        }
        Ok(())
    }
}

/// Rows and columns of a picture, and its pixels with this number of channels.
pub(super) fn pixels(picture: DynamicImage, channels: usize) -> ([usize; 2], Vec<u8>) {
    let size = [picture.height() as usize, picture.width() as usize];
    (size, if channels == 1 { grey(picture).into_raw() } else { rgb(picture).into_raw() })
}

/// The largest square in the middle, `n` pixels a side.
fn square<P: Pixel<Subpixel = u8> + 'static>(
    image: ImageBuffer<P, Vec<u8>>,
    n: u32,
) -> ImageBuffer<P, Vec<u8>> {
    let (width, height) = image.dimensions();
    if (width, height) == (n, n) {
        return image;
    }
    let side = width.min(height);
    let cut = imageops::crop_imm(&image, (width - side) / 2, (height - side) / 2, side, side);
    imageops::resize(&*cut, n, n, FilterType::Lanczos3)
}

/// `v` where it covers a black background by `alpha` of 255.
fn on_black(v: u8, alpha: u8) -> u8 {
    ((v as u16 * alpha as u16 + 127) / 255) as u8
}

fn grey(picture: DynamicImage) -> GrayImage {
    if !picture.color().has_alpha() {
        return picture.into_luma8();
    }
    let both = picture.into_luma_alpha8();
    GrayImage::from_fn(both.width(), both.height(), |x, y| {
        let [v, alpha] = both.get_pixel(x, y).0;
        image::Luma([on_black(v, alpha)])
    })
}

fn rgb(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let all = picture.into_rgba8();
    RgbImage::from_fn(all.width(), all.height(), |x, y| {
        let [r, g, b, alpha] = all.get_pixel(x, y).0;
        image::Rgb([r, g, b].map(|v| on_black(v, alpha)))
    })
}
