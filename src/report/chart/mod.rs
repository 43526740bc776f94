//! A page of panels: title, axes, curves and their names.

mod frame;
mod names;
mod note;
mod place;
pub(super) mod strokes;
mod style;

use std::borrow::Cow;

use plotters::prelude::DrawingBackend;

use super::canvas::{Canvas, Drawn};
use super::colours::WHITE;
use super::curve::{around, drawable, extent};
use super::plot::{Axis, Panel, Scale};
use frame::Frame;
use place::{LEFT, places};
use strokes::automatic;

const SMALL: f64 = 12.0;

/// What a plot is besides its panels.
pub(super) struct Page<'a> {
    pub title: &'a str,
    pub x: Axis,
    /// Panels side by side.
    pub columns: usize,
}

impl Page<'_> {
    /// The size of the plot in units of the canvas.
    pub(super) fn size(&self, panels: &[Panel]) -> (u32, u32) {
        let (_, (width, height)) = places(panels, self.columns);
        (width as u32, height as u32)
    }

    /// Draws everything.
    pub(super) fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>, panels: &[Panel]) -> Drawn<DB> {
        canvas.fill(WHITE)?;
        canvas.heading(self.title, (LEFT, 32.0))?;
        let shared = panels.iter().filter(|p| !p.has_own_x()).flat_map(xs);
        let x_range = extent(shared);
        for (panel, place) in panels.iter().zip(places(panels, self.columns).0) {
            let shown = along_axis(panel);
            let given = shown.y_range.filter(|(low, high)| low < high && drawable((*low, *high)));
            let mut frame = Frame {
                place,
                x_range: if panel.has_own_x() { extent(xs(&shown)) } else { x_range },
                y_range: given.unwrap_or_else(|| automatic(&shown)),
                panel: &shown,
            };
            if panel.square {
                (frame.x_range, frame.y_range) = match given {
                    Some(range) => (range, range),
                    None => alike(frame.x_range, frame.y_range),
                };
            }
            let x_label = match &*panel.x_label {
                "" if panel.square || !place.last => "",
                "" => self.x.label(),
                own => own,
            };
            frame.draw(canvas, self.x.whole() && !panel.has_own_x(), x_label)?;
            frame.note(canvas, panel)?;
        }
        canvas.present()
    }
}

/// Where along the x axis a panel's points lie.
fn xs(panel: &Panel) -> impl Iterator<Item = f64> {
    let lines = panel.lines.iter().chain(&panel.dots);
    lines.flat_map(|l| &l.points).filter(|&&p| drawable(p)).map(|p| p.0)
}

/// Two ranges around the same middles, as long as each other, with room around the first.
fn alike(x: (f64, f64), y: (f64, f64)) -> ((f64, f64), (f64, f64)) {
    let half = ((x.1 - x.0) * 1.12).max(y.1 - y.0) / 2.0;
    (around(x, half), around(y, half))
}

/// Whether a logarithmic axis can show a value.
fn on_log_axis(y: f64) -> bool {
    (1e-30..1e30).contains(&y)
}

/// The panel with its values as they lie along the axis: on a logarithmic one, powers of ten. What has no place
/// there becomes a gap.
fn along_axis(panel: &Panel) -> Cow<'_, Panel> {
    if panel.y_scale == Scale::Linear {
        return Cow::Borrowed(panel);
    }
    let log = |y: f64| if on_log_axis(y) { y.log10() } else { f64::NAN };
    let mut panel = panel.clone();
    panel.y_range = panel.y_range.map(|(low, high)| (log(low), log(high)));
    panel.lines.iter_mut().chain(&mut panel.dots).flat_map(|l| &mut l.points).for_each(|p| p.1 = log(p.1));
    panel.reference.iter_mut().for_each(|r| r.0 = log(r.0));
    Cow::Owned(panel)
}
