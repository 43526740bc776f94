//! What a file, a folder or a distribution holds, for people and for scripts.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::Crc;
use serde::Serialize;

use super::dataset::Split;
use super::mnist::{find, has_data, mismatch};
use super::survey::{PicturesReport, survey};
use super::synthetic::Synthetic;
use super::{IdxFile, Images, read_idx};
use crate::names::did_you_mean;
use crate::{Error, Result};

/// What [`inspect`] found. As JSON, an object whose `kind` is `file`, `folder`, `pictures` or `distribution`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Inspection {
    /// A file.
    File(FileReport),
    /// A folder of MNIST's files.
    Folder(FolderReport),
    /// A folder of PNG and JPEG pictures.
    Pictures(PicturesReport),
    /// A distribution that is drawn from.
    Distribution(DistributionReport),
}

/// A file that is, or should be, an IDX file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileReport {
    /// Where it lies.
    pub path: PathBuf,
    /// Its size on the disk.
    pub bytes: u64,
    /// Whether it is a gzip stream.
    pub gzip: bool,
    /// Whether it could be read to its end and is what it claims to be.
    pub readable: bool,
    /// Why not, with what was expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// What is in it, if it is readable.
    #[serde(flatten)]
    pub contents: Option<Contents>,
}

/// The contents of an IDX file. `crc32` is the CRC-32 of gzip and zip over the uncompressed file, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "holds", rename_all = "kebab-case")]
pub enum Contents {
    /// Grey pictures; the statistics are over all pixels, std with divisor n.
    Images {
        /// `u8`.
        dtype: &'static str,
        /// Number of pictures, rows, columns.
        shape: [usize; 3],
        /// The smallest value.
        min: u8,
        /// The largest value.
        max: u8,
        /// The mean pixel.
        mean: f64,
        /// The pixels' standard deviation.
        std: f64,
        /// Pictures that equal an earlier one in every pixel.
        duplicates: usize,
        /// See [`Contents`].
        crc32: String,
    },
    /// One class per picture.
    Labels {
        /// `u8`.
        dtype: &'static str,
        /// Number of labels.
        shape: [usize; 1],
        /// The smallest value.
        min: u8,
        /// The largest value.
        max: u8,
        /// How often each class that occurs does.
        classes: BTreeMap<u8, usize>,
        /// See [`Contents`].
        crc32: String,
    },
}

/// A folder of MNIST's files, see [`Dataset::load`](super::Dataset::load).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FolderReport {
    /// The folder.
    pub path: PathBuf,
    /// Whether every split that is there can be loaded.
    pub readable: bool,
    /// What keeps one from being loaded: damaged files, missing ones, labels that do not match the images.
    pub problems: Vec<String>,
    /// Training images and labels, test images and labels; what is missing is left out.
    pub files: Vec<FileReport>,
}

/// A synthetic distribution, with statistics of some samples along x and y.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DistributionReport {
    /// Which one.
    pub name: Synthetic,
    /// `f32`.
    pub dtype: &'static str,
    /// Number of samples looked at, and 2.
    pub shape: [usize; 2],
    /// The seed they were drawn with.
    pub seed: u64,
    /// The smallest values.
    pub min: [f64; 2],
    /// The largest values.
    pub max: [f64; 2],
    /// The means.
    pub mean: [f64; 2],
    /// With divisor n.
    pub std: [f64; 2],
    /// The components, where the distribution is a mixture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modes: Option<ModeReport>,
}

/// The components of a mixture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModeReport {
    /// The standard deviation of each along either axis.
    pub sigma: f64,
    /// Their means.
    pub centres: Vec<[f64; 2]>,
    /// Their shares.
    pub weights: Vec<f64>,
    /// How many of the samples lie nearest to each.
    pub counts: Vec<usize>,
}

impl Inspection {
    /// What keeps the data from being used; nothing if it can be.
    ///
    /// ```
    /// # use ganvil::data::inspect;
    /// assert!(inspect("ring8".as_ref())?.problems().is_empty());
    /// # Ok::<(), ganvil::Error>(())
    /// ```
    pub fn problems(&self) -> &[String] {
        match self {
            Inspection::File(f) => f.problem.as_slice(),
            Inspection::Folder(f) => &f.problems,
            Inspection::Pictures(f) => &f.problems,
            Inspection::Distribution(_) => &[],
        }
    }
}

/// Samples of a distribution that are looked at, of seed 0.
const SAMPLES: usize = 10_000;

/// Looks at an IDX file, a folder of MNIST's files or of pictures, or the distribution of that name (a file of the same name is
/// `./NAME`). Damage is reported in the result, not as an error.
///
/// ```
/// use ganvil::data::{Contents, Inspection, inspect};
///
/// let path = std::env::temp_dir().join(format!("ganvil-two-images-{}", std::process::id()));
/// let header = [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]; // two images of 1 x 2
/// std::fs::write(&path, [&header[..], &[0, 255, 0, 255]].concat()).unwrap();
/// let Inspection::File(file) = inspect(&path)? else { panic!() };
/// let Some(Contents::Images { mean, duplicates, .. }) = file.contents else { panic!() };
/// assert_eq!((mean, duplicates), (127.5, 1));
/// # std::fs::remove_file(&path).unwrap();
/// # Ok::<(), ganvil::Error>(())
/// ```
///
/// # Errors
/// If there is nothing of that name, the system refuses to read it, or a folder has nothing of the sort.
pub fn inspect(path: &Path) -> Result<Inspection> {
    let name = path.to_string_lossy();
    if let Ok(distribution) = name.parse::<Synthetic>() {
        return Ok(Inspection::Distribution(inspect_distribution(distribution)));
    }
    if !path.try_exists().map_err(Error::io("read", path))? {
        let names = Synthetic::ALL.map(Synthetic::name);
        let near = did_you_mean(&name, &names);
        return Err(Error::NotFound {
            what: "data".into(),
            looked: vec![path.into()],
            remedy: format!(
                "{near}give an IDX file, a folder of MNIST's files or of pictures, or a distribution: {}",
                names.join(", ")
            ),
        });
    }
    if path.is_dir() {
        let labels = [Split::Train, Split::Test].map(|split| find(path, split, "labels-idx1"));
        match has_data(path) || labels.iter().any(Result::is_ok) {
            true => Ok(Inspection::Folder(inspect_folder(path)?)),
            false => Ok(Inspection::Pictures(survey(path)?)),
        }
    } else {
        Ok(Inspection::File(inspect_file(path)?))
    }
}

fn inspect_file(path: &Path) -> Result<FileReport> {
    let (contents, problem) = match read_idx(path) {
        Ok(IdxFile::Images(images)) => (Some(of_images(&images)), None),
        Ok(IdxFile::Labels(labels)) => (Some(of_labels(&labels)), None),
        Err(Error::Format { problem, .. }) => (None, Some(problem)),
        Err(e) => return Err(e),
    };
    let bytes = fs::metadata(path).map_err(Error::io("read", path))?.len();
    Ok(FileReport {
        path: path.into(),
        bytes,
        gzip: is_gzip(path)?,
        readable: problem.is_none(),
        problem,
        contents,
    })
}

fn is_gzip(path: &Path) -> Result<bool> {
    if !path.is_file() {
        return Ok(false);
    }
    let mut start = Vec::new();
    let file = File::open(path).map_err(Error::io("open", path))?;
    file.take(2).read_to_end(&mut start).map_err(Error::io("read", path))?;
    Ok(start == [0x1f, 0x8b])
}

fn of_images(images: &Images) -> Contents {
    let mut counts = [0u64; 256];
    images.pixels.iter().for_each(|&v| counts[v as usize] += 1);
    let n = images.pixels.len() as f64;
    let mut present = (0..=255u8).filter(|&v| counts[v as usize] > 0);
    let mean = (0..256).map(|v| v as f64 * counts[v] as f64).sum::<f64>() / n;
    let variance = (0..256).map(|v| (v as f64 - mean).powi(2) * counts[v] as f64).sum::<f64>() / n;
    let mut seen = HashSet::with_capacity(images.count);
    Contents::Images {
        dtype: "u8",
        shape: [images.count, images.rows, images.cols],
        min: present.clone().next().unwrap_or(0),
        max: present.next_back().unwrap_or(0),
        mean,
        std: variance.sqrt(),
        duplicates: (0..images.count).filter(|&i| !seen.insert(images.image(i))).count(),
        crc32: crc32(&[images.count, images.rows, images.cols], &images.pixels),
    }
}

fn of_labels(labels: &[u8]) -> Contents {
    let mut classes = BTreeMap::new();
    labels.iter().for_each(|&l| *classes.entry(l).or_insert(0) += 1);
    Contents::Labels {
        dtype: "u8",
        shape: [labels.len()],
        min: classes.keys().next().copied().unwrap_or(0),
        max: classes.keys().last().copied().unwrap_or(0),
        classes,
        crc32: crc32(&[labels.len()], labels),
    }
}

/// Of the file that these values came from: its header follows from the dimensions.
fn crc32(dims: &[usize], values: &[u8]) -> String {
    let mut crc = Crc::new();
    crc.update(&[0, 0, 8, dims.len() as u8]);
    dims.iter().for_each(|&d| crc.update(&(d as u32).to_be_bytes()));
    crc.update(values);
    format!("{:08x}", crc.sum())
}

fn inspect_folder(dir: &Path) -> Result<FolderReport> {
    let mut report =
        FolderReport { path: dir.into(), readable: true, problems: Vec::new(), files: Vec::new() };
    for split in [Split::Train, Split::Test] {
        let parts = ["images-idx3", "labels-idx1"].map(|part| find(dir, split, part));
        match &parts {
            // A split that is not there at all is no damage, nor are images without labels.
            [Err(_), Err(_)] => {}
            _ => inspect_split(parts, &mut report)?,
        }
    }
    report.readable = report.problems.is_empty();
    Ok(report)
}

/// Images and labels of a split, at least one of which is there.
fn inspect_split(parts: [Result<PathBuf>; 2], report: &mut FolderReport) -> Result<()> {
    let mut counts = Vec::new();
    for part in parts {
        match part {
            Ok(path) => {
                let file = inspect_file(&path)?;
                report.problems.extend(file.problem.as_ref().map(|p| format!("{}: {p}", path.display())));
                match &file.contents {
                    Some(Contents::Images { shape: [n, ..], .. } | Contents::Labels { shape: [n], .. }) => {
                        counts.push((path, *n))
                    }
                    None => {}
                }
                report.files.push(file);
            }
            Err(Error::NotFound { what, .. }) if what.contains("images") => {
                report.problems.push(format!("no {what} in the folder"));
            }
            Err(Error::NotFound { .. }) => {}
            Err(e) => return Err(e),
        }
    }
    if let [(images_path, images), (labels_path, labels)] = &counts[..] {
        let problem = mismatch(images_path, *images, *labels);
        report.problems.extend(problem.map(|p| format!("{}: {p}", labels_path.display())));
    }
    Ok(())
}

fn inspect_distribution(name: Synthetic) -> DistributionReport {
    let seed = 0;
    let points: Vec<[f64; 2]> =
        name.samples(seed).take(SAMPLES).into_iter().map(|p| p.map(f64::from)).collect();
    let fold =
        |start: f64, f: fn(f64, f64) -> f64| [0, 1].map(|axis| points.iter().map(|p| p[axis]).fold(start, f));
    let n = points.len() as f64;
    let mean = fold(0.0, |a, b| a + b).map(|sum| sum / n);
    let std = [0, 1].map(|i| (points.iter().map(|p| (p[i] - mean[i]).powi(2)).sum::<f64>() / n).sqrt());
    let modes = name.mixture().map(|m| {
        let mut counts = vec![0; m.modes()];
        points.iter().for_each(|&p| counts[m.nearest(p).0] += 1);
        ModeReport { sigma: m.sigma, centres: m.centres, weights: m.weights, counts }
    });
    DistributionReport {
        name,
        dtype: "f32",
        shape: [points.len(), 2],
        seed,
        min: fold(f64::INFINITY, f64::min),
        max: fold(f64::NEG_INFINITY, f64::max),
        mean,
        std,
        modes,
    }
}
