//! Folders of PNG and JPEG pictures.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::dataset::{ImageOptions, Split};
use super::idx::Images;
use super::mnist;
use super::picture::{self, Fit, Header};
use crate::{Error, Result};

/// The pictures of a split, in the order of the data set.
#[derive(Debug)]
pub(super) struct Listing {
    /// Where they lie.
    pub files: Vec<PathBuf>,
    /// One per file, if there are classes.
    pub labels: Option<Vec<u32>>,
    /// Their names.
    pub classes: Vec<String>,
}

/// Endings of a picture's name.
const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];
/// Names of folders that hold a split. Only where each folder beside them is one too are they no classes.
const TRAIN: &str = "train";
const TEST: [&str; 5] = ["test", "t10k", "val", "valid", "validation"];
/// A link may lead back to where it lies.
const DEEPEST: usize = 32;

/// What a folder holds, each sorted by name. What begins with a dot is passed over.
#[derive(Default)]
struct Entries {
    pictures: Vec<PathBuf>,
    folders: Vec<PathBuf>,
    /// Files that are no pictures by name.
    others: usize,
}

fn entries(dir: &Path) -> Result<Entries> {
    let read = || Error::io("read the folder", dir);
    let mut all = Entries::default();
    for entry in fs::read_dir(dir).map_err(read())? {
        let path = entry.map_err(read())?.path();
        if path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b".")) {
            continue;
        }
        let is_picture = path.extension().is_some_and(|e| ENDINGS.iter().any(|k| e.eq_ignore_ascii_case(k)));
        // Follows links; a link that leads nowhere is said to be unreadable when it is read.
        match path.is_dir() {
            true => all.folders.push(path),
            false if is_picture => all.pictures.push(path),
            false => all.others += 1,
        }
    }
    all.pictures.sort();
    all.folders.sort();
    Ok(all)
}

/// Every picture in a folder and in the folders in it, sorted by path.
fn pictures_below(dir: &Path, depth: usize) -> Result<Vec<PathBuf>> {
    if depth > DEEPEST {
        return Err(Error::format(
            dir,
            format!("lies more than {DEEPEST} folders deep; is there a link in a circle?"),
        ));
    }
    let Entries { mut pictures, folders, .. } = entries(dir)?;
    for folder in folders {
        pictures.extend(pictures_below(&folder, depth + 1)?);
    }
    pictures.sort();
    Ok(pictures)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn nothing(dir: &Path, why: &str) -> Error {
    let remedy = format!(
        "{why}; a folder of images holds .png, .jpg or .jpeg files, all in it or in a folder for each class. {}",
        mnist::REMEDY
    );
    Error::NotFound { what: "images".into(), looked: vec![dir.into()], remedy }
}

/// Whether a folder has images of any kind that [`Dataset::open`](super::Dataset::open) reads.
pub(super) fn check(dir: &Path) -> Result<()> {
    if mnist::has_data(dir) { Ok(()) } else { list(dir, Split::Train).map(drop) }
}

/// The pictures of a split by their names alone; no file is opened.
pub(super) fn list(dir: &Path, split: Split) -> Result<Listing> {
    match fs::metadata(dir) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => return Err(nothing(dir, "It is a file; name the folder that it lies in")),
        Err(e) if e.kind() == ErrorKind::NotFound => return Err(nothing(dir, "There is no such folder")),
        Err(e) => return Err(Error::io("read the folder", dir)(e)),
    }
    let all = entries(dir)?;
    let of = |names: &[&str]| all.folders.iter().find(|f| names.contains(&&*name(f)));
    let (train, test) = (of(&[TRAIN]), of(&TEST));
    let splits = [train, test].iter().flatten().count();
    if train.is_some() && splits == all.folders.len() && all.pictures.is_empty() {
        return list_split(dir, train, test, split);
    }
    if split == Split::Test {
        let why = "Its pictures are all for training; put some in a folder 'test' beside a folder 'train'";
        return Err(nothing(dir, why));
    }
    classes(dir, all)
}

/// Of folders `train` and `test`.
fn list_split(dir: &Path, train: Option<&PathBuf>, test: Option<&PathBuf>, split: Split) -> Result<Listing> {
    let of = |folder: Option<&PathBuf>| match folder {
        Some(folder) => classes(folder, entries(folder)?),
        None => Err(nothing(dir, "It has no folder 'test' beside its folder 'train'")),
    };
    let listing = of(train)?;
    if split == Split::Train {
        return Ok(listing);
    }
    let trained = listing.classes;
    let listing = of(test)?;
    if listing.classes != trained {
        return Err(Error::format(
            test.unwrap_or(&dir.into()),
            format!(
                "has the classes {:?}, but the training images have {trained:?}; both need a folder for each class",
                listing.classes
            ),
        ));
    }
    Ok(listing)
}

/// The pictures of a folder with a folder for each class, or with pictures only.
fn classes(dir: &Path, all: Entries) -> Result<Listing> {
    let Entries { pictures, folders, others } = all;
    let mut below = Vec::new();
    for folder in &folders {
        below.push(pictures_below(folder, 1)?);
    }
    let in_folders: usize = below.iter().map(Vec::len).sum();
    match (pictures.len(), in_folders) {
        (0, 0) if others == 0 && folders.is_empty() => Err(nothing(dir, "The folder is empty")),
        (0, 0) => {
            let why = format!("None of its {others} files and {} folders is or holds one", folders.len());
            Err(nothing(dir, &why))
        }
        (_, 0) => Ok(Listing { files: pictures, labels: None, classes: Vec::new() }),
        (0, _) => {
            if let Some((empty, _)) = folders.iter().zip(&below).find(|(_, files)| files.is_empty()) {
                let why = "The folder of a class has no pictures; remove it, or put some into it";
                return Err(nothing(empty, why));
            }
            let label = |(i, files): (usize, &Vec<PathBuf>)| vec![i as u32; files.len()];
            Ok(Listing {
                labels: Some(below.iter().enumerate().flat_map(label).collect()),
                classes: folders.iter().map(|f| name(f)).collect(),
                files: below.into_iter().flatten().collect(),
            })
        }
        (n, _) => Err(Error::format(
            dir,
            format!(
                "{n} pictures ({}, ...) lie beside folders of pictures ({}, ...), so that it is not clear whether \
                 there are classes; move the ones or the others away",
                name(&pictures[0]),
                name(&folders[below.iter().position(|files| !files.is_empty()).unwrap_or(0)])
            ),
        )),
    }
}

/// Reads pictures, several at a time, into the shape that the options ask for. The result depends on no order of
/// reading, and beside it only the pictures that are being read are held.
pub(super) fn read(listing: &Listing, options: &ImageOptions) -> Result<Images> {
    let files = &listing.files;
    // Collected twice, so that of several failures the first file's is told.
    let headers: Vec<Result<Header>> = files.par_iter().map(|path| picture::header(path)).collect();
    let headers: Vec<Header> = headers.into_iter().collect::<Result<_>>()?;
    let first = headers[0];
    let same = |h: &Header| (h.rows, h.cols) == (first.rows, first.cols);
    if let Some(i) = headers.iter().position(|h| !same(h)).filter(|_| options.size.is_none()) {
        return Err(Error::format(&files[i], size_problem(headers[i], first, &files[0])));
    }
    let channels = if headers.iter().all(|h| h.grey) { 1 } else { 3 };
    let fit = Fit::new(options, channels, [first.rows, first.cols])?;

    let mut pixels = Vec::new();
    let room = fit.len().checked_mul(files.len()).filter(|&n| pixels.try_reserve_exact(n).is_ok());
    let room = room.ok_or_else(|| {
        let dir = files[0].parent().unwrap_or(Path::new(""));
        Error::io("hold all pictures of", dir)(io::Error::from(ErrorKind::OutOfMemory))
    })?;
    pixels.resize(room, 0);
    let mut places: Vec<(&PathBuf, &mut [u8])> =
        files.iter().zip(pixels.chunks_exact_mut(fit.len())).collect();
    let failed = places.par_iter_mut().find_map_first(|(path, out)| {
        let picture = match picture::decode(path) {
            Ok(picture) => picture,
            Err(e) => return Some(e),
        };
        let changed = |[rows, cols]: [usize; 2]| {
            let now = Header { rows, cols, grey: first.grey };
            Error::format(path, size_problem(now, first, &files[0]))
        };
        fit.apply(picture, out).err().map(changed)
    });
    let [channels, rows, cols] = fit.shape();
    match failed {
        Some(e) => Err(e),
        None => Ok(Images { count: files.len(), channels, rows, cols, pixels }),
    }
}

fn size_problem(found: Header, first: Header, first_path: &Path) -> String {
    format!(
        "is {} x {} pixels, but {} is {} x {}; give --size N to bring all to N x N",
        found.cols,
        found.rows,
        first_path.display(),
        first.cols,
        first.rows
    )
}
