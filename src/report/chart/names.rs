//! The names of curves: at their ends, or above the axes.

use std::borrow::Cow;

use plotters::prelude::DrawingBackend;
use plotters::style::RGBColor;
use plotters::style::text_anchor::HPos;

use super::SMALL;
use super::frame::Frame;
use super::strokes::end;
use super::style::styles;
use crate::report::canvas::{Canvas, Drawn, Type, fit, text_width};
use crate::report::colours::GREY;
use crate::report::plot::Panel;

/// Between the baselines of labels that would otherwise overlap.
pub(super) const LABEL_STEP: f64 = 15.0;

/// How wide the labels of a panel are; a vector drawing may be shown in a wider font.
pub(super) fn label_widths(panel: &Panel) -> impl Iterator<Item = f64> {
    let lines = panel.lines.iter().chain(&panel.dots).zip(styles()).map(|(line, style)| style.label(line));
    let labels = lines.chain(panel.reference.iter().map(|r| Cow::Borrowed(&*r.1)));
    labels.map(|label| text_width(&label, SMALL) * 1.15)
}

impl Frame<'_> {
    /// Whether names stand above the axes.
    pub(super) fn has_legend(&self) -> bool {
        self.panel.square && self.panel.lines.iter().chain(&self.panel.dots).any(|l| !l.label.is_empty())
    }

    /// The names of the curves and of the points, side by side above the axes.
    pub(super) fn legend<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Drawn<DB> {
        let mut left = self.place.left;
        let named = self.panel.lines.iter().chain(&self.panel.dots).zip(styles());
        for (line, style) in named.filter(|(line, _)| !line.label.is_empty()) {
            let text = style.label(line);
            canvas.dot((left + 4.0, self.place.top - 13.0), 3.5, style.colour)?;
            let set = Type { em: SMALL, bold: true, colour: style.colour, align: HPos::Left };
            canvas.text(&text, (left + 12.0, self.place.top - 9.0), set)?;
            left += 12.0 + text_width(&text, SMALL) * 1.15 + 10.0;
        }
        Ok(())
    }

    /// The names of the curves and of the dashed lines, at their right ends but never over each other.
    pub(super) fn labels<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Drawn<DB> {
        let mut labels: Vec<(f64, Cow<str>, RGBColor, bool)> = Vec::new();
        let named = self.panel.lines.iter().chain(&self.panel.dots).zip(styles());
        for (line, style) in named.filter(|(line, _)| !line.label.is_empty()) {
            if let Some(y) = end(line, self.y_range) {
                let y = self.y(y.clamp(self.y_range.0, self.y_range.1));
                labels.push((y, style.label(line), style.colour, true));
            }
        }
        for (y, label) in self.panel.reference.iter().filter(|r| self.shows(r.0)) {
            labels.push((self.y(*y), Cow::Borrowed(label), GREY, false));
        }
        labels.sort_by(|a, b| a.0.total_cmp(&b.0));
        let wanted: Vec<f64> = labels.iter().map(|l| l.0).collect();
        let places = spread(&wanted, LABEL_STEP, self.place.top, self.place.bottom);
        for ((_, text, colour, bold), y) in labels.into_iter().zip(places) {
            canvas.text(
                &fit(&text, SMALL, self.place.room - 12.0),
                (self.place.right + 8.0, y + 4.3),
                Type { em: SMALL, bold, colour, align: HPos::Left },
            )?;
        }
        Ok(())
    }
}

/// Sorted places moved apart to at least `step`, as little as a sweep down and one up need, within `low..=high` where
/// there is room.
fn spread(wanted: &[f64], step: f64, low: f64, high: f64) -> Vec<f64> {
    let mut places = wanted.to_vec();
    let mut least = low;
    for y in &mut places {
        *y = y.max(least);
        least = *y + step;
    }
    let mut most = high;
    for y in places.iter_mut().rev() {
        *y = y.min(most);
        most = *y - step;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_spread_and_stay_near() {
        assert_eq!(spread(&[10.0, 50.0], 15.0, 0.0, 100.0), [10.0, 50.0]);
        assert_eq!(spread(&[10.0, 12.0, 50.0], 15.0, 0.0, 100.0), [10.0, 25.0, 50.0]);
        assert_eq!(spread(&[90.0, 98.0, 100.0], 15.0, 0.0, 100.0), [70.0, 85.0, 100.0]);
    }
}
