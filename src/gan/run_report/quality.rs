//! What was measured, beside what real images have.

use super::capital;
use super::material::Material;
use crate::metrics::Evaluation;
use crate::report::html::{Block, Plot, PlotKind, Section, Table, Tile, Tone, shown};
use crate::report::{Axis, History, Line, Panel};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What there is to say of a metric: its name in the file, its name for people, and what it means. Others are shown by their
/// names in the file.
const KNOWN: [(&str, &str, &str); 18] = [
    (
        "fid",
        "FID",
        "Distance of the features' means and covariances from those of real images; lower is better.",
    ),
    (
        "fid-infinity",
        "FID, any number",
        "The same for infinitely many samples: without the bias of their number.",
    ),
    ("kid", "KID", "The same question by a kernel, unbiased: about 0 for equal sets; lower is better."),
    ("precision", "Precision", "Share of samples that lie among real images: fidelity; higher is better."),
    ("recall", "Recall", "Share of real images that lie among samples: variety; higher is better."),
    (
        "density",
        "Density",
        "How densely real images surround samples; about 1 where samples are as real ones.",
    ),
    (
        "coverage",
        "Coverage",
        "Share of real images with a sample nearby: variety, whatever the outliers; higher is better.",
    ),
    (
        "score",
        "Classifier score",
        "Each sample of one class for sure, all classes alike: at most their number; higher is better.",
    ),
    ("confidence", "Confidence", "How sure the classifier is on average; unclear samples lower it."),
    (
        "entropy",
        "Entropy of classes",
        "Of the classes that the classifier finds, in nats; ln(classes) where all come alike.",
    ),
    ("smallest-share", "Smallest share", "Of the class that comes least; near 0 a class is missing."),
    (
        "class-jsd",
        "Class divergence",
        "Of the classes' shares from those of real images, in nats, 0 to 0.693; lower is better.",
    ),
    (
        "agreement",
        "Class agreement",
        "Share of samples that show the class that was asked for; higher is better.",
    ),
    (
        "copies",
        "Copies",
        "Share of samples nearer to a training image, in pixels, than nearly all unseen images are; should be about 0.01.",
    ),
    (
        "feature-copies",
        "Copies, in features",
        "The same in features: copies that were moved or changed a little as well.",
    ),
    (
        "strays",
        "Strays",
        "Share of samples far from every training image, in pixels: noise and debris; about 0.01 where all is well.",
    ),
    (
        "path-length",
        "Path length",
        "How much features change for a small step in latent space; lower is smoother.",
    ),
    (
        "gan-train",
        "GAN-train",
        "How well a classifier that learnt from samples alone tells real images; higher is better.",
    ),
];

/// The record that is shown: of the last step, and of that the one of the most samples.
fn shown_record(records: &[Value]) -> Option<&Value> {
    let place = |r: &&Value| (r["step"].as_u64(), r["n_fake"].as_u64());
    records.iter().max_by_key(place)
}

/// What must be the same for two records to compare.
fn way(record: &Value) -> String {
    json!(Evaluation::PROTOCOL.map(|(key, _)| &record[key])).to_string()
}

/// The longest series of records that can be compared.
fn series(records: &[Value]) -> Vec<&Value> {
    let mut all: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for r in records {
        all.entry(way(r)).or_default().push(r);
    }
    all.into_values().max_by_key(Vec::len).unwrap_or_default()
}

pub(super) fn tile(m: &Material) -> Option<Tile> {
    let last = shown_record(m.metrics.as_ref().ok()?)?;
    let (name, metric) =
        ["fid", "kid", "coverage", "precision"].iter().find_map(|n| Some((n, last["metrics"].get(n)?)))?;
    // What is published as FID is in a network's features.
    let by = if last["features"] == "pixels" { ", in pixels" } else { "" };
    let floor = metric["floor"].as_f64().map(|f| format!("real images: {}", shown(f)));
    let note = floor.unwrap_or_else(|| of_step(last).unwrap_or_default());
    Some(Tile { name: known(name).0 + by, value: shown(metric["value"].as_f64()?), note })
}

pub(super) fn section(m: &Material) -> Section {
    let how = "`ganvil evaluate RUN` measures samples against real images and adds a line to `metrics.jsonl`; then `ganvil report \
               RUN` shows it here.";
    let blocks = match &m.metrics {
        Err(why) => vec![Block::Missing(format!("{why} {how}"))],
        Ok(records) => match shown_record(records) {
            None => vec![Block::Missing(format!("Nothing has been measured yet. {how}"))],
            Some(last) => measured(records, last),
        },
    };
    super::section("quality", "Quality", "Quality, measured", blocks)
}

fn measured(records: &[Value], last: &Value) -> Vec<Block> {
    let mut blocks = vec![Block::Text(intro(last))];
    blocks.extend(findings(last));
    let metrics = last["metrics"].as_object();
    if let Some(metrics) = metrics.filter(|m| !m.is_empty()) {
        blocks.push(Block::Table(table(metrics)));
    } else {
        blocks.push(Block::Missing("The last line of `metrics.jsonl` has no metrics.".into()));
    }
    let series = series(records);
    let plots = curves(&series);
    if !plots.is_empty() {
        if let Some(of_series) = series.last().filter(|r| way(r) != way(last)) {
            let text = format!(
                "On the way it was measured otherwise{}: the curves do not end at the table's values.",
                intro_way(of_series)
            );
            blocks.push(Block::Text(text));
        }
        blocks.push(Block::Plots(plots));
    }
    let mut text = "`docs/metrics.md` says what each number means, and when it lies.".to_owned();
    if let Some(sha) = last["feature_sha256"].as_str() {
        let features = last["features"].as_str().unwrap_or("unnamed");
        text +=
            &format!(" Results compare only where the features are the same: `{features}`, SHA-256 `{sha}`.");
    }
    blocks.push(Block::Hint(text));
    blocks
}

/// When and against what was measured.
fn intro(last: &Value) -> String {
    let text = of_step(last).map_or("The last measurement".into(), |step| format!("At {step}"));
    text + &intro_way(last)
        + ". The floor is what other real images get in place of the samples: a generator that draws as the data do is there; the ratio \
            says how far from it these samples are."
}

/// How much was measured against what, behind a comma; as far as it is known.
fn intro_way(record: &Value) -> String {
    let count = |key: &str| record[key].as_f64().map(shown);
    let mut text = count("n_fake").map_or(String::new(), |n| format!(", {n} samples"));
    let against = record["against"].as_str().or(record["split"].as_str());
    match (count("n_real"), against) {
        (Some(n), Some(split)) => text += &format!(" against {n} real images of the {split} split"),
        (Some(n), None) => text += &format!(" against {n} real images"),
        (None, Some(split)) => text += &format!(" against the {split} split"),
        (None, None) => {}
    }
    match record["features"].as_str() {
        Some("pixels") => text + ", pixel by pixel",
        Some(features) => text + &format!(", in the features of `{features}`"),
        None => text,
    }
}

fn of_step(record: &Value) -> Option<String> {
    record["step"].as_f64().map(|s| format!("step {}", shown(s)))
}

fn findings(last: &Value) -> Vec<Block> {
    let said = |f: &Value| match f {
        Value::String(text) => Some(text.clone()),
        f => f["text"].as_str().map(String::from),
    };
    let kind =
        |f: &Value| f["kind"].as_str().map_or("Finding".into(), |k| capital(&k.replace(['-', '_'], " ")));
    let callout = |f: &Value| {
        Some(Block::Callout { tone: Tone::Bad, title: kind(f), text: vec![said(f)?], list: vec![] })
    };
    last["findings"].as_array().into_iter().flatten().filter_map(callout).collect()
}

fn table(metrics: &serde_json::Map<String, Value>) -> Table {
    let order = |name: &str| KNOWN.iter().position(|k| k.0 == name).unwrap_or(KNOWN.len());
    let mut names: Vec<&String> = metrics.keys().collect();
    names.sort_by_key(|n| order(n));
    let dash = || "\u{2013}".to_owned();
    let row = |name: &String| {
        let metric = &metrics[name];
        let number = |key: &str| metric[key].as_f64();
        let value = number("value").or(metric.as_f64()).map_or_else(dash, shown);
        let deviation = number("deviation").map_or(String::new(), |d| format!(" \u{b1} {}", shown(d)));
        let ratio =
            number("ratio").map_or_else(dash, |r| format!("{} \u{d7}", shown((r * 100.0).round() / 100.0)));
        let (name, meaning) = known(name);
        vec![name, value + &deviation, number("floor").map_or_else(dash, shown), ratio, meaning]
    };
    let head = ["metric", "value", "floor", "ratio", "what it means"].map(String::from);
    Table { head: head.into(), rows: names.into_iter().map(row).collect(), prose: vec![4] }
}

/// A metric's name for people and what it means; of an unknown one its name in the file.
fn known(name: &str) -> (String, String) {
    match KNOWN.iter().find(|k| k.0 == name) {
        Some((_, name, meaning)) => ((*name).into(), (*meaning).into()),
        None => (capital(&name.replace(['_', '-'], " ")), String::new()),
    }
}

/// Each metric over the images seen, or over the steps where some record lacks them.
fn curves(records: &[&Value]) -> Vec<Plot> {
    let axis = if records.iter().all(|r| r["kimg"].is_number()) { Axis::Kimg } else { Axis::Step };
    let flat = |r: &&Value| {
        let mut all = json!({"step": r["step"], "kimg": r["kimg"]});
        for (name, metric) in r["metrics"].as_object().into_iter().flatten() {
            all[format!("metrics.{name}")] =
                if metric.is_object() { metric["value"].clone() } else { metric.clone() };
            all[format!("floor.{name}")] = metric.get("floor").cloned().unwrap_or(Value::Null);
        }
        all
    };
    let mut flat: Vec<Value> = records.iter().map(flat).collect();
    // An older checkpoint may have been measured later.
    let place = |r: &Value| r[axis.name()].as_f64().unwrap_or(f64::NAN);
    flat.sort_by(|a, b| place(a).total_cmp(&place(b)));
    let history = History::new(&flat);
    let order = |f: &str| KNOWN.iter().position(|k| format!("metrics.{}", k.0) == f).unwrap_or(KNOWN.len());
    let mut fields: Vec<&str> = history.fields().filter(|f| f.starts_with("metrics.")).collect();
    fields.sort_by_key(|f| order(f));
    let plot = |field: &str| {
        let name = field.trim_start_matches("metrics.");
        let points = history.points(axis, field);
        let floor =
            history.points(axis, &format!("floor.{name}")).last().map(|p| p.1).filter(|f| f.is_finite());
        let panel = Panel {
            title: known(name).0,
            lines: vec![Line { points, exact: true, ..Line::default() }],
            reference: floor.into_iter().map(|f| (f, format!("real images, {}", shown(f)))).collect(),
            ..Panel::default()
        };
        Plot { kind: PlotKind::Lines(panel, axis), hint: String::new() }
    };
    // One value is no curve.
    let several = |f: &&str| history.points(axis, f).iter().filter(|p| p.1.is_finite()).count() > 1;
    fields.into_iter().filter(several).map(plot).collect()
}
