//! The page round its sections.

use super::Page;
use super::text::{escape, prose};
use super::theme::{SCRIPT, style};
use std::fmt::Write;

/// Nothing may be fetched, whatever is in the page.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

impl Page {
    /// The file's text.
    ///
    /// ```
    /// use ganvil::report::html::{Block, Page, Section};
    /// let blocks = vec![Block::Text("1 < 2, says `ganvil`".into())];
    /// let section = Section { id: "a", short: "A", title: "First", blocks };
    /// let html = Page { title: "<b>".into(), sections: vec![section], ..Page::default() }.html();
    /// assert!(html.contains("<title>&lt;b&gt;</title>") && html.contains("<p>1 &lt; 2, says <code>ganvil</code></p>"));
    /// ```
    pub fn html(&self) -> String {
        let title = escape(&self.title);
        let mut out = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"color-scheme\" content=\"light dark\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\
             <link rel=\"icon\" href=\"data:,\"><title>{title}</title><style>{}</style></head>\n<body><header><div class=\"wide\">",
            style()
        );
        let _ = write!(
            out,
            "<button type=\"button\" class=\"theme\" aria-label=\"Light or dark\" title=\"Light or dark\"></button>\
             <p class=\"kicker\">{}</p><h1>{title}</h1><p class=\"lead\">{}</p>",
            prose(&self.kicker),
            prose(&self.lead)
        );
        self.write_tiles(&mut out);
        out += "</div></header>\n<nav aria-label=\"Sections\"><div class=\"wide\">";
        for s in &self.sections {
            let _ = write!(out, "<a href=\"#{}\">{}</a>", s.id, escape(s.short));
        }
        out += "</div></nav>\n<main class=\"wide\">";
        for s in &self.sections {
            let _ = write!(out, "\n<section id=\"{}\"><h2>{}</h2>", s.id, escape(s.title));
            s.blocks.iter().for_each(|b| b.write(&mut out));
            out += "</section>";
        }
        let _ = write!(out, "\n</main>\n<script>{SCRIPT}</script></body></html>\n");
        out
    }

    fn write_tiles(&self, out: &mut String) {
        if self.tiles.is_empty() {
            return;
        }
        *out += "<dl class=\"tiles\">";
        for t in &self.tiles {
            let _ = write!(
                out,
                "<div><dt>{}</dt><dd>{}<small>{}</small></dd></div>",
                prose(&t.name),
                prose(&t.value),
                prose(&t.note)
            );
        }
        *out += "</dl>";
    }
}
