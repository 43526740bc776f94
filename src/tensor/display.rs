//! Printing, character by character as NumPy 2.4 does: shortest digits that tell values apart, aligned columns, lines
//! of 75 characters, and the middle of large tensors left out.

use super::Tensor;
use crate::dtype::{Element, dispatch};
use crate::{DType, Device};
use std::fmt;

/// Tensors with more elements are summarised.
const THRESHOLD: usize = 1000;
/// Entries shown at either end of a summarised dimension.
const EDGE: usize = 3;
/// Characters of a line.
const LINE: usize = 75;
/// Most digits after the point, unless the format string says otherwise.
const PRECISION: usize = 8;

/// The values as a nested list. Floats have up to eight digits after the point (`{:.3}`: up to three), and are in
/// scientific notation if the largest is 1000 times the smallest, below 1e-4 or beyond the digits of the dtype.
impl fmt::Display for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if self.device() == Device::Meta {
            return write!(f, "<no values>");
        }
        if self.numel() == 0 {
            return f.write_str("[]");
        }
        let summarise = self.numel() > THRESHOLD;
        let shown = shown_indices(self.shape(), summarise);
        let texts = match self.dtype() {
            DType::I64 => texts(&self.to_vec::<i64>(), &shown),
            DType::U8 => texts(&self.to_vec::<u8>(), &shown),
            dtype => {
                let values = self.to_f64_vec();
                if self.rank() == 0 {
                    return f.write_str(&scalar(values[0], dtype));
                }
                let picked: Vec<f64> = shown.iter().map(|&i| values[i]).collect();
                floats(&picked, dtype, f.precision().unwrap_or(PRECISION))
            }
        };
        let mut words = aligned(texts).into_iter();
        if self.rank() == 0 {
            return f.write_str(&words.next().expect("a scalar has one element"));
        }
        f.write_str(&nested(self.shape(), 0, summarise, &mut words))
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

/// The sub-array at nesting depth `depth`, its elements taken from `words` in order.
fn nested(
    shape: &[usize],
    depth: usize,
    summarise: bool,
    words: &mut impl Iterator<Item = String>,
) -> String {
    let n = shape[depth];
    let cut = summarise && n > 2 * EDGE;
    let entries = if cut { 2 * EDGE } else { n };
    let indent = " ".repeat(depth + 1);
    let mut parts = Vec::with_capacity(entries + 1);
    for i in 0..entries {
        if cut && i == EDGE {
            parts.push("...".to_string());
        }
        parts.push(if depth + 1 == shape.len() {
            words.next().expect("one word for each element shown")
        } else {
            nested(shape, depth + 1, summarise, words)
        });
    }
    let inside = if depth + 1 == shape.len() {
        filled(&parts, &indent, LINE - 1 - depth)
    } else {
        parts.join(&format!("{}{indent}", "\n".repeat(shape.len() - depth - 1)))
    };
    format!("[{inside}]")
}

/// Words joined by spaces in lines that end before `width`, all but the first indented.
fn filled(words: &[String], indent: &str, width: usize) -> String {
    let mut text = String::new();
    let mut column = indent.len();
    for (i, word) in words.iter().enumerate() {
        if i > 0 {
            if column + 1 + word.len() > width {
                // The padding of a short fraction.
                text.truncate(text.trim_end().len());
                text.push('\n');
                text.push_str(indent);
                column = indent.len();
            } else {
                text.push(' ');
                column += 1;
            }
        }
        text.push_str(word);
        column += word.len();
    }
    text
}

/// The integers at these places.
fn texts(values: &[impl fmt::Display], shown: &[usize]) -> Vec<String> {
    shown.iter().map(|&i| values[i].to_string()).collect()
}

/// Texts of one width.
fn aligned(texts: Vec<String>) -> Vec<String> {
    let width = texts.iter().map(String::len).max().unwrap_or(0);
    texts.into_iter().map(|t| format!("{t:>width$}")).collect()
}

/// Floats in one notation, with their points in one column once they are aligned at the right.
fn floats(values: &[f64], dtype: DType, precision: usize) -> Vec<String> {
    let sizes = values.iter().filter(|v| v.is_finite() && **v != 0.0).map(|v| v.abs());
    let (lo, hi) = sizes.fold((f64::INFINITY, 0.0f64), |(lo, hi), v| (lo.min(v), hi.max(v)));
    let plain_below = largest_plain(dtype).min(1e8);
    if hi > 0.0 && (hi >= plain_below || lo < 1e-4 || hi / lo > 1000.0) {
        scientific_column(values, dtype, precision)
    } else {
        plain_column(values, dtype, precision)
    }
}

/// Fractions padded with spaces to one length.
fn plain_column(values: &[f64], dtype: DType, precision: usize) -> Vec<String> {
    let texts: Vec<String> = values.iter().map(|&v| plain(v, dtype, precision)).collect();
    let places = |t: &String| t.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let longest = texts.iter().map(places).max().unwrap_or(0);
    let pad =
        |t: String| if t.contains('.') { format!("{t}{}", " ".repeat(longest - places(&t))) } else { t };
    texts.into_iter().map(pad).collect()
}

/// As many digits for all as the value with the most needs, and exponents of one length.
fn scientific_column(values: &[f64], dtype: DType, precision: usize) -> Vec<String> {
    let finite = || values.iter().copied().filter(|v| v.is_finite());
    let places = |v: f64| scientific(v, shortest(v, dtype).0.len().min(precision + 1) - 1).0;
    let needed =
        |v: f64| places(v).trim_end_matches('0').split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let longest = finite().map(needed).max().unwrap_or(0);
    let width = finite().map(|v| exponent_digits(scientific(v, longest).1).len()).max().unwrap_or(0);
    let text = |&v: &f64| {
        if !v.is_finite() {
            return not_finite(v);
        }
        let (mantissa, e) = scientific(v, longest);
        let point = if longest == 0 { "." } else { "" };
        format!("{mantissa}{point}e{}{:0>width$}", sign(e), exponent_digits(e))
    };
    values.iter().map(text).collect()
}

/// A 0-dimensional tensor: all the digits it takes.
fn scalar(v: f64, dtype: DType) -> String {
    if v == 0.0 || !v.is_finite() || (1e-4..largest_plain(dtype)).contains(&v.abs()) {
        let text = plain(v, dtype, usize::MAX);
        return if text.ends_with('.') { text + "0" } else { text };
    }
    let (mantissa, e) = scientific(v, shortest(v, dtype).0.len() - 1);
    format!("{mantissa}e{}{}", sign(e), exponent_digits(e))
}

/// Plain notation with at most `precision` places and no zeros at the end: `-12.5`, `3.`.
fn plain(v: f64, dtype: DType, precision: usize) -> String {
    if !v.is_finite() {
        return not_finite(v);
    }
    let minus = if v.is_sign_negative() { "-" } else { "" };
    let (digits, exponent) = shortest(v, dtype);
    let places = digits.len() as i32 - 1 - exponent;
    let text = if places > 0 && places as usize > precision {
        let rounded = format!("{:.precision$}", v.abs());
        if precision == 0 { rounded + "." } else { rounded.trim_end_matches('0').into() }
    } else if exponent < 0 {
        format!("0.{}{digits}", "0".repeat(-exponent as usize - 1))
    } else {
        let whole = exponent as usize + 1;
        let padded = format!("{digits:0<whole$}");
        format!("{}.{}", &padded[..whole], &padded[whole..])
    };
    format!("{minus}{text}")
}

/// The mantissa with its sign and this many places, and the exponent.
fn scientific(v: f64, places: usize) -> (String, i32) {
    let text = format!("{v:.places$e}");
    let (mantissa, exponent) = text.split_once('e').expect("{:e} writes an exponent");
    (mantissa.into(), exponent.parse().expect("{:e} writes a whole exponent"))
}

fn not_finite(v: f64) -> String {
    if v.is_nan() { "nan" } else { ["inf", "-inf"][v.is_sign_negative() as usize] }.into()
}

fn sign(exponent: i32) -> char {
    if exponent < 0 { '-' } else { '+' }
}

/// At least two digits, without the sign.
fn exponent_digits(e: i32) -> String {
    format!("{:02}", e.unsigned_abs())
}

/// From here on plain notation would show digits that the dtype does not have. Columns of f64 switch at 1e8.
fn largest_plain(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => 1e16,
        DType::F32 => 1e6,
        _ => 1e3,
    }
}

/// The fewest digits of a finite value's size that its dtype tells apart from every other value, without the point,
/// and the exponent of the first.
fn shortest(v: f64, dtype: DType) -> (String, i32) {
    fn of<T: Element>(v: f64) -> (String, i32) {
        let reads_back = |text: &str| text.parse::<f64>().is_ok_and(|back| T::from_f64(back).to_f64() == v);
        let enough = (0..17).find(|&places| reads_back(&format!("{v:.places$e}"))).unwrap_or(17);
        let (mantissa, exponent) = scientific(v, enough);
        (mantissa.replace('.', ""), exponent)
    }
    dispatch!(dtype, float, T => of::<T>(v.abs()))
}
