//! The log's numbers over the steps, each with a sentence on what is healthy.

use super::material::Material;
use crate::gan::loss_facts::loss_facts;
use crate::report::html::{Block, Plot, PlotKind, Section};
use crate::report::{Axis, History, Line, LossFacts, Panel, RunFigures, Scale};
use serde_json::{Map, Value};

/// How the panels of the figures are to be read, by their titles.
const HINTS: [(&str, &str); 12] = [
    (
        "Losses",
        "Both should move, and neither come near 0: then one side has won. They do not measure quality.",
    ),
    (
        "Discriminator output",
        "Healthy: apart, between 0.2 and 0.9. At 1 and 0 D has won; where both are equal it knows nothing.",
    ),
    (
        "Discriminator accuracy",
        "Healthy: 0.6 to 1 on both sides. Both at 1 for long: look at G's gradient. 1 and 0: D has one answer to all.",
    ),
    ("Logits", "Within about 10 of 0. In the hundreds D is sure beyond use."),
    ("Gradients", "Healthy: level, within a factor of ten. G's towards 0 vanishes; either growing explodes."),
    (
        "Updates",
        "Healthy: 1e\u{2212}4 to 1e\u{2212}2 of the weights in a step. Above 0.1 the rate is too large, below 1e\u{2212}6 nothing is learnt.",
    ),
    (
        "Diversity",
        "Two samples are as far apart as two real images at 1. Below 0.5 they are alike: mode collapse.",
    ),
    ("Penalties on D", "Small beside the loss once weighted; growing: D fights the penalty."),
    ("Auxiliary classifier", "Should fall well below ln(classes); if G's stays, G ignores its label."),
    ("Training speed", "Level, but for what else the machine does."),
    ("Learning rates", ""),
    ("Memory", "Level: memory that grows is a bug."),
];

/// A panel that the figures do not have: title, unit, fields with their names, and how it is to be read.
type More = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

const MORE: [More; 9] = [
    (
        "Slope",
        "mean gradient norm",
        &[("", "slope")],
        "The norm of D's gradient by its input where the penalty looks: towards 1.",
    ),
    (
        "Sign rate",
        "mean sign of D on reals",
        &[("", "sign_rate")],
        "Towards 1 for long: D learns its data by heart; augment it.",
    ),
    (
        "Saturation",
        "share of values beyond 0.99",
        &[("samples", "saturation"), ("real", "saturation_real")],
        "Samples should come up to the data from below; above it tanh is pushed to its ends, where its gradient is 0.",
    ),
    (
        "Entropy of classes",
        "nats",
        &[("", "class_entropy")],
        "Of the digits found in a batch: 2.303 is equal shares; low: digits are missing.",
    ),
    (
        "Change of the sample grid",
        "mean absolute",
        &[("", "grid_change")],
        "Above 0.01 the samples still change; below 1e\u{2212}4 G stands still.",
    ),
    (
        "Largest weight",
        "absolute value",
        &[("D", "max_weight_d"), ("G", "max_weight_g")],
        "Grows slowly; a jump means instability.",
    ),
    (
        "Clipped weights of D",
        "share at the bound",
        &[("", "clipped")],
        "Near 1 D is hardly more than signs: raise the bound.",
    ),
    (
        "Balance",
        "factor, updates",
        &[("factor of D's rate", "d_factor"), ("updates skipped", "d_skipped")],
        "What the rule of balance does to D.",
    ),
    (
        "Regularisers of G",
        "before their weights",
        &[("feature distance", "feature_distance"), ("orthogonal", "orthogonal")],
        "Should fall.",
    ),
];

/// Fields that are no curves of their own, or are drawn by the figures.
const DRAWN: [&str; 27] = [
    "step",
    "kimg",
    "seconds",
    "d_loss",
    "g_loss",
    "penalty",
    "dragan",
    "r1",
    "r2",
    "drift",
    "d_class_loss",
    "g_class_loss",
    "d_real",
    "d_fake",
    "logit_real",
    "logit_fake",
    "logit_rms_real",
    "logit_rms_fake",
    "grad_norm_d",
    "grad_norm_g",
    "update_ratio_d",
    "update_ratio_g",
    "diversity",
    "acc_real",
    "acc_fake",
    "images_per_s",
    "memory_mb",
];

/// Names of a panel of singular values are this and the network's.
const SIGMA: &str = "sigma.";
/// More curves than this are drawn in several panels.
const CURVES: usize = 7;

pub(super) fn section(m: &Material) -> Section {
    let mut blocks = Vec::new();
    match &m.records {
        Err(why) => blocks.push(Block::Missing(why.clone())),
        Ok(records) if records.is_empty() => {
            blocks.push(Block::Missing(
                "The log is empty: a run writes its first record after its first step.".into(),
            ));
        }
        Ok(records) => {
            let mut plots = plots_of(m, &["losses", "outputs", "accuracy", "gradients", "samples"]);
            // What is looked at first comes first.
            let place = |p: &Plot| HINTS.iter().position(|h| h.0 == title(p)).unwrap_or(HINTS.len());
            plots.sort_by_key(place);
            let history = flattened(records);
            plots.extend(more(&history));
            let text = "From `log.jsonl`; where there are many records the strong line is their moving average. Point at a plot, or \
                        move through it with the arrow keys, to read values. `docs/diagnostics.md` says what each number is.";
            blocks.push(Block::Text(text.into()));
            blocks.push(Block::Plots(plots));
            let sigma = singular_values(&history);
            if !sigma.is_empty() {
                let text = "The largest singular value of each weight, as a matrix of outputs by inputs: 0.1 to 10 and slowly \
                            growing is healthy; in the hundreds a layer's output explodes.";
                blocks.push(Block::Heading("Singular values".into()));
                blocks.push(Block::Text(text.into()));
                blocks.push(Block::Plots(sigma));
            }
            let others = others(&history);
            if !others.is_empty() {
                blocks.push(Block::Fold {
                    summary: "Other numbers of the log".into(),
                    blocks: vec![Block::Plots(others)],
                });
            }
        }
    }
    super::section("curves", "Curves", "How training went", blocks)
}

/// The plots of those figures that the log has something for.
pub(super) fn plots_of(m: &Material, names: &[&str]) -> Vec<Plot> {
    let facts = m.config.as_ref().map_or(LossFacts::default(), |c| loss_facts(&c.step));
    let figures = RunFigures::new("", facts, m.log()).figures();
    let panels = figures.into_iter().filter(|f| names.contains(&f.0)).flat_map(|f| f.1);
    let hint = |p: &Panel| match &*p.title {
        "Discriminator output" if !facts.probabilities => {
            "Scores without bounds: above those of fakes, but not by ever more."
        }
        title => HINTS.iter().find(|h| h.0 == title).map_or("", |h| h.1),
    };
    panels.map(|p| plot(hint(&p), p)).collect()
}

fn plot(hint: &str, panel: Panel) -> Plot {
    Plot { hint: hint.into(), kind: PlotKind::Lines(panel, Axis::Step) }
}

fn title(p: &Plot) -> &str {
    match &p.kind {
        PlotKind::Lines(panel, _) => &panel.title,
        PlotKind::Histogram(bins) | PlotKind::Bars(bins) => &bins.title,
    }
}

/// The records with the numbers inside of others on the top level, under dotted names.
fn flattened(records: &[Value]) -> History {
    let flat = |record: &Value| {
        let mut all = Map::new();
        for (key, value) in record.as_object().into_iter().flatten() {
            match value {
                Value::Object(inner) => {
                    all.extend(inner.iter().map(|(k, v)| (format!("{key}.{k}"), v.clone())))
                }
                value => drop(all.insert(key.clone(), value.clone())),
            }
        }
        Value::Object(all)
    };
    History::new(&records.iter().map(flat).collect::<Vec<_>>())
}

fn more(history: &History) -> Vec<Plot> {
    let panel = |(title, y_label, fields, hint): More| {
        let line = |(label, field): &(&str, &str)| line(history, label, field);
        let lines: Vec<Line> = fields.iter().map(line).filter(|l| !l.points.is_empty()).collect();
        let panel = Panel { title: title.into(), y_label: y_label.into(), lines, ..Panel::default() };
        (!panel.lines.is_empty()).then(|| plot(hint, panel))
    };
    MORE.into_iter().filter_map(panel).collect()
}

fn line(history: &History, label: &str, field: &str) -> Line {
    Line { label: label.into(), points: history.points(Axis::Step, field), exact: false }
}

fn singular_values(history: &History) -> Vec<Plot> {
    let mut plots = Vec::new();
    for (network, title) in [("D", "Discriminator"), ("G", "Generator")] {
        let prefix = format!("{SIGMA}{network}.");
        let mut fields: Vec<&str> = history.fields().filter(|f| f.starts_with(&prefix)).collect();
        // Layers in the order of their numbers.
        fields.sort_by_key(|f| {
            f.split('.').map(|part| (part.parse().unwrap_or(u64::MAX), part)).collect::<Vec<_>>()
        });
        let parts = fields.len().div_ceil(CURVES).max(1);
        for fields in fields.chunks(fields.len().div_ceil(parts).max(1)) {
            let label = |f: &str| f.trim_start_matches(&prefix).trim_end_matches(".weight").to_owned();
            let lines =
                fields.iter().map(|f| line(history, &label(f), f)).filter(|l| !l.points.is_empty()).collect();
            let (title, y_label) = (title.into(), "largest singular value".into());
            plots.push(plot("", Panel { title, y_label, lines, y_scale: Scale::Log, ..Panel::default() }));
        }
    }
    plots
}

/// Whatever else is in the log: of other versions, for example.
fn others(history: &History) -> Vec<Plot> {
    let known = |f: &str| DRAWN.contains(&f) || f.starts_with("lr_") || f.starts_with(SIGMA);
    let drawn = |f: &str| MORE.iter().any(|m| m.2.iter().any(|(_, field)| *field == f));
    let fields = history.fields().filter(|f| !known(f) && !drawn(f));
    let panel = |f: &str| Panel { title: f.into(), lines: vec![line(history, "", f)], ..Panel::default() };
    fields.map(panel).filter(|p| !p.lines[0].points.is_empty()).map(|p| plot("", p)).collect()
}
