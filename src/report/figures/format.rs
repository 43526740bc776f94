//! As what figures are saved.

use std::str::FromStr;

use crate::names::unknown;
use crate::{Error, Result};

/// As what figures are saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FigureFormat {
    /// Pixels, twice as fine as a page's.
    Png,
    /// Vectors and text.
    Svg,
    /// A file of each.
    #[default]
    Both,
}

impl FigureFormat {
    /// Every format.
    pub const ALL: [FigureFormat; 3] = [FigureFormat::Png, FigureFormat::Svg, FigureFormat::Both];

    /// The name in flags.
    pub fn name(self) -> &'static str {
        match self {
            FigureFormat::Png => "png",
            FigureFormat::Svg => "svg",
            FigureFormat::Both => "both",
        }
    }

    pub(super) fn extensions(self) -> &'static [&'static str] {
        match self {
            FigureFormat::Png => &["png"],
            FigureFormat::Svg => &["svg"],
            FigureFormat::Both => &["png", "svg"],
        }
    }
}

impl FromStr for FigureFormat {
    type Err = Error;
    fn from_str(s: &str) -> Result<FigureFormat> {
        let names = FigureFormat::ALL.map(FigureFormat::name);
        FigureFormat::ALL.into_iter().find(|f| f.name() == s).ok_or_else(|| unknown("format", s, &names))
    }
}
