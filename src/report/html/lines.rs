//! Curves.

use super::frame::{Frame, HEIGHT, Key, WIDTH, class, placed};
use super::text::shown;
use crate::report::chart::strokes::{automatic, average, crowded, many, stride};
use crate::report::curve::{Point, clip, drawable, extent, runs, thin};
use crate::report::plot::{Axis, Line, Panel, Scale};
use crate::report::ticks::{Tick, log_ticks, ticks, whole_ticks};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Records whose values a reader can look up in a plot: more would make the page heavy, and no finger finds them.
const LOOKED_UP: usize = 400;

/// Of a line with so many points, or less, each is marked.
const FEW: usize = 12;

/// A panel's curves over an axis.
pub(super) fn html(panel: &Panel, axis: Axis, hint: &str) -> String {
    let drawn = along_axis(panel);
    let points = || drawn.lines.iter().flat_map(|l| &l.points).filter(|&&p| drawable(p));
    let x = extent(points().map(|p| p.0));
    let given = panel.y_range.filter(|(low, high)| low < high && drawable((*low, *high)));
    let y = given.unwrap_or_else(|| automatic(&drawn));
    let numbers = match panel.y_scale {
        Scale::Linear => ticks(y, 5),
        Scale::Log => log_numbers(y),
    };
    let steps = if axis.whole() { whole_ticks(x, 5) } else { ticks(x, 5) };
    let reference = drawn.reference.iter().filter(|r| (y.0..=y.1).contains(&r.0));
    let marks = reference.map(|r| r.1.clone()).collect();
    let last = |l: &Line| l.points.iter().rfind(|p| p.1.is_finite()).map_or("no data".into(), |p| shown(p.1));
    let frame = Frame {
        title: &panel.title,
        unit: &panel.y_label,
        x_label: axis.label(),
        keys: panel.lines.iter().map(|l| Key { name: l.label.clone(), last: last(l) }).collect(),
        x_ticks: placed(steps, x),
        y_ticks: placed(numbers, y),
        marks,
        drawing: drawing(&drawn, x, y),
        notes: vec![hint.into(), left_out(panel, &drawn, y)],
        data: looked_up(panel, axis, x, y),
    };
    frame.html()
}

/// Numbers of a logarithmic axis, whose ends are powers of ten: more of them where round ones are too few.
fn log_numbers((low, high): (f64, f64)) -> Vec<Tick> {
    let usual = log_ticks((low, high));
    if usual.iter().filter(|t| !t.1.is_empty()).count() > 2 {
        return usual;
    }
    let linear = ticks((10f64.powf(low), 10f64.powf(high)), 7);
    linear.into_iter().filter(|t| t.0 > 0.0).map(|(v, text)| (v.log10(), text)).collect()
}

/// The panel with values in units of its axis: logarithms where that is logarithmic, where what is not above 0 has no place.
fn along_axis(panel: &Panel) -> Panel {
    let mut panel = panel.clone();
    if panel.y_scale == Scale::Log {
        let place = |v: f64| if v > 0.0 { v.log10() } else { f64::NAN };
        panel.lines.iter_mut().flat_map(|l| &mut l.points).for_each(|p| p.1 = place(p.1));
        panel.reference.iter_mut().for_each(|r| r.0 = place(r.0));
    }
    panel
}

/// The curves; of noisy ones the moving average, over the values themselves drawn faint.
fn drawing(panel: &Panel, x: (f64, f64), y: (f64, f64)) -> String {
    let mut out = String::new();
    for (v, _) in panel.reference.iter().filter(|r| (y.0..=y.1).contains(&r.0)) {
        let _ = write!(out, "<path class=\"ref\" d=\"M0 {:.0}H{WIDTH}\"/>", at((x.0, *v), x, y).1);
    }
    for (i, line) in panel.lines.iter().enumerate().filter(|(_, l)| many(l) && !crowded(panel)) {
        let faint = runs(&line.points).map(|run| thin(run, stride(line)));
        let _ = write!(out, "<path class=\"faint {}\" d=\"{}\"/>", class(i), path(faint, x, y));
    }
    for (i, line) in panel.lines.iter().enumerate() {
        let strong = path(average(line, y).into_iter(), x, y);
        let _ = write!(out, "<path class=\"line {}\" d=\"{strong}\"/>", class(i));
        let points: Vec<Point> = line.points.iter().copied().filter(|&p| drawable(p)).collect();
        if points.len() <= FEW {
            let each = path(points.into_iter().map(|p| vec![p]), x, y);
            let _ = write!(out, "<path class=\"point {}\" d=\"{each}\"/>", class(i));
        }
    }
    out
}

fn at(p: Point, x: (f64, f64), y: (f64, f64)) -> Point {
    ((p.0 - x.0) / (x.1 - x.0) * WIDTH, (1.0 - (p.1 - y.0) / (y.1 - y.0)) * HEIGHT)
}

fn path(lines: impl Iterator<Item = Vec<Point>>, x: (f64, f64), y: (f64, f64)) -> String {
    let mut d = String::new();
    for part in lines.flat_map(|line| clip(&line, y)) {
        for (i, p) in part.iter().enumerate() {
            let (x, y) = at(*p, x, y);
            let _ = write!(d, "{}{x:.0} {y:.0}", if i == 0 { "M" } else { "L" });
        }
        // A point by itself is seen by the round ends of a line without length.
        if part.len() == 1 {
            d += "h0";
        }
    }
    d
}

/// What is not drawn.
fn left_out(panel: &Panel, drawn: &Panel, y: (f64, f64)) -> String {
    let points = || drawn.lines.iter().flat_map(|l| &l.points);
    let all = points().count();
    let finite = panel.lines.iter().flat_map(|l| &l.points).filter(|&&p| drawable(p)).count();
    let places = points().filter(|&&p| drawable(p)).count();
    // A logarithm may have a place where the number itself has none.
    let (missing, small) = (all - finite.max(places), finite.saturating_sub(places));
    let beyond = points().filter(|&&p| drawable(p) && !(y.0..=y.1).contains(&p.1)).count();
    let counted =
        [(missing, "missing or not finite"), (small, "too small for the axis"), (beyond, "beyond the axis")];
    let said: Vec<String> =
        counted.iter().filter(|c| c.0 > 0).map(|(n, what)| format!("{n} {what}")).collect();
    if said.is_empty() { String::new() } else { format!("Of {all} points {}.", said.join(", ")) }
}

/// The values by their place on the axis.
fn looked_up(panel: &Panel, axis: Axis, x: (f64, f64), y: (f64, f64)) -> Value {
    // Non-negative numbers are in the order of their bits.
    let mut rows: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
    for (i, line) in panel.lines.iter().enumerate() {
        for p in line.points.iter().filter(|p| p.0 >= 0.0) {
            let row = rows.entry(p.0.to_bits()).or_insert_with(|| vec![Value::Null; panel.lines.len()]);
            row[i] = json!(short(p.1));
        }
    }
    let every = rows.len().div_ceil(LOOKED_UP).max(1);
    let last = rows.len().saturating_sub(1);
    let kept = rows.into_iter().enumerate().filter(|(i, _)| i % every == 0 || *i == last);
    let (xs, rows): (Vec<f64>, Vec<Vec<Value>>) = kept.map(|(_, (x, row))| (f64::from_bits(x), row)).unzip();
    let series: Vec<Vec<&Value>> =
        (0..panel.lines.len()).map(|i| rows.iter().map(|row| &row[i]).collect()).collect();
    let log = panel.y_scale == Scale::Log;
    json!({"kind": "lines", "label": axis.label(), "x": xs, "y": series, "range": [x.0, x.1, y.0, y.1], "log": log})
}

/// Four digits of a number; nothing of one that is not finite.
fn short(v: f64) -> Option<f64> {
    format!("{v:.3e}").parse().ok().filter(|v: &f64| v.is_finite())
}
