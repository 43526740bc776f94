//! A run's folder.

use super::config::TrainConfig;
use crate::atomic::write_atomic;
use crate::checkpoint::manifest;
use crate::report::{Environment, run_folder};
use crate::{Error, Result};
use serde_json::Value;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Checkpoints kept.
pub(super) const KEEP: usize = 2;
/// Their folder within the run's.
pub(super) const CHECKPOINTS: &str = "checkpoints";
/// No `config.toml` is longer.
const MOST_CONFIG: u64 = 1 << 20;

/// The folder of a run: `config.toml`, `environment.json`, `log.jsonl`, `samples/`, `plots/`, `checkpoints/`, and
/// `profile.json` if one was asked for, and at its end `report.html`. As long as this lives, no other process can train into it.
pub struct Run {
    dir: PathBuf,
    /// Holds the lock, where the system has locks of folders.
    _lock: Option<File>,
}

impl Run {
    /// Makes the folder given, or the next free `runs/NNNNN-DATA-RECIPE[-NAME]` for the data set's name, with the
    /// settings in it. It is there whole or not at all.
    ///
    /// # Errors
    /// If it cannot be made, or exists with something in it: a run never writes over another.
    pub fn create(out: Option<&Path>, data: &str, config: &TrainConfig) -> Result<Run> {
        let title: Vec<&str> = [data, &config.recipe].into_iter().chain(config.name.as_deref()).collect();
        let dir = run_folder(out, &title, |dir| {
            for sub in ["samples", "plots", CHECKPOINTS] {
                let path = dir.join(sub);
                fs::create_dir_all(&path).map_err(Error::io("create the folder", &path))?;
            }
            write_config(dir, config)?;
            note_environment(dir, 0)
        })?;
        let lock = lock(&dir)?;
        Ok(Run { dir, _lock: lock })
    }

    /// A run that is there.
    ///
    /// # Errors
    /// If there is no such run, or another process is training into it.
    pub fn open(dir: &Path) -> Result<Run> {
        if !dir.join("config.toml").is_file() {
            return Err(Error::NotFound {
                what: "run".into(),
                looked: vec![dir.join("config.toml")],
                remedy: "Name the folder of a run, such as runs/00000-mnist-mlp; `ganvil list` shows them"
                    .into(),
            });
        }
        Ok(Run { _lock: lock(dir)?, dir: dir.to_path_buf() })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The settings in `config.toml`.
    ///
    /// # Errors
    /// If they cannot be read or trained with.
    pub fn config(&self) -> Result<TrainConfig> {
        read_config(&self.dir.join("config.toml"))
    }

    /// Replaces `config.toml`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn set_config(&self, config: &TrainConfig) -> Result<()> {
        write_config(&self.dir, config)
    }

    /// Adds this start to `environment.json`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn note_environment(&self, step: u64) -> Result<()> {
        note_environment(&self.dir, step)
    }

    /// Where checkpoints are.
    pub(super) fn checkpoints(&self) -> PathBuf {
        self.dir.join(CHECKPOINTS)
    }
}

/// The system gives the lock back when the process ends, however it ends.
fn lock(dir: &Path) -> Result<Option<File>> {
    let Ok(file) = File::open(dir) else { return Ok(None) };
    // Who only asks whether a run is running holds it for a moment.
    for _ in 0..20 {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            // A file system without locks.
            Err(TryLockError::Error(_)) => return Ok(None),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    Err(Error::Busy { run: dir.to_path_buf() })
}

/// Whether some process is training into a run's folder.
pub fn is_running(dir: &Path) -> bool {
    File::open(dir).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Reads settings, as `config.toml` has them.
///
/// # Errors
/// If the file cannot be read, is larger than any settings, has unknown or missing keys, or settings that cannot be
/// trained with.
pub fn read_config(path: &Path) -> Result<TrainConfig> {
    let size = fs::metadata(path).map_err(Error::io("read", path))?.len();
    if size > MOST_CONFIG {
        return Err(Error::format(path, format!("has {size} bytes; settings take at most {MOST_CONFIG}")));
    }
    let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
    let config = TrainConfig::from_toml(&text).map_err(|problem| Error::format(path, problem))?;
    config.check().map_err(|e| Error::format(path, e.to_string()))?;
    Ok(config)
}

fn write_config(dir: &Path, config: &TrainConfig) -> Result<()> {
    let path = dir.join("config.toml");
    let text = toml::to_string(config).map_err(|e| Error::format(&path, e.to_string()))?;
    let repeat = "# To train with these settings anew: ganvil train --config config.toml\n";
    write_atomic(&path, format!("{repeat}{text}").as_bytes())
}

/// `environment.json` is a list with an entry for each start. One that cannot be read begins anew.
fn note_environment(dir: &Path, step: u64) -> Result<()> {
    let path = dir.join("environment.json");
    let before = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<Vec<Value>>(&text).ok());
    let mut starts = before.unwrap_or_default();
    starts.push(serde_json::json!(Environment::of_process(step)));
    let mut text = serde_json::to_string_pretty(&starts).expect("text and numbers");
    text.push('\n');
    write_atomic(&path, text.as_bytes())
}

/// The checkpoints of a run, from the oldest to the newest.
///
/// # Errors
/// If their folder cannot be read.
pub fn checkpoints(run: &Path) -> Result<Vec<PathBuf>> {
    manifest::list(&run.join(CHECKPOINTS))
}

/// The newest checkpoint of a run.
///
/// # Errors
/// If the folder is no run or has no checkpoint yet.
pub fn latest_checkpoint(run: &Path) -> Result<PathBuf> {
    let dir = run.join(CHECKPOINTS);
    manifest::list(&dir)?.pop().ok_or_else(|| Error::NotFound {
        what: "checkpoint".into(),
        looked: vec![dir],
        remedy: "Is it the folder of a run (runs/NNNNN-...)? A run writes its first checkpoint when it ends or is interrupted".into(),
    })
}
