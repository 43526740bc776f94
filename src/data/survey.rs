//! What a folder of pictures holds.

use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Serialize;

use super::dataset::Split;
use super::folder::{self, Listing};
use super::picture;
use crate::{Error, Result};

/// A folder of PNG and JPEG pictures, see [`Dataset::open`](super::Dataset::open).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PicturesReport {
    /// The folder.
    pub path: PathBuf,
    /// Whether every picture can be read.
    pub readable: bool,
    /// The files that cannot be read, and why.
    pub problems: Vec<String>,
    /// Training pictures and, if there are any, test pictures.
    pub splits: Vec<SplitReport>,
}

/// The readable pictures of a split; the statistics are over all their pixels, std with divisor n.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SplitReport {
    /// `train` or `test`.
    pub split: &'static str,
    /// `u8`.
    pub dtype: &'static str,
    /// Number of pictures.
    pub count: usize,
    /// 1 if all pictures are grey, else 3.
    pub channels: usize,
    /// Different sizes; with more than one, training needs `--size`.
    pub sizes: usize,
    /// Rows and columns of the picture with the fewest pixels.
    pub smallest: [usize; 2],
    /// Rows and columns of the picture with the most pixels.
    pub largest: [usize; 2],
    /// The smallest value.
    pub min: u8,
    /// The largest value.
    pub max: u8,
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub std: f64,
    /// Pictures that equal an earlier one in every pixel.
    pub duplicates: usize,
    /// Name and number of files of each class, if there are classes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<(String, usize)>,
}

/// What is kept of a picture.
struct Seen {
    size: [usize; 2],
    counts: Box<[u64; 256]>,
    hash: u64,
}

/// Reads every picture of a folder. Damage is reported in the result, not as an error.
///
/// # Errors
/// If the folder holds no pictures, or not in an order that can be used.
pub(super) fn survey(dir: &Path) -> Result<PicturesReport> {
    let mut report =
        PicturesReport { path: dir.into(), readable: true, problems: Vec::new(), splits: Vec::new() };
    for (name, split) in [("train", Split::Train), ("test", Split::Test)] {
        match folder::list(dir, split) {
            Ok(listing) => report.splits.push(survey_split(name, &listing, &mut report.problems)?),
            // That there are no test pictures is no damage.
            Err(Error::NotFound { .. }) if split == Split::Test => {}
            Err(Error::Format { path, problem }) if split == Split::Test => {
                report.problems.push(format!("{}: {problem}", path.display()));
            }
            Err(e) => return Err(e),
        }
    }
    report.readable = report.problems.is_empty();
    Ok(report)
}

fn survey_split(split: &'static str, listing: &Listing, problems: &mut Vec<String>) -> Result<SplitReport> {
    let grey = |path| picture::header(path).map_or(true, |h| h.grey);
    let channels = if listing.files.par_iter().all(|path| grey(path)) { 1 } else { 3 };
    let seen: Vec<Result<Seen>> = listing.files.par_iter().map(|path| look(path, channels)).collect();
    let (mut counts, mut sizes, mut hashes) = ([0u64; 256], BTreeSet::new(), HashSet::new());
    let (mut count, mut duplicates) = (0, 0);
    for one in seen {
        match one {
            Ok(one) => {
                count += 1;
                counts.iter_mut().zip(one.counts.iter()).for_each(|(all, n)| *all += n);
                sizes.insert((one.size[0] * one.size[1], one.size));
                duplicates += !hashes.insert((one.size, one.hash)) as usize;
            }
            Err(Error::Format { path, problem }) => problems.push(format!("{}: {problem}", path.display())),
            Err(e) => return Err(e),
        }
    }
    let n: u64 = counts.iter().sum();
    let moment = |f: &dyn Fn(f64) -> f64| {
        (0..256).map(|v| f(v as f64) * counts[v] as f64).sum::<f64>() / n.max(1) as f64
    };
    let mean = moment(&|v| v);
    let mut present = (0..=255u8).filter(|&v| counts[v as usize] > 0);
    let of_class = |c: usize| listing.labels.iter().flatten().filter(|&&l| l as usize == c).count();
    Ok(SplitReport {
        split,
        dtype: "u8",
        count,
        channels,
        sizes: sizes.len(),
        smallest: sizes.first().map_or([0, 0], |s| s.1),
        largest: sizes.last().map_or([0, 0], |s| s.1),
        min: present.clone().next().unwrap_or(0),
        max: present.next_back().unwrap_or(0),
        mean,
        std: moment(&|v| (v - mean).powi(2)).sqrt(),
        duplicates,
        classes: listing.classes.iter().cloned().enumerate().map(|(c, name)| (name, of_class(c))).collect(),
    })
}

fn look(path: &Path, channels: usize) -> Result<Seen> {
    let (size, pixels) = picture::pixels(picture::decode(path)?, channels);
    let mut counts = Box::new([0; 256]);
    pixels.iter().for_each(|&v| counts[v as usize] += 1);
    let mut hasher = DefaultHasher::new();
    pixels.hash(&mut hasher);
    Ok(Seen { size, counts, hash: hasher.finish() })
}
