//! Ways through latent space.
//!
//! Normal vectors of many dimensions have nearly one length, so that the middle of a straight line between two is a
//! vector such as training hardly ever drew. A great circle keeps the length (White, 2016, arXiv:1609.04468).

use super::Prior;
use crate::error::misuse;

/// Spherical interpolation. With a' = a / |a|, b' = b / |b| and w = acos(a' . b'), the point at `t` is
///
/// (sin((1 - t) w) a' + sin(t w) b') / sin w, times (1 - t) |a| + t |b|,
///
/// or the straight line's, (1 - t) a + t b, where sin w < 1e-6 and the circle is not known. At 0 it is `a` and at 1 `b`,
/// bit for bit.
///
/// ```
/// use ganvil::gan::slerp;
/// let middle = slerp(&[2.0, 0.0], &[0.0, 4.0], 0.5);
/// let want = 3.0 * std::f32::consts::FRAC_1_SQRT_2; // half way round, and half way from length 2 to 4
/// assert!(middle.iter().all(|v| (v - want).abs() < 1e-6));
/// ```
///
/// # Panics
/// If the vectors have different lengths.
#[track_caller]
pub fn slerp(a: &[f32], b: &[f32], t: f64) -> Vec<f32> {
    if a.len() != b.len() {
        misuse!("slerp", "vectors of {} and {} elements; give two of one length", a.len(), b.len());
    }
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(&x, &y)| x as f64 * y as f64).sum::<f64>();
    let (na, nb) = (dot(a, a).sqrt(), dot(b, b).sqrt());
    let w = (dot(a, b) / (na * nb)).clamp(-1.0, 1.0).acos();
    // Also where a vector is zero, and w no number.
    if t == 0.0 || t == 1.0 || w.sin().is_nan() || w.sin() < 1e-6 {
        return lerp(a, b, t);
    }
    let length = (1.0 - t) * na + t * nb;
    let (p, q) = (((1.0 - t) * w).sin() / w.sin() / na, (t * w).sin() / w.sin() / nb);
    a.iter().zip(b).map(|(&a, &b)| (length * (p * a as f64 + q * b as f64)) as f32).collect()
}

fn lerp(a: &[f32], b: &[f32], t: f64) -> Vec<f32> {
    a.iter().zip(b).map(|(&a, &b)| ((1.0 - t) * a as f64 + t * b as f64) as f32).collect()
}

/// The way between two latents that stays where the prior is: of a uniform one, whose cube has corners outside of any
/// circle, the straight line.
pub(super) fn slerp_or_lerp(prior: Prior, a: &[f32], b: &[f32], t: f64) -> Vec<f32> {
    match prior {
        Prior::Uniform => lerp(a, b, t),
        Prior::Normal | Prior::Sphere => slerp(a, b, t),
    }
}

/// A closed way through several latent vectors.
pub(super) struct Round<'a> {
    prior: Prior,
    points: Vec<&'a [f32]>,
}

impl<'a> Round<'a> {
    /// Through these vectors of `latent` elements, and back to the first.
    pub fn new(prior: Prior, points: &'a [f32], latent: usize) -> Round<'a> {
        Round { prior, points: points.chunks_exact(latent).collect() }
    }

    /// The vector at a time in [0, 1), of which each piece takes an equal share.
    pub fn at(&self, time: f64) -> Vec<f32> {
        let n = self.points.len();
        let place = time * n as f64;
        let piece = (place as usize).min(n - 1);
        let (a, b) = (self.points[piece], self.points[(piece + 1) % n]);
        slerp_or_lerp(self.prior, a, b, place - piece as f64)
    }
}
