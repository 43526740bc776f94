//! Functions of e^x with two horizontal asymptotes, or one and a slope.

use super::super::simd::mul_add;
use super::exp::{exp, power_of_two, split};
use super::log::log_normal;

/// tanh x.
///
/// At most 1.5 ulp off on every tier (over all floats: 1.332); +-1 from |x| = 9.02 on; tanh(+-0) = +-0;
/// NaN for NaN.
///
/// Below 0.6 it is x + x^3 P(x^2) with P of degree 4 (relative error 2.8e-9), where 1 - 2 / (e^2|x| + 1), used
/// above, would cancel. Both are computed and one selected.
#[inline(always)]
pub(crate) fn tanh<const FMA: bool>(x: f32) -> f32 {
    let a = x.abs();
    let z = a * a;
    let p = mul_add::<FMA>(-5.896_549e-3, z, 2.079_762_9e-2);
    let p = mul_add::<FMA>(p, z, -5.378_449_7e-2);
    let p = mul_add::<FMA>(p, z, 1.333_193_5e-1);
    let p = mul_add::<FMA>(p, z, -3.333_33e-1);
    let small = mul_add::<FMA>(a * z, p, a);
    // From e^20 on the quotient is below half an ulp of 1.
    let (p, n) = split::<FMA>(if a > 10.0 { 20.0 } else { a + a });
    let large = 1.0 - 2.0 / mul_add::<FMA>(p, power_of_two(n), 1.0);
    (if a < 0.6 { small } else { large }).copysign(x)
}

/// 1 / (1 + e^-x).
///
/// At most 2.5 ulp off on every tier (over all floats: 2.402); denormal results below -87.34 are rounded gradually; 0 and 1 at the ends;
/// NaN for NaN.
#[inline(always)]
pub(crate) fn sigmoid<const FMA: bool>(x: f32) -> f32 {
    // With the exponential of -|x| nothing overflows, and the small side keeps its relative precision.
    let e = exp::<FMA>(-x.abs());
    (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
}

/// ln(1 + e^x), computed as max(x, 0) + ln(1 + e^-|x|).
///
/// At most 1.8 ulp off on every tier (over all floats: 1.682 with FMA, 1.758 without), also where the result is as
/// small as e^x; NaN for NaN.
#[inline(always)]
pub(crate) fn softplus<const FMA: bool>(x: f32) -> f32 {
    let e = exp::<FMA>(-x.abs());
    // As in log1p, without what only arguments outside of [0, 1] need. A NaN arrives through the quotient.
    let u = 1.0 + e;
    (if x > 0.0 { x } else { 0.0 }) + log_normal::<FMA>(u, 0.0, (e - (u - 1.0)) / u)
}
