//! A plot of panels: title, axes, curves and their labels.

use plotters::prelude::DrawingBackend;
use plotters::style::RGBColor;
use plotters::style::text_anchor::HPos;

use super::canvas::{At, Canvas, Drawn, Type, text_width};
use super::curve::{Point, clip, drawable, extent, runs, smooth, thin, ticks, y_extent};
use super::plot::{Line, Panel};

/// Blue, vermilion, green and purple of Okabe and Ito's palette, which people with any colour vision can tell apart.
pub(super) const COLOURS: [RGBColor; 4] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
];
pub(super) const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
pub(super) const GREY: RGBColor = RGBColor(0x66, 0x66, 0x66);
pub(super) const RULE: RGBColor = RGBColor(0xE6, 0xE6, 0xE6);
pub(super) const WHITE: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);

const WIDTH: f64 = 960.0;
const LEFT: f64 = 76.0;
/// Above the first panel, with the title.
const TOP: f64 = 48.0;
/// The axes of one panel; above them its title, below them the numbers.
const AXES: f64 = 250.0;
const ABOVE: f64 = 30.0;
const BELOW: f64 = 40.0;
/// Under the last panel, for the name of the x axis.
const BOTTOM: f64 = 20.0;
const SMALL: f64 = 12.0;
/// Between the baselines of labels that would otherwise overlap.
const LABEL_STEP: f64 = 15.0;

/// More points than this are drawn faint, with their moving average over them.
const MANY: usize = 100;
/// More points than this are thinned: there are no more columns of pixels.
const COLUMNS: usize = 750;
/// The moving average goes over this part of the curve.
const WINDOW: f64 = 0.04;

/// The size of a plot in units of the canvas.
pub(super) fn size(panels: usize) -> (u32, u32) {
    (WIDTH as u32, (TOP + BOTTOM + panels as f64 * (ABOVE + AXES + BELOW)) as u32)
}

/// Draws everything.
pub(super) fn draw<DB: DrawingBackend>(canvas: &Canvas<DB>, title: &str, panels: &[Panel]) -> Drawn<DB> {
    canvas.fill(WHITE)?;
    canvas.text(title, (LEFT, 32.0), Type { em: 18.0, bold: true, colour: INK, align: HPos::Left })?;
    let all = || panels.iter().flat_map(|p| &p.lines).flat_map(|l| &l.points).filter(|&&p| drawable(p));
    let x_range = extent(all().map(|p| p.0));
    let labels =
        panels.iter().flat_map(|p| p.lines.iter().map(|l| &l.label).chain(p.reference.iter().map(|r| &r.1)));
    // A vector drawing may be shown in a wider font.
    let widest = labels.map(|l| text_width(l, SMALL) * 1.15).fold(0.0, f64::max);
    let right = WIDTH - (widest + 24.0).clamp(30.0, WIDTH / 3.0);
    for (i, panel) in panels.iter().enumerate() {
        let top = TOP + ABOVE + i as f64 * (ABOVE + AXES + BELOW);
        let y_range = panel.y_range.filter(|(low, high)| low < high && drawable((*low, *high)));
        let frame = Frame {
            left: LEFT,
            right,
            top,
            bottom: top + AXES,
            x_range,
            y_range: y_range.unwrap_or_else(|| automatic(panel)),
        };
        frame.draw(canvas, panel, i + 1 == panels.len())?;
    }
    canvas.present()
}

/// The y range of a panel that does not say.
fn automatic(panel: &Panel) -> (f64, f64) {
    let values = panel.lines.iter().flat_map(|l| &l.points).filter(|&&p| drawable(p)).map(|p| p.1).collect();
    let references: Vec<f64> = panel.reference.iter().map(|r| r.0).filter(|&y| drawable((0.0, y))).collect();
    y_extent(values, &references)
}

/// The axes of one panel: where they lie, and what they span.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    x_range: (f64, f64),
    y_range: (f64, f64),
}

impl Frame {
    fn x(&self, x: f64) -> f64 {
        self.left + (x - self.x_range.0) / (self.x_range.1 - self.x_range.0) * (self.right - self.left)
    }

    fn y(&self, y: f64) -> f64 {
        self.bottom - (y - self.y_range.0) / (self.y_range.1 - self.y_range.0) * (self.bottom - self.top)
    }

    fn at(&self, p: Point) -> At {
        (self.x(p.0), self.y(p.1))
    }

    fn shows(&self, y: f64) -> bool {
        (self.y_range.0..=self.y_range.1).contains(&y)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>, panel: &Panel, last: bool) -> Drawn<DB> {
        self.axes(canvas, panel, last)?;
        let styled = || panel.lines.iter().zip(COLOURS.iter().cycle());
        // The faint curves come first, since they would hide the rest.
        for (line, &colour) in styled().filter(|(line, _)| many(line)) {
            self.curve(canvas, line, pale(colour), 0.75, thin)?;
        }
        for (y, _) in panel.reference.iter().filter(|r| self.shows(r.0)) {
            canvas.dashes(self.left, self.right, self.y(*y), GREY, 1.0)?;
        }
        for (line, &colour) in styled() {
            let half = |run: &[Point], stride: usize| {
                (run.len() as f64 * WINDOW / 2.0 / stride as f64).ceil() as usize
            };
            self.curve(canvas, line, colour, 1.75, |run, stride| {
                if many(line) { smooth(run, stride, half(run, stride)) } else { run.to_vec() }
            })?;
        }
        self.labels(canvas, panel)?;
        self.note(canvas, panel)
    }

    fn axes<DB: DrawingBackend>(&self, canvas: &Canvas<DB>, panel: &Panel, last: bool) -> Drawn<DB> {
        let numbers = Type { em: SMALL, bold: false, colour: GREY, align: HPos::Right };
        for (y, text) in ticks(self.y_range, 5) {
            let y = self.y(y);
            canvas.line(&[(self.left, y), (self.right, y)], RULE, 1.0)?;
            canvas.text(&text, (self.left - 8.0, y + 4.3), numbers)?;
        }
        for (x, text) in ticks(self.x_range, 8) {
            let x = self.x(x);
            canvas.line(&[(x, self.bottom), (x, self.bottom + 5.0)], GREY, 1.0)?;
            canvas.text(&text, (x, self.bottom + 19.0), Type { align: HPos::Center, ..numbers })?;
        }
        canvas.line(&[(self.left, self.bottom), (self.right, self.bottom)], GREY, 1.0)?;
        canvas.text(
            &panel.title,
            (self.left, self.top - 9.0),
            Type { em: 14.0, bold: true, colour: INK, align: HPos::Left },
        )?;
        let name = Type { em: SMALL, bold: false, colour: INK, align: HPos::Center };
        canvas.text_upwards(&panel.y_label, (self.left - 48.0, (self.top + self.bottom) / 2.0), name)?;
        if last {
            canvas.text("step", ((self.left + self.right) / 2.0, self.bottom + 42.0), name)?;
        }
        Ok(())
    }

    /// Each stretch of a line, after `shape` has been at it, cut off where it leaves the axes.
    fn curve<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<DB>,
        line: &Line,
        colour: RGBColor,
        width: f64,
        shape: impl Fn(&[Point], usize) -> Vec<Point>,
    ) -> Drawn<DB> {
        let stride = line.points.len().div_ceil(COLUMNS).max(1);
        for run in runs(&line.points) {
            for part in clip(&shape(run, stride), self.y_range) {
                let places: Vec<At> = part.into_iter().map(|p| self.at(p)).collect();
                match places[..] {
                    [one] => canvas.dot(one, 2.0, colour)?,
                    _ => canvas.line(&places, colour, width)?,
                }
            }
        }
        Ok(())
    }

    /// The names of the curves and of the dashed lines, at their right ends but never over each other.
    fn labels<DB: DrawingBackend>(&self, canvas: &Canvas<DB>, panel: &Panel) -> Drawn<DB> {
        let mut labels: Vec<(f64, &str, RGBColor, bool)> = Vec::new();
        for (line, &colour) in panel.lines.iter().zip(COLOURS.iter().cycle()) {
            if let Some(y) = end(line) {
                labels.push((self.y(y.clamp(self.y_range.0, self.y_range.1)), &line.label, colour, true));
            }
        }
        for (y, label) in panel.reference.iter().filter(|r| self.shows(r.0)) {
            labels.push((self.y(*y), label, GREY, false));
        }
        labels.sort_by(|a, b| a.0.total_cmp(&b.0));
        let wanted: Vec<f64> = labels.iter().map(|l| l.0).collect();
        let places = spread(&wanted, LABEL_STEP, self.top, self.bottom);
        for ((_, text, colour, bold), y) in labels.into_iter().zip(places) {
            canvas.text(
                text,
                (self.right + 8.0, y + 4.3),
                Type { em: SMALL, bold, colour, align: HPos::Left },
            )?;
        }
        Ok(())
    }

    /// Says so where points lie outside of the axes.
    fn note<DB: DrawingBackend>(&self, canvas: &Canvas<DB>, panel: &Panel) -> Drawn<DB> {
        let points = || panel.lines.iter().flat_map(|l| &l.points);
        let lost = points().filter(|&&p| !drawable(p)).count();
        let outside = points().filter(|&&p| drawable(p) && !self.shows(p.1)).count();
        let mut notes = Vec::new();
        if outside > 0 {
            notes.push(format!("{outside} of {} points beyond the axis", points().count()));
        }
        if lost > 0 {
            notes.push(format!("{lost} not finite"));
        }
        if points().next().is_none() {
            notes.push("no data".into());
        }
        let set = Type { em: 11.0, bold: false, colour: GREY, align: HPos::Right };
        canvas.text(&notes.join(", "), (self.right, self.top - 9.0), set)
    }
}

fn many(line: &Line) -> bool {
    line.points.len() > MANY
}

/// Where the curve as drawn ends.
fn end(line: &Line) -> Option<f64> {
    let run = runs(&line.points).last()?;
    let tail = if many(line) { run.len().div_ceil(50) } else { 1 };
    let tail = &run[run.len() - tail..];
    Some(tail.iter().map(|p| p.1).sum::<f64>() / tail.len() as f64)
}

/// A colour a third as strong, on white. Opaque, so that a curve that crosses itself stays even.
fn pale(RGBColor(r, g, b): RGBColor) -> RGBColor {
    let mix = |v: u8| (255.0 - (255.0 - v as f64) * 0.3) as u8;
    RGBColor(mix(r), mix(g), mix(b))
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
