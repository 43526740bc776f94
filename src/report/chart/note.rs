//! What a panel does not show.

use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::HPos;

use super::frame::Frame;
use super::strokes::crowded;
use crate::report::canvas::{Canvas, Drawn, Type};
use crate::report::colours::GREY;
use crate::report::curve::{Point, drawable};
use crate::report::plot::Panel;

impl Frame<'_> {
    /// Says so where points of the panel as it was given lie outside of the axes.
    pub(super) fn note<DB: DrawingBackend>(&self, canvas: &Canvas<DB>, given: &Panel) -> Drawn<DB> {
        let points = |p: &'_ Panel, which: fn(&Point) -> bool| {
            p.lines.iter().chain(&p.dots).flat_map(|l| &l.points).filter(|p| which(p)).count()
        };
        let (total, known) = (points(given, |_| true), points(given, |&p| drawable(p)));
        let placed = points(self.panel, |&p| drawable(p));
        let shown = self.panel.lines.iter().chain(&self.panel.dots).flat_map(|l| &l.points);
        let outside = shown.filter(|&&p| drawable(p) && !(self.shows(p.1) && self.spans(p.0))).count();
        let mut notes = Vec::new();
        if outside > 0 && !crowded(self.panel) {
            notes.push(format!("{outside} of {total} points beyond the axis"));
        }
        if known > placed {
            notes.push(format!("{} too small for the axis", known - placed));
        }
        if total > known {
            notes.push(format!("{} missing or not finite", total - known));
        }
        if total == 0 {
            notes.push("no data".into());
        }
        let set = Type { em: 11.0, bold: false, colour: GREY, align: HPos::Right };
        canvas.text(&notes.join(", "), (self.place.right, self.place.top - 9.0), set)
    }
}
