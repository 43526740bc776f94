//! A page that holds all it shows: one HTML file without a link to another, for light and dark, desk and phone.
//!
//! A page is made of plain data; whatever text is in it, names of folders and errors of the system too, is escaped where it
//! is written, in one place. Plots are SVGs that stretch, with their numbers as text of the page beside them, so that they
//! are readable at any width. The script only adds: without it everything but the slider's other pictures can be seen.
//! Equal pages have equal bytes.

mod bins;
mod frame;
mod lines;
mod page;
mod text;
mod theme;
mod write;

use super::plot::{Axis, Panel};
pub use text::shown;

/// A page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Its name, also that of the browser's window.
    pub title: String,
    /// A small line above the name.
    pub kicker: String,
    /// A sentence under the name.
    pub lead: String,
    /// The figures that are seen first.
    pub tiles: Vec<Tile>,
    /// What follows.
    pub sections: Vec<Section>,
}

/// A figure that is seen first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tile {
    /// What it is.
    pub name: String,
    /// The figure.
    pub value: String,
    /// A few words under it.
    pub note: String,
}

/// A part of a page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// By which links find it: letters and dashes.
    pub id: &'static str,
    /// Its name among the links at the top.
    pub short: &'static str,
    /// Its name.
    pub title: &'static str,
    /// What is in it.
    pub blocks: Vec<Block>,
}

/// A piece of a section.
///
/// In text, what stands between two backticks is shown as code, and `arXiv:` with a number is a link that a reader may follow.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// A paragraph.
    Text(String),
    /// The name of what follows.
    Heading(String),
    /// How something is to be read, in small print.
    Hint(String),
    /// A sentence on what is not there, and why.
    Missing(String),
    /// Equations: `L_D` has a subscript, `e^t` a superscript, two spaces separate.
    Equation(String),
    /// Names and what they are.
    Facts(Vec<(String, String)>),
    /// A command that can be copied.
    Command(String),
    /// A table.
    Table(Table),
    /// Pieces that are seen on request.
    Fold {
        /// What is seen before.
        summary: String,
        /// The pieces.
        blocks: Vec<Block>,
    },
    /// Something that a reader has to know.
    Callout {
        /// How it is coloured.
        tone: Tone,
        /// Its name.
        title: String,
        /// What it says, a paragraph each.
        text: Vec<String>,
        /// What may be done.
        list: Vec<String>,
    },
    /// Pictures one after the other under a slider, and one that stays beside them.
    Frames {
        /// At least one.
        frames: Vec<Picture>,
        /// What they are compared with.
        beside: Option<Picture>,
    },
    /// Pictures side by side, as far as there is room.
    Pictures(Vec<Picture>),
    /// Small pictures, each above another that it is compared with.
    Pairs(Vec<Pair>),
    /// Plots side by side, as far as there is room.
    Plots(Vec<Plot>),
}

/// How a callout is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// All is well.
    Good,
    /// Something is wrong.
    Bad,
    /// Neither.
    Plain,
}

/// A table, of which the first column names the rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The columns' names.
    pub head: Vec<String>,
    /// The rows, each as long as `head`.
    pub rows: Vec<Vec<String>>,
    /// Columns that hold words; the others but the first hold numbers.
    pub prose: Vec<usize>,
}

/// A picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// The bytes of a PNG.
    pub png: Vec<u8>,
    /// What stands under it, and is said of it to who cannot see it.
    pub caption: String,
}

/// Two small pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pair {
    /// The bytes of two PNGs.
    pub pngs: [Vec<u8>; 2],
    /// What they are, for who cannot see them.
    pub what: [String; 2],
    /// What stands under both.
    pub label: String,
}

/// A plot with a sentence on how it is to be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// What is drawn.
    pub kind: PlotKind,
    /// The sentence; none if empty.
    pub hint: String,
}

/// What is drawn in a plot.
#[derive(Clone, Debug, PartialEq)]
pub enum PlotKind {
    /// Curves.
    Lines(Panel, Axis),
    /// Shares of several samples in bins of equal width.
    Histogram(Bins),
    /// Shares of several samples in classes.
    Bars(Bins),
}

/// Shares of several samples in the same bins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bins {
    /// Drawn above the axes.
    pub title: String,
    /// The name of the x axis.
    pub x_label: String,
    /// The ends of the x axis.
    pub range: (f64, f64),
    /// The names of bins that are classes; empty for those of a histogram.
    pub names: Vec<String>,
    /// The samples' names and shares, as many of each as there are bins.
    pub series: Vec<(String, Vec<f64>)>,
    /// A place on the x axis that is marked, and its name.
    pub mark: Option<(f64, String)>,
}
