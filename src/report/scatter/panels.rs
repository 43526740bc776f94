//! Several scatters side by side on the same axes: the same points at several times.

use std::path::Path;

use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::HPos;

use super::axes::{Axes, Frame};
use super::cloud::{Cloud, dots, legend};
use crate::Result;
use crate::report::canvas::{Canvas, Drawn, Type, fit};
use crate::report::colours::{GREY, INK, RULE, WHITE};
use crate::report::render::{self, Drawing};

/// One of several scatters.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScatterPanel {
    /// Above it.
    pub title: String,
    /// The points, the first cloud at the bottom.
    pub clouds: Vec<Cloud>,
}

/// Saves scatters in rows of three, all on the axes of the first one's first cloud; as [`save_scatter`] otherwise, but
/// that points beyond the axes are counted in each panel.
///
/// [`save_scatter`]: super::save_scatter
///
/// ```
/// use ganvil::data::Synthetic;
/// use ganvil::report::{Cloud, ScatterPanel, save_scatter_panels};
/// let panel = |seed: u64| ScatterPanel {
///     title: format!("seed {seed}"),
///     clouds: vec![Cloud { label: "data".into(), points: Synthetic::Ring8.samples(seed).take(100) }],
/// };
/// let path = std::env::temp_dir().join(format!("ganvil-panels-{}.svg", std::process::id()));
/// save_scatter_panels(&path, "eight modes", &[panel(0), panel(1)])?;
/// assert_eq!(std::fs::read_to_string(&path).unwrap().matches("<circle").count(), 2 * 100 + 1); // and the legend's
/// # std::fs::remove_file(&path).unwrap();
/// # Ok::<(), ganvil::Error>(())
/// ```
///
/// # Errors
/// If the file cannot be written or has another extension.
pub fn save_scatter_panels(path: impl AsRef<Path>, title: &str, panels: &[ScatterPanel]) -> Result<()> {
    render::save(path.as_ref(), &Panels { title, panels })
}

const COLUMNS: usize = 3;
const SIDE: f64 = 290.0;
const GAP: f64 = 20.0;
/// Above all: the title and the legend.
const TOP: f64 = 56.0;
/// Above each panel: its title.
const HEAD: f64 = 28.0;
const RADIUS: f64 = 1.1;

struct Panels<'a> {
    title: &'a str,
    panels: &'a [ScatterPanel],
}

impl Drawing for Panels<'_> {
    fn size(&self) -> (u32, u32) {
        let columns = self.panels.len().clamp(1, COLUMNS) as f64;
        let rows = self.panels.len().div_ceil(COLUMNS).max(1) as f64;
        ((GAP + columns * (SIDE + GAP)) as u32, (TOP + rows * (HEAD + SIDE) + GAP) as u32)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Drawn<DB> {
        canvas.fill(WHITE)?;
        canvas.heading(self.title, (GAP, 30.0))?;
        let clouds = self.panels.first().map_or(&[][..], |p| &p.clouds);
        legend(canvas, clouds, (GAP, TOP - 4.0))?;
        for (i, panel) in self.panels.iter().enumerate() {
            let (row, column) = (i / COLUMNS, i % COLUMNS);
            let left = GAP + column as f64 * (SIDE + GAP);
            let top = TOP + row as f64 * (HEAD + SIDE) + HEAD;
            let first = self.panels[0].clouds.first();
            let axes = Axes::around(first, Frame { left, top, side: SIDE });
            draw_panel(canvas, panel, &axes)?;
        }
        canvas.present()
    }
}

fn draw_panel<DB: DrawingBackend>(canvas: &Canvas<DB>, panel: &ScatterPanel, axes: &Axes) -> Drawn<DB> {
    let Frame { left, top, side } = axes.frame;
    let set = Type { em: 12.0, bold: false, colour: INK, align: HPos::Left };
    canvas.text(&fit(&panel.title, 12.0, side), (left, top - 6.0), set)?;
    axes.frame.draw(canvas, RULE)?;
    dots(canvas, &panel.clouds, axes, RADIUS)?;
    let hidden = panel.clouds.iter().flat_map(Cloud::places).filter(|&p| !axes.shows(p)).count();
    if hidden > 0 {
        let note = Type { em: 10.0, bold: false, colour: GREY, align: HPos::Right };
        canvas.text(&format!("{hidden} beyond"), (left + side - 4.0, top + side - 5.0), note)?;
    }
    Ok(())
}
