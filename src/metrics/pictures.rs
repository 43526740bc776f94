//! The nearest of some pictures, exactly: bytes have whole squares.

use crate::error::misuse;

/// Pixels after which the distance to a picture that is farther than another is given up.
const STRETCH: usize = 256;

/// The number of the picture nearest to `picture`, the first of several, and how far it is: the Euclidean distance of pixels
/// in [0, 1]. None if there are no others.
#[track_caller]
pub(crate) fn nearest_picture<'a>(
    picture: &[u8],
    others: impl IntoIterator<Item = (usize, &'a [u8])>,
) -> Option<(usize, f64)> {
    let mut best = None;
    for (i, other) in others {
        if other.len() != picture.len() {
            misuse!("nearest_picture", "{} and {} values have no distance", picture.len(), other.len());
        }
        let bound = best.map_or(u64::MAX, |(_, squares)| squares);
        let mut sum = 0u64;
        for (a, b) in picture.chunks(STRETCH).zip(other.chunks(STRETCH)) {
            // Nothing wraps in a stretch; said so, it is as fast with checks of overflow.
            let add = |sum: u32, (a, b): (&u8, &u8)| {
                let d = u32::from(a.abs_diff(*b));
                sum.wrapping_add(d.wrapping_mul(d))
            };
            sum += u64::from(a.iter().zip(b).fold(0, add));
            if sum >= bound {
                break;
            }
        }
        if sum < bound {
            best = Some((i, sum));
        }
    }
    best.map(|(i, squares)| (i, (squares as f64).sqrt() / 255.0))
}

/// The middle of the values, the mean of the two middle ones of an even number; NaN of none.
pub(crate) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    let n = values.len();
    if n == 0 { f64::NAN } else { (values[(n - 1) / 2] + values[n / 2]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_that_of_all_distances() {
        let area = 3 * 200;
        let value = |i: usize| ((i as u64).wrapping_mul(6364136223846793005).rotate_left(29) >> 13) as u8;
        let pixels: Vec<u8> = (0..50 * area).map(value).collect();
        let others = || pixels.chunks_exact(area).enumerate();
        for at in [0, 7, 49] {
            let mut image = pixels[at * area..(at + 1) * area].to_vec();
            image.iter_mut().step_by(3).for_each(|v| *v = v.wrapping_add(40));
            let distance = |other: &[u8]| {
                let squares = image.iter().zip(other).map(|(a, b)| ((*a as f64 - *b as f64) / 255.0).powi(2));
                squares.sum::<f64>().sqrt()
            };
            let all: Vec<f64> = others().map(|(_, other)| distance(other)).collect();
            let want = all.iter().copied().fold(f64::MAX, f64::min);
            let (found, d) = nearest_picture(&image, others()).unwrap();
            assert!(all[found] == want && (d - want).abs() < 1e-9, "{at}: {found} {d} {want}");
        }
        assert_eq!(nearest_picture(&pixels[3 * area..4 * area], others()), Some((3, 0.0)));
        assert_eq!(nearest_picture(&[], []), None);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0, 10.0]), 2.5);
        assert_eq!(median([4.0, 1.0, 2.0]), 2.0);
        assert!(median([]).is_nan());
    }
}
