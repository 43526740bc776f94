//! The axes of a panel, and the curves and points between them.

use plotters::prelude::DrawingBackend;
use plotters::style::Color;
use plotters::style::text_anchor::HPos;

use super::SMALL;
use super::names::LABEL_STEP;
use super::place::{LEFT, Place};
use super::strokes::{MANY, average, crowded, many, stride};
use super::style::{Style, styles};
use crate::report::canvas::{At, Canvas, Drawn, Type, text_width};
use crate::report::colours::{GREY, INK, RULE, TICK, pale};
use crate::report::curve::{Point, clip, drawable, runs, thin};
use crate::report::plot::{Panel, Scale};
use crate::report::ticks::{Tick, log_ticks, ticks, whole_ticks};

/// About so many numbers stand along a y axis.
const Y_TICKS: usize = 5;

/// The axes of one panel: where they lie, what they span, and what is drawn in them.
pub(super) struct Frame<'a> {
    pub place: Place,
    pub x_range: (f64, f64),
    pub y_range: (f64, f64),
    /// Its values are as they lie along the axis.
    pub panel: &'a Panel,
}

impl Frame<'_> {
    pub(super) fn x(&self, x: f64) -> f64 {
        let Place { left, right, .. } = self.place;
        left + (x - self.x_range.0) / (self.x_range.1 - self.x_range.0) * (right - left)
    }

    pub(super) fn y(&self, y: f64) -> f64 {
        let Place { top, bottom, .. } = self.place;
        bottom - (y - self.y_range.0) / (self.y_range.1 - self.y_range.0) * (bottom - top)
    }

    pub(super) fn at(&self, p: Point) -> At {
        (self.x(p.0), self.y(p.1))
    }

    pub(super) fn shows(&self, y: f64) -> bool {
        (self.y_range.0..=self.y_range.1).contains(&y)
    }

    pub(super) fn spans(&self, x: f64) -> bool {
        (self.x_range.0..=self.x_range.1).contains(&x)
    }

    pub(super) fn draw<DB: DrawingBackend>(
        &self,
        canvas: &Canvas<DB>,
        whole: bool,
        x_label: &str,
    ) -> Drawn<DB> {
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
            canvas.dashes(&[(self.place.left, self.y(*y)), (self.place.right, self.y(*y))], GREY, 1.0)?;
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
        let Place { left, right, top, bottom, .. } = self.place;
        let mut widest: f64 = 0.0;
        for (y, text) in self.y_ticks() {
            let y = self.y(y);
            if text.is_empty() {
                canvas.line(&[(left - 4.0, y), (left, y)], TICK, 1.0)?;
                continue;
            }
            canvas.line(&[(left, y), (right, y)], RULE, 1.0)?;
            canvas.text(&text, (left - 8.0, y + 4.3), numbers)?;
            widest = widest.max(text_width(&text, SMALL));
        }
        // As many as have room for their numbers.
        let room = ((right - left) / 75.0).round().min(8.0) as usize;
        let x_count = if self.panel.square { Y_TICKS } else { room };
        let x_ticks = if whole { whole_ticks } else { ticks };
        for (x, text) in x_ticks(self.x_range, x_count) {
            let x = self.x(x);
            canvas.line(&[(x, bottom), (x, bottom + 5.0)], GREY, 1.0)?;
            canvas.text(&text, (x, bottom + 19.0), Type { align: HPos::Center, ..numbers })?;
        }
        canvas.line(&[(left, bottom), (right, bottom)], GREY, 1.0)?;
        canvas.text(
            &self.panel.title,
            (left, top - if self.has_legend() { 9.0 + LABEL_STEP } else { 9.0 }),
            Type { em: 14.0, bold: true, colour: INK, align: HPos::Left },
        )?;
        let name = Type { em: SMALL, bold: false, colour: INK, align: HPos::Center };
        let beside = left - (widest + 20.0).clamp(48.0, LEFT - SMALL);
        canvas.text_upwards(&self.panel.y_label, (beside, (top + bottom) / 2.0), name)?;
        let centre = ((left + right) / 2.0, bottom + if self.panel.has_own_x() { 37.0 } else { 42.0 });
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
}
