//! Samples over the course of the run.

use super::material::Material;
use crate::gan::config::TrainConfig;
use crate::report::html::{Block, Picture, Section, shown};
use image::ImageFormat;
use std::fs;
use std::path::{Path, PathBuf};

/// Grids on a page.
const MOST: usize = 24;

pub(super) fn section(m: &Material) -> Section {
    let (found, left_out) = grids(m);
    let mut blocks = Vec::new();
    if found.is_empty() {
        let text = "There is no sample grid: a run draws one before its first step and every so many steps.";
        blocks.push(Block::Missing(text.into()));
    } else {
        let classes = m.players.as_ref().is_ok_and(|p| p.sampler.classes.is_some());
        let rows = if classes { "Every row is a class, every column one latent vector. " } else { "" };
        let text = format!(
            "The same latent vectors all through the run, unselected. {rows}Move the slider to see how they come about."
        );
        blocks.push(Block::Text(text));
        let real = png(&m.dir.join("samples/real.png"));
        let beside = real.map(|png| Picture { png, caption: "Real images, the first of the data".into() });
        let no_real = beside.is_none();
        blocks.push(Block::Frames { frames: found, beside });
        if no_real {
            blocks.push(Block::Missing("The grid of real images, `samples/real.png`, is not there.".into()));
        }
    }
    if left_out > 0 {
        blocks.push(Block::Hint(format!("Grids in `samples/` that are not shown: {left_out}.")));
    }
    super::section("samples", "Samples", "Samples over time", blocks)
}

/// The grids in their order, evenly spread where there are many, and how many of the folder are not among them.
fn grids(m: &Material) -> (Vec<Picture>, usize) {
    let entries = fs::read_dir(m.dir.join("samples")).into_iter().flatten().flatten();
    let named = |path: &PathBuf| path.file_name().and_then(|n| n.to_str()).is_some_and(|n| kimg(n).is_some());
    let mut paths: Vec<PathBuf> = entries.map(|e| e.path()).filter(named).collect();
    paths.sort();
    let chosen: Vec<&PathBuf> = match paths.len() {
        n if n <= MOST => paths.iter().collect(),
        n => (0..MOST).map(|i| &paths[i * (n - 1) / (MOST - 1)]).collect(),
    };
    let picture = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?;
        Some(Picture { png: png(path)?, caption: caption(name, m.config.as_ref().ok()) })
    };
    let pictures: Vec<Picture> = chosen.into_iter().filter_map(picture).collect();
    let left_out = paths.len() - pictures.len();
    (pictures, left_out)
}

/// The file's bytes, if a browser can show them.
fn png(path: &Path) -> Option<Vec<u8>> {
    let bytes = fs::read(path).ok()?;
    image::load_from_memory_with_format(&bytes, ImageFormat::Png).ok()?;
    Some(bytes)
}

/// Thousands of images, of a grid's name.
fn kimg(name: &str) -> Option<f64> {
    let number = name.strip_prefix("kimg-")?.strip_suffix(".png")?;
    number.split("-step-").next()?.parse().ok()
}

/// When a grid was drawn.
fn caption(name: &str, config: Option<&TrainConfig>) -> String {
    let images = kimg(name).map_or(0.0, |k| (1000.0 * k).round());
    let step = match name.split_once("-step-").map(|(_, n)| n.trim_end_matches(".png").parse::<u64>()) {
        Some(step) => step.ok(),
        None if images == 0.0 => Some(0),
        None => config.and_then(|c| step(images, c)),
    };
    let seen = format!("{} real images seen", shown(images));
    match step {
        Some(0) => "Before the first step".into(),
        Some(step) => format!("After step {}, {seen}", shown(step as f64)),
        None => format!("After {seen}"),
    }
}

/// The step that so many images, rounded to a hundred, were seen after: one at which grids are drawn. None where none is.
fn step(images: f64, c: &TrainConfig) -> Option<u64> {
    let of_a_step = (c.batch * c.step.n_d) as f64;
    let regular = (images / of_a_step / c.sample_every as f64).round() as u64 * c.sample_every;
    let near = |s: &u64| (*s as f64 * of_a_step - images).abs() <= 50.5;
    [regular, c.steps].into_iter().find(near)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_say_when() {
        let config = TrainConfig { batch: 64, sample_every: 2000, steps: 13_001, ..TrainConfig::default() };
        let cases = [
            ("kimg-00000.0.png", "Before the first step"),
            ("kimg-00256.0.png", "After step 4000, 256,000 real images seen"),
            ("kimg-00832.1.png", "After step 13,001, 832,100 real images seen"),
            ("kimg-00003.3.png", "After 3300 real images seen"),
            ("kimg-00000.1-step-00000012.png", "After step 12, 100 real images seen"),
        ];
        cases.into_iter().for_each(|(name, text)| assert_eq!(caption(name, Some(&config)), text));
        assert_eq!(caption("kimg-00256.0.png", None), "After 256,000 real images seen");
        assert_eq!(kimg("real.png"), None);
    }
}
