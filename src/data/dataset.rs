//! What a run trains on: pictures of one shape, with or without classes.

use std::path::Path;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::folder;
use super::idx::Images;
use super::mnist;
use super::picture::Fit;
use crate::{Error, Result};

/// Which part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Split {
    /// What models train on; MNIST has 60,000 images.
    Train,
    /// What they are measured against; MNIST has 10,000 images.
    Test,
}

impl Split {
    /// What the names of its IDX files begin with.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Test => "t10k",
        }
    }
}

/// What pictures are made into when they are read; nothing set leaves them as they are.
///
/// ```
/// use ganvil::data::ImageOptions;
/// assert!(ImageOptions { size: Some(32), channels: Some(3), pad: None }.check().is_ok());
/// let error = ImageOptions { channels: Some(2), ..ImageOptions::default() }.check().unwrap_err();
/// assert!(error.to_string().contains("invalid --channels '2'"));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageOptions {
    /// The largest square in the middle of each picture, scaled to this many pixels a side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// 1 for grey, 3 for colours; else what the pictures have: grey if all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// Background (0, which is -1 to a network) on all sides up to this many pixels a side, after scaling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pad: Option<usize>,
}

/// The longest side of a picture that can be asked for.
const MOST_PIXELS: usize = 4096;

impl ImageOptions {
    /// Whether pictures stay as they are.
    pub fn is_default(&self) -> bool {
        *self == ImageOptions::default()
    }

    /// Refuses what no picture can be made into.
    ///
    /// # Errors
    /// Names the flag, its value and what it may be.
    pub fn check(&self) -> Result<()> {
        for (what, side) in [("--size", self.size), ("--pad", self.pad)] {
            if let Some(n) = side.filter(|n| !(1..=MOST_PIXELS).contains(n)) {
                let remedy = format!("use 1 to {MOST_PIXELS} pixels");
                return Err(Error::Argument { what, value: n.to_string(), remedy });
            }
        }
        match self.channels {
            None | Some(1 | 3) => Ok(()),
            Some(n) => {
                let remedy = "use 1 (grey) or 3 (red, green, blue)".into();
                Err(Error::Argument { what: "--channels", value: n.to_string(), remedy })
            }
        }
    }
}

/// Pictures of one shape, with a class each if classes are known.
///
/// ```
/// use ganvil::data::{Dataset, Images};
/// let images = Images { count: 2, channels: 1, rows: 1, cols: 2, pixels: vec![0, 255, 255, 0] };
/// let data = Dataset { images, labels: Some(vec![1, 0]), classes: vec!["a".into(), "b".into()], name: "two".into() };
/// assert_eq!(data.shape(), [1, 1, 2]);
/// assert_eq!(data.classes[data.labels.unwrap()[0] as usize], "b");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The pictures; all that is held of them is these bytes.
    pub images: Images,
    /// One per picture, in the same order: a number below `classes.len()`.
    pub labels: Option<Vec<u32>>,
    /// Names of the classes: those of a folder's subfolders, sorted; numbers where labels have no names.
    pub classes: Vec<String>,
    /// The folder's name, for titles and the folders of runs: `mnist`.
    pub name: String,
}

/// By what a data set is known again: a run that goes on with other pictures is another run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// Pictures.
    pub images: usize,
    /// CRC-32 (of ISO 3309) of sizes, pixels and labels.
    pub crc32: u32,
}

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{} images with CRC-32 {:08x}", self.images, self.crc32)
    }
}

impl Dataset {
    /// What the data is known by.
    ///
    /// ```
    /// use ganvil::data::{Dataset, Images};
    /// let of = |pixels: [u8; 2]| {
    ///     let images = Images { count: 1, channels: 1, rows: 1, cols: 2, pixels: pixels.into() };
    ///     Dataset { images, labels: None, classes: vec![], name: "two".into() }.fingerprint()
    /// };
    /// assert_eq!(of([1, 2]), of([1, 2]));
    /// assert_ne!(of([1, 2]), of([2, 1]));
    /// ```
    pub fn fingerprint(&self) -> Fingerprint {
        let mut crc = flate2::Crc::new();
        let [channels, rows, cols] = self.images.shape();
        for n in [self.images.count, channels, rows, cols, self.classes.len()] {
            crc.update(&(n as u64).to_le_bytes());
        }
        crc.update(&self.images.pixels);
        for labels in self.labels.iter().flat_map(|l| l.chunks(4096)) {
            let bytes: Vec<u8> = labels.iter().flat_map(|y| y.to_le_bytes()).collect();
            crc.update(&bytes);
        }
        Fingerprint { images: self.images.count, crc32: crc.sum() }
    }

    /// [`Dataset::open`] with the pictures as they are.
    ///
    /// # Errors
    /// As there.
    pub fn load(dir: impl AsRef<Path>, split: Split) -> Result<Dataset> {
        Dataset::open(dir, split, &ImageOptions::default())
    }

    /// Reads one split of a data set from a folder of
    ///
    /// - IDX files: `train-images-idx3-ubyte` and, if there are labels, `train-labels-idx1-ubyte` (or `t10k-...`), also
    ///   with a dot before `idx`, raw or `.gz`; a raw file goes before a compressed one. So come MNIST, Fashion-MNIST
    ///   and others.
    /// - PNG and JPEG pictures (`.png`, `.jpg`, `.jpeg`): in a folder for each class, with whatever folders in it, or all
    ///   in one folder without classes. The order is that of the sorted paths. Where folders `train` and `test` (or
    ///   `val`) are all there is, these are the splits; else all pictures are for training.
    ///
    /// Pictures from cameras are turned upright, transparent ones lie on black, sixteen bits become eight, colours made
    /// grey are weighted by Rec. 709. Scaling is Lanczos' (three lobes), widened to the source's pixels when it shrinks.
    ///
    /// ```
    /// use ganvil::data::{Dataset, ImageOptions, Split};
    /// use ganvil::report::save_pictures;
    ///
    /// let dir = std::env::temp_dir().join(format!("ganvil-photos-{}", std::process::id()));
    /// save_pictures(dir.join("black"), &[-1.0; 8], [2, 1, 2, 2])?; // two grey pictures of 2 x 2
    /// save_pictures(dir.join("white"), &[1.0; 4], [1, 1, 2, 2])?;
    /// let data = Dataset::open(&dir, Split::Train, &ImageOptions { pad: Some(4), ..ImageOptions::default() })?;
    /// assert_eq!((data.images.count, data.shape()), (3, [1, 4, 4]));
    /// assert_eq!((&data.classes[1], data.labels.unwrap()), (&"white".to_string(), vec![0, 0, 1]));
    /// # std::fs::remove_dir_all(&dir).unwrap();
    /// # Ok::<(), ganvil::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is nothing of the sort; [`Error::Format`] naming the file if one is damaged, if
    /// there are not as many labels as images, or if pictures differ in size and no size is set; [`Error::Argument`] if
    /// the options cannot be had.
    pub fn open(dir: impl AsRef<Path>, split: Split, options: &ImageOptions) -> Result<Dataset> {
        options.check()?;
        let dir = dir.as_ref();
        // "." and ".." have no name of their own.
        let name = || {
            let absolute = dir.canonicalize().unwrap_or(dir.to_path_buf());
            absolute.file_name().unwrap_or(absolute.as_os_str()).to_string_lossy().into_owned()
        };
        if let Some((images, labels)) = mnist::load(dir, split)? {
            let name = match &labels {
                Some(labels) if mnist::is_mnist(labels) => "mnist".into(),
                _ => name(),
            };
            let images = fitted(images, options)?;
            let most = labels.iter().flatten().max().copied();
            let classes = most.map_or(0..0, |most| 0..most as usize + 1).map(|c| c.to_string()).collect();
            let labels = labels.map(|l| l.into_iter().map(u32::from).collect());
            return Ok(Dataset { images, labels, classes, name });
        }
        if mnist::has_data(dir) {
            // There is only the other split.
            mnist::find(dir, split, "images-idx3")?;
        }
        let listing = folder::list(dir, split)?;
        let images = folder::read(&listing, options)?;
        Ok(Dataset { images, labels: listing.labels, classes: listing.classes, name: name() })
    }

    /// The first `n` pictures, or as many as there are.
    pub fn first(&self, n: usize) -> Dataset {
        let (n, all) = (n.min(self.images.count), &self.images);
        let pixels = all.pixels[..n * all.area()].to_vec();
        let [channels, rows, cols] = all.shape();
        Dataset {
            images: Images { count: n, channels, rows, cols, pixels },
            labels: self.labels.as_ref().map(|l| l[..n].to_vec()),
            classes: self.classes.clone(),
            name: self.name.clone(),
        }
    }

    /// `[channels, rows, cols]` of every picture.
    pub fn shape(&self) -> [usize; 3] {
        self.images.shape()
    }

    /// Some of the pictures, with their classes, in the order given.
    ///
    /// ```
    /// use ganvil::data::{Dataset, Images};
    /// let images = Images { count: 3, channels: 1, rows: 1, cols: 1, pixels: vec![7, 8, 9] };
    /// let data = Dataset { images, labels: Some(vec![0, 1, 0]), classes: vec!["a".into(), "b".into()], name: "x".into() };
    /// let some = data.pick(&[2, 1]);
    /// assert_eq!((some.images.pixels, some.labels), (vec![9, 8], Some(vec![0, 1])));
    /// ```
    ///
    /// # Panics
    /// If there is no such picture.
    #[track_caller]
    pub fn pick(&self, indices: &[u32]) -> Dataset {
        let pixels = indices.iter().flat_map(|i| self.images.image(*i as usize)).copied().collect();
        let labels = self.labels.as_ref().map(|l| indices.iter().map(|i| l[*i as usize]).collect());
        Dataset {
            images: Images { count: indices.len(), pixels, ..self.images },
            labels,
            classes: self.classes.clone(),
            name: self.name.clone(),
        }
    }
}

/// Pictures as the options want them.
fn fitted(images: Images, options: &ImageOptions) -> Result<Images> {
    if options.is_default() {
        return Ok(images);
    }
    let Images { count, channels: 1, rows, cols, .. } = images else {
        unreachable!("IDX files hold grey pictures");
    };
    let fit = Fit::new(options, 1, [rows, cols])?;
    let mut pixels = vec![0; count * fit.len()];
    pixels.par_chunks_mut(fit.len()).enumerate().for_each(|(i, out)| {
        let grey = image::GrayImage::from_raw(cols as u32, rows as u32, images.image(i).to_vec());
        let grey = grey.expect("a picture has as many bytes as pixels");
        fit.apply(grey.into(), out).expect("every picture has the size that the plan was made for");
    });
    let [channels, rows, cols] = fit.shape();
    Ok(Images { count, channels, rows, cols, pixels })
}
