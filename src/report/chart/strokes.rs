//! What is drawn of a curve: all of its points, or their moving average.

use crate::report::curve::{Point, drawable, runs, smooth, thin, y_extent};
use crate::report::plot::{Line, Panel};

/// More points than this are drawn faint, with their moving average over them.
pub(super) const MANY: usize = 100;
/// Of more curves than this only the moving averages are drawn: faint ones would lie over each other.
const CROWD: usize = 4;
/// More points than this are thinned: there are no more columns of pixels.
const COLUMNS: usize = 750;
/// The moving average goes over this part of the curve.
const WINDOW: f64 = 0.04;

pub(in crate::report) fn many(line: &Line) -> bool {
    line.points.len() > MANY && !line.exact
}

pub(in crate::report) fn crowded(panel: &Panel) -> bool {
    panel.lines.len() > CROWD
}

/// Points of a line to a column of pixels.
pub(in crate::report) fn stride(line: &Line) -> usize {
    line.points.len().div_ceil(COLUMNS).max(1)
}

/// The stretches of a line as they are drawn strong: of one with many points the moving average, in which a spike that
/// leaves the axis has no part.
pub(in crate::report) fn average(line: &Line, (low, high): (f64, f64)) -> Vec<Vec<Point>> {
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
pub(super) fn end(line: &Line, y_range: (f64, f64)) -> Option<f64> {
    let drawn = average(line, y_range).into_iter().flatten().last();
    // All of it may lie beyond the axis.
    drawn.or_else(|| line.points.iter().copied().rfind(|&p| drawable(p))).map(|p| p.1)
}

/// The y range of a panel that does not say: of what it draws.
pub(in crate::report) fn automatic(panel: &Panel) -> (f64, f64) {
    let references: Vec<f64> = panel.reference.iter().map(|r| r.0).filter(|&y| drawable((0.0, y))).collect();
    let points = panel.lines.iter().chain(&panel.dots).flat_map(|l| &l.points).filter(|&&p| drawable(p));
    let range = y_extent(points.map(|p| p.1).collect(), &references);
    if !crowded(panel) {
        return range;
    }
    let strong = |line: &Line| average(line, range).into_iter().flatten().map(|p| p.1).collect::<Vec<_>>();
    y_extent(panel.lines.iter().flat_map(strong).collect(), &references)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
