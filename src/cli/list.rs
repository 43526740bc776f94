//! `ganvil list`.

use super::recorded::{Recorded, columns, folder_name, number};
use crate::gan::is_running;
use crate::{Error, Result};
use serde::Serialize;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

#[derive(clap::Args)]
#[command(
    after_help = "A line for each run, the newest last: steps done and asked for, thousands of images seen, losses of the \
    last record, time spent training, size on disk, state and alarms.\n\n\
    Examples:\n  \
    ganvil list\n  \
    ganvil list experiments --json"
)]
pub struct Args {
    /// Folder whose folders are runs
    #[arg(default_value = "runs")]
    dir: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What is said of a run; None where it is not known.
#[derive(Serialize)]
struct Row {
    folder: String,
    recipe: Option<String>,
    data: Option<String>,
    steps: Option<u64>,
    target: Option<u64>,
    kimg: Option<f64>,
    d_loss: Option<f64>,
    g_loss: Option<f64>,
    seconds: Option<f64>,
    bytes: u64,
    state: State,
    /// Alarms raised.
    alarms: usize,
    /// Why something is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
    /// Seconds since 1970 at which it started.
    #[serde(skip)]
    started: u64,
}

/// How a run stands.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// A process is training into it.
    Running,
    /// Its last step is saved.
    Finished,
    /// A step before its last is.
    Unfinished,
    /// Nothing is saved.
    NoCheckpoint,
    /// Its settings cannot be read.
    Damaged,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Running => "running",
            State::Finished => "finished",
            State::Unfinished => "unfinished",
            State::NoCheckpoint => "no checkpoint",
            State::Damaged => "damaged",
        }
    }
}

pub fn run(args: Args) -> Result<()> {
    let (runs, left_out) = find(&args.dir)?;
    if runs.is_empty() {
        let others =
            if left_out > 0 { format!(" ({left_out} folders in it are no runs)") } else { String::new() };
        let remedy = format!(
            "`ganvil train` makes runs in the folder runs{others}; of another, name it: ganvil list DIR"
        );
        return Err(Error::NotFound { what: "run".into(), looked: vec![args.dir], remedy });
    }
    let mut rows: Vec<Row> = runs.iter().map(|dir| row(dir)).collect();
    rows.sort_by(|a, b| (a.started, &a.folder).cmp(&(b.started, &b.folder)));
    let text = if args.json {
        format!("{}\n", json!({ "folder": args.dir, "runs": rows, "left_out": left_out }))
    } else {
        table(&rows, left_out)
    };
    super::print(&text)
}

/// The runs in a folder, or the folder if it is one, and how many folders are none. Names with a dot in front are of
/// runs that are just being made.
fn find(dir: &Path) -> Result<(Vec<PathBuf>, usize)> {
    if is_run(dir) {
        return Ok((vec![dir.to_path_buf()], 0));
    }
    if !dir.exists() {
        return Ok((Vec::new(), 0));
    }
    let entries = fs::read_dir(dir).map_err(Error::io("read the folder", dir))?;
    let hidden = |e: &fs::DirEntry| e.file_name().to_string_lossy().starts_with('.');
    let folders: Vec<PathBuf> =
        entries.flatten().filter(|e| !hidden(e)).map(|e| e.path()).filter(|p| p.is_dir()).collect();
    let all = folders.len();
    let runs: Vec<PathBuf> = folders.into_iter().filter(|p| is_run(p)).collect();
    let left_out = all - runs.len();
    Ok((runs, left_out))
}

fn is_run(dir: &Path) -> bool {
    dir.join("config.toml").is_file() || dir.join("log.jsonl").is_file()
}

/// What a run's folder says. Nothing that is damaged keeps the rest from being said.
fn row(dir: &Path) -> Row {
    let mut problems = Vec::new();
    let mut known = |e: Error| problems.push(without_folder(&e, dir));
    let run = Recorded::open(dir).map_err(&mut known).ok();
    let log = dir.join("log.jsonl");
    let records = if log.exists() { crate::report::read_log(&log).map_err(&mut known).ok() } else { None };
    let last = records.and_then(|r| r.last().cloned()).unwrap_or_default();
    let number = |field: &str| last.get(field).and_then(Value::as_f64);
    let (recipe, folder) = (run.as_ref().map(|r| r.recipe().to_owned()), folder_name(dir));
    let saved = run.as_ref().and_then(Recorded::checkpoint);
    let target = run.as_ref().and_then(|r| u64::try_from(r.setting("steps")?.as_integer()?).ok());
    let data = recipe.as_deref().and_then(|recipe| data(&folder, recipe));
    Row {
        data: data.or_else(|| data_folder(run.as_ref()?)),
        folder,
        recipe,
        steps: last.get("step").and_then(Value::as_u64).max(saved),
        target,
        kimg: number("kimg"),
        d_loss: number("d_loss"),
        g_loss: number("g_loss"),
        seconds: number("seconds"),
        bytes: bytes(dir),
        state: state(dir, run.is_some(), saved, target),
        alarms: alarms(dir, &mut problems),
        problems,
        started: started(dir),
    }
}

/// How many alarms a run has raised.
fn alarms(dir: &Path, problems: &mut Vec<String>) -> usize {
    let path = dir.join("alarms.jsonl");
    if !path.exists() {
        return 0;
    }
    crate::report::read_log(&path).map_or_else(
        |e| {
            problems.push(without_folder(&e, dir));
            0
        },
        |all| all.len(),
    )
}

/// How the run in a folder stands, in a word.
pub fn state_of(dir: &Path) -> &'static str {
    row(dir).state.name()
}

fn state(dir: &Path, readable: bool, saved: Option<u64>, target: Option<u64>) -> State {
    match (saved, target) {
        _ if !readable => State::Damaged,
        _ if is_running(dir) => State::Running,
        // A run that does not count its steps beforehand, the classifier's, writes its result when it is done.
        _ if dir.join("result.json").is_file() => State::Finished,
        (None, _) => State::NoCheckpoint,
        (Some(saved), Some(target)) if saved >= target => State::Finished,
        _ => State::Unfinished,
    }
}

/// An error's message with the file's name alone: the line says the folder.
fn without_folder(e: &Error, dir: &Path) -> String {
    e.to_string().replace(&format!("{}{}", dir.display(), std::path::MAIN_SEPARATOR), "")
}

/// The data's name in a folder's, which is NNNNN-DATA-RECIPE, or longer.
fn data(folder: &str, recipe: &str) -> Option<String> {
    let rest = folder.trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = rest.strip_prefix('-').filter(|_| rest.len() < folder.len())?;
    let behind = format!("-{recipe}");
    let ends =
        |at: &usize| rest[at + behind.len()..].is_empty() || rest[at + behind.len()..].starts_with('-');
    let at = rest.match_indices(&behind).map(|(at, _)| at).find(ends)?;
    Some(rest[..at].to_owned())
}

/// The name of the data's folder, where the settings have it.
fn data_folder(run: &Recorded) -> Option<String> {
    Some(folder_name(Path::new(run.setting("dataset")?.as_str()?)))
}

/// The size of all files in a folder.
fn bytes(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let size = |e: fs::DirEntry| match e.metadata() {
        Ok(m) if m.is_dir() => bytes(&e.path()),
        Ok(m) => m.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

/// When a run started, in seconds since 1970: as it noted, or when its settings were written.
fn started(dir: &Path) -> u64 {
    let noted = || {
        let text = fs::read(dir.join("environment.json")).ok()?;
        serde_json::from_slice::<Value>(&text).ok()?.get(0)?.get("started")?.as_u64()
    };
    let written = || {
        let file = ["config.toml", "log.jsonl"].iter().find_map(|f| fs::metadata(dir.join(f)).ok())?;
        Some(file.modified().ok()?.duration_since(UNIX_EPOCH).ok()?.as_secs())
    };
    noted().or_else(written).unwrap_or(0)
}

fn table(rows: &[Row], left_out: usize) -> String {
    const HEAD: [&str; 10] =
        ["run", "recipe", "data", "steps", "kimg", "loss D", "loss G", "time", "size", "state"];
    let mut lines = vec![HEAD.map(String::from).to_vec()];
    lines.extend(rows.iter().map(cells));
    let mut text = columns(&lines, |i| matches!(i, 0..=2 | 9));
    if left_out > 0 {
        let what = if left_out == 1 { "folder that is no run is" } else { "folders that are no runs are" };
        text += &format!("\n{left_out} {what} left out\n");
    }
    text
}

fn cells(r: &Row) -> Vec<String> {
    fn or<T>(value: Option<T>, shown: impl Fn(T) -> String) -> String {
        value.map_or("-".into(), shown)
    }
    let word = |text: &Option<String>| or(text.as_ref().filter(|t| !t.is_empty()), String::clone);
    let steps = match (r.steps, r.target) {
        (None, None) => "-".into(),
        (steps, target) => format!("{}/{}", steps.unwrap_or(0), or(target, |t| t.to_string())),
    };
    let alarms = match r.alarms {
        0 => String::new(),
        1 => "; 1 alarm".into(),
        n => format!("; {n} alarms"),
    };
    let problems = r.problems.iter().map(|p| format!("; {p}")).collect::<String>();
    vec![
        r.folder.clone(),
        word(&r.recipe),
        word(&r.data),
        steps,
        or(r.kimg, |v| format!("{v:.1}")),
        or(r.d_loss, number),
        or(r.g_loss, number),
        or(r.seconds, duration),
        size(r.bytes),
        format!("{}{alarms}{problems}", r.state.name()),
    ]
}

/// `5:20`, or `1:05:20` from an hour on.
fn duration(seconds: f64) -> String {
    let s = seconds.max(0.0).round() as u64;
    let (h, m, s) = (s / 3600, s / 60 % 60, s % 60);
    if h > 0 { format!("{h}:{m:02}:{s:02}") } else { format!("{m}:{s:02}") }
}

fn size(bytes: u64) -> String {
    match bytes as f64 {
        b if b < 1e6 => format!("{:.1} kB", b / 1e3),
        b if b < 1e9 => format!("{:.1} MB", b / 1e6),
        b => format!("{:.1} GB", b / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_stands_in_the_name_between_number_and_recipe() {
        let cases = [
            ("00000-mnist-mlp", "mlp", Some("mnist")),
            ("00012-mnist-mlp-a", "mlp-a", Some("mnist")),
            ("00012-my-photos-dcgan28-small", "dcgan28-small", Some("my-photos")),
            ("00003-mnist-mlp-second-try", "mlp", Some("mnist")),
            ("00003-mlp-like-mlp", "mlp", Some("mlp-like")),
            ("my-run", "mlp", None),
            ("-mnist-mlp", "mlp", None),
            ("00001-mnist-mlpx", "mlp", None),
        ];
        for (folder, recipe, want) in cases {
            assert_eq!(data(folder, recipe).as_deref(), want, "{folder}");
        }
    }

    #[test]
    fn times_and_sizes_are_short() {
        assert_eq!([3.4, 320.0, 3920.4].map(duration), ["0:03", "5:20", "1:05:20"]);
        assert_eq!(
            [0, 12_345, 12_300_000, 2_500_000_000].map(size),
            ["0.0 kB", "12.3 kB", "12.3 MB", "2.5 GB"]
        );
    }
}
