//! `ganvil show`.

use super::recorded::Recorded;
use super::{list, progress};
use crate::checkpoint;
use crate::gan::{Alarm, checkpoints, read_config};
use crate::report::read_log;
use crate::{Error, Result};
use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
#[command(after_help = "Example:\n  ganvil show runs/00000-mnist-mlp")]
pub struct Args {
    /// Folder of the run
    run: PathBuf,
}

pub fn run(args: Args) -> Result<()> {
    super::print(&describe(&args.run)?)
}

fn describe(dir: &Path) -> Result<String> {
    let path = dir.join("config.toml");
    Recorded::open(dir)?;
    let config = read_config(&path)?;
    let log = dir.join("log.jsonl");
    let records = if log.is_file() { read_log(&log)? } else { Vec::new() };
    let done = records.last().and_then(|r| r["step"].as_u64()).unwrap_or(0);
    let state = list::state_of(dir);
    let mut text = format!("{}: {state}, {done} of {} steps\n", dir.display(), config.steps);
    for start in starts(dir) {
        let of = |key: &str| match &start[key] {
            Value::String(s) => s.clone(),
            Value::Null => "unknown".into(),
            other => other.to_string(),
        };
        let _ = writeln!(
            text,
            "\nfrom step {} on: ganvil {} (commit {}), {}, {} threads of {}\n  {}",
            of("step"),
            of("version"),
            of("commit"),
            of("simd"),
            of("threads"),
            of("cpu"),
            of("command")
        );
    }
    text += "\nlast record\n";
    match records.last().and_then(Value::as_object) {
        None => text += "  none yet\n",
        Some(record) => {
            for (key, value) in record {
                let Value::Object(map) = value else {
                    let _ = writeln!(text, "  {key:<16} {}", shown(value));
                    continue;
                };
                let width = map.keys().map(String::len).max().unwrap_or(0);
                let _ = writeln!(text, "  {key}");
                for (name, v) in map {
                    let _ = writeln!(text, "    {name:<width$}  {}", shown(v));
                }
            }
        }
    }
    let alarms = alarms(dir)?;
    if !alarms.is_empty() {
        text += "\nalarms\n";
        for alarm in &alarms {
            for line in progress::describe(alarm).lines() {
                let _ = writeln!(text, "  {line}");
            }
        }
    }
    text += "\ncheckpoints\n";
    let all = checkpoints(dir)?;
    if all.is_empty() {
        text += "  none yet\n";
    }
    for path in all {
        let name = path.file_name().unwrap_or_default().display();
        let size = fs::metadata(&path).map_or(0, |m| m.len()) as f64 / 1e6;
        let word = checkpoint::load(&path).map_or_else(|e| e.to_string(), |_| "intact".into());
        let _ = writeln!(text, "  {name}  {size:.1} MB  {word}");
    }
    let _ = write!(text, "\nconfig.toml\n");
    let settings = fs::read_to_string(&path).map_err(Error::io("read", &path))?;
    settings.lines().filter(|l| !l.starts_with('#')).for_each(|line| {
        let _ = writeln!(text, "{}", format!("  {line}").trim_end());
    });
    let _ = write!(text, "\nto train with these settings anew: ganvil train --config {}\n", path.display());
    Ok(text)
}

/// A number of the log; small ones keep their digits.
fn shown(value: &Value) -> String {
    match value.as_f64() {
        None => value.to_string(),
        Some(v) if v != 0.0 && v.abs() < 1e-3 => format!("{v:.3e}"),
        Some(v) => {
            let text = format!("{v:.6}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

/// The alarms of a run.
///
/// # Errors
/// If their file cannot be read, or is none of alarms.
fn alarms(dir: &Path) -> Result<Vec<Alarm>> {
    let path = dir.join("alarms.jsonl");
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let alarm = |v: Value| {
        serde_json::from_value(v).map_err(|e| Error::format(&path, format!("holds no alarm: {e}")))
    };
    read_log(&path)?.into_iter().map(alarm).collect()
}

/// What `environment.json` has; nothing if it cannot be read.
fn starts(dir: &Path) -> Vec<Value> {
    let text = fs::read(dir.join("environment.json")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}
