//! What went wrong, in words.

use super::material::Material;
use crate::report::html::{Block, Section, Tile, Tone, shown};
use crate::report::read_log;
use serde_json::Value;

/// Alarms of one kind that are shown in full; it may be raised again and again.
const OF_A_KIND: usize = 3;

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

fn shown_alarms(alarms: &[Value]) -> Vec<Block> {
    let kind = |a: &Value| a["alarm"].as_str().unwrap_or("of an unknown kind").to_owned();
    let before = |i: usize| alarms[..i].iter().filter(|a| kind(a) == kind(&alarms[i])).count();
    let text = |a: &Value, key: &str| a[key].as_str().unwrap_or_default().to_owned();
    let callout = |a: &Value| {
        let step = a["step"].as_u64().map_or(String::new(), |s| format!("Step {}: ", shown(s as f64)));
        let said = [capital(&text(a, "evidence")), format!("It means: {}.", text(a, "meaning"))];
        let remedies =
            a["remedies"].as_array().into_iter().flatten().filter_map(Value::as_str).map(remedy).collect();
        Block::Callout {
            tone: Tone::Bad,
            title: format!("{step}{}", kind(a)),
            text: said.into(),
            list: remedies,
        }
    };
    let mut blocks: Vec<Block> =
        alarms.iter().enumerate().filter(|(i, _)| before(*i) < OF_A_KIND).map(|(_, a)| callout(a)).collect();
    let more = alarms.len() - blocks.len();
    if more > 0 {
        blocks.push(Block::Hint(format!("{more} more of the same kinds are in `alarms.jsonl`.")));
    }
    blocks
}

/// Flags and a reason, the flags as code.
fn remedy(text: &str) -> String {
    text.split_once(": ").map_or(text.into(), |(flags, why)| format!("`{flags}`: {why}"))
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or(String::new(), |c| format!("{}{}.", c.to_uppercase(), chars.as_str().trim_end_matches('.')))
}
