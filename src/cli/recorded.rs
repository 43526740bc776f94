//! What a run's folder says of it, for the commands that only look.

use crate::checkpoint::manifest;
use crate::gan::{Loss, StepConfig, latest_checkpoint, loss_facts};
use crate::report::{LossFacts, read_log};
use crate::{Error, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A run's folder and its settings. Settings are taken as they stand in the file, so that runs of other versions of the
/// program and of other kinds can be looked at.
pub struct Recorded {
    pub dir: PathBuf,
    settings: toml::Table,
}

impl Recorded {
    /// # Errors
    /// If the folder is no run, or its settings cannot be read.
    pub fn open(dir: &Path) -> Result<Recorded> {
        let path = dir.join("config.toml");
        if !path.is_file() {
            let remedy = "Name the folder of a run, such as runs/00000-mnist-mlp; `ganvil list` shows them";
            return Err(Error::NotFound { what: "run".into(), looked: vec![path], remedy: remedy.into() });
        }
        let text = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let settings = text.parse::<toml::Table>().map_err(|e| {
            let line = e.span().map_or(1, |s| text[..s.start].matches('\n').count() + 1);
            Error::format(&path, format!("line {line} is no TOML: {}", e.message()))
        })?;
        Ok(Recorded { dir: dir.to_path_buf(), settings })
    }

    /// The folder's own name.
    pub fn name(&self) -> String {
        folder_name(&self.dir)
    }

    /// The records of the log.
    ///
    /// # Errors
    /// If there is none, or a line of it is damaged.
    pub fn records(&self) -> Result<Vec<Value>> {
        let path = self.log();
        if !path.exists() {
            let remedy = "A run writes it while it trains; one made by `ganvil import` has none".into();
            return Err(Error::NotFound { what: "log".into(), looked: vec![path], remedy });
        }
        read_log(path)
    }

    /// Where the log is.
    pub fn log(&self) -> PathBuf {
        self.dir.join("log.jsonl")
    }

    /// Every setting by its dotted key, as TOML writes it but without quotes.
    pub fn settings(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        flatten("", &self.settings, &mut all);
        all
    }

    /// A setting on the top level.
    pub fn setting(&self, key: &str) -> Option<&toml::Value> {
        self.settings.get(key)
    }

    /// The recipe's name, empty if the settings have none.
    pub fn recipe(&self) -> &str {
        self.setting("recipe").and_then(toml::Value::as_str).unwrap_or_default()
    }

    /// What figures need to know of the loss.
    ///
    /// # Errors
    /// If the loss is unknown.
    pub fn loss(&self) -> Result<LossFacts> {
        let Some(step) = self.setting("step") else { return Ok(LossFacts::default()) };
        let Some(name) = step.get("loss").and_then(toml::Value::as_str) else {
            return Ok(LossFacts::default());
        };
        let loss = name.parse::<Loss>();
        let loss = loss.map_err(|e| Error::format(self.dir.join("config.toml"), e.to_string()))?;
        let real_label = step.get("real_label").and_then(toml::Value::as_float).unwrap_or(1.0);
        Ok(loss_facts(&StepConfig { loss, real_label, ..StepConfig::default() }))
    }

    /// Steps done at the newest checkpoint, if there is one.
    pub fn checkpoint(&self) -> Option<u64> {
        manifest::step(&latest_checkpoint(&self.dir).ok()?)
    }
}

/// The name of a folder, also where it is given as `.`.
pub fn folder_name(dir: &Path) -> String {
    let whole = dir.canonicalize().unwrap_or_else(|_| dir.to_path_buf());
    whole.file_name().map_or_else(|| dir.display().to_string(), |n| n.to_string_lossy().into_owned())
}

fn flatten(prefix: &str, table: &toml::Table, into: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => flatten(&format!("{prefix}{key}."), inner, into),
            toml::Value::String(text) => drop(into.insert(format!("{prefix}{key}"), text.clone())),
            other => drop(into.insert(format!("{prefix}{key}"), other.to_string())),
        }
    }
}

/// A number with four digits that matter.
pub fn number(v: f64) -> String {
    let digits = if v == 0.0 { 0 } else { v.abs().log10().floor() as i32 };
    match digits {
        -4..=7 => format!("{v:.*}", (3 - digits).clamp(0, 7) as usize),
        _ => format!("{v:.3e}"),
    }
}

/// Lines of cells in columns; `left` tells which columns begin at their left edge.
pub fn columns(rows: &[Vec<String>], left: impl Fn(usize) -> bool) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let length = |text: &String| text.chars().count();
    let width = |i: usize| rows.iter().filter_map(|r| r.get(i)).map(length).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let cell = |(i, text): (usize, &String)| {
            let width = widths[i];
            if left(i) { format!("{text:<width$}") } else { format!("{text:>width$}") }
        };
        let line = row.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ");
        out += line.trim_end();
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_the_digits_that_matter() {
        let cases = [
            (0.0, "0.000"),
            (1.38629, "1.386"),
            (-0.30984, "-0.3098"),
            (2913.07, "2913"),
            (160.871, "160.9"),
            (0.00635, "0.006350"),
            (1.5e-7, "1.500e-7"),
            (3.2e12, "3.200e12"),
        ];
        cases.into_iter().for_each(|(v, text)| assert_eq!(number(v), text));
    }

    #[test]
    fn columns_are_aligned() {
        let rows =
            [vec!["a".into(), "1.5".into(), "x".into()], vec!["bcd".into(), "12.5".into(), String::new()]];
        assert_eq!(columns(&rows, |i| i == 0), "a     1.5  x\nbcd  12.5\n");
    }

    #[test]
    fn settings_have_dotted_keys() {
        let table: toml::Table = "a = 1\nb = \"x\"\n[c]\nlr = 0.0002\nbetas = [0.5, 0.999]".parse().unwrap();
        let mut all = BTreeMap::new();
        flatten("", &table, &mut all);
        let pairs: Vec<String> = all.into_iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(pairs, ["a=1", "b=x", "c.betas=[0.5, 0.999]", "c.lr=0.0002"]);
    }
}
