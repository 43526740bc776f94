//! MNIST and whatever else comes as its four files: where they may lie, and what must hold between them.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use flate2::Crc;

use super::dataset::Split;
use super::folder;
use super::idx::{Images, read_images, read_labels};
use crate::{Error, Result};

/// Where to get the data, for messages.
pub(super) const REMEDY: &str = "MNIST's four files (train-images-idx3-ubyte, train-labels-idx1-ubyte and the two of t10k, \
     each raw or .gz) are published at http://yann.lecun.com/exdb/mnist/; put them in a folder and name it with \
     --data or $GANVIL_DATA";

/// The images of one split and, if there is a file of them, the labels. `None` if the folder has no such images.
pub(super) fn load(dir: &Path, split: Split) -> Result<Option<(Images, Option<Vec<u8>>)>> {
    let Ok(images_path) = find(dir, split, "images-idx3") else { return Ok(None) };
    let images = read_images(&images_path)?;
    let Ok(labels_path) = find(dir, split, "labels-idx1") else { return Ok(Some((images, None))) };
    let labels = read_labels(&labels_path)?;
    match mismatch(&images_path, images.count, labels.len()) {
        Some(problem) => Err(Error::format(labels_path, problem)),
        None => Ok(Some((images, Some(labels)))),
    }
}

/// Whether these are the labels of MNIST's training images, wherever the files lie.
pub(super) fn is_mnist(labels: &[u8]) -> bool {
    let mut crc = Crc::new();
    crc.update(labels);
    (labels.len(), crc.sum()) == (60_000, MNIST_LABELS)
}

const MNIST_LABELS: u32 = 0xba07_e8ef;

/// What is wrong with a file of labels that has not as many as there are images.
pub(super) fn mismatch(images_path: &Path, images: usize, labels: usize) -> Option<String> {
    let images_path = images_path.display();
    (images != labels).then(|| {
        format!("{labels} labels, but {images_path} has {images} images; the two must come from one data set")
    })
}

/// The names a file goes by, in order of preference; `part` is `images-idx3` or `labels-idx1`.
fn names(split: Split, part: &str) -> [String; 4] {
    let dash = format!("{}-{part}-ubyte", split.prefix());
    let dot = dash.replace("-idx", ".idx");
    [dash.clone(), dot.clone(), dash + ".gz", dot + ".gz"]
}

pub(super) fn find(dir: &Path, split: Split, part: &str) -> Result<PathBuf> {
    let looked: Vec<PathBuf> = names(split, part).iter().map(|name| dir.join(name)).collect();
    match looked.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => {
            let what = format!("{}-{part}-ubyte", split.prefix());
            Err(Error::NotFound { what, looked, remedy: REMEDY.into() })
        }
    }
}

/// Whether a folder has IDX images of either split.
pub(super) fn has_data(dir: &Path) -> bool {
    [Split::Train, Split::Test].iter().any(|&split| find(dir, split, "images-idx3").is_ok())
}

/// The folder with the data: the `--data` flag if given, else `$GANVIL_DATA` if set and not empty, else the first
/// that has images of `./data/mnist`, `$CARGO_MANIFEST_DIR/data/mnist` and `data/mnist` beside the executable or in a
/// folder above it.
///
/// A folder that is named may also be one of PNG or JPEG pictures, see [`Dataset::open`](super::Dataset::open).
///
/// Fails with every place looked at. A flag or variable that names a folder without data is an error, not a
/// reason to look elsewhere.
pub fn locate(flag: Option<&Path>) -> Result<PathBuf> {
    Places::of_process().search(flag)
}

/// What [`locate`] knows of the process.
#[derive(Default)]
struct Places {
    variable: Option<OsString>,
    current: PathBuf,
    manifest: Option<OsString>,
    executable: Option<PathBuf>,
}

impl Places {
    fn of_process() -> Places {
        Places {
            variable: env::var_os("GANVIL_DATA"),
            current: env::current_dir().unwrap_or_default(),
            manifest: env::var_os("CARGO_MANIFEST_DIR"),
            executable: env::current_exe().ok(),
        }
    }

    fn search(&self, flag: Option<&Path>) -> Result<PathBuf> {
        let variable = self.variable.as_ref().filter(|v| !v.is_empty()).map(Path::new);
        let named = flag.map(|dir| (dir, "--data")).or(variable.map(|dir| (dir, "$GANVIL_DATA")));
        if let Some((dir, by)) = named {
            let dir = dir.to_path_buf();
            return match folder::check(&dir) {
                Ok(()) => Ok(dir),
                Err(Error::NotFound { looked, remedy, .. }) => {
                    let what = format!("data in the folder that {by} names");
                    Err(Error::NotFound { what, looked, remedy })
                }
                Err(e) => Err(e),
            };
        }
        let mut looked = Vec::new();
        let above = self.executable.iter().flat_map(|exe| exe.ancestors().skip(1));
        for base in
            [self.current.as_path()].into_iter().chain(self.manifest.as_ref().map(Path::new)).chain(above)
        {
            let dir = base.join("data").join("mnist");
            if has_data(&dir) {
                return Ok(dir);
            }
            if !looked.contains(&dir) {
                looked.push(dir);
            }
        }
        Err(Error::NotFound { what: "data".into(), looked, remedy: REMEDY.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A folder of its own, removed on drop.
    struct Folder(PathBuf);
    impl Folder {
        fn new(name: &str) -> Folder {
            let dir = env::temp_dir().join(format!("ganvil-mnist-{name}-{}", std::process::id()));
            fs::create_dir_all(&dir).unwrap();
            Folder(dir)
        }
        /// A folder with a file of a data set's name.
        fn data(&self, dir: &str) -> PathBuf {
            let dir = self.0.join(dir);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join("t10k-images.idx3-ubyte.gz"), b"").unwrap();
            dir
        }
    }
    impl Drop for Folder {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).ok();
        }
    }

    #[test]
    fn places_are_tried_in_order() {
        let f = Folder::new("order");
        let places = |variable: Option<&Path>| Places {
            variable: variable.map(Into::into),
            current: f.0.join("cwd"),
            manifest: Some(f.0.join("manifest").into()),
            executable: Some(f.0.join("target/debug/deps/ganvil")),
        };
        let far = f.data("data/mnist");
        assert_eq!(places(None).search(None).unwrap(), far);
        let near = f.data("target/data/mnist");
        assert_eq!(places(None).search(None).unwrap(), near);
        let manifest = f.data("manifest/data/mnist");
        assert_eq!(places(None).search(None).unwrap(), manifest);
        let cwd = f.data("cwd/data/mnist");
        assert_eq!(places(None).search(None).unwrap(), cwd);
        assert_eq!(places(Some(Path::new(""))).search(None).unwrap(), cwd);
        let variable = f.data("variable");
        assert_eq!(places(Some(&variable)).search(None).unwrap(), variable);
        let flag = f.data("flag");
        assert_eq!(places(Some(&variable)).search(Some(&flag)).unwrap(), flag);
    }

    #[test]
    fn a_named_folder_without_data_is_an_error() {
        let f = Folder::new("named");
        let (cwd, empty) = (f.data("data/mnist"), f.0.join("empty"));
        fs::create_dir(&empty).unwrap();
        let places = Places { current: f.0.clone(), ..Places::default() };
        assert_eq!(places.search(None).unwrap(), cwd);
        let text = places.search(Some(&empty)).unwrap_err().to_string();
        assert!(text.contains("--data names") && text.contains(&*empty.to_string_lossy()), "{text}");
        assert!(text.contains("http://yann.lecun.com/exdb/mnist/"), "{text}");

        let places = Places { variable: Some(empty.clone().into()), ..places };
        let text = places.search(None).unwrap_err().to_string();
        assert!(text.contains("$GANVIL_DATA names") && text.contains(&*empty.to_string_lossy()), "{text}");
    }

    #[test]
    fn every_place_looked_at_is_listed() {
        let f = Folder::new("listed");
        let places = Places {
            variable: None,
            current: f.0.join("cwd"),
            manifest: Some(f.0.join("manifest").into()),
            executable: Some(f.0.join("bin/ganvil")),
        };
        let text = places.search(None).unwrap_err().to_string();
        for dir in ["cwd", "manifest", "bin"] {
            let dir = f.0.join(dir).join("data").join("mnist");
            assert!(text.contains(&*dir.to_string_lossy()), "{text}");
        }
        assert!(text.contains("--data") && text.contains("GANVIL_DATA"), "{text}");
    }
}
