//! Several runs in the same axes.

use std::path::Path;

use super::chart::Page;
use super::colours::COLOURS;
use super::figures::from_zero;
use super::history::History;
use super::plot::{Axis, Line, Panel, Plot, Scale};
use super::render;
use crate::{Error, Result};

/// A run as it is drawn beside others.
#[derive(Clone, Debug, PartialEq)]
pub struct ComparedRun {
    /// Its name, drawn at the end of its curves.
    pub name: String,
    /// Whether its D(x) and D(G(z)) are probabilities.
    pub probabilities: bool,
    /// What its log says.
    pub history: History,
}

/// The two panels of a row: titles, the name of the y axis, fields.
type Row = ([&'static str; 2], &'static str, [&'static str; 2]);

const ROWS: [Row; 5] = [
    (["Loss of D", "Loss of G"], "loss", ["d_loss", "g_loss"]),
    (["D(x), on reals", "D(G(z)), on fakes"], "", ["d_real", "d_fake"]),
    (["Gradient of D", "Gradient of G"], "L2 norm", ["grad_norm_d", "grad_norm_g"]),
    (["D's accuracy on reals", "D's accuracy on fakes"], "share told right", ["acc_real", "acc_fake"]),
    (["Training speed", "Memory"], "", ["images_per_s", "memory_mb"]),
];

/// Saves the curves of runs over each other, a colour for a run, D's figures on the left and G's on the right. The file
/// appears whole or not at all.
///
/// The path's extension says whether it is a PNG (2400 pixels wide) or an SVG. Of up to 14 runs the first seven have
/// colours of their own, and the others the same in dashes; of more than four only moving averages are drawn where there
/// are many points. Panels of which no log says anything are left out.
///
/// ```
/// use ganvil::report::{Axis, ComparedRun, History, save_comparison};
/// use serde_json::json;
///
/// let run = |name: &str, loss: f64| ComparedRun {
///     name: name.into(),
///     probabilities: true,
///     history: History::new(&[json!({"step": 1, "d_loss": loss}), json!({"step": 9, "d_loss": loss / 2.0})]),
/// };
/// let path = std::env::temp_dir().join(format!("ganvil-compared-{}.svg", std::process::id()));
/// save_comparison(&path, "two runs", &[run("lr 2e-4", 1.5), run("lr 4e-4", 1.25)], Axis::Step)?;
/// let svg = std::fs::read_to_string(&path).unwrap();
/// assert!(svg.contains("lr 4e-4") && svg.contains("Loss of D") && !svg.contains("Loss of G"));
/// # std::fs::remove_file(&path).unwrap();
/// # Ok::<(), ganvil::Error>(())
/// ```
///
/// # Errors
/// If there are more runs, no log says anything, or the file cannot be written or has another extension.
pub fn save_comparison(path: impl AsRef<Path>, title: &str, runs: &[ComparedRun], x: Axis) -> Result<()> {
    let path = path.as_ref();
    let most = 2 * COLOURS.len();
    if runs.len() > most {
        let remedy = format!("a picture can tell {most} apart; compare fewer at a time");
        return Err(Error::Argument { what: "number of runs", value: runs.len().to_string(), remedy });
    }
    let panels: Vec<Panel> = ROWS.iter().flat_map(|row| panels(row, runs, x)).collect();
    if panels.is_empty() {
        let remedy = format!("no log of the runs has losses over {}; there is nothing to draw", x.name());
        return Err(Error::Argument { what: "picture", value: path.display().to_string(), remedy });
    }
    render::save(path, &Plot { page: Page { title, x, columns: 2 }, panels: &panels })
}

/// Those of a row's panels that any run has something for.
fn panels(&(titles, y_label, fields): &Row, runs: &[ComparedRun], x: Axis) -> Vec<Panel> {
    let panel = |(title, field): (&str, &str)| {
        let line = |r: &ComparedRun| Line {
            label: r.name.clone(),
            points: r.history.points(x, field),
            exact: false,
        };
        // A run without the field keeps its place, and with it the colours of those behind it.
        let lines: Vec<Line> = runs.iter().map(line).collect();
        let panel = Panel { title: title.into(), y_label: y_label.into(), lines, ..Panel::default() };
        panel.lines.iter().any(|l| !l.points.is_empty()).then(|| in_its_axes(panel, field, runs))
    };
    titles.into_iter().zip(fields).filter_map(panel).collect()
}

/// The panel with the axis that its field asks for.
fn in_its_axes(mut panel: Panel, field: &str, runs: &[ComparedRun]) -> Panel {
    let mut share = || {
        panel.y_range = Some((0.0, 1.0));
        panel.reference = vec![(0.5, "1/2".into())];
    };
    match field {
        "d_real" | "d_fake" if runs.iter().all(|r| r.probabilities) => {
            share();
            panel.y_label = "probability of real".into();
        }
        "d_real" | "d_fake" if runs.iter().any(|r| r.probabilities) => {
            panel.y_label = "probability or score".into();
        }
        "d_real" | "d_fake" => panel.y_label = "mean score".into(),
        "acc_real" | "acc_fake" => share(),
        "grad_norm_d" | "grad_norm_g" => panel.y_scale = Scale::Log,
        "images_per_s" | "memory_mb" => {
            panel.y_label = if field == "memory_mb" { "MB" } else { "images/s" }.into();
            return from_zero(panel);
        }
        _ => {}
    }
    panel
}
