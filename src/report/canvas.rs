//! Lines and text, the same on a picture of pixels and on a vector drawing.
//!
//! plotters takes whole numbers as coordinates, and its two backends place text and measure its size differently.
//! Here a drawing is in units of a CSS pixel with fractions, text stands on its baseline and its size is the em.

use std::sync::Once;

use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind};
use plotters::element::{Circle, PathElement, Text};
use plotters::prelude::{DrawingBackend, IntoFont};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, FontTransform, RGBColor, TextStyle, register_font};

use super::colours::INK;
use super::curve::dashes;

/// The result of drawing something.
pub(super) type Drawn<DB> = Result<(), DrawingAreaErrorKind<<DB as DrawingBackend>::ErrorType>>;

/// A position on the canvas: to the right and down from the upper left corner.
pub(super) type At = (f64, f64);

/// plotters' units per unit of the canvas, so that whole numbers are fine enough.
pub(super) const UNITS: u32 = 4;

/// The family that vector drawings ask for, and what the bundled font is registered as.
const FAMILY: &str = "sans-serif";

/// What differs between plotters' backends.
#[derive(Clone, Copy)]
pub(super) struct Traits {
    /// plotters' font size for an em of 1.
    size: f64,
    /// From the top anchor of a text down to its baseline, in ems.
    baseline: f64,
    /// Whether corners of thick lines come out right.
    corners: bool,
}

/// plotters takes an SVG font to be 1.24 times its em and puts the top 0.76 em above the baseline.
pub(super) const SVG: Traits = Traits { size: 1.24, baseline: 0.76, corners: true };
/// ab_glyph takes the size for ascent plus descent, 1.362 em in Noto Sans, and plotters puts the baseline at half of it.
/// Thick lines are filled as one polygon, whose corners run far out where a curve turns sharply.
pub(super) const BITMAP: Traits = Traits { size: 1.362, baseline: 1.362 / 2.0, corners: false };

/// How text is set.
#[derive(Clone, Copy)]
pub(super) struct Type {
    pub em: f64,
    pub bold: bool,
    pub colour: RGBColor,
    pub align: HPos,
}

/// A surface that a plot is drawn on.
pub(super) struct Canvas<DB: DrawingBackend> {
    area: DrawingArea<DB, Shift>,
    traits: Traits,
}

impl<DB: DrawingBackend> Canvas<DB> {
    pub(super) fn new(area: DrawingArea<DB, Shift>, traits: Traits) -> Canvas<DB> {
        register_fonts();
        Canvas { area, traits }
    }

    pub(super) fn present(&self) -> Drawn<DB> {
        self.area.present()
    }

    pub(super) fn fill(&self, colour: RGBColor) -> Drawn<DB> {
        self.area.fill(&colour)
    }

    pub(super) fn line(&self, points: &[At], colour: RGBColor, width: f64) -> Drawn<DB> {
        let style = colour.stroke_width(units(width).max(1) as u32);
        let draw = |part: &[At]| {
            self.area.draw(&PathElement::new(part.iter().map(|&p| place(p)).collect::<Vec<_>>(), style))
        };
        if self.traits.corners {
            return draw(points);
        }
        // Each segment by itself, and a dot to round off the corner between two.
        for (i, segment) in points.windows(2).enumerate() {
            draw(segment)?;
            if i > 0 && width > 1.0 {
                self.dot(segment[0], width / 2.0, colour)?;
            }
        }
        Ok(())
    }

    /// A line in dashes.
    pub(super) fn dashes(&self, points: &[At], colour: RGBColor, width: f64) -> Drawn<DB> {
        let (on, off) = (4.0 + width, 4.0);
        dashes(points, on, off).iter().try_for_each(|part| self.line(part, colour, width))
    }

    pub(super) fn dot(&self, at: At, radius: f64, colour: impl Color) -> Drawn<DB> {
        self.area.draw(&Circle::new(place(at), units(radius), colour.filled()))
    }

    /// Text with its baseline through `at`.
    pub(super) fn text(&self, text: &str, at: At, set: Type) -> Drawn<DB> {
        let top = (at.0, at.1 - set.em * self.traits.baseline);
        self.area.draw(&Text::new(text.to_owned(), place(top), self.style(set, FontTransform::None)))
    }

    /// The title of a drawing, its baseline from `at` on.
    pub(super) fn heading(&self, text: &str, at: At) -> Drawn<DB> {
        self.text(text, at, Type { em: 18.0, bold: true, colour: INK, align: HPos::Left })
    }

    /// Text that runs upwards, its baseline through `at`.
    pub(super) fn text_upwards(&self, text: &str, at: At, set: Type) -> Drawn<DB> {
        let top = (at.0 - set.em * self.traits.baseline, at.1);
        self.area.draw(&Text::new(text.to_owned(), place(top), self.style(set, FontTransform::Rotate270)))
    }

    fn style(&self, set: Type, transform: FontTransform) -> TextStyle<'static> {
        let style = if set.bold { FontStyle::Bold } else { FontStyle::Normal };
        let font = (FAMILY, set.em * self.traits.size * UNITS as f64, style).into_font().transform(transform);
        let pos = Pos::new(set.align, VPos::Top);
        TextStyle { font, color: set.colour.to_backend_color(), pos }
    }
}

/// A text, or where it is wider than that its beginning and end: names of runs often differ only in one of them.
pub(super) fn fit(text: &str, em: f64, width: f64) -> String {
    let letters: Vec<char> = text.chars().collect();
    let without = |n: usize| {
        let kept = letters.len() - n;
        let (head, tail) = (kept.div_ceil(2), kept / 2);
        letters[..head].iter().chain(&['…']).chain(&letters[letters.len() - tail..]).collect::<String>()
    };
    if text_width(text, em) <= width {
        return text.to_owned();
    }
    let mut shortened = (1..=letters.len()).map(without);
    shortened.find(|t| text_width(t, em) <= width).unwrap_or_default()
}

/// The width of a text in the bundled font.
pub(super) fn text_width(text: &str, em: f64) -> f64 {
    register_fonts();
    let size = 100.0;
    let (width, _) = (FAMILY, size * BITMAP.size).into_font().box_size(text).unwrap_or((0, 0));
    width as f64 * em / size
}

fn units(length: f64) -> i32 {
    (length * UNITS as f64).round() as i32
}

fn place(at: At) -> (i32, i32) {
    (units(at.0), units(at.1))
}

/// Noto Sans, so that a picture is the same on every machine, with fonts or without.
fn register_fonts() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let fonts = [(FontStyle::Normal, notosans::REGULAR_TTF), (FontStyle::Bold, notosans::BOLD_TTF)];
        for (style, bytes) in fonts {
            assert!(register_font(FAMILY, style, bytes).is_ok(), "the bundled font is sound");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_wide_keeps_both_ends() {
        let name = "00003-mnist-dcgan28-small-lr-4";
        assert_eq!(fit(name, 12.0, 1000.0), name);
        for width in [150.0, 80.0, 40.0] {
            let short = fit(name, 12.0, width);
            assert!(text_width(&short, 12.0) <= width, "{short}");
            let (head, tail) = short.split_once('…').unwrap();
            assert!(!head.is_empty() && name.starts_with(head) && name.ends_with(tail), "{short}");
        }
        assert_eq!(fit(name, 12.0, 1.0), "");
    }
}
