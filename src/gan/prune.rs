//! What a run can do without.

use super::run::Run;
use crate::atomic::{is_left_over, remove};
use crate::checkpoint::{self, manifest};
use crate::{Error, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// A file that was removed, or would be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pruned {
    /// Its path.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// Removes all checkpoints of a run but the `keep` newest, those that a resume found damaged, and what kills left
/// half-written. Nothing is removed with
/// `dry_run`.
///
/// # Errors
/// If it is no run, a process is training into it, none is to be kept, or one of those that would be kept is damaged.
pub fn prune(dir: &Path, keep: usize, dry_run: bool) -> Result<Vec<Pruned>> {
    if keep == 0 {
        let remedy = "a run without a checkpoint cannot be sampled; keep 1 or more".into();
        return Err(Error::Argument { what: "--keep", value: keep.to_string(), remedy });
    }
    let run = Run::open(dir)?;
    let mut old = manifest::list(&run.checkpoints())?;
    let kept = old.split_off(old.len().saturating_sub(keep));
    if !old.is_empty() {
        // What is removed must not be what a resume would have fallen back on.
        kept.iter().try_for_each(|path| checkpoint::load(path).map(drop))?;
    }
    for sub in ["", "samples", "plots", "checkpoints", "checkpoints/best", "tensorboard"] {
        let entries = fs::read_dir(dir.join(sub)).into_iter().flatten().flatten();
        let useless = |name: &str| is_left_over(name) || name.ends_with(manifest::DAMAGED);
        old.extend(entries.filter(|e| e.file_name().to_str().is_some_and(useless)).map(|e| e.path()));
    }
    let size = |path: &PathBuf| fs::symlink_metadata(path).map_or(0, |m| m.len());
    let all: Vec<Pruned> = old.into_iter().map(|path| Pruned { bytes: size(&path), path }).collect();
    if !dry_run {
        all.iter().try_for_each(|p| remove(&p.path))?;
    }
    Ok(all)
}
