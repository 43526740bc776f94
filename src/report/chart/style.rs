//! How curves are told apart.

use std::borrow::Cow;

use plotters::style::RGBColor;

use crate::report::colours::COLOURS;
use crate::report::plot::Line;

/// How a curve is drawn.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub colour: RGBColor,
    pub width: f64,
    pub dashed: bool,
}

impl Style {
    /// The name of a line, with a sample of it where the colour alone does not tell which it is.
    pub fn label(self, line: &Line) -> Cow<'_, str> {
        if self.dashed {
            Cow::Owned(format!("\u{2013} \u{2013} {}", line.label))
        } else {
            Cow::Borrowed(&line.label)
        }
    }
}

/// The styles of curves in turn: when the colours are used up, they come again in dashes.
pub(super) fn styles() -> impl Iterator<Item = Style> {
    let row = |dashed| COLOURS.into_iter().map(move |colour| Style { colour, width: 1.75, dashed });
    [false, true].into_iter().flat_map(row).cycle()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_rows_of_styles_differ() {
        let looks: Vec<_> = styles().take(2 * COLOURS.len() + 1).map(|s| (s.colour, s.dashed)).collect();
        let differ = (0..looks.len() - 1).all(|i| !looks[..i].contains(&looks[i]));
        assert!(differ && looks[0] == looks[looks.len() - 1]);
    }
}
