//! Axes on which a unit is as long to the right as upwards.

use plotters::prelude::DrawingBackend;
use plotters::style::RGBColor;
use plotters::style::text_anchor::HPos;

use super::cloud::Cloud;
use crate::report::canvas::{At, Canvas, Drawn, Type};
use crate::report::colours::{GREY, RULE};
use crate::report::curve::{around, drawable, extent};
use crate::report::ticks::ticks;

/// The room on either side of the first cloud, as a part of its extent.
const ROOM: f64 = 0.15;

/// The square that axes are drawn in.
#[derive(Clone, Copy)]
pub(super) struct Frame {
    pub left: f64,
    pub top: f64,
    pub side: f64,
}

impl Frame {
    fn right(&self) -> f64 {
        self.left + self.side
    }

    fn bottom(&self) -> f64 {
        self.top + self.side
    }

    /// Draws the square.
    pub(super) fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>, colour: RGBColor) -> Drawn<DB> {
        let (left, top, right, bottom) = (self.left, self.top, self.right(), self.bottom());
        canvas.line(&[(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], colour, 1.0)
    }
}

/// The ends of both axes, as far apart on one as on the other.
pub(super) struct Axes {
    x: (f64, f64),
    y: (f64, f64),
    pub frame: Frame,
}

impl Axes {
    /// With all of a cloud between them.
    pub(super) fn around(cloud: Option<&Cloud>, frame: Frame) -> Axes {
        let points = || cloud.into_iter().flat_map(Cloud::places).filter(|&p| drawable(p));
        let (x, y) = (extent(points().map(|p| p.0)), extent(points().map(|p| p.1)));
        let half = (x.1 - x.0).max(y.1 - y.0) * (0.5 + ROOM);
        Axes { x: around(x, half), y: around(y, half), frame }
    }

    /// Whether a point lies between them; not if it is not finite.
    pub(super) fn shows(&self, (x, y): (f64, f64)) -> bool {
        (self.x.0..=self.x.1).contains(&x) && (self.y.0..=self.y.1).contains(&y)
    }

    /// Where a point is on the canvas.
    pub(super) fn at(&self, (x, y): (f64, f64)) -> At {
        let Frame { left, top, side } = self.frame;
        let part = |v: f64, (low, high): (f64, f64)| (v - low) / (high - low) * side;
        (left + part(x, self.x), top + side - part(y, self.y))
    }

    /// The frame, with rules at round numbers of both axes.
    pub(super) fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Drawn<DB> {
        let Frame { left, top, .. } = self.frame;
        let (right, bottom) = (self.frame.right(), self.frame.bottom());
        let numbers = Type { em: 12.0, bold: false, colour: GREY, align: HPos::Right };
        for (y, text) in ticks(self.y, 6) {
            let y = self.at((self.x.0, y)).1;
            canvas.line(&[(left, y), (right, y)], RULE, 1.0)?;
            canvas.text(&text, (left - 8.0, y + 4.3), numbers)?;
        }
        for (x, text) in ticks(self.x, 6) {
            let x = self.at((x, self.y.0)).0;
            canvas.line(&[(x, top), (x, bottom)], RULE, 1.0)?;
            canvas.text(&text, (x, bottom + 19.0), Type { align: HPos::Center, ..numbers })?;
        }
        self.frame.draw(canvas, GREY)
    }
}
