//! `ganvil compare`.

use super::recorded::{Recorded, columns, number};
use crate::metrics::{Evaluation, Metric};
use crate::report::{Axis, ComparedRun, History, read_log, save_comparison};
use crate::{Error, Result};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
#[command(
    after_help = "Prints the settings that differ, a - where a run does not have one, the last record of each log, and what was last measured of samples, in the same way if there is one.\n\n\
    Examples:\n  \
    ganvil compare runs/00000-mnist-mlp runs/00001-mnist-mlp\n  \
    ganvil compare my-run runs/00000-mnist-mlp --out curves.svg --x kimg"
)]
pub struct Args {
    /// Folders of runs
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Draw the runs' curves over each other, as PNG or SVG
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What the curves are drawn over: step, kimg or seconds
    #[arg(long, default_value = "step", value_name = "NAME")]
    x: Axis,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The fields of a record that are compared, and what they are called.
const LAST: [(&str, &str); 22] = [
    ("step", "step"),
    ("kimg", "kimg"),
    ("seconds", "seconds"),
    ("images_per_s", "images/s"),
    ("memory_mb", "memory, MB"),
    ("d_loss", "D's loss"),
    ("g_loss", "G's loss"),
    ("penalty", "gradient penalty"),
    ("r1", "R1"),
    ("d_class_loss", "D's class loss"),
    ("g_class_loss", "G's class loss"),
    ("d_real", "D(x)"),
    ("d_fake", "D(G(z))"),
    ("logit_real", "mean a(x)"),
    ("logit_fake", "mean a(G(z))"),
    ("logit_rms_real", "rms a(x)"),
    ("logit_rms_fake", "rms a(G(z))"),
    ("acc_real", "accuracy on reals"),
    ("acc_fake", "accuracy on fakes"),
    ("grad_norm_d", "norm of D's gradient"),
    ("grad_norm_g", "norm of G's gradient"),
    ("test_accuracy", "test accuracy"),
];

struct Run {
    recorded: Recorded,
    name: String,
    settings: BTreeMap<String, String>,
    history: History,
    /// The last record, or null.
    last: Value,
    /// What `metrics.jsonl` has.
    evaluations: Vec<Value>,
    /// The one that is compared, or null.
    measured: Value,
}

impl Run {
    /// A field of the last record: None where it is missing or was not finite.
    fn last(&self, field: &str) -> Option<&Value> {
        self.last.get(field).filter(|v| v.is_number())
    }

    /// A metric of the last evaluation.
    fn measured(&self, metric: Metric) -> Option<&Value> {
        self.measured["metrics"][metric.name()].get("value").filter(|v| v.is_number())
    }
}

pub fn run(args: Args) -> Result<()> {
    check_once(&args.runs)?;
    let mut runs = Vec::new();
    for dir in &args.runs {
        runs.push(open(dir)?);
    }
    name_apart(&mut runs);
    choose_evaluations(&mut runs);
    if let Some(out) = &args.out {
        draw(&runs, out, args.x)?;
    }
    let text = if args.json { format!("{}\n", object(&runs)) } else { table(&runs) };
    super::print(&text)?;
    if let Some(out) = &args.out {
        note!("{}", out.display());
    }
    Ok(())
}

/// A run without a log is compared by its settings.
fn open(dir: &Path) -> Result<Run> {
    let recorded = Recorded::open(dir)?;
    let records = if recorded.log().exists() { recorded.records()? } else { Vec::new() };
    let (name, settings) = (recorded.name(), recorded.settings());
    let path = dir.join("metrics.jsonl");
    let evaluations = if path.exists() { read_log(path)? } else { Vec::new() };
    let last = records.last().cloned().unwrap_or_default();
    let measured = Value::Null;
    Ok(Run { recorded, name, settings, history: History::new(&records), last, evaluations, measured })
}

/// Of each run the last evaluation of the way of measuring that all runs with evaluations share, the newest if there are
/// several; where they share none, each run's last.
fn choose_evaluations(runs: &mut [Run]) {
    let way = |r: &Value| Evaluation::PROTOCOL.map(|(key, _)| r[key].clone());
    let last_of =
        |run: &Run, wanted: &[Value; 7]| run.evaluations.iter().rfind(|r| way(r) == *wanted).cloned();
    let with: Vec<&Run> = runs.iter().filter(|r| !r.evaluations.is_empty()).collect();
    let candidates = with.first().into_iter().flat_map(|r| r.evaluations.iter().rev().map(way));
    let shared = candidates.into_iter().find(|w| with.iter().all(|r| last_of(r, w).is_some()));
    for run in runs {
        let chosen = match &shared {
            Some(way) => last_of(run, way),
            None => run.evaluations.last().cloned(),
        };
        run.measured = chosen.unwrap_or_default();
    }
}

/// Refuses a run that is given twice, under whatever paths.
fn check_once(dirs: &[PathBuf]) -> Result<()> {
    let mut seen = BTreeSet::new();
    let place = |dir: &PathBuf| dir.canonicalize().unwrap_or_else(|_| dir.clone());
    match dirs.iter().find(|dir| !seen.insert(place(dir))) {
        None => Ok(()),
        Some(dir) => {
            let remedy = "the run is given twice; name each once".into();
            Err(Error::Argument { what: "RUN", value: dir.display().to_string(), remedy })
        }
    }
}

/// Runs of the same name in different folders are called by the paths given.
fn name_apart(runs: &mut [Run]) {
    let names: Vec<String> = runs.iter().map(|r| r.name.clone()).collect();
    for run in runs {
        if names.iter().filter(|n| **n == run.name).count() > 1 {
            run.name = run.recorded.dir.display().to_string();
        }
    }
}

fn draw(runs: &[Run], out: &Path, x: Axis) -> Result<()> {
    let compared = |r: &Run| -> Result<ComparedRun> {
        let probabilities = r.recorded.loss()?.probabilities;
        Ok(ComparedRun { name: r.name.clone(), probabilities, history: r.history.clone() })
    };
    let all = runs.iter().map(compared).collect::<Result<Vec<_>>>()?;
    save_comparison(out, &title(runs), &all, x)
}

/// The recipes, each once.
fn title(runs: &[Run]) -> String {
    let mut recipes: Vec<&str> = Vec::new();
    for recipe in runs.iter().map(|r| r.recorded.recipe()) {
        if !recipes.contains(&recipe) {
            recipes.push(recipe);
        }
    }
    recipes.join(", ")
}

/// The dotted keys of the settings that are not the same in all runs.
fn differing(runs: &[Run]) -> Vec<&String> {
    let keys: BTreeSet<&String> = runs.iter().flat_map(|r| r.settings.keys()).collect();
    let differs = |key: &&String| runs.iter().any(|r| r.settings.get(*key) != runs[0].settings.get(*key));
    keys.into_iter().filter(differs).collect()
}

/// The fields that any run's last record has.
fn recorded(runs: &[Run]) -> impl Iterator<Item = (&'static str, &'static str)> + '_ {
    LAST.into_iter().filter(|(field, _)| runs.iter().any(|r| r.last(field).is_some()))
}

fn table(runs: &[Run]) -> String {
    let row = |what: &str, cell: &dyn Fn(&Run) -> String| {
        std::iter::once(what.to_owned()).chain(runs.iter().map(cell)).collect::<Vec<_>>()
    };
    let section = |what: &str| vec![what.to_owned()];
    let mut rows = vec![row("", &|r| r.name.clone())];
    let keys = differing(runs);
    rows.push(section(if keys.is_empty() { "all settings are the same" } else { "settings that differ" }));
    for key in keys {
        rows.push(row(&format!("  {key}"), &|r| r.settings.get(key).map_or("-".into(), String::clone)));
    }
    rows.push(section("last record"));
    rows.push(row("  records", &|r| r.history.len().to_string()));
    for (field, what) in recorded(runs) {
        rows.push(row(&format!("  {what}"), &|r| r.last(field).map_or("-".into(), |v| shown(field, v))));
    }
    if runs.iter().any(|r| !r.measured.is_null()) {
        rows.push(section("last evaluation"));
        let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        let cell = |r: &Run, key: &str| r.measured.get(key).map_or("-".into(), text);
        rows.push(row("  step", &|r| cell(r, "step")));
        for (key, what) in Evaluation::PROTOCOL.iter().filter(|(key, _)| differs(runs, key)) {
            rows.push(row(&format!("  {what}"), &|r| cell(r, key)));
        }
        for metric in measured(runs) {
            rows.push(row(&format!("  {metric}"), &|r| {
                r.measured(metric).map_or("-".into(), |v| number(v.as_f64().unwrap_or(f64::NAN)))
            }));
        }
        if Evaluation::PROTOCOL.iter().any(|(key, _)| differs(runs, key)) {
            rows.push(section("  these were not measured in the same way and do not compare"));
        }
    }
    columns(&rows, |i| i == 0)
}

/// The metrics that any run's last evaluation has.
fn measured(runs: &[Run]) -> impl Iterator<Item = Metric> + '_ {
    Metric::ALL.into_iter().filter(|m| runs.iter().any(|r| r.measured(*m).is_some()))
}

/// Whether runs that were measured were so in different ways.
fn differs(runs: &[Run], key: &str) -> bool {
    let mut found = runs.iter().filter(|r| !r.measured.is_null()).map(|r| &r.measured[key]);
    let first = found.next();
    found.any(|v| Some(v) != first)
}

fn shown(field: &str, value: &Value) -> String {
    let value = value.as_f64().unwrap_or(f64::NAN);
    match field {
        "step" => format!("{value:.0}"),
        "kimg" | "seconds" => format!("{value:.1}"),
        _ => number(value),
    }
}

fn object(runs: &[Run]) -> Value {
    let per_run = |cell: &dyn Fn(&Run) -> Value| Value::Array(runs.iter().map(cell).collect());
    let keys = differing(runs).into_iter();
    let settings = keys.map(|key| (key.clone(), per_run(&|r| json!(r.settings.get(key)))));
    let last = recorded(runs).map(|(field, _)| (field.to_owned(), per_run(&|r| json!(r.last(field)))));
    json!({
        "runs": runs.iter().map(|r| json!({
            "name": r.name,
            "path": r.recorded.dir.display().to_string(),
            "records": r.history.len(),
        })).collect::<Vec<_>>(),
        "settings": settings.collect::<serde_json::Map<_, _>>(),
        "last": last.collect::<serde_json::Map<_, _>>(),
        "evaluation": per_run(&|r| r.measured.clone()),
    })
}
