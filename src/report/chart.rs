//! A plot of panels: title, axes, curves and their labels.

use std::borrow::Cow;

use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::HPos;
use plotters::style::{Color, RGBColor};

use super::canvas::{At, Canvas, Drawn, Type, fit, text_width};
use super::curve::{Point, clip, drawable, extent, runs, smooth, thin, y_extent};
use super::place::{LEFT, places};
use super::plot::{Axis, Line, Panel, Scale};
use super::ticks::{Tick, log_ticks, ticks, whole_ticks};

/// Okabe and Ito's palette, which people with any colour vision can tell apart, without its yellow, in which no text can
/// be read on white.
pub(super) const COLOURS: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0x00, 0x00, 0x00),
];
pub(super) const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
pub(super) const GREY: RGBColor = RGBColor(0x66, 0x66, 0x66);
pub(super) const RULE: RGBColor = RGBColor(0xE6, 0xE6, 0xE6);
pub(super) const WHITE: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);
/// Short ticks between rules.
const TICK: RGBColor = RGBColor(0xB0, 0xB0, 0xB0);

const SMALL: f64 = 12.0;
/// Between the baselines of labels that would otherwise overlap.
pub(super) const LABEL_STEP: f64 = 15.0;

/// About so many numbers stand along a y axis.
const Y_TICKS: usize = 5;
/// More points than this are drawn faint, with their moving average over them.
const MANY: usize = 100;
/// Of more curves than this only the moving averages are drawn: faint ones would lie over each other.
const CROWD: usize = 4;
/// More points than this are thinned: there are no more columns of pixels.
const COLUMNS: usize = 750;
/// The moving average goes over this part of the curve.
const WINDOW: f64 = 0.04;

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
        canvas.text(
            self.title,
            (LEFT, 32.0),
            Type { em: 18.0, bold: true, colour: INK, align: HPos::Left },
        )?;
        let shared = panels.iter().filter(|p| !p.has_own_x()).flat_map(xs);
        let x_range = extent(shared);
        for (panel, place) in panels.iter().zip(places(panels, self.columns).0) {
            let shown = along_axis(panel);
            let given = shown.y_range.filter(|(low, high)| low < high && drawable((*low, *high)));
            let mut frame = Frame {
                left: place.left,
                right: place.right,
                top: place.top,
                bottom: place.bottom,
                x_range: if panel.has_own_x() { extent(xs(&shown)) } else { x_range },
                y_range: given.unwrap_or_else(|| automatic(&shown)),
                label_width: place.room - 12.0,
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
    let around = |(low, high): (f64, f64)| ((low + high) / 2.0 - half, (low + high) / 2.0 + half);
    (around(x), around(y))
}

/// How wide the labels of a panel are; a vector drawing may be shown in a wider font.
pub(super) fn label_widths(panel: &Panel) -> impl Iterator<Item = f64> {
    let lines = panel.lines.iter().chain(&panel.dots).zip(styles()).map(|(line, style)| style.label(line));
    let labels = lines.chain(panel.reference.iter().map(|r| Cow::Borrowed(&*r.1)));
    labels.map(|label| text_width(&label, SMALL) * 1.15)
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

/// The y range of a panel that does not say: of what it draws.
fn automatic(panel: &Panel) -> (f64, f64) {
    let references: Vec<f64> = panel.reference.iter().map(|r| r.0).filter(|&y| drawable((0.0, y))).collect();
    let points = panel.lines.iter().chain(&panel.dots).flat_map(|l| &l.points).filter(|&&p| drawable(p));
    let range = y_extent(points.map(|p| p.1).collect(), &references);
    if !crowded(panel) {
        return range;
    }
    let strong = |line: &Line| average(line, range).into_iter().flatten().map(|p| p.1).collect::<Vec<_>>();
    y_extent(panel.lines.iter().flat_map(strong).collect(), &references)
}

/// The axes of one panel: where they lie, what they span, and what is drawn in them.
struct Frame<'a> {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    x_range: (f64, f64),
    y_range: (f64, f64),
    /// The room for labels.
    label_width: f64,
    /// Its values are as they lie along the axis.
    panel: &'a Panel,
}

impl Frame<'_> {
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

    fn spans(&self, x: f64) -> bool {
        (self.x_range.0..=self.x_range.1).contains(&x)
    }

    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>, whole: bool, x_label: &str) -> Drawn<DB> {
        self.axes(canvas, whole, x_label)?;
        let styled = || self.panel.lines.iter().zip(styles());
        // The faint curves come first, since they would hide the rest.
        if !crowded(self.panel) {
            for (line, style) in styled().filter(|(line, _)| many(line)) {
                let faint = Style { colour: pale(style.colour), width: 0.75, dashed: false };
                let parts = runs(&line.points).map(|run| thin(run, stride(line)));
                self.curve(canvas, parts, faint)?;
            }
        }
        for (y, _) in self.panel.reference.iter().filter(|r| self.shows(r.0)) {
            canvas.dashes(&[(self.left, self.y(*y)), (self.right, self.y(*y))], GREY, 1.0)?;
        }
        for (line, style) in styled() {
            self.curve(canvas, average(line, self.y_range), style)?;
        }
        self.dots(canvas)?;
        if self.panel.square { self.legend(canvas) } else { self.labels(canvas) }
    }

    fn dots<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Drawn<DB> {
        for (set, style) in self.panel.dots.iter().zip(styles().skip(self.panel.lines.len())) {
            // Where points of a crowd lie on each other, their number shows.
            let (radius, opacity) = if set.points.len() > MANY { (1.25, 0.5) } else { (3.0, 1.0) };
            let inside = |p: &&Point| drawable(**p) && self.shows(p.1) && self.spans(p.0);
            for p in set.points.iter().filter(inside) {
                canvas.dot(self.at(*p), radius, style.colour.mix(opacity))?;
            }
        }
        Ok(())
    }

    fn axes<DB: DrawingBackend>(&self, canvas: &Canvas<DB>, whole: bool, x_label: &str) -> Drawn<DB> {
        let numbers = Type { em: SMALL, bold: false, colour: GREY, align: HPos::Right };
        let mut widest: f64 = 0.0;
        for (y, text) in self.y_ticks() {
            let y = self.y(y);
            if text.is_empty() {
                canvas.line(&[(self.left - 4.0, y), (self.left, y)], TICK, 1.0)?;
                continue;
            }
            canvas.line(&[(self.left, y), (self.right, y)], RULE, 1.0)?;
            canvas.text(&text, (self.left - 8.0, y + 4.3), numbers)?;
            widest = widest.max(text_width(&text, SMALL));
        }
        // As many as have room for their numbers.
        let room = ((self.right - self.left) / 75.0).round().min(8.0) as usize;
        let x_count = if self.panel.square { Y_TICKS } else { room };
        let x_ticks = if whole { whole_ticks } else { ticks };
        for (x, text) in x_ticks(self.x_range, x_count) {
            let x = self.x(x);
            canvas.line(&[(x, self.bottom), (x, self.bottom + 5.0)], GREY, 1.0)?;
            canvas.text(&text, (x, self.bottom + 19.0), Type { align: HPos::Center, ..numbers })?;
        }
        canvas.line(&[(self.left, self.bottom), (self.right, self.bottom)], GREY, 1.0)?;
        canvas.text(
            &self.panel.title,
            (self.left, self.top - if self.has_legend() { 9.0 + LABEL_STEP } else { 9.0 }),
            Type { em: 14.0, bold: true, colour: INK, align: HPos::Left },
        )?;
        let name = Type { em: SMALL, bold: false, colour: INK, align: HPos::Center };
        let beside = self.left - (widest + 20.0).clamp(48.0, LEFT - SMALL);
        canvas.text_upwards(&self.panel.y_label, (beside, (self.top + self.bottom) / 2.0), name)?;
        let centre =
            ((self.left + self.right) / 2.0, self.bottom + if self.panel.has_own_x() { 37.0 } else { 42.0 });
        canvas.text(x_label, centre, name)
    }

    fn y_ticks(&self) -> Vec<Tick> {
        match self.panel.y_scale {
            Scale::Linear => ticks(self.y_range, Y_TICKS),
            Scale::Log => log_ticks(self.y_range),
        }
    }

    /// The stretches of a line, cut off where they leave the axes.
    fn curve<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<DB>,
        stretches: impl IntoIterator<Item = Vec<Point>>,
        style: Style,
    ) -> Drawn<DB> {
        for part in stretches.into_iter().flat_map(|run| clip(&run, self.y_range)) {
            let places: Vec<At> = part.into_iter().map(|p| self.at(p)).collect();
            match places[..] {
                [one] => canvas.dot(one, 2.0, style.colour)?,
                _ if style.dashed => canvas.dashes(&places, style.colour, style.width)?,
                _ => canvas.line(&places, style.colour, style.width)?,
            }
        }
        Ok(())
    }

    /// Whether names stand above the axes.
    fn has_legend(&self) -> bool {
        self.panel.square && self.panel.lines.iter().chain(&self.panel.dots).any(|l| !l.label.is_empty())
    }

    /// The names of the curves and of the points, side by side above the axes.
    fn legend<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Drawn<DB> {
        let mut left = self.left;
        let named = self.panel.lines.iter().chain(&self.panel.dots).zip(styles());
        for (line, style) in named.filter(|(line, _)| !line.label.is_empty()) {
            let text = style.label(line);
            canvas.dot((left + 4.0, self.top - 13.0), 3.5, style.colour)?;
            let set = Type { em: SMALL, bold: true, colour: style.colour, align: HPos::Left };
            canvas.text(&text, (left + 12.0, self.top - 9.0), set)?;
            left += 12.0 + text_width(&text, SMALL) * 1.15 + 10.0;
        }
        Ok(())
    }

    /// The names of the curves and of the dashed lines, at their right ends but never over each other.
    fn labels<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Drawn<DB> {
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
        let places = spread(&wanted, LABEL_STEP, self.top, self.bottom);
        for ((_, text, colour, bold), y) in labels.into_iter().zip(places) {
            canvas.text(
                &fit(&text, SMALL, self.label_width),
                (self.right + 8.0, y + 4.3),
                Type { em: SMALL, bold, colour, align: HPos::Left },
            )?;
        }
        Ok(())
    }

    /// Says so where points of the panel as it was given lie outside of the axes.
    fn note<DB: DrawingBackend>(&self, canvas: &Canvas<DB>, given: &Panel) -> Drawn<DB> {
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
        canvas.text(&notes.join(", "), (self.right, self.top - 9.0), set)
    }
}

/// How a curve is drawn.
#[derive(Clone, Copy)]
struct Style {
    colour: RGBColor,
    width: f64,
    dashed: bool,
}

impl Style {
    /// The name of a line, with a sample of it where the colour alone does not tell which it is.
    fn label(self, line: &Line) -> Cow<'_, str> {
        if self.dashed {
            Cow::Owned(format!("\u{2013} \u{2013} {}", line.label))
        } else {
            Cow::Borrowed(&line.label)
        }
    }
}

/// The styles of curves in turn: when the colours are used up, they come again in dashes.
fn styles() -> impl Iterator<Item = Style> {
    let row = |dashed| COLOURS.into_iter().map(move |colour| Style { colour, width: 1.75, dashed });
    [false, true].into_iter().flat_map(row).cycle()
}

fn many(line: &Line) -> bool {
    line.points.len() > MANY && !line.exact
}

fn crowded(panel: &Panel) -> bool {
    panel.lines.len() > CROWD
}

/// Points of a line to a column of pixels.
fn stride(line: &Line) -> usize {
    line.points.len().div_ceil(COLUMNS).max(1)
}

/// The stretches of a line as they are drawn strong: of one with many points the moving average, in which a spike that
/// leaves the axis has no part.
fn average(line: &Line, (low, high): (f64, f64)) -> Vec<Vec<Point>> {
    let stride = stride(line);
    if !many(line) {
        return runs(&line.points).map(|run| thin(run, stride)).collect();
    }
    let smoothed = |run: &[Point]| {
        let shown: Vec<Point> = run.iter().copied().filter(|p| (low..=high).contains(&p.1)).collect();
        smooth(&shown, stride, (shown.len() as f64 * WINDOW / 2.0 / stride as f64).ceil() as usize)
    };
    runs(&line.points).map(smoothed).collect()
}

/// Where the curve as drawn ends.
fn end(line: &Line, y_range: (f64, f64)) -> Option<f64> {
    let drawn = average(line, y_range).into_iter().flatten().last();
    // All of it may lie beyond the axis.
    drawn.or_else(|| line.points.iter().copied().rfind(|&p| drawable(p))).map(|p| p.1)
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
    #[test]
    fn a_spike_beyond_the_axis_has_no_part_in_the_average() {
        let points = (0..1000).map(|i| (i as f64, 1.0)).collect();
        let mut line = Line { label: "D".into(), points, exact: false };
        line.points[500].1 = 1e6;
        let strong = average(&line, (0.0, 2.0)).concat();
        assert!(strong.len() > 400 && strong.iter().all(|p| (p.1 - 1.0).abs() < 1e-12));
        assert_eq!(end(&line, (0.0, 2.0)), Some(1.0));
        // Nor does it stretch the axis of a panel whose faint curves are left out.
        let mut other = line.clone();
        other.points.iter_mut().for_each(|p| p.1 += 0.25 * (p.0 % 2.0));
        let lines = [vec![line], vec![other; CROWD]].concat();
        let (low, high) = automatic(&Panel { lines, ..Panel::default() });
        assert!(low > 0.9 && low < 1.0 && high > 1.1 && high < 1.3, "{low} {high}");
    }

    #[test]
    fn what_has_no_noise_keeps_its_corners() {
        let points: Vec<Point> = (0..1000).map(|i| (i as f64, (i as f64).min(300.0))).collect();
        let line = Line { label: "lr".into(), points: points.clone(), exact: true };
        assert_eq!(average(&line, (0.0, 300.0)), [points]);
    }

    #[test]
    fn two_rows_of_styles_differ() {
        let looks: Vec<_> = styles().take(2 * COLOURS.len() + 1).map(|s| (s.colour, s.dashed)).collect();
        let differ = (0..looks.len() - 1).all(|i| !looks[..i].contains(&looks[i]));
        assert!(differ && looks[0] == looks[looks.len() - 1]);
    }
}
