//! A run as a page: what was trained, what came of it, and how that is to be read.
//!
//! Everything is read from the run's folder, and real pictures from its data; nothing in the folder is changed. What is not
//! there, or cannot be read, is a sentence on the page and no error: a run that was killed has a report as well. The same
//! folder and data give the same bytes.

mod alarms;
mod classes;
mod curves;
mod grids;
mod latent;
mod material;
mod neighbours;
mod outputs;
mod players;
mod quality;
mod setup;
#[cfg(test)]
mod tests;
mod time;

use super::run::Run;
use super::trainer::Trainer;
use crate::Result;
use crate::atomic::write_atomic;
use crate::report::html::{Page, Section, Tile, shown};
use material::Material;
use std::path::{Path, PathBuf};

/// The file in a run's folder.
pub(super) const FILE: &str = "report.html";

/// Writes a run's report into a file, or into its folder; returns the file's path. Real pictures come from `data`, or where
/// it names no folder from that of the run's settings.
///
/// # Errors
/// If the folder is no run, or the file cannot be written.
pub fn write_report(dir: &Path, data: Option<&Path>, out: Option<&Path>) -> Result<PathBuf> {
    let page = page(&Material::read(dir, data)?);
    let path = out.map_or_else(|| dir.join(FILE), Path::to_path_buf);
    write_atomic(&path, page.html().as_bytes())?;
    Ok(path)
}

/// [`write_report`] of a run at its end, whose data is at hand.
pub(super) fn report_at_end(run: &Run, trainer: &Trainer) -> Result<PathBuf> {
    let page = page(&Material::at_end(run.dir(), trainer.data())?);
    let path = run.dir().join(FILE);
    write_atomic(&path, page.html().as_bytes())?;
    Ok(path)
}

fn page(m: &Material) -> Page {
    Page {
        title: m.name.clone(),
        kicker: "ganvil, report of a run".into(),
        lead: setup::lead(m),
        tiles: tiles(m),
        sections: vec![
            setup::section(m),
            grids::section(m),
            quality::section(m),
            alarms::section(m),
            curves::section(m),
            outputs::section(m),
            latent::section(m),
            neighbours::section(m),
            classes::section(m),
            time::section(m),
        ],
    }
}

fn section(
    id: &'static str,
    short: &'static str,
    title: &'static str,
    blocks: Vec<crate::report::html::Block>,
) -> Section {
    Section { id, short, title, blocks }
}

fn tiles(m: &Material) -> Vec<Tile> {
    let tile = |name: &str, value: String, note: String| Tile { name: name.into(), value, note };
    let mut tiles = Vec::new();
    let steps = m.steps();
    if let Some(done) = steps {
        let note = match m.config.as_ref().map(|c| c.steps) {
            Ok(all) if all > done => format!("of {}: not at its end", shown(all as f64)),
            Ok(_) => "all that were asked for".into(),
            Err(_) => String::new(),
        };
        tiles.push(tile("Steps", shown(done as f64), note));
    }
    if let Some(kimg) = m.last("kimg") {
        let passes = m.players.as_ref().ok().and_then(|p| p.data).filter(|d| d.images > 0);
        let note = passes.map_or(String::new(), |d| {
            format!("{} passes over the data", shown(rounded(1000.0 * kimg / d.images as f64)))
        });
        tiles.push(tile("Real images seen", shown((1000.0 * kimg).round()), note));
    }
    if let Some(seconds) = m.last("seconds") {
        let speed = m.last("kimg").map(|k| 1000.0 * k / seconds).filter(|v| v.is_finite());
        let note = speed.map_or(String::new(), |v| format!("{} images/s", shown(v.round())));
        tiles.push(tile("Training time", time::duration(seconds), note));
    }
    tiles.extend(quality::tile(m));
    tiles.push(alarms::tile(m));
    tiles
}

/// A text that begins with a capital letter.
fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |c| c.to_uppercase().chain(chars).collect())
}

/// Two digits behind the point.
fn rounded(v: f64) -> f64 {
    (v * 100.0).round() / 100.0
}
