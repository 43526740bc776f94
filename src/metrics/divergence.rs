//! Divergences of histograms, in nats. Both are normalised first; empty bins are allowed.

use crate::error::misuse;

/// Kullback and Leibler's sum_i p_i ln(p_i / q_i): infinite where p has a bin that q has not, 0 for equal histograms.
///
/// ```
/// use ganvil::metrics::kl_divergence;
/// assert_eq!(kl_divergence(&[2.0, 2.0], &[7.0, 7.0]), 0.0);
/// assert_eq!(kl_divergence(&[1.0, 0.0], &[0.0, 1.0]), f64::INFINITY);
/// assert!((kl_divergence(&[1.0, 0.0], &[1.0, 1.0]) - 2f64.ln()).abs() < 1e-15);
/// ```
///
/// # Panics
/// If the two have different numbers of bins, a bin below 0, or no counts at all.
#[track_caller]
pub fn kl_divergence(p: &[f64], q: &[f64]) -> f64 {
    let [p, q] = normalised("kl_divergence", p, q);
    kl(&p, &q)
}

/// Jensen and Shannon's (KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2: from 0 to ln 2.
///
/// ```
/// use ganvil::metrics::js_divergence;
/// assert_eq!(js_divergence(&[1.0, 3.0], &[2.0, 6.0]), 0.0);
/// assert!((js_divergence(&[1.0, 0.0], &[0.0, 5.0]) - 2f64.ln()).abs() < 1e-15);
/// ```
///
/// # Panics
/// As [`kl_divergence`].
#[track_caller]
pub fn js_divergence(p: &[f64], q: &[f64]) -> f64 {
    let [p, q] = normalised("js_divergence", p, q);
    js(&p, &q)
}

/// Of shares.
pub(super) fn js(p: &[f64], q: &[f64]) -> f64 {
    let m: Vec<f64> = p.iter().zip(q).map(|(p, q)| (p + q) / 2.0).collect();
    // Rounding may leave nearly equal shares just below.
    ((kl(p, &m) + kl(q, &m)) / 2.0).max(0.0)
}

/// Of shares.
pub(super) fn kl(p: &[f64], q: &[f64]) -> f64 {
    // 0 ln 0 = 0.
    p.iter().zip(q).filter(|(p, _)| **p > 0.0).map(|(p, q)| p * (p / q).ln()).sum()
}

#[track_caller]
fn normalised(what: &'static str, p: &[f64], q: &[f64]) -> [Vec<f64>; 2] {
    if p.len() != q.len() {
        misuse!(what, "histograms of {} and {} bins; both need the same bins", p.len(), q.len());
    }
    [p, q].map(|h| {
        let sum: f64 = h.iter().sum();
        if !(sum > 0.0 && sum.is_finite() && h.iter().all(|v| *v >= 0.0)) {
            misuse!(what, "a histogram's counts are finite, 0 or more and not all 0, got {h:?}");
        }
        h.iter().map(|v| v / sum).collect()
    })
}
