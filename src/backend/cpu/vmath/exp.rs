//! The exponential function.

use super::super::simd::mul_add;

/// ln 2 in two parts. The first has 15 bits, so that its product with an integer of 8 bits is exact without
/// fused multiply-add.
pub(super) const LN2_HI: f32 = f32::from_bits(0x3f31_7200);
pub(super) const LN2_LO: f32 = 1.428_606_8e-6;

/// 1.5 * 2^23: a float of magnitude below 2^22 added to this is rounded to the nearest integer, which then stands
/// in the low bits of the sum.
const ROUND: f32 = 12_582_912.0;

/// e^x as (p, n) with e^x = p 2^n, n = round(x / ln 2) and p in [0.70, 1.42].
///
/// For |x| <= 104, or NaN: then p is NaN and n arbitrary. The argument r = x - n ln 2 is reduced in two steps of
/// which the first is exact; p is a polynomial of degree 6 in r, minimax in relative error (3.2e-9) on
/// |r| <= 0.3472.
#[inline(always)]
pub(super) fn split<const FMA: bool>(x: f32) -> (f32, i32) {
    let shifted = mul_add::<FMA>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = mul_add::<FMA>(n, -LN2_LO, mul_add::<FMA>(n, -LN2_HI, x));
    let q = mul_add::<FMA>(1.381_893_9e-3, r, 8.368_704e-3);
    let q = mul_add::<FMA>(q, r, 4.166_829e-2);
    let q = mul_add::<FMA>(q, r, 1.666_652_1e-1);
    let q = mul_add::<FMA>(q, r, 4.999_999_4e-1);
    let p = 1.0 + mul_add::<FMA>(r * r, q, r);
    (p, (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32))
}

/// 2^n for -126 <= n <= 127.
#[inline(always)]
pub(super) fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// e^x.
///
/// At most 1.1 ulp off on every tier (over all floats: 1.013 with FMA, 0.989 without), denormal results included,
/// which are rounded gradually; inf above 88.72 and 0 below -103.97, as rounding says; NaN for NaN.
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    // Beyond these the result is inf or 0; comparisons are false for NaN, which therefore goes through.
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let (p, n) = split::<FMA>(x);
    // n reaches from -150 to 128, further than one factor can: the first product is exact, the second rounds.
    let half = n >> 1;
    p * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}
