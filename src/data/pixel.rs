//! The one mapping between bytes of a picture and the range of a generator's tanh, \[-1, 1\].

use crate::backend::cpu::simd::{Kernel, vectorize};

/// A pixel as a number: `v / 127.5 - 1`, so 0 is -1 and 255 is 1.
#[inline]
pub fn to_unit(v: u8) -> f32 {
    v as f32 / 127.5 - 1.0
}

/// [`to_unit`] of each of some pixels, in vectors.
///
/// ```
/// let mut out = [0.0; 3];
/// ganvil::data::to_units(&[0, 51, 255], &mut out);
/// assert_eq!(out, [-1.0, -0.6, 1.0]);
/// ```
///
/// # Panics
/// If there are not as many places as pixels.
#[track_caller]
pub fn to_units(pixels: &[u8], out: &mut [f32]) {
    assert_eq!(pixels.len(), out.len(), "to_units: as many places as pixels are needed");
    vectorize(ToUnits { pixels, out });
}

struct ToUnits<'a> {
    pixels: &'a [u8],
    out: &'a mut [f32],
}
impl Kernel for ToUnits<'_> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        self.out.iter_mut().zip(self.pixels).for_each(|(x, &v)| *x = to_unit(v));
    }
}

/// A number as a pixel: `round((v + 1) * 127.5)`, halves upwards, clamped to 0..=255; NaN is 0.
///
/// `from_unit(to_unit(v)) == v` for every `v`.
#[inline]
pub fn from_unit(v: f32) -> u8 {
    // A float-to-integer `as` saturates and takes NaN to 0.
    ((v + 1.0) * 127.5).round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        for v in 0..=u8::MAX {
            assert_eq!(from_unit(to_unit(v)), v);
        }
        assert_eq!((to_unit(0), to_unit(255)), (-1.0, 1.0));
        let all: Vec<u8> = (0..=u8::MAX).chain(0..7).collect();
        let mut out = vec![0.0; all.len()];
        to_units(&all, &mut out);
        assert!(all.iter().zip(out).all(|(&v, x)| x == to_unit(v)));
    }

    #[test]
    fn numbers_outside_of_the_range_clamp() {
        let cases = [(0.0, 128), (-1.5, 0), (1.0 + 1e-6, 255), (1e30, 255), (-1e30, 0)];
        for (v, want) in cases {
            assert_eq!(from_unit(v), want, "{v}");
        }
        assert_eq!(from_unit(f32::INFINITY), 255);
        assert_eq!(from_unit(f32::NEG_INFINITY), 0);
        assert_eq!(from_unit(f32::NAN), 0);
    }
}
