//! The page's colours and behaviour.

use crate::report::colours::COLOURS;
use plotters::style::RGBColor;
use std::fmt::Write;

const STYLE: &str = include_str!("style.css");
/// What the page's buttons, sliders and plots do.
pub(super) const SCRIPT: &str = include_str!("script.js");

/// How many curves of a plot have a colour of their own.
pub(super) const SERIES: usize = COLOURS.len();

/// The style sheet, with the palette of drawings as `--s0` and so on: as it is on light, brighter on dark.
pub(super) fn style() -> String {
    let light: String = variables(|c| c);
    let dark = variables(bright);
    let mut sheet = STYLE.replace("/*light*/", &light).replace("/*dark*/", &dark);
    for i in 0..SERIES {
        let _ = writeln!(sheet, ".s{i}{{--c:var(--s{i})}}");
    }
    sheet
}

fn variables(shade: impl Fn(RGBColor) -> RGBColor) -> String {
    let one = |(i, c): (usize, &RGBColor)| {
        let RGBColor(r, g, b) = shade(*c);
        format!("--s{i}:#{r:02x}{g:02x}{b:02x};")
    };
    COLOURS.iter().enumerate().map(one).collect()
}

/// A colour that stands out on dark as much as it does on light; black becomes light grey.
fn bright(RGBColor(r, g, b): RGBColor) -> RGBColor {
    if (r, g, b) == (0, 0, 0) {
        return RGBColor(0xD8, 0xD8, 0xD8);
    }
    let mix = |v: u8| v + ((255 - v) as f64 * 0.28) as u8;
    RGBColor(mix(r), mix(g), mix(b))
}
