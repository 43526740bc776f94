//! The pieces of a page as HTML.

use super::text::{equation, escape, json, png_url, prose};
use super::{Block, Pair, Picture, Plot, PlotKind, Table, Tone, bins, lines};
use serde_json::Value;
use std::fmt::Write;

impl Block {
    /// Adds it to a page.
    pub(super) fn write(&self, out: &mut String) {
        match self {
            Block::Text(text) => *out += &format!("<p>{}</p>", prose(text)),
            Block::Heading(text) => *out += &format!("<h3 class=\"part\">{}</h3>", prose(text)),
            Block::Hint(text) => *out += &format!("<p class=\"hint\">{}</p>", prose(text)),
            Block::Missing(text) => *out += &format!("<p class=\"missing\">{}</p>", prose(text)),
            Block::Equation(text) => *out += &format!("<div class=\"equation\">{}</div>", equation(text)),
            Block::Facts(facts) => {
                *out += "<dl class=\"facts\">";
                for (name, what) in facts {
                    let _ = write!(out, "<div><dt>{}</dt><dd>{}</dd></div>", prose(name), prose(what));
                }
                *out += "</dl>";
            }
            Block::Command(text) => {
                let _ = write!(
                    out,
                    "<div class=\"command\"><pre><code>{}</code></pre><button type=\"button\" class=\"copy\">Copy</button></div>",
                    escape(text)
                );
            }
            Block::Table(table) => write_table(table, out),
            Block::Fold { summary, blocks } => {
                let _ = write!(out, "<details><summary>{}</summary><div class=\"folded\">", prose(summary));
                blocks.iter().for_each(|b| b.write(out));
                *out += "</div></details>";
            }
            Block::Callout { tone, title, text, list } => write_callout(*tone, title, text, list, out),
            Block::Frames { frames, beside } => write_frames(frames, beside.as_ref(), out),
            Block::Pictures(pictures) => {
                *out += "<div class=\"pictures\">";
                pictures.iter().for_each(|p| write_picture(p, "", out));
                *out += "</div>";
            }
            Block::Pairs(pairs) => {
                *out += "<div class=\"pairs\">";
                pairs.iter().for_each(|p| write_pair(p, out));
                *out += "</div>";
            }
            Block::Plots(plots) => {
                *out += "<div class=\"plots\">";
                plots.iter().for_each(|p| *out += &p.html());
                *out += "</div>";
            }
        }
    }
}

impl Plot {
    fn html(&self) -> String {
        match &self.kind {
            PlotKind::Lines(panel, axis) => lines::html(panel, *axis, &self.hint),
            PlotKind::Histogram(b) => bins::histogram(b, &self.hint),
            PlotKind::Bars(b) => bins::bars(b, &self.hint),
        }
    }
}

/// On a narrow screen the cells of a table that ends in sentences stand below each other, so that each says what it is.
fn write_table(table: &Table, out: &mut String) {
    let class = |i: usize| if i == 0 || table.prose.contains(&i) { "" } else { " class=\"n\"" };
    let last = table.head.len().wrapping_sub(1);
    let stack = if table.prose.contains(&last) { " class=\"stack\"" } else { "" };
    let _ = write!(out, "<div class=\"scroll\"><table{stack}><thead><tr>");
    for (i, name) in table.head.iter().enumerate() {
        let _ = write!(out, "<th scope=\"col\"{}>{}</th>", class(i), prose(name));
    }
    *out += "</tr></thead><tbody>";
    for row in &table.rows {
        *out += "<tr>";
        for (i, cell) in row.iter().enumerate() {
            let (open, close) = if i == 0 { ("th scope=\"row\"", "th") } else { ("td", "td") };
            let name = table.head.get(i).map_or("", |n| n);
            let _ =
                write!(out, "<{open}{} data-name=\"{}\">{}</{close}>", class(i), escape(name), prose(cell));
        }
        *out += "</tr>";
    }
    *out += "</tbody></table></div>";
}

fn write_callout(tone: Tone, title: &str, text: &[String], list: &[String], out: &mut String) {
    let tone = match tone {
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Plain => "plain",
    };
    let _ = write!(out, "<div class=\"callout {tone}\"><h3>{}</h3>", prose(title));
    text.iter().for_each(|t| *out += &format!("<p>{}</p>", prose(t)));
    if !list.is_empty() {
        *out += "<ul>";
        list.iter().for_each(|t| *out += &format!("<li>{}</li>", prose(t)));
        *out += "</ul>";
    }
    *out += "</div>";
}

fn write_picture(p: &Picture, attributes: &str, out: &mut String) {
    let caption = escape(&p.caption);
    let _ = write!(
        out,
        "<figure class=\"picture\"><img alt=\"{caption}\" src=\"{}\"{attributes}><figcaption>{}</figcaption></figure>",
        png_url(&p.png),
        prose(&p.caption)
    );
}

/// The last picture is there without the script, which has the others.
fn write_frames(frames: &[Picture], beside: Option<&Picture>, out: &mut String) {
    let Some((last, others)) = frames.split_last() else { return };
    *out += "<div class=\"frames\"><div class=\"pictures\"><div>";
    write_picture(last, " class=\"shown\"", out);
    if !others.is_empty() {
        let at = others.len();
        let _ = write!(
            out,
            "<div class=\"slide\"><button type=\"button\" class=\"play\" aria-label=\"Play\">\u{25b6}</button>\
             <input type=\"range\" min=\"0\" max=\"{at}\" value=\"{at}\" step=\"1\" aria-label=\"Point of training\"></div>"
        );
        let of = |p: &Picture| [Value::from(png_url(&p.png)), Value::from(p.caption.clone())];
        let held = Value::from(others.iter().map(|p| Value::from(of(p).to_vec())).collect::<Vec<_>>());
        let _ = write!(out, "<script type=\"application/json\">{}</script>", json(&held));
    }
    *out += "</div>";
    beside.iter().for_each(|p| write_picture(p, "", out));
    *out += "</div></div>";
}

fn write_pair(p: &Pair, out: &mut String) {
    *out += "<figure class=\"pair\">";
    for (png, what) in p.pngs.iter().zip(&p.what) {
        let _ = write!(out, "<img alt=\"{}\" src=\"{}\">", escape(what), png_url(png));
    }
    let _ = write!(out, "<figcaption>{}</figcaption></figure>", prose(&p.label));
}
