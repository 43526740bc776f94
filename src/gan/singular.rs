//! The largest singular value of a weight: by how much a layer can stretch what it is given.

use super::network::Network;
use crate::nn::{Kind, Module};
use crate::optim::grad_norm;
use crate::rng::Stream;
use crate::{Generator, Tensor, no_grad};
use std::collections::BTreeMap;

/// Products with the matrix and as many with its transpose.
const STEPS: usize = 10;

/// The largest singular value of a weight as a matrix whose rows are its outputs, which are counted by the dimension
/// `outputs`: of a kernel `[out, in, kh, kw]` that of `[out, in kh kw]`.
///
/// Ten steps of Golub and Kahan's bidiagonalisation (1965, doi:10.1137/0702016) from a start that is always the same, so
/// that the value is a function of the weight alone. It is never too large but for rounding, about 1e-6 of it. For matrices
/// of independent normal numbers, whose singular values lie densely, it is at most 2 % too small up to 1024 rows and
/// columns; the further the largest stands out, as it does in networks that have learnt, the closer it comes.
///
/// ```
/// use ganvil::{Tensor, gan::top_singular_value};
/// let w = Tensor::from([[0.0f64, 3.0, 0.0], [-4.0, 0.0, 0.0]]);
/// assert!((top_singular_value(&w, 0) - 4.0).abs() < 1e-12);
/// ```
///
/// # Panics
/// If the weight is no float or has no such dimension.
#[track_caller]
pub fn top_singular_value(weight: &Tensor, outputs: isize) -> f64 {
    let rows = weight.detach().transpose(0, outputs);
    let m = rows.shape()[0];
    if rows.numel() == 0 {
        return 0.0;
    }
    let w = rows.reshape(&[m, rows.numel() / m]);
    no_grad(|| bidiagonal(&w).map_or(f64::NAN, |(alpha, beta)| top(&alpha, &beta)))
}

/// W V = U B with orthonormal columns in U and V: the diagonal of B and what stands above it. None where W is not finite.
fn bidiagonal(w: &Tensor) -> Option<(Vec<f64>, Vec<f64>)> {
    let random = Generator::new(0, Stream::General);
    let (wt, columns) = (w.t(), w.shape()[1]);
    let (mut alpha, mut beta) = (Vec::new(), Vec::new());
    let (mut v, _) = unit(random.normal(&[columns, 1], 0.0, 1.0, w.dtype(), w.device()))?;
    let mut next = w.matmul(&v);
    loop {
        let (u, a) = unit(next)?;
        alpha.push(a);
        // A direction of rounding errors alone would tell nothing.
        let negligible = |x: f64| x <= 1e-6 * alpha.iter().copied().fold(0.0, f64::max);
        if alpha.len() == STEPS || negligible(a) {
            return Some((alpha, beta));
        }
        let (right, b) = unit(wt.matmul(&u).sub(&v.mul_scalar(a)))?;
        if negligible(b) {
            return Some((alpha, beta));
        }
        beta.push(b);
        next = w.matmul(&right).sub(&u.mul_scalar(b));
        v = right;
    }
}

/// A vector of norm 1 and the norm it had; None if that is not finite.
fn unit(x: Tensor) -> Option<(Tensor, f64)> {
    let norm = grad_norm(&[Some(x.clone())]);
    norm.is_finite().then(|| if norm == 0.0 { (x, 0.0) } else { (x.mul_scalar(1.0 / norm), norm) })
}

/// The largest singular value of a bidiagonal matrix B: the root of the largest eigenvalue of B^T B, which is
/// tridiagonal, by bisection on the signs of the pivots of B^T B - x.
fn top(alpha: &[f64], beta: &[f64]) -> f64 {
    let above = |i: usize| i.checked_sub(1).map_or(0.0, |j| beta[j]);
    let diagonal: Vec<f64> = (0..alpha.len()).map(|i| alpha[i].powi(2) + above(i).powi(2)).collect();
    let off: Vec<f64> = (1..alpha.len()).map(|i| alpha[i - 1] * beta[i - 1]).collect();
    let all_below = |x: f64| {
        let mut pivot = 1.0;
        (0..diagonal.len()).all(|i| {
            let coupled = if i == 0 { 0.0 } else { off[i - 1].powi(2) / pivot };
            pivot = diagonal[i] - x - coupled;
            pivot < 0.0
        })
    };
    let largest = |v: &[f64]| v.iter().copied().fold(0.0, f64::max);
    let (mut low, mut high) = (0.0, largest(&diagonal) + 2.0 * largest(&off));
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if all_below(middle) { high = middle } else { low = middle }
    }
    high.sqrt()
}

/// The largest singular value of every weight of a network, by the weight's name (`D.net.3.weight`). A layer under spectral
/// normalisation has two: of the weight as it is trained (`weight_orig`), and of what it is divided into (`weight`), which
/// is near 1 while the layer's own estimate is good.
///
/// ```
/// use ganvil::gan::{Network, top_singular_values};
/// use ganvil::nn::LayerSpec;
/// use ganvil::{Generator, rng::Stream};
/// let layers = [LayerSpec::linear(9, 6).spectral(), LayerSpec::linear(6, 1)];
/// let sigma = top_singular_values(&Network::new("D", &layers, &Generator::new(0, Stream::Init)));
/// let names: Vec<&str> = sigma.keys().map(String::as_str).collect();
/// assert_eq!(names, ["D.net.0.weight", "D.net.0.weight_orig", "D.net.1.weight"]);
/// assert!((sigma["D.net.0.weight"] - 1.0).abs() < 0.05);
/// ```
pub fn top_singular_values(net: &Network) -> BTreeMap<String, f64> {
    let prefix = format!("{}.", net.name());
    let mut buffers = BTreeMap::new();
    net.visit(&prefix, &mut |name, kind, t| {
        if kind == Kind::Buffer {
            buffers.insert(name.to_owned(), t.clone());
        }
    });
    let mut all = BTreeMap::new();
    net.visit_weights(&prefix, &mut |name, w, outputs| {
        all.insert(name.to_owned(), top_singular_value(w, outputs));
        let forms = [("weight_orig", ["weight_u", "weight_v"]), (ORIGINAL, [LEFT, RIGHT])];
        for (original, vectors) in forms {
            let Some(layer) = name.strip_suffix(original) else { continue };
            if let [Some(u), Some(v)] = vectors.map(|v| buffers.get(&format!("{layer}{v}"))) {
                let divided = no_grad(|| w.detach().spectral_norm_eval(u, v, outputs));
                all.insert(format!("{layer}weight"), top_singular_value(&divided, outputs));
            }
        }
    });
    all
}

const ORIGINAL: &str = "parametrizations.weight.original";
const LEFT: &str = "parametrizations.weight.0._u";
const RIGHT: &str = "parametrizations.weight.0._v";
