//! Plots of what happened during training, as PNG or SVG.

use std::io;
use std::path::Path;
use std::str::FromStr;

use plotters::prelude::DrawingBackend;

use super::canvas::{Canvas, Drawn};
use super::chart::Page;
use super::render::{self, Drawing};
use crate::names::unknown;
use crate::{Error, Result};

/// A curve.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// Its name, drawn at its end; none if empty.
    pub label: String,
    /// `(step, value)` in order of the steps. A value that is not finite leaves a gap.
    pub points: Vec<(f64, f64)>,
    /// Whether the values are without noise, a learning rate's for example: then they are drawn as they are, however
    /// many there are.
    pub exact: bool,
}

/// One pair of axes with its curves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Panel {
    /// Drawn above the axes.
    pub title: String,
    /// The name of the y axis.
    pub y_label: String,
    /// The ends of the y axis. `None` takes in every value but rare spikes, which the panel then mentions.
    pub y_range: Option<(f64, f64)>,
    /// The curves.
    pub lines: Vec<Line>,
    /// Values to compare them with and their names, drawn as dashed lines.
    pub reference: Vec<(f64, String)>,
    /// How the y axis runs.
    pub y_scale: Scale,
    /// Points that are not joined. Each set is named as a curve is, in the colours that the curves leave.
    pub dots: Vec<Line>,
    /// The name of an x axis of its own, which takes in what the panel holds. Empty for the axis that panels share.
    pub x_label: String,
    /// Whether a unit is as long on both axes. Such a panel has an x axis of its own, up to four of them stand side by
    /// side, its names stand above it, and `y_range` is the range of both axes.
    pub square: bool,
}

impl Panel {
    /// Whether its x axis is not the one of its page.
    pub(super) fn has_own_x(&self) -> bool {
        self.square || !self.x_label.is_empty()
    }
}

/// How an axis runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// In proportion to the values.
    #[default]
    Linear,
    /// In proportion to the logarithms of the values. What is 0 or below has no place on it: it leaves a gap, and the
    /// panel says how many there are. The moving average of a curve is that of the logarithms: a geometric mean.
    Log,
}

/// What curves are drawn over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Axis {
    /// Training steps.
    #[default]
    Step,
    /// Thousands of real images seen.
    Kimg,
    /// Seconds since the run started.
    Seconds,
}

impl Axis {
    /// Every axis.
    pub const ALL: [Axis; 3] = [Axis::Step, Axis::Kimg, Axis::Seconds];

    /// The name in flags, and the field of the log.
    pub fn name(self) -> &'static str {
        match self {
            Axis::Step => "step",
            Axis::Kimg => "kimg",
            Axis::Seconds => "seconds",
        }
    }

    /// What is written under it.
    pub(super) fn label(self) -> &'static str {
        match self {
            Axis::Step => "step",
            Axis::Kimg => "real images seen, thousands",
            Axis::Seconds => "time, s",
        }
    }

    /// Whether it has whole numbers only.
    pub(super) fn whole(self) -> bool {
        self == Axis::Step
    }
}

impl FromStr for Axis {
    type Err = Error;
    fn from_str(s: &str) -> Result<Axis> {
        let names = Axis::ALL.map(Axis::name);
        Axis::ALL.into_iter().find(|a| a.name() == s).ok_or_else(|| unknown("axis", s, &names))
    }
}

/// Saves a plot of panels one above the other, with a common axis of steps unless a panel has one of its own. The file
/// appears whole or not at all.
///
/// The path's extension says whether it is a PNG (1920 pixels wide, of at most 256 colours) or an SVG. A curve of more than 100 points is
/// drawn faint under its moving average over 4% of its points; one of more than 750 is thinned to the extremes of each
/// column. Empty curves and values that are not finite are no error.
///
/// Fails if the file cannot be written or has another extension.
pub fn save_plot(path: impl AsRef<Path>, title: &str, panels: &[Panel]) -> Result<()> {
    render::save(path.as_ref(), &Plot::column(title, panels))
}

/// The PNG of [`save_plot`] in memory.
pub fn encode_plot_png(title: &str, panels: &[Panel]) -> io::Result<Vec<u8>> {
    render::png(&Plot::column(title, panels))
}

/// The SVG of [`save_plot`] in memory, to be written to a file or into a page.
pub fn encode_plot_svg(title: &str, panels: &[Panel]) -> io::Result<String> {
    render::svg(&Plot::column(title, panels))
}

/// Panels on a page.
pub(super) struct Plot<'a> {
    pub page: Page<'a>,
    pub panels: &'a [Panel],
}

impl<'a> Plot<'a> {
    fn column(title: &'a str, panels: &'a [Panel]) -> Plot<'a> {
        Plot { page: Page { title, x: Axis::Step, columns: 1 }, panels }
    }
}

impl Drawing for Plot<'_> {
    fn size(&self) -> (u32, u32) {
        self.page.size(self.panels)
    }
    fn draw<DB: DrawingBackend>(&self, canvas: &Canvas<DB>) -> Drawn<DB> {
        self.page.draw(canvas, self.panels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atomic::tests::Folder;
    use std::fs;

    /// Losses, and outputs that are probabilities, of `n` steps.
    fn panels(n: usize) -> Vec<Panel> {
        let line = |label: &str, f: fn(f64) -> f64| Line {
            label: label.into(),
            points: (0..n).map(|i| (i as f64 + 1.0, f(i as f64))).collect(),
            exact: false,
        };
        let losses = Panel {
            title: "Losses".into(),
            y_label: "loss".into(),
            lines: vec![
                line("D", |i| 1.4 + 0.3 * (i * 1.7).sin()),
                line("G", |i| 0.7 + 0.3 * (i * 2.3).cos()),
            ],
            reference: vec![(1.386, "2 ln 2 & <so on>".into())],
            ..Panel::default()
        };
        let outputs = Panel {
            title: "Discriminator output".into(),
            y_label: "probability of real".into(),
            y_range: Some((0.0, 1.0)),
            lines: vec![
                line("D(x)", |i| 0.6 + 0.1 * (i * 1.1).sin()),
                line("D(G(z))", |i| 0.4 + 0.1 * (i * 1.3).sin()),
            ],
            reference: vec![(0.5, "undecided, 1/2".into())],
            ..Panel::default()
        };
        vec![losses, outputs]
    }

    /// How many pixels of a PNG are close to a colour.
    fn count(png: &[u8], colour: [u8; 3]) -> usize {
        let close = |p: &&image::Rgb<u8>| p.0.iter().zip(colour).all(|(&a, b)| a.abs_diff(b) < 8);
        image::load_from_memory(png).unwrap().into_rgb8().pixels().filter(close).count()
    }
    const BLUE: [u8; 3] = [0x00, 0x72, 0xB2];
    const VERMILION: [u8; 3] = [0xD5, 0x5E, 0x00];

    #[test]
    fn a_png_shows_both_curves_on_white() {
        let f = Folder::new("plot-png");
        let path = f.0.join("losses.PNG");
        for n in [2, 50, 5000] {
            save_plot(&path, "dcgan", &panels(n)).unwrap();
            let png = fs::read(&path).unwrap();
            let size = image::load_from_memory(&png).unwrap().into_rgb8().dimensions();
            assert_eq!(size, (1920, 1416));
            // Two curves cross about 1700 pixels each, three and a half pixels thick.
            for colour in [BLUE, VERMILION] {
                assert!(count(&png, colour) > 3000, "{n} points: {} pixels", count(&png, colour));
            }
            assert!(count(&png, [255; 3]) > 1920 * 1416 / 2);
        }
        assert_eq!(encode_plot_png("a", &panels(300)).unwrap(), encode_plot_png("a", &panels(300)).unwrap());
    }

    #[test]
    fn an_svg_holds_the_words() {
        let f = Folder::new("plot-svg");
        let path = f.0.join("losses.svg");
        save_plot(&path, "wgan <gp>", &panels(500)).unwrap();
        let svg = fs::read_to_string(&path).unwrap();
        assert!(svg.starts_with("<svg width=\"960\" height=\"708\" viewBox=\"0 0 3840 2832\""));
        assert!(svg.trim_end().ends_with("</svg>"));
        for words in
            ["wgan &lt;gp&gt;", "Losses", "D(G(z))", "2 ln 2 &amp; &lt;so on&gt;", "undecided", "step", "0.8"]
        {
            assert!(svg.lines().any(|line| line == words || line.contains(words)), "{words}");
        }
        assert!(svg.contains("#0072B2") && svg.contains("#D55E00"));
    }

    #[test]
    fn odd_values_are_drawn_or_mentioned_and_never_panic() {
        let odd = [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
            f64::MIN,
            0.0,
            -0.0,
            f64::MIN_POSITIVE,
            1e29,
        ];
        let points =
            |n: usize, shift: usize| (0..n).map(|i| (i as f64, odd[(i + shift) % odd.len()])).collect();
        for n in [0, 1, 2, 9, 2000] {
            for y_range in
                [None, Some((0.0, 1.0)), Some((1.0, 1.0)), Some((f64::NAN, 1.0)), Some((0.0, f64::INFINITY))]
            {
                let lines = (0..6)
                    .map(|i| Line { label: format!("line {i}"), points: points(n, i), exact: i % 2 == 0 })
                    .collect();
                let reference = odd.iter().map(|&y| (y, format!("{y}"))).collect();
                let (title, y_label) = ("odd".into(), "y".into());
                let mut panel = Panel { title, y_label, y_range, lines, reference, ..Panel::default() };
                for y_scale in [Scale::Linear, Scale::Log] {
                    panel.y_scale = y_scale;
                    let svg = encode_plot_svg("odd", std::slice::from_ref(&panel)).unwrap();
                    assert_eq!(svg.contains("missing or not finite"), n > 0);
                    assert_eq!(svg.contains("too small for the axis"), n > 0 && y_scale == Scale::Log);
                    assert_eq!(svg.contains("no data"), n == 0);
                }
            }
        }
        let everywhere = |x| Panel {
            lines: vec![Line { label: "x".into(), points: vec![(x, 1.0); 3], exact: false }],
            ..Panel::default()
        };
        for x in odd {
            encode_plot_png("odd", &[everywhere(x)]).unwrap();
        }
        encode_plot_png("no panels", &[]).unwrap();
    }

    #[test]
    fn rare_spikes_are_mentioned() {
        let mut spiky = panels(1000);
        spiky[0].lines[0].points[400].1 = 1e4;
        let svg = encode_plot_svg("spike", &spiky).unwrap();
        assert!(svg.contains("1 of 2000 points beyond the axis"));
    }

    #[test]
    fn other_extensions_are_refused() {
        for name in ["losses.jpg", "losses"] {
            let text = save_plot(name, "", &panels(3)).unwrap_err().to_string();
            assert!(text.contains(name) && text.contains(".png or .svg"), "{text}");
        }
    }
}
