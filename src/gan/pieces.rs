//! A folder of results of one experiment, which are kept piece by piece: `settings.toml` and a JSON file for each piece.

use crate::atomic::write_atomic;
use crate::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Results of the same settings.
#[derive(Clone, Debug)]
pub(super) struct Pieces {
    dir: PathBuf,
    digest: String,
}

impl Pieces {
    /// Opens a folder for results of these settings, whose digest is given, or makes it.
    ///
    /// # Errors
    /// If it holds results of other settings, or settings that cannot be read, or cannot be made.
    pub(super) fn open<S>(dir: &Path, settings: &S, digest: String) -> Result<Pieces>
    where
        S: Serialize + DeserializeOwned + PartialEq,
    {
        fs::create_dir_all(dir).map_err(Error::io("create the folder", dir))?;
        let path = dir.join("settings.toml");
        match fs::read_to_string(&path) {
            Ok(text) => {
                if toml::from_str::<S>(&text).ok().is_none_or(|there| there != *settings) {
                    let remedy = format!(
                        "it holds results of other settings ({}); name another folder, or remove this one",
                        path.display()
                    );
                    return Err(Error::Argument { what: "--out", value: dir.display().to_string(), remedy });
                }
            }
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let text = toml::to_string(settings).map_err(|e| Error::format(&path, e.to_string()))?;
                write_atomic(&path, text.as_bytes())?;
            }
            Err(e) => return Err(Error::io("read", &path)(e)),
        }
        Ok(Pieces { dir: dir.to_path_buf(), digest })
    }

    /// The folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What its results are known to belong to.
    pub(super) fn digest(&self) -> &str {
        &self.digest
    }

    /// A result, if it is there.
    ///
    /// # Errors
    /// If its file is not one of the piece and these settings, which `is` says of it.
    pub(super) fn read<R: DeserializeOwned>(
        &self,
        file: &str,
        is: impl FnOnce(&R) -> bool,
        remedy: &str,
    ) -> Result<Option<R>> {
        let path = self.dir.join(file);
        let text = match fs::read_to_string(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            read => read.map_err(Error::io("read", &path))?,
        };
        let result: R =
            serde_json::from_str(&text).map_err(|e| Error::format(&path, format!("{e}; {remedy}")))?;
        if !is(&result) {
            return Err(Error::format(&path, format!("it is of another seed or other settings; {remedy}")));
        }
        Ok(Some(result))
    }

    /// Keeps a result.
    ///
    /// # Errors
    /// If its file cannot be written.
    pub(super) fn keep(&self, file: &str, result: &impl Serialize) -> Result<()> {
        let mut json = serde_json::to_vec_pretty(result).expect("a result has no keys but strings");
        json.push(b'\n');
        write_atomic(&self.dir.join(file), &json)
    }
}
