//! The axes of a plot, round whatever is drawn in it.

use super::text::{escape, json};
use super::theme::SERIES;
use crate::report::ticks::Tick;
use serde_json::Value;
use std::fmt::Write;

/// Units of the drawing's width and height, whatever size it is shown in.
pub(super) const WIDTH: f64 = 2000.0;
pub(super) const HEIGHT: f64 = 1000.0;

/// What a series is called, and what its last value is.
pub(super) struct Key {
    pub name: String,
    pub last: String,
}

/// A plot whose drawing is done.
pub(super) struct Frame<'a> {
    pub title: &'a str,
    /// The name of the y axis.
    pub unit: &'a str,
    pub x_label: &'a str,
    pub keys: Vec<Key>,
    /// Numbers along the axes, in parts of their length.
    pub x_ticks: Vec<Tick>,
    pub y_ticks: Vec<Tick>,
    /// What dashed lines are.
    pub marks: Vec<String>,
    /// The paths.
    pub drawing: String,
    /// Sentences under the plot.
    pub notes: Vec<String>,
    /// What the script reads values from.
    pub data: Value,
}

impl Frame<'_> {
    /// The plot as HTML.
    pub fn html(&self) -> String {
        let mut out = format!(
            "<figure class=\"plot\"><figcaption><h3>{}</h3><span class=\"unit\">{}</span><span class=\"at\"></span></figcaption>",
            escape(self.title),
            escape(self.unit)
        );
        out += "<div class=\"keys\">";
        for (i, key) in self.keys.iter().enumerate() {
            let name = if key.name.is_empty() { String::new() } else { format!("{} ", escape(&key.name)) };
            let _ = write!(
                out,
                "<span class=\"key {}\"><i></i>{name}<b>{}</b></span>",
                class(i),
                escape(&key.last)
            );
        }
        for mark in &self.marks {
            let _ = write!(out, "<span class=\"key mark\"><i></i>{}</span>", escape(mark));
        }
        out += "</div><div class=\"frame\"><div class=\"ys\" aria-hidden=\"true\">";
        for (at, text) in self.y_ticks.iter().filter(|t| !t.1.is_empty()) {
            let _ = write!(out, "<span style=\"bottom:{}%\">{}</span>", percent(*at), escape(text));
        }
        let label = format!("{}: {}", self.title, self.described());
        let _ = write!(
            out,
            "</div><div class=\"area\" tabindex=\"0\"><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" \
             role=\"img\" aria-label=\"{}\">{}{}</svg>",
            escape(&label),
            self.grid(),
            self.drawing
        );
        out += "</div><div class=\"xs\" aria-hidden=\"true\">";
        for (at, text) in self.x_ticks.iter().filter(|t| !t.1.is_empty()) {
            let _ = write!(out, "<span style=\"left:{}%\">{}</span>", percent(*at), escape(text));
        }
        let _ = write!(out, "</div><div class=\"xlabel\">{}</div></div>", escape(self.x_label));
        for note in self.notes.iter().filter(|n| !n.is_empty()) {
            let _ = write!(out, "<p class=\"hint\">{}</p>", super::text::prose(note));
        }
        let _ = write!(out, "<script type=\"application/json\">{}</script></figure>", json(&self.data));
        out
    }

    /// The last values in words.
    fn described(&self) -> String {
        let keys = self.keys.iter().map(|k| format!("{} {}", k.name, k.last).trim().to_owned());
        keys.collect::<Vec<_>>().join(", ")
    }

    fn grid(&self) -> String {
        let lines = self.y_ticks.iter().filter(|t| !t.1.is_empty());
        let path: String = lines.map(|(at, _)| format!("M0 {:.0}H{WIDTH}", HEIGHT * (1.0 - at))).collect();
        format!("<path class=\"grid\" d=\"{path}\"/>")
    }
}

/// The class of a series' colour; the second round of colours is dashed.
pub(super) fn class(i: usize) -> String {
    let dashed = if (i / SERIES) % 2 == 1 { " dashed" } else { "" };
    format!("s{}{dashed}", i % SERIES)
}

fn percent(part: f64) -> String {
    let text = format!("{:.2}", 100.0 * part.clamp(0.0, 1.0));
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Ticks within a range, in parts of its length.
pub(super) fn placed(ticks: Vec<Tick>, (low, high): (f64, f64)) -> Vec<Tick> {
    let inside = |at: &f64| (-1e-6..=1.0 + 1e-6).contains(at);
    let part = ticks.into_iter().map(|(at, text)| ((at - low) / (high - low), text));
    part.filter(|t| inside(&t.0)).collect()
}
