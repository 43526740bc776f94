//! Histograms in TensorFlow's buckets.

/// Where a bucket above zero begins, for the first; each is a tenth wider than the one below it.
const SMALLEST: f64 = 1e-12;
const GROWTH: f64 = 1.1;
const LARGEST: f64 = 1e20;

/// How often values lie where.
///
/// Bucket i counts the values v with `bucket_limit[i - 1] <= v < bucket_limit[i]`. The limits are some of TensorFlow's:
/// 0, the numbers 1e-12 * 1.1^k below 1e20, the largest double, and the same below zero; so a value is known to a tenth of
/// its size. Neighbouring buckets without values are one, and there are none at the ends: where the first begins and the
/// last ends, `min` and `max` tell better.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    /// The smallest value; 0 if there is none.
    pub min: f64,
    /// The largest value; 0 if there is none.
    pub max: f64,
    /// How many values.
    pub num: f64,
    /// Sum of the values.
    pub sum: f64,
    /// Sum of their squares.
    pub sum_squares: f64,
    /// Upper end of each bucket, ascending.
    pub bucket_limit: Vec<f64>,
    /// Values in each bucket.
    pub bucket: Vec<f64>,
}

impl Histogram {
    /// Counts values. Those that are not finite are left out: they are neither in `num` nor in a bucket.
    ///
    /// ```
    /// use ganvil::report::tensorboard::Histogram;
    /// let h = Histogram::new(&[-1.0, 0.0, 0.0, 2.0, f32::NAN, f32::INFINITY]);
    /// assert_eq!((h.min, h.max, h.num, h.sum, h.sum_squares), (-1.0, 2.0, 4.0, 1.0, 5.0));
    /// assert_eq!(h.bucket.iter().filter(|&&n| n > 0.0).collect::<Vec<_>>(), [&1.0, &2.0, &1.0]);
    /// ```
    pub fn new(values: &[f32]) -> Histogram {
        let limits = limits();
        let mut counts = vec![0.0; limits.len()];
        let mut h = Histogram { min: f64::INFINITY, max: f64::NEG_INFINITY, ..Histogram::default() };
        for v in values.iter().filter(|v| v.is_finite()).map(|&v| f64::from(v)) {
            counts[limits.partition_point(|&limit| limit <= v)] += 1.0;
            h.min = h.min.min(v);
            h.max = h.max.max(v);
            h.num += 1.0;
            h.sum += v;
            h.sum_squares += v * v;
        }
        if h.num == 0.0 {
            (h.min, h.max) = (0.0, 0.0);
        }
        let filled = |&count: &f64| count > 0.0;
        let first = counts.iter().position(filled).unwrap_or(counts.len() - 1);
        let last = counts.iter().rposition(filled).unwrap_or(first);
        for (&limit, &count) in limits.iter().zip(&counts).take(last + 1).skip(first) {
            match (h.bucket_limit.last_mut(), h.bucket.last()) {
                (Some(end), Some(0.0)) if count == 0.0 => *end = limit,
                _ => {
                    h.bucket_limit.push(limit);
                    h.bucket.push(count);
                }
            }
        }
        h
    }
}

/// All limits, ascending.
fn limits() -> Vec<f64> {
    let above = std::iter::successors(Some(SMALLEST), |v| Some(v * GROWTH)).take_while(|&v| v < LARGEST);
    let above: Vec<f64> = above.chain([f64::MAX]).collect();
    above.iter().rev().map(|v| -v).chain([0.0]).chain(above.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Generator;
    use crate::rng::Stream;
    use rand::Rng;

    #[test]
    fn limits_ascend_by_a_tenth_on_both_sides_of_zero() {
        let limits = limits();
        // ln(1e32) / ln(1.1) = 773.1, so 774 powers and the largest double on either side, and zero.
        assert_eq!(limits.len(), 2 * 775 + 1);
        assert!(limits.is_sorted_by(|a, b| a < b));
        assert_eq!((limits[775], limits[776], limits[1550]), (0.0, 1e-12, f64::MAX));
        // Each product is rounded once.
        assert!(limits[776..1550].windows(2).all(|w| (w[1] / w[0] - 1.1).abs() < 4.0 * f64::EPSILON));
        assert!(limits[1549] < 1e20 && limits[1549] * 1.1 >= 1e20);
        limits.iter().zip(limits.iter().rev()).for_each(|(a, b)| assert_eq!(*a, -b));
    }

    #[test]
    fn each_value_is_in_the_bucket_that_holds_it() {
        let mut random = Generator::new(3, Stream::General).host();
        let mut values: Vec<f32> = (0..4000)
            .map(|_| f32::from_bits(random.next_u32()))
            .chain([0.0, -0.0, 1e-12, -1e-12, 1e20, -1e20, f32::MAX, f32::MIN, f32::MIN_POSITIVE, 1.0, 1.0])
            .collect();
        values.extend([f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
        let h = Histogram::new(&values);
        let finite: Vec<f64> = values.iter().filter(|v| v.is_finite()).map(|&v| f64::from(v)).collect();
        assert!(finite.len() > 3900);
        assert_eq!(h.num, finite.len() as f64);
        assert_eq!(h.bucket.iter().sum::<f64>(), h.num);
        assert_eq!((h.min, h.max), (f64::from(f32::MIN), f64::from(f32::MAX)));
        let mut low = f64::NEG_INFINITY;
        for (&limit, &count) in h.bucket_limit.iter().zip(&h.bucket) {
            let inside = finite.iter().filter(|&&v| low <= v && v < limit).count();
            assert_eq!(count, inside as f64, "{low:e} to {limit:e}");
            low = limit;
        }
        assert!(h.bucket.windows(2).all(|w| w[0] + w[1] > 0.0), "no two empty ones side by side");

        // 1.1^289 * 1e-12 is 0.92, 1.1^290 * 1e-12 is 1.01, 1.1^297 * 1e-12 is 1.97, 1.1^298 * 1e-12 is 2.16.
        let h = Histogram::new(&[2.0, 1.0, 2.0]);
        assert_eq!(h.bucket, [1.0, 0.0, 2.0]);
        let limits: Vec<String> = h.bucket_limit.iter().map(|limit| format!("{limit:.2}")).collect();
        assert_eq!(limits, ["1.01", "1.97", "2.16"]);
    }

    #[test]
    fn nothing_is_one_empty_bucket() {
        for values in [&[][..], &[f32::NAN, f32::INFINITY]] {
            let want = Histogram { bucket_limit: vec![f64::MAX], bucket: vec![0.0], ..Histogram::default() };
            assert_eq!(Histogram::new(values), want);
        }
    }
}
