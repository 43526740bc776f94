//! The folder of a run.

use crate::atomic::create_folder;
use crate::{Error, Result};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Makes the folder given, or the next free `runs/NNNNN-TITLE`, with what `fill` puts into it: it is there with all of
/// that or not at all.
///
/// # Errors
/// If it cannot be made or filled, or has something in it: a run never writes over another.
pub(crate) fn run_folder(
    out: Option<&Path>,
    title: &[&str],
    mut fill: impl FnMut(&Path) -> Result<()>,
) -> Result<PathBuf> {
    if let Some(dir) = out {
        if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
            let remedy = "the folder is not empty; name a new one, or remove it".into();
            return Err(Error::Argument { what: "--out", value: dir.display().to_string(), remedy });
        }
        create_folder(dir, &mut fill)?;
        return Ok(dir.to_path_buf());
    }
    let title: Vec<String> = title.iter().map(|part| plain(part)).collect();
    loop {
        let dir = next_folder(Path::new("runs"), &title.join("-"))?;
        match create_folder(&dir, &mut fill) {
            // Another process took the number meanwhile.
            Err(Error::Io { source, .. })
                if matches!(source.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) => {}
            made => return made.map(|()| dir),
        }
    }
}

/// A name as part of a file's, whatever is in it.
fn plain(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' };
    name.chars().map(plain).collect()
}

/// The first unused number in front of a name.
fn next_folder(runs: &Path, name: &str) -> Result<PathBuf> {
    fs::create_dir_all(runs).map_err(Error::io("create the folder", runs))?;
    let entries = fs::read_dir(runs).map_err(Error::io("read the folder", runs))?;
    let number = |e: fs::DirEntry| e.file_name().to_str()?.split('-').next()?.parse::<u32>().ok();
    let next = entries.flatten().filter_map(number).max().map_or(0, |n| u64::from(n) + 1);
    Ok(runs.join(format!("{next:05}-{name}")))
}
