//! What went wrong, in words.

use super::capital;
use super::material::Material;
use crate::report::html::{Block, Section, Tile, Tone, shown};
use crate::report::read_log;
use serde_json::Value;

/// Of one kind that is raised again and again so many further steps are named.
const STEPS: usize = 8;

pub(super) fn tile(m: &Material) -> Tile {
    let (value, note) = match read(m) {
        Err(_) => ("?".into(), "their file cannot be read".into()),
        Ok(alarms) if alarms.is_empty() && m.log().is_empty() => {
            ("\u{2013}".into(), "nothing was logged".into())
        }
        Ok(alarms) => {
            let last =
                alarms.last().and_then(|a| Some((a["alarm"].as_str()?.to_owned(), a["step"].as_u64()?)));
            let note = last.map_or("nothing went wrong that is watched for".into(), |(kind, step)| {
                format!("last: {kind}, step {}", shown(step as f64))
            });
            (alarms.len().to_string(), note)
        }
    };
    Tile { name: "Alarms".into(), value, note }
}

pub(super) fn section(m: &Material) -> Section {
    let mut blocks = Vec::new();
    match read(m) {
        Err(why) => blocks.push(Block::Missing(format!("The alarms cannot be read: {why}"))),
        Ok(alarms) if alarms.is_empty() && m.log().is_empty() => {
            blocks.push(Block::Missing("Nothing was logged, so there was nothing to raise an alarm about.".into()));
        }
        Ok(alarms) if alarms.is_empty() => blocks.push(Block::Callout {
            tone: Tone::Good,
            title: "No alarms".into(),
            text: vec![
                "Watched for all through the run: a gradient that vanishes, samples that are all alike, a generator that \
                 stands still, a discriminator with one answer to everything or without updates, numbers that are not \
                 finite."
                    .into(),
            ],
            list: vec![],
        }),
        Ok(alarms) => blocks.extend(shown_alarms(&alarms)),
    }
    super::section("alarms", "Alarms", "Alarms", blocks)
}

fn read(m: &Material) -> Result<Vec<Value>, String> {
    let path = m.dir.join("alarms.jsonl");
    // The file is there from the first alarm on.
    if path.is_file() { read_log(&path).map_err(|e| e.to_string()) } else { Ok(Vec::new()) }
}

/// A callout for each kind, in the order in which they came: the first of a kind in full, the others by their steps.
fn shown_alarms(alarms: &[Value]) -> Vec<Block> {
    let mut kinds: Vec<(&str, Vec<&Value>)> = Vec::new();
    for alarm in alarms {
        let kind = alarm["alarm"].as_str().unwrap_or("of an unknown kind");
        match kinds.iter_mut().find(|k| k.0 == kind) {
            Some((_, all)) => all.push(alarm),
            None => kinds.push((kind, vec![alarm])),
        }
    }
    kinds.into_iter().map(|(kind, all)| callout(kind, &all)).collect()
}

fn callout(kind: &str, all: &[&Value]) -> Block {
    let first = all[0];
    let text = |key: &str| first[key].as_str().unwrap_or_default();
    let steps = all.iter().filter_map(|a| a["step"].as_u64()).map(|s| shown(s as f64));
    let steps: Vec<String> = steps.collect();
    let when = match steps.split_first() {
        None => String::new(),
        Some((first, [])) => format!("At step {first}. "),
        Some((first, others)) if others.len() <= STEPS => {
            format!("At step {first}, and again at {}. The first time: ", others.join(", "))
        }
        Some((first, others)) => {
            let last = &others[others.len() - 1];
            format!(
                "At step {first}, and {} more times, the last at step {last}. The first time: ",
                others.len()
            )
        }
    };
    let remedies = first["remedies"].as_array().into_iter().flatten().filter_map(Value::as_str);
    Block::Callout {
        tone: Tone::Bad,
        title: capital(&kind.replace('-', " ")),
        text: vec![format!("{when}{}.", text("evidence")), format!("It means: {}.", text("meaning"))],
        list: remedies.map(remedy).collect(),
    }
}

/// Flags and a reason, the flags as code.
fn remedy(text: &str) -> String {
    text.split_once(": ").map_or(text.into(), |(flags, why)| format!("`{flags}`: {why}"))
}
