//! Normal numbers by the method of Box and Muller (Ann. Math. Stat. 29, 1958), with the same bits on every device.
//!
//! From two random words a and b:
//!
//! ```text
//! u = f32(a) 2^-32 + 2^-33                    in [2^-33, 1]
//! r = sqrt(-2 ln u)                           in [0, 6.77]
//! q = (b + 2^29 mod 2^32) >> 30               the nearest quarter turn
//! t = f32(i32(b - 2^30 q mod 2^32)) 2^-29     the eighths of a turn beyond it, in [-1, 1]
//! s = t S(t^2), c = 1 + t^2 C(t^2)            sin and cos of t pi / 4
//! (c, s), (-s, c), (-c, -s), (s, -c)          cos and sin of 2 pi b / 2^32, for q = 0, 1, 2, 3
//! z = r cos, r sin
//! ```
//!
//! f32() rounds to nearest even, and so does every operation, each for itself: a product is never fused with a
//! sum. ln is [`log_normal`] without FMA, k0 = c = 0. The polynomials are evaluated by Horner's rule; S and C are
//! minimax for relative errors of 2.8e-8 (of which 2.5e-8 is the rounding of pi / 4) and 4.4e-10.
//!
//! Relative errors, against exact functions of u and b: r 9.4e-8, cos and sin 1.71e-7 (the largest over all words),
//! hence z at most 3.3e-7.

use super::super::vmath::log_normal;
use std::f32::consts::FRAC_PI_4;

/// Two independent standard normal numbers.
#[inline(always)]
pub(super) fn standard_normals(a: u32, b: u32) -> [f32; 2] {
    let r = radius(a);
    let (cos, sin) = cos_sin(b);
    [r * cos, r * sin]
}

/// sqrt(-2 ln u).
#[inline(always)]
pub(super) fn radius(a: u32) -> f32 {
    (-2.0 * log_normal::<false>(unit(a), 0.0, 0.0)).sqrt()
}

/// u: uniform in (0, 1], with steps as fine as f32 has near 0, so that normals reach 6.76.
#[inline(always)]
pub(super) fn unit(a: u32) -> f32 {
    const STEP: f32 = 1.0 / 4_294_967_296.0;
    a as f32 * STEP + STEP / 2.0
}

/// cos and sin of 2 pi b / 2^32.
#[inline(always)]
pub(super) fn cos_sin(b: u32) -> (f32, f32) {
    let quarter = b.wrapping_add(1 << 29) >> 30;
    let t = b.wrapping_sub(quarter << 30) as i32 as f32 * (1.0 / 536_870_912.0);
    let z = t * t;
    let s = t * (((-3.660_915e-5 * z + 2.491_016_4e-3) * z - 8.074_583e-2) * z + FRAC_PI_4);
    let c = (((3.494_037e-6 * z - 3.258_686_6e-4) * z + 1.585_428_4e-2) * z - 3.084_251_3e-1) * z + 1.0;
    let odd = quarter & 1 != 0;
    let (cos, sin) = if odd { (s, c) } else { (c, s) };
    // cos is negative in quarters 1 and 2, sin in 2 and 3: bit 1 of q + 1 and of q, moved to the sign.
    let flip = |x: f32, q: u32| f32::from_bits(x.to_bits() ^ (q & 2) << 30);
    (flip(cos, quarter + 1), flip(sin, quarter))
}
