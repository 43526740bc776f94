//! Natural logarithms.

use super::super::simd::mul_add;
use super::exp::{LN2_HI, LN2_LO};

/// Bits of sqrt(1/2).
const SQRT_HALF: u32 = 0x3f35_04f3;

/// ln(x) + k0 ln 2 + c for a positive, normal and finite x, an integer k0 of at most 7 bits, and c small beside
/// ln(x) or, for x = 1, anything: a correction.
///
/// With x = 2^k (1 + f), 1 + f in [sqrt(1/2), sqrt(2)): ln(1 + f) = f - f^2 / 2 + f^3 P(f), where P has degree 7
/// and the whole a relative error of 5.9e-9. The sum k ln 2 + f is kept in two parts.
#[inline(always)]
pub(crate) fn log_normal<const FMA: bool>(x: f32, k0: f32, c: f32) -> f32 {
    let bits = x.to_bits().wrapping_sub(SQRT_HALF);
    let k = ((bits as i32) >> 23) as f32 + k0;
    let f = f32::from_bits((bits & 0x007f_ffff).wrapping_add(SQRT_HALF)) - 1.0;
    let p = mul_add::<FMA>(-7.641_028e-2, f, 1.276_642_1e-1);
    let p = mul_add::<FMA>(p, f, -1.316_003_2e-1);
    let p = mul_add::<FMA>(p, f, 1.420_109_1e-1);
    let p = mul_add::<FMA>(p, f, -1.662_331_2e-1);
    let p = mul_add::<FMA>(p, f, 2.000_125_5e-1);
    let p = mul_add::<FMA>(p, f, -2.500_082_3e-1);
    let p = mul_add::<FMA>(p, f, 3.333_333e-1);
    let tail = mul_add::<FMA>(f * f, mul_add::<FMA>(p, f, -0.5), mul_add::<FMA>(k, LN2_LO, c));
    // k LN2_HI is exact, and k is 0 or |k LN2_HI| > |f|: what the sum rounds off is recovered exactly.
    let high = k * LN2_HI;
    let sum = high + f;
    sum + (tail + (f - (sum - high)))
}

/// ln x.
///
/// At most 1 ulp off on every tier (over all floats: 0.876 with FMA, 0.923 without), denormal x included. -inf for
/// 0 of either sign, NaN for x < 0 and for NaN, inf for inf.
#[inline(always)]
pub(crate) fn log<const FMA: bool>(x: f32) -> f32 {
    const TWO_23: f32 = 8_388_608.0;
    let tiny = x < f32::MIN_POSITIVE;
    let y = log_normal::<FMA>(if tiny { x * TWO_23 } else { x }, if tiny { -23.0 } else { 0.0 }, 0.0);
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    // Also false for NaN.
    let y = if x >= 0.0 { y } else { f32::NAN };
    if x == f32::INFINITY { x } else { y }
}

/// ln(1 + x).
///
/// At most 1.1 ulp off on every tier (over all floats: 0.883 with FMA, 1.014 without). -inf for -1, NaN for x < -1
/// and for NaN, inf for inf, and x itself for |x| < 2^-24, zeros of either sign included.
#[inline(always)]
pub(crate) fn log1p<const FMA: bool>(x: f32) -> f32 {
    let u = 1.0 + x;
    // What the sum rounded off, exactly; ln(u + c) = ln u + c / u to first order.
    let c = if x > 1.0 { 1.0 - (u - x) } else { x - (u - 1.0) };
    let y = log_normal::<FMA>(u, 0.0, c / u);
    let y = if x.abs() < f32::EPSILON / 2.0 { x } else { y };
    let y = if x == -1.0 { f32::NEG_INFINITY } else { y };
    let y = if x >= -1.0 { y } else { f32::NAN };
    if x == f32::INFINITY { x } else { y }
}
