//! Clouds of points, and what is drawn of them on any axes.

use plotters::prelude::DrawingBackend;
use plotters::style::text_anchor::HPos;
use plotters::style::{Color, RGBColor};

use super::axes::Axes;
use crate::report::canvas::{At, Canvas, Drawn, Type, text_width};
use crate::report::colours::COLOURS;

/// Where points lie on each other, their number shows.
const OPACITY: f64 = 0.5;
const SMALL: f64 = 12.0;

/// A set of points of one colour.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cloud {
    /// Its name in the legend.
    pub label: String,
    /// The points, as (x, y).
    pub points: Vec<[f32; 2]>,
}

impl Cloud {
    /// Its points as the axes take them.
    pub(super) fn places(&self) -> impl Iterator<Item = (f64, f64)> + Clone {
        self.points.iter().map(|p| (p[0] as f64, p[1] as f64))
    }
}

fn coloured(clouds: &[Cloud]) -> impl Iterator<Item = (&Cloud, RGBColor)> {
    clouds.iter().zip(COLOURS.into_iter().cycle())
}

/// The names side by side, each behind a dot; `at` is where their baseline begins.
pub(super) fn legend<DB: DrawingBackend>(canvas: &Canvas<DB>, clouds: &[Cloud], at: At) -> Drawn<DB> {
    let (mut left, baseline) = at;
    for (cloud, colour) in coloured(clouds) {
        canvas.dot((left + 4.0, baseline - 4.3), 4.0, colour)?;
        let set = Type { em: SMALL, bold: true, colour, align: HPos::Left };
        canvas.text(&cloud.label, (left + 13.0, baseline), set)?;
        // A vector drawing may be shown in a wider font.
        left += 13.0 + text_width(&cloud.label, SMALL) * 1.15 + 16.0;
    }
    Ok(())
}

/// The points that the axes show, the first cloud at the bottom.
pub(super) fn dots<DB: DrawingBackend>(
    canvas: &Canvas<DB>,
    clouds: &[Cloud],
    axes: &Axes,
    radius: f64,
) -> Drawn<DB> {
    for (cloud, colour) in coloured(clouds) {
        for p in cloud.places().filter(|&p| axes.shows(p)) {
            canvas.dot(axes.at(p), radius, colour.mix(OPACITY))?;
        }
    }
    Ok(())
}
