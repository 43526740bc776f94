//! A run taken up again.

use super::config::TrainConfig;
use super::run::Run;
use super::state::settings_of_state;
use super::trainer::Trainer;
use crate::checkpoint::{self, Checkpoint, manifest};
use crate::data::Dataset;
use crate::{Device, Error, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A run as its newest intact checkpoint has it.
pub struct Resumed {
    /// At the checkpoint's step; at 0 where a run was stopped before its first checkpoint.
    pub trainer: Trainer,
    /// What a person should know: checkpoints that were passed over, settings that have changed.
    pub notes: Vec<String>,
}

/// Settings that a state's meaning depends on: a run with another one is another run.
const FIXED: [&str; 7] = ["recipe", "seed", "latent", "prior", "conditioning", "init", "data"];

/// Takes up a run from its newest checkpoint that is intact. A damaged one is passed over, with a note; a run that has
/// none yet begins.
///
/// # Errors
/// If every checkpoint is damaged, or they cannot be read; if `config` or the data are not those of the checkpoint.
pub fn resume(run: &Run, config: &TrainConfig, data: &Arc<Dataset>, device: Device) -> Result<Resumed> {
    let dir = run.checkpoints();
    let gone = |remedy: &str| Error::NotFound {
        what: "checkpoint".into(),
        looked: vec![dir.clone()],
        remedy: remedy.into(),
    };
    if !dir.is_dir() {
        return Err(gone("A run has this folder from its beginning on; put it back"));
    }
    let mut trainer = Trainer::new(config.clone(), data.clone(), device)?;
    let mut damaged: Vec<(PathBuf, Error)> = Vec::new();
    for path in manifest::list(&dir)?.into_iter().rev() {
        match checkpoint::load(&path) {
            Ok(file) => {
                let news = restore(&mut trainer, &file, &path)?;
                let mut notes = Vec::new();
                for (path, e) in damaged {
                    let aside = manifest::set_aside(&path)?;
                    notes.push(format!("{e}; it is {} now, going back to the one before", aside.display()));
                }
                notes.extend(news);
                return Ok(Resumed { trainer, notes });
            }
            Err(e @ Error::Format { .. }) => damaged.push((path, e)),
            // What cannot be read now may be whole.
            Err(e) => return Err(e),
        }
    }
    if !damaged.is_empty() {
        let all: Vec<String> = damaged.iter().map(|(_, e)| format!("\n  {e}")).collect();
        return Err(Error::format(dir, format!("has no intact checkpoint:{}", all.concat())));
    }
    if manifest::lost(&dir) {
        return Err(gone("Its manifest lists some that are gone; put them back"));
    }
    Ok(Resumed { trainer, notes: vec!["there is no checkpoint yet; beginning at step 0".into()] })
}

/// What there is to say of it.
fn restore(trainer: &mut Trainer, file: &Checkpoint, path: &Path) -> Result<Vec<String>> {
    let mut notes = changes(file, trainer.config())?;
    let tier = trainer.restore(file, path)?;
    if tier != trainer.tier() {
        notes.push(format!(
            "the checkpoint was made with {tier}, this goes on with {}: the last bits may differ from a run that never \
             stopped",
            trainer.tier()
        ));
    }
    Ok(notes)
}

/// How settings differ from a checkpoint's; those that may.
fn changes(file: &Checkpoint, config: &TrainConfig) -> Result<Vec<String>> {
    let (mut before, mut now) = (Vec::new(), Vec::new());
    leaves("", &file.meta["config"], &mut before);
    leaves("", &settings_of_state(config), &mut now);
    let value = |all: &[(String, Value)], key: &str| {
        all.iter().find(|(k, _)| k == key).map_or("none".into(), |(_, v)| v.to_string())
    };
    let mut keys: Vec<&String> = before.iter().chain(&now).map(|(key, _)| key).collect();
    keys.sort();
    keys.dedup();
    let mut notes = Vec::new();
    for key in keys {
        let (was, is) = (value(&before, key), value(&now, key));
        if was == is {
            continue;
        }
        if FIXED.contains(&key.split('.').next().unwrap_or_default()) {
            let remedy = format!(
                "config.toml says {is}, the checkpoint was trained with {was}; put it back, or begin a run of its own \
                 with `ganvil train --config`"
            );
            return Err(Error::Argument { what: "setting", value: key.clone(), remedy });
        }
        notes.push(format!("{key} is {is} from here on, it was {was}"));
    }
    Ok(notes)
}

/// The values of a tree with their dotted keys.
pub(super) fn leaves(path: &str, value: &Value, all: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            leaves(&path, value, all);
        }),
        // What is absent in one is null in the other.
        Value::Null => {}
        value => all.push((path.into(), value.clone())),
    }
}
