//! Printing, as NumPy does: aligned columns, and the middle of large tensors left out.

use super::Tensor;
use crate::{DType, Device};
use std::fmt;

/// Tensors with more elements are summarised.
const THRESHOLD: usize = 1000;
/// Entries shown at either end of a summarised dimension.
const EDGE: usize = 3;

/// The values as a nested list; floats with four digits after the point, in scientific notation if magnitudes differ
/// too much for that.
impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if self.device() == Device::Meta {
            return write!(f, "<no values>");
        }
        let summarise = self.numel() > THRESHOLD;
        let shown = shown_indices(self.shape(), summarise);
        let values = self.detach();
        let all = values.to_f64_vec();
        let picked: Vec<f64> = shown.iter().map(|&i| all[i]).collect();
        let style = Style::of(self.dtype(), &picked);
        let width = picked.iter().map(|&v| style.format(v).len()).max().unwrap_or(0);
        Printer { shape: self.shape(), all: &all, style, width, summarise }.write(f, 0, 0)
    }
}

/// The values, then shape, dtype, device and whether a gradient flows through.
impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{self}\nshape {:?}, {}, {}", self.shape(), self.dtype(), self.device())?;
        if let Some(n) = self.node() {
            write!(f, ", {}", n.op().map_or("leaf", |o| o.name()))?;
        }
        Ok(())
    }
}

/// Flat row-major indices of the entries that are printed.
fn shown_indices(shape: &[usize], summarise: bool) -> Vec<usize> {
    let mut flat = vec![0];
    for &n in shape {
        flat = flat.iter().flat_map(|&i| kept(n, summarise).map(move |j| i * n + j)).collect();
    }
    flat
}

fn kept(n: usize, summarise: bool) -> impl Iterator<Item = usize> {
    (0..n).filter(move |&i| !summarise || n <= 2 * EDGE || i < EDGE || i + EDGE >= n)
}

#[derive(Clone, Copy)]
enum Style {
    Integer,
    Fixed,
    Scientific,
}

impl Style {
    fn of(dtype: DType, values: &[f64]) -> Style {
        if !dtype.is_float() {
            return Style::Integer;
        }
        let sizes = values.iter().filter(|v| v.is_finite() && **v != 0.0).map(|v| v.abs());
        let (lo, hi) = sizes.fold((f64::INFINITY, 0.0f64), |(lo, hi), v| (lo.min(v), hi.max(v)));
        let wide = hi >= 1e8 || lo < 1e-4 || hi / lo > 1e3 && hi >= 1e3 && lo < 1.0;
        if hi > 0.0 && wide { Style::Scientific } else { Style::Fixed }
    }

    fn format(self, v: f64) -> String {
        match self {
            _ if v.is_nan() => "nan".into(),
            _ if v.is_infinite() => if v > 0.0 { "inf" } else { "-inf" }.into(),
            Style::Integer => format!("{v}"),
            Style::Fixed => format!("{v:.4}"),
            Style::Scientific => format!("{v:.4e}"),
        }
    }
}

struct Printer<'a> {
    shape: &'a [usize],
    all: &'a [f64],
    style: Style,
    width: usize,
    summarise: bool,
}

impl Printer<'_> {
    /// Writes the sub-array at nesting depth `dim` whose first element has row-major number `at`.
    fn write(&self, f: &mut fmt::Formatter, dim: usize, at: usize) -> fmt::Result {
        let Some(&n) = self.shape.get(dim) else {
            return write!(f, "{:>w$}", self.style.format(self.all[at]), w = self.width);
        };
        let step: usize = self.shape[dim + 1..].iter().product();
        let innermost = dim + 1 == self.shape.len();
        let newline = |f: &mut fmt::Formatter| {
            write!(f, ",{}{}", "\n".repeat(self.shape.len() - dim - 1), " ".repeat(dim + 1))
        };
        f.write_str("[")?;
        let mut previous = None;
        for i in kept(n, self.summarise) {
            if let Some(p) = previous {
                if innermost {
                    f.write_str(", ")?
                } else {
                    newline(f)?
                }
                if i > p + 1 {
                    f.write_str("...")?;
                    if innermost { f.write_str(", ")? } else { newline(f)? }
                }
            }
            self.write(f, dim + 1, at + i * step)?;
            previous = Some(i);
        }
        f.write_str("]")
    }
}
