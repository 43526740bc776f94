//! Shares in bins: histograms, and bars of classes.

use super::Bins;
use super::frame::{Frame, HEIGHT, Key, WIDTH, class, placed};
use super::text::shown;
use crate::report::ticks::ticks;
use serde_json::json;
use std::fmt::Write;

/// A histogram, its samples over each other.
pub(super) fn histogram(bins: &Bins, hint: &str) -> String {
    let n = bins.series.iter().map(|s| s.1.len()).max().unwrap_or(0).max(1);
    let top = top(bins);
    let mut drawing = String::new();
    if let Some((v, _)) = bins.mark.as_ref().filter(|m| within(bins, m.0)) {
        let _ = write!(drawing, "<path class=\"ref\" d=\"M{:.0} 0V{HEIGHT}\"/>", part(bins, *v) * WIDTH);
    }
    for (i, (_, shares)) in bins.series.iter().enumerate() {
        let mut outline = format!("M0 {HEIGHT}");
        for (bin, share) in shares.iter().enumerate() {
            let (left, right) = (bin as f64 / n as f64 * WIDTH, (bin + 1) as f64 / n as f64 * WIDTH);
            let _ = write!(outline, "L{left:.0} {0:.0}L{right:.0} {0:.0}", HEIGHT * (1.0 - share / top));
        }
        let _ = write!(outline, "L{WIDTH} {HEIGHT}");
        let _ = write!(drawing, "<path class=\"fill {}\" d=\"{outline}Z\"/>", class(i));
        let _ = write!(drawing, "<path class=\"line {}\" d=\"{outline}\"/>", class(i));
    }
    let x_ticks = placed(ticks(bins.range, 5), bins.range);
    let marks = bins.mark.iter().filter(|m| within(bins, m.0)).map(|m| m.1.clone()).collect();
    framed(bins, top, drawing, x_ticks, marks, hint)
}

/// Bars, those of a class side by side.
pub(super) fn bars(bins: &Bins, hint: &str) -> String {
    let n = bins.names.len().max(1);
    let top = top(bins);
    let (room, count) = (WIDTH / n as f64, bins.series.len().max(1) as f64);
    let wide = room * 0.72 / count;
    let mut drawing = String::new();
    for (i, (_, shares)) in bins.series.iter().enumerate() {
        let mut d = String::new();
        for (class, share) in shares.iter().enumerate() {
            let left = room * (class as f64 + 0.14) + wide * i as f64;
            let _ = write!(d, "M{left:.0} {HEIGHT}V{:.0}h{wide:.0}V{HEIGHT}Z", HEIGHT * (1.0 - share / top));
        }
        let _ = write!(drawing, "<path class=\"bar {}\" d=\"{d}\"/>", class(i));
    }
    let x_ticks = bins.names.iter().enumerate().map(|(i, name)| ((i as f64 + 0.5) / n as f64, name.clone()));
    framed(bins, top, drawing, x_ticks.collect(), Vec::new(), hint)
}

fn framed(
    bins: &Bins,
    top: f64,
    drawing: String,
    x_ticks: Vec<(f64, String)>,
    marks: Vec<String>,
    hint: &str,
) -> String {
    let percent = |v: f64| format!("{} %", shown(100.0 * v));
    let y_ticks = placed(ticks((0.0, 100.0 * top), 4), (0.0, 100.0 * top));
    let y_ticks = y_ticks.into_iter().map(|(at, text)| (at, format!("{text} %"))).collect();
    let shares: Vec<Vec<String>> =
        bins.series.iter().map(|s| s.1.iter().map(|v| percent(*v)).collect()).collect();
    let places: Vec<String> = if bins.names.is_empty() { edges(bins) } else { bins.names.clone() };
    let frame = Frame {
        title: &bins.title,
        unit: "share",
        x_label: &bins.x_label,
        keys: bins.series.iter().map(|s| Key { name: s.0.clone(), last: String::new() }).collect(),
        x_ticks,
        y_ticks,
        marks,
        drawing,
        notes: vec![hint.into()],
        data: json!({"kind": "bins", "label": bins.x_label, "x": places, "y": shares}),
    };
    frame.html()
}

/// From where to where each bin reaches.
fn edges(bins: &Bins) -> Vec<String> {
    let n = bins.series.iter().map(|s| s.1.len()).max().unwrap_or(0);
    let (low, high) = bins.range;
    let edge = |i: usize| shown(low + (high - low) * i as f64 / n as f64);
    (0..n).map(|i| format!("{} to {}", edge(i), edge(i + 1))).collect()
}

fn part(bins: &Bins, v: f64) -> f64 {
    (v - bins.range.0) / (bins.range.1 - bins.range.0)
}

fn within(bins: &Bins, v: f64) -> bool {
    (0.0..=1.0).contains(&part(bins, v))
}

/// The top of the y axis.
fn top(bins: &Bins) -> f64 {
    let most = bins.series.iter().flat_map(|s| &s.1).copied().filter(|v| v.is_finite()).fold(0.0, f64::max);
    if most > 0.0 { most * 1.06 } else { 1.0 }
}
