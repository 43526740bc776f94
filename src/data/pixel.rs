//! The one mapping between bytes of a picture and the range of a generator's tanh, \[-1, 1\].

/// A pixel as a number: `v / 127.5 - 1`, so 0 is -1 and 255 is 1.
#[inline]
pub fn to_unit(v: u8) -> f32 {
    v as f32 / 127.5 - 1.0
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
