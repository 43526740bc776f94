//! What is read of a run's folder, and why what could not be read was not.

use super::players::Players;
use crate::data::{Dataset, Split, locate};
use crate::gan::config::TrainConfig;
use crate::gan::run::read_config;
use crate::gan::session::METRICS;
use crate::report::read_log;
use crate::{Error, Result};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What there is, or a sentence on why it is not.
pub(super) type Found<T> = std::result::Result<T, String>;

/// A run's folder, read.
pub(super) struct Material {
    pub dir: PathBuf,
    /// The folder's own name.
    pub name: String,
    pub config: Found<TrainConfig>,
    /// The log's records.
    pub records: Found<Vec<Value>>,
    /// The starts that `environment.json` has.
    pub starts: Vec<Value>,
    /// What was measured, a record each time.
    pub metrics: Found<Vec<Value>>,
    /// Both networks.
    pub players: Found<Players>,
    /// What the run was trained on.
    pub train: Found<Arc<Dataset>>,
    /// Other pictures of the same kind.
    pub test: Found<Dataset>,
}

impl Material {
    /// Of a folder; the data is looked for in `data`, or where the settings say.
    ///
    /// # Errors
    /// If the folder is no run.
    pub fn read(dir: &Path, data: Option<&Path>) -> Result<Material> {
        let mut m = Material::without_data(dir)?;
        let found = m.locate(data).and_then(|dir| m.open_train(&dir).map(|train| (train, dir)));
        match found {
            Ok((train, dir)) => m.set_data(Arc::new(train), Some(&dir)),
            Err(e) => (m.train, m.test) = (Err(e.clone()), Err(e)),
        }
        Ok(m)
    }

    /// Of a run that ends, and has its data at hand.
    ///
    /// # Errors
    /// If the folder is no run.
    pub fn at_end(dir: &Path, train: Arc<Dataset>) -> Result<Material> {
        let mut m = Material::without_data(dir)?;
        let of_settings = m.config.as_ref().ok().and_then(|c| c.dataset.clone());
        m.set_data(train, of_settings.as_deref());
        Ok(m)
    }

    fn without_data(dir: &Path) -> Result<Material> {
        let path = dir.join("config.toml");
        if !path.is_file() {
            let remedy = "Name the folder of a run, such as runs/00000-mnist-mlp; `ganvil list` shows them";
            return Err(Error::NotFound { what: "run".into(), looked: vec![path], remedy: remedy.into() });
        }
        let whole = dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf());
        let name = whole.file_name().map_or("run".into(), |n| n.to_string_lossy().into_owned());
        let lines = |file: &str, none: &str| match dir.join(file) {
            path if path.is_file() => read_log(&path).map_err(|e| e.to_string()),
            _ => Err(none.into()),
        };
        Ok(Material {
            dir: dir.to_path_buf(),
            config: read_config(&path)
                .map_err(|e| format!("The settings cannot be read by this version: {e}.")),
            records: lines(
                "log.jsonl",
                "There is no log: a run writes it while it trains, one made by `ganvil import` has none.",
            ),
            starts: starts(dir),
            metrics: lines(METRICS, "Nothing has been measured yet."),
            players: Players::load(dir),
            train: Err(String::new()),
            test: Err(String::new()),
            name,
        })
    }

    /// The folder of the data.
    fn locate(&self, data: Option<&Path>) -> Found<PathBuf> {
        let of_settings = self.config.as_ref().ok().and_then(|c| c.dataset.as_deref()).filter(|d| d.exists());
        locate(data.or(of_settings)).map_err(|e| format!("The run's data was not found: {e}"))
    }

    fn open_train(&self, dir: &Path) -> Found<Dataset> {
        let players = self
            .players
            .as_ref()
            .map_err(|e| format!("Without networks there is nothing to compare data with. {e}"))?;
        let options = &players.sampler.config().data;
        Dataset::open(dir, Split::Train, options).map_err(|e| format!("The run's data cannot be read: {e}"))
    }

    /// Takes real pictures, if they are those that the networks have seen, and the test pictures of the same folder.
    fn set_data(&mut self, train: Arc<Dataset>, dir: Option<&Path>) {
        let Ok(players) = &self.players else {
            let none = || "Without networks there is nothing to compare data with.".to_owned();
            (self.train, self.test) = (Err(none()), Err(none()));
            return;
        };
        let (shape, options) = (players.sampler.shape, players.sampler.config().data);
        let known = players.data.is_none_or(|known| known == train.fingerprint());
        if train.shape() != shape || !known {
            let text = "The data that was found is not what the run was trained on: name its folder with `--data DIR`.";
            (self.train, self.test) = (Err(text.into()), Err(text.into()));
            return;
        }
        self.test = match dir {
            None => Err("The settings name no folder of data, so there are no test pictures.".into()),
            Some(dir) => match Dataset::open(dir, Split::Test, &options) {
                Ok(test) if test.shape() == shape && test.images.count > 0 => Ok(test),
                Ok(_) => Err("The test pictures are of another size.".into()),
                Err(_) => Err("The data has no test pictures.".into()),
            },
        };
        self.train = Ok(train);
    }

    /// The records of the log, if there are any.
    pub fn log(&self) -> &[Value] {
        self.records.as_deref().unwrap_or_default()
    }

    /// A number of the last record that has it.
    pub fn last(&self, field: &str) -> Option<f64> {
        self.log().iter().rev().find_map(|r| r[field].as_f64())
    }

    /// Steps done, as far as the log or a checkpoint says.
    pub fn steps(&self) -> Option<u64> {
        let logged = self.log().iter().rev().find_map(|r| r["step"].as_u64());
        logged.max(self.players.as_ref().ok().map(|p| p.sampler.steps))
    }
}

/// What `environment.json` has; nothing if it cannot be read.
fn starts(dir: &Path) -> Vec<Value> {
    let text = fs::read(dir.join("environment.json")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}
