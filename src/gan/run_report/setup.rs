//! What was trained.

use super::material::Material;
use crate::gan::resume::leaves;
use crate::gan::zoo;
use crate::nn::{Row, Summary};
use crate::optim::Rule;
use crate::report::html::{Block, Section, Table, shown};
use crate::report::quoted;
use serde_json::{Value, json};

/// The sentence under the run's name.
pub(super) fn lead(m: &Material) -> String {
    let recipe = m.config.as_ref().ok().and_then(|c| zoo::recipe(&c.recipe).ok());
    match recipe {
        Some(r) => format!("Recipe `{}` on {}. {}", r.name, data(m), r.about.idea),
        None => "A run of ganvil.".into(),
    }
}

pub(super) fn section(m: &Material) -> Section {
    let mut blocks = Vec::new();
    match &m.config {
        Err(why) => blocks.push(Block::Missing(why.clone())),
        Ok(config) => {
            if let Ok(recipe) = zoo::recipe(&config.recipe) {
                blocks.push(Block::Equation(recipe.about.equation.into()));
                let text = format!(
                    "From {}. While it trains: {}.",
                    recipe.about.source,
                    recipe.about.watch.trim_end_matches('.')
                );
                blocks.push(Block::Text(text));
                let (own, loss) = ((recipe.config)().step.loss, config.step.loss);
                if own != loss {
                    blocks.push(Block::Text(format!(
                        "The equation is the recipe's; this run was told to play with the loss {} in place of {}.",
                        loss.name(),
                        own.name()
                    )));
                }
            }
        }
    }
    blocks.push(Block::Facts(facts(m)));
    blocks.push(Block::Text("The same run again, from the folder that this one lies in:".into()));
    blocks.push(Block::Command(format!(
        "ganvil train --config {}",
        quoted(&format!("{}/config.toml", m.name))
    )));
    blocks.extend(folded(m));
    super::section("setup", "Setup", "What was trained", blocks)
}

/// The data's name.
fn data(m: &Material) -> String {
    let folder = m
        .config
        .as_ref()
        .ok()
        .and_then(|c| Some(c.dataset.as_ref()?.file_name()?.to_string_lossy().into_owned()));
    m.train.as_ref().map(|d| d.name.clone()).ok().or(folder).unwrap_or("data without a name".into())
}

fn facts(m: &Material) -> Vec<(String, String)> {
    let mut facts: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, what: String| facts.push((name.into(), what));
    if let Ok(c) = &m.config {
        add("Recipe", format!("`{}`", c.recipe));
        add("Data", described(m));
        add("Loss", format!("`{}`", c.step.loss.name()));
        let rule =
            |r: &Rule| format!("{}, rate {}", json!(r)["type"].as_str().unwrap_or("its own"), shown(r.lr()));
        let (d, g) = (rule(&c.optimizer_d), rule(&c.optimizer_g));
        add("Optimiser", if d == g { d } else { format!("D: {d}; G: {g}") });
        add("Batch", format!("{} real images; {} : {} updates of D and G", c.batch, c.step.n_d, c.step.n_g));
        add("Noise", format!("{} numbers, {}", c.latent, c.prior.name()));
        if !c.conditioning.is_none() {
            add("Classes given by", format!("`{}`", c.conditioning.name()));
        }
        add("Seed", c.seed.to_string());
    }
    if let Ok(p) = &m.players {
        let [g, d] = &p.summaries;
        let size = |s: &Summary| {
            format!(
                "{} parameters, {} multiply-adds a sample",
                shown_whole(s.parameters as u64),
                short(s.macs)
            )
        };
        let average = if p.sampler.config().step.ema.is_some() { ", moving average" } else { "" };
        add("Generator", size(g) + average);
        add("Discriminator", size(d));
        add("Checkpoint", format!("step {}", shown_whole(p.sampler.steps)));
    }
    if let Some(start) = m.starts.last() {
        let of = |key: &str| text(start, key);
        add("Machine", machine(start));
        add("Program", format!("ganvil {}, commit {}", of("version"), of("commit")));
    }
    facts
}

fn described(m: &Material) -> String {
    let name = data(m);
    let Ok(train) = &m.train else { return name };
    let [channels, rows, cols] = train.shape();
    let classes = match train.labels {
        Some(_) => format!(", {} classes", train.classes.len()),
        None => String::new(),
    };
    let images = shown_whole(train.images.count as u64);
    format!(
        "{name}: {images} images of {rows} x {cols}{}{classes}",
        if channels == 3 { ", colour" } else { "" }
    )
}

fn folded(m: &Material) -> Vec<Block> {
    let fold = |summary: &str, blocks| Block::Fold { summary: summary.into(), blocks };
    let mut blocks = Vec::new();
    match &m.players {
        Ok(p) => {
            let of = |name: &str, s: &Summary| [Block::Heading(name.into()), Block::Table(layers(s))];
            let both = [of("Generator", &p.summaries[0]), of("Discriminator", &p.summaries[1])].concat();
            blocks.push(fold("Both networks, layer by layer", both));
        }
        Err(why) => blocks.push(Block::Missing(why.clone())),
    }
    if let Ok(c) = &m.config {
        let mut all = Vec::new();
        leaves("", &json!(c), &mut all);
        // Where the data lies is no setting of the game.
        let rows = all.into_iter().filter(|(key, _)| key != "dataset");
        let rows = rows.map(|(key, v)| (key, v.as_str().map_or(v.to_string(), String::from)));
        blocks.push(fold("All settings", vec![Block::Facts(rows.collect())]));
    }
    if !m.starts.is_empty() {
        let start = |s: &Value| {
            let from = format!(
                "From step {} on, with ganvil {} on {}:",
                text(s, "step"),
                text(s, "version"),
                machine(s)
            );
            [Block::Text(from), Block::Command(text(s, "command"))]
        };
        blocks.push(fold("The commands as they were given", m.starts.iter().flat_map(start).collect()));
    }
    blocks
}

fn layers(s: &Summary) -> Table {
    let dash = |n: u64| if n == 0 { "\u{2013}".into() } else { shown_whole(n) };
    let row = |r: &Row| {
        let output: Vec<String> = r.output.iter().skip(1).map(usize::to_string).collect();
        vec![
            if r.name.is_empty() { "itself".into() } else { format!("`{}`", r.name) },
            r.layer.to_owned(),
            output.join(" \u{d7} "),
            dash(r.parameters as u64),
            dash(r.macs),
        ]
    };
    let head = ["layer", "type", "output", "parameters", "multiply-adds"].map(String::from);
    Table { head: head.into(), rows: s.rows.iter().map(row).collect(), prose: vec![1] }
}

/// Where a start ran.
fn machine(start: &Value) -> String {
    let of = |key: &str| text(start, key);
    let threads = of("threads");
    let s = if threads == "1" { "" } else { "s" };
    format!("{}, {}, {threads} thread{s}, {}", of("cpu"), of("simd"), of("system"))
}

/// A field of `environment.json`.
fn text(start: &Value, key: &str) -> String {
    match &start[key] {
        Value::String(s) => s.clone(),
        Value::Null => "unknown".into(),
        other => other.to_string(),
    }
}

/// All digits of a count.
fn shown_whole(n: u64) -> String {
    shown(n as f64)
}

/// A large number with a word for its size.
fn short(n: u64) -> String {
    let n = n as f64;
    match n {
        n if n >= 1e9 => format!("{:.2} billion", n / 1e9),
        n if n >= 1e6 => format!("{:.2} million", n / 1e6),
        n => shown(n),
    }
}
