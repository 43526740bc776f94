//! A folder of fixtures.

use super::fixture::Fixture;
use super::harness::caught;
use super::{place, rules};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What became of a folder's fixtures. Those that are skipped are in neither count.
#[derive(Default, PartialEq, Eq, Debug)]
pub struct Counts {
    pub passed: usize,
    pub failed: usize,
}

/// A line of `index.json`.
#[derive(Deserialize)]
struct Entry {
    file: String,
    kind: String,
    op: String,
}

/// Compares every fixture of a folder; the last line written is `fixtures: N passed, N failed (DIR)`.
///
/// # Errors
/// If a fixture failed, or there is none.
pub fn run(dir: &Path, out: &mut dyn Write) -> Result<(), String> {
    let counts = count(dir, out)?;
    if counts.failed > 0 { Err(format!("{} fixtures failed", counts.failed)) } else { Ok(()) }
}

/// [`run`], giving the counts also where fixtures failed.
pub fn count(dir: &Path, out: &mut dyn Write) -> Result<Counts, String> {
    let files = files(dir)?;
    let mut failures: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut fixtures = Vec::new();
    for path in &files {
        let file = name(path);
        match Fixture::read(path) {
            Ok(f) => fixtures.push(f),
            Err(e) => drop(failures.insert(file.clone(), vec![format!("fails: {file} {e}")])),
        }
    }
    for (file, problem) in index_problems(dir, &fixtures)? {
        failures.entry(file.clone()).or_default().push(format!("fails: {file} {problem}"));
    }
    let mut running = Vec::new();
    let on_device = place::named() != "cpu";
    for f in fixtures {
        match f.kind.as_str() {
            kind @ ("state" | "metric") if on_device => {
                let why = if kind == "state" {
                    "files, which the CPU reads"
                } else {
                    "results, computed on the host in f64"
                };
                say(out, format_args!("SKIPPED: {} (kind {kind} is about {why})", f.file))?;
            }
            _ => running.push(f),
        }
    }
    for f in &running {
        failures.entry(f.file.clone()).or_default();
    }
    for group in place::groups()? {
        group.each(&mut |place| {
            for f in &running {
                let lines = caught(|| rules::compute(f, place))
                    .unwrap_or_else(|e| vec![format!("fails: {} ({place}): {e}", f.file)]);
                failures.entry(f.file.clone()).or_default().extend(lines);
            }
        });
    }
    for line in failures.values().flatten() {
        say(out, format_args!("{line}"))?;
    }
    let failed = failures.values().filter(|lines| !lines.is_empty()).count();
    let counts = Counts { passed: failures.len() - failed, failed };
    say(
        out,
        format_args!("fixtures: {} passed, {} failed ({})", counts.passed, counts.failed, dir.display()),
    )?;
    Ok(counts)
}

fn say(out: &mut dyn Write, line: std::fmt::Arguments) -> Result<(), String> {
    writeln!(out, "{line}").map_err(|e| format!("cannot write the report: {e}"))
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The folder's fixtures by name.
fn files(dir: &Path) -> Result<Vec<PathBuf>, String> {
    let cannot = |e: std::io::Error| format!("cannot read the folder '{}': {e}", dir.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.extension().is_some_and(|e| e == "safetensors") {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(format!("there is no fixture (*.safetensors) in the folder '{}'", dir.display()));
    }
    files.sort();
    Ok(files)
}

/// The files that the folder's index, if it has one, describes otherwise than they are, and what is wrong.
fn index_problems(dir: &Path, fixtures: &[Fixture]) -> Result<Vec<(String, String)>, String> {
    let path = dir.join("index.json");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
    let entries: Vec<Entry> = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut problems = Vec::new();
    for e in entries {
        if !dir.join(&e.file).exists() {
            problems.push((e.file, "is listed in index.json but missing".into()));
        } else if let Some(f) =
            fixtures.iter().find(|f| f.file == e.file && (f.kind != e.kind || f.op != e.op))
        {
            let text = format!("holds {} {}, index.json says {} {}", f.kind, f.op, e.kind, e.op);
            problems.push((e.file, text));
        }
    }
    Ok(problems)
}
