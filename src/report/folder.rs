//! The folder of a run.

use crate::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder given, or the next free `runs/NNNNN-DATA-RECIPE`. It is there when this returns.
///
/// # Errors
/// If it cannot be made, or has something in it: a run never writes over another.
pub(crate) fn run_folder(out: Option<&Path>, data: &str, recipe: &str) -> Result<PathBuf> {
    let dir = match out {
        Some(dir) => dir.to_path_buf(),
        None => next_folder(Path::new("runs"), &format!("{}-{recipe}", plain(data)))?,
    };
    let used = fs::read_dir(&dir).is_ok_and(|mut entries| entries.next().is_some());
    if used {
        let remedy = "the folder is not empty; name a new one, or remove it".into();
        return Err(Error::Argument { what: "--out", value: dir.display().to_string(), remedy });
    }
    fs::create_dir_all(&dir).map_err(Error::io("create the folder", &dir))?;
    Ok(dir)
}

/// A name as part of a file's, whatever is in it.
fn plain(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "._".contains(c) { c } else { '_' };
    name.chars().map(plain).collect()
}

/// The first unused number in front of a name.
fn next_folder(runs: &Path, name: &str) -> Result<PathBuf> {
    fs::create_dir_all(runs).map_err(Error::io("create the folder", runs))?;
    let entries = fs::read_dir(runs).map_err(Error::io("read the folder", runs))?;
    let number = |e: fs::DirEntry| e.file_name().to_str()?.split('-').next()?.parse::<u32>().ok();
    let next = entries.flatten().filter_map(number).max().map_or(0, |n| n + 1);
    Ok(runs.join(format!("{next:05}-{name}")))
}
