//! Distributions on the line whose densities are known, and integrals over them.

use crate::{Generator, Tensor};
use rand::RngExt;
use rand_distr::StandardNormal;
use std::f64::consts::TAU;

/// p(x) = sum_i w_i N(x; m_i, s_i^2).
#[derive(Clone, Debug)]
pub(super) struct Density {
    /// Share w, mean m and standard deviation s of each component; the shares sum to 1.
    components: Vec<(f64, f64, f64)>,
}

impl Density {
    pub fn normal(mean: f64, std: f64) -> Density {
        Density { components: vec![(1.0, mean, std)] }
    }

    pub fn mixture(components: &[(f64, f64, f64)]) -> Density {
        debug_assert!((components.iter().map(|c| c.0).sum::<f64>() - 1.0).abs() < 1e-12);
        Density { components: components.to_vec() }
    }

    pub fn at(&self, x: f64) -> f64 {
        let component =
            |&(w, m, s): &(f64, f64, f64)| w * (-0.5 * ((x - m) / s).powi(2)).exp() / (s * TAU.sqrt());
        self.components.iter().map(component).sum()
    }

    /// Independent samples, `[n, 1]`; one draw of the stream.
    pub fn samples(&self, n: usize, random: &Generator) -> Tensor {
        let mut rng = random.host();
        let one = |_| {
            let mut u = rng.random::<f64>();
            let last = self.components.len() - 1;
            let chosen = self.components[..last].iter().position(|&(w, ..)| {
                u -= w;
                u < 0.0
            });
            let (_, m, s) = self.components[chosen.unwrap_or(last)];
            (m + s * rng.sample::<f64, _>(StandardNormal)) as f32
        };
        Tensor::new(&(0..n).map(one).collect::<Vec<f32>>(), &[n, 1])
    }

    /// An interval outside of which less than 1e-14 of any component lies.
    fn support(&self) -> (f64, f64) {
        let low = self.components.iter().map(|&(_, m, s)| m - 8.0 * s).fold(f64::INFINITY, f64::min);
        let high = self.components.iter().map(|&(_, m, s)| m + 8.0 * s).fold(f64::NEG_INFINITY, f64::max);
        (low, high)
    }
}

/// Evenly spaced numbers from `low` to `high`, both included.
pub(super) fn even(low: f64, high: f64, n: usize) -> Vec<f64> {
    (0..n).map(|i| low + (high - low) * i as f64 / (n - 1) as f64).collect()
}

/// Points over both densities, close enough for the trapezoidal rule to be exact to rounding on what is as smooth as
/// they are.
pub(super) fn axis(p: &Density, q: &Density) -> Vec<f64> {
    let ((a, b), (c, d)) = (p.support(), q.support());
    even(a.min(c), b.max(d), 4001)
}

/// The integral of a function given at evenly spaced points, by the trapezoidal rule.
pub(super) fn integral(x: &[f64], f: impl Fn(usize) -> f64) -> f64 {
    let step = (x[x.len() - 1] - x[0]) / (x.len() - 1) as f64;
    let ends = 0.5 * (f(0) + f(x.len() - 1));
    step * (ends + (1..x.len() - 1).map(f).sum::<f64>())
}

/// JSD(p || q) = (KL(p || m) + KL(q || m)) / 2 in nats, m = (p + q) / 2, by quadrature.
pub(super) fn jsd(p: &Density, q: &Density) -> f64 {
    let x = axis(p, q);
    integral(&x, |i| {
        let (p, q) = (p.at(x[i]), q.at(x[i]));
        let part = |a: f64| if a > 0.0 { 0.5 * a * (2.0 * a / (p + q)).ln() } else { 0.0 };
        part(p) + part(q)
    })
}

/// p / (p + q), by the logarithms where both are too small.
pub(super) fn best(p: f64, q: f64) -> f64 {
    if p + q > 0.0 { p / (p + q) } else { 0.5 }
}

/// The points at which either density is above `share` of its own largest value.
pub(super) fn where_weighty(p: &Density, q: &Density, share: f64) -> Vec<f64> {
    let x = axis(p, q);
    let peak = |d: &Density| x.iter().map(|&x| d.at(x)).fold(0.0, f64::max);
    let (least_p, least_q) = (share * peak(p), share * peak(q));
    x.iter().copied().filter(|&x| p.at(x) > least_p || q.at(x) > least_q).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Stream;
    use std::f64::consts::LN_2;

    #[test]
    fn densities_and_their_samples_agree() {
        let d = Density::mixture(&[(0.3, -2.0, 0.5), (0.7, 1.0, 0.25)]);
        let x = axis(&d, &d);
        assert!((integral(&x, |i| d.at(x[i])) - 1.0).abs() < 1e-12);
        let mean = integral(&x, |i| x[i] * d.at(x[i]));
        assert!((mean - (0.3 * -2.0 + 0.7)).abs() < 1e-12);
        let n = 20_000;
        let sampled = d.samples(n, &Generator::new(0, Stream::Data));
        let std = integral(&x, |i| (x[i] - mean).powi(2) * d.at(x[i])).sqrt();
        assert!((sampled.mean_all().item() - mean).abs() < 5.0 * std / (n as f64).sqrt());
    }

    #[test]
    fn jsd_runs_from_0_to_ln_2() {
        let at = |m| Density::normal(m, 1.0);
        assert_eq!(jsd(&at(0.0), &at(0.0)), 0.0);
        assert!((jsd(&at(0.0), &at(30.0)) - LN_2).abs() < 1e-9);
        let near = jsd(&at(0.0), &at(0.1));
        // KL between near neighbours is d^2 / 2, and JSD a quarter of it.
        assert!((near - 0.1f64.powi(2) / 8.0).abs() < 1e-5, "{near}");
    }
}
