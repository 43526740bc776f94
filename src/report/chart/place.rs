//! Where the panels of a page stand.

use super::names::{LABEL_STEP, label_widths};
use crate::report::plot::Panel;

/// Left of a panel's axes, for the numbers and the name of its y axis.
pub(super) const LEFT: f64 = 76.0;
/// Above the first panel, with the title.
const TOP: f64 = 48.0;
/// Above a panel's axes is its title, below them are the numbers.
const ABOVE: f64 = 30.0;
const BELOW: f64 = 40.0;
/// The same with the name of an x axis.
const BELOW_NAMED: f64 = 62.0;
/// Under the last panel, for the name of the x axis.
const BOTTOM: f64 = 20.0;
/// A page of one column.
const WIDTH: f64 = 960.0;
/// Square panels side by side, at most and, so that one alone does not fill the page, at least.
const ABREAST: usize = 4;
const FEWEST: usize = 3;
/// Right of a square panel's axes.
const BESIDE: f64 = 14.0;

/// Where a panel's axes stand.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    /// The room right of them, for labels.
    pub room: f64,
    /// Whether no panel is below it.
    pub last: bool,
}

/// The places of panels in so many columns, and the size of the page. In one column, square panels that follow each
/// other stand in rows.
pub(super) fn places(panels: &[Panel], columns: usize) -> (Vec<Place>, (f64, f64)) {
    let (width, axes) = if columns == 1 { (WIDTH, 250.0) } else { (600.0, 190.0) };
    let mut places: Vec<Place> = Vec::with_capacity(panels.len());
    let mut top = TOP;
    while places.len() < panels.len() {
        let first = places.len();
        let squares = if columns == 1 { panels[first..].iter().take_while(|p| p.square).count() } else { 0 };
        // Rows of squares are filled evenly.
        let abreast = squares.div_ceil(squares.div_ceil(ABREAST).max(1)).max(columns);
        let row = &panels[first..panels.len().min(first + abreast)];
        let above = ABOVE + if squares > 0 { LABEL_STEP } else { 0.0 };
        let width = if squares > 0 { WIDTH / abreast.max(FEWEST) as f64 } else { width };
        let height = if squares > 0 { width - LEFT - BESIDE } else { axes };
        for column in 0..row.len() {
            let room = if squares > 0 { BESIDE } else { label_room(panels, column, columns, width) };
            let left = width * column as f64;
            places.push(Place {
                left: left + LEFT,
                right: left + width - room,
                top: top + above,
                bottom: top + above + height,
                room,
                last: first + column + columns >= panels.len(),
            });
        }
        let named = row.iter().any(|p| !p.x_label.is_empty());
        top += above + height + if named { BELOW_NAMED } else { BELOW };
    }
    (places, (width * columns as f64, top + BOTTOM))
}

/// The room that the labels of a column of panels need.
fn label_room(panels: &[Panel], column: usize, columns: usize, width: f64) -> f64 {
    let column = panels.iter().skip(column).step_by(columns).filter(|p| !p.square);
    (column.flat_map(label_widths).fold(0.0, f64::max) + 24.0).clamp(30.0, width / 3.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares_stand_side_by_side_and_other_panels_below_each_other() {
        let square = || Panel { square: true, ..Panel::default() };
        let panels = [Panel::default(), square(), square(), square(), square(), square(), Panel::default()];
        let (places, (width, height)) = places(&panels, 1);
        let rows: Vec<usize> =
            places.iter().map(|p| places.iter().filter(|q| q.top == p.top).count()).collect();
        assert_eq!(rows, [1, 3, 3, 3, 2, 2, 1]);
        for p in &places {
            assert!(p.left < p.right && p.right + p.room <= width + 1e-9 && p.bottom < height);
        }
        for p in &places[1..6] {
            assert!(((p.right - p.left) - (p.bottom - p.top)).abs() < 1e-9);
        }
        assert!(places[5].bottom < places[6].top && places[6].last && !places[5].last);
    }

    #[test]
    fn columns_are_filled_row_by_row() {
        let (places, size) = places(&vec![Panel::default(); 5], 2);
        assert_eq!(places.iter().map(|p| p.last).collect::<Vec<_>>(), [false, false, false, true, true]);
        assert_eq!((places[0].top, places[4].left), (places[1].top, places[2].left));
        assert_eq!(size, (1200.0, TOP + BOTTOM + 3.0 * (ABOVE + 190.0 + BELOW)));
    }
}
