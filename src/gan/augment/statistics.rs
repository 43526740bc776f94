//! Differences between arms on the same seeds, and what can be said of them.
//!
//! Arms of a seed share the labelled images and the classifier's first weights, so that their differences vary less than
//! their accuracies. Of n differences with mean m and standard deviation s (of n - 1) the 95 % interval is
//! m +- t s / sqrt(n), with t the 0.975 quantile of Student's distribution with n - 1 degrees of freedom (Student, 1908,
//! "The probable error of a mean", Biometrika 6). Pitfall: it takes the differences for normal, which five cannot show.

use crate::error::misuse;
use crate::gan::modes::Spread;
use serde::Serialize;
use std::f64::consts::{FRAC_PI_2, PI};

/// The quantile of Student's t distribution with so many degrees of freedom: P(T <= t) = p.
///
/// ```
/// use ganvil::gan::augment::t_quantile;
/// assert!((t_quantile(0.975, 4) - 2.776445105).abs() < 1e-9);
/// assert_eq!(t_quantile(0.5, 9), 0.0);
/// ```
///
/// # Panics
/// If p is not between 0 and 1, or there are no degrees of freedom.
#[track_caller]
pub fn t_quantile(p: f64, freedom: u64) -> f64 {
    if !(p > 0.0 && p < 1.0) || freedom == 0 {
        misuse!(
            "t_quantile",
            "the quantile {p} of {freedom} degrees of freedom; use 0 < p < 1 and 1 or more"
        );
    }
    if p < 0.5 {
        return -t_quantile(1.0 - p, freedom);
    }
    // The angle whose two-sided probability is the wanted one; the probability rises with it.
    let wanted = 2.0 * p - 1.0;
    let (mut low, mut high) = (0.0, FRAC_PI_2);
    if wanted == 0.0 {
        return 0.0;
    }
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return (freedom as f64).sqrt() * middle.tan();
        }
        if within(middle, freedom) < wanted {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// P(|T| <= t) for t = sqrt(freedom) tan(angle), by the finite series for whole degrees of freedom (Abramowitz and
/// Stegun, 1964, 26.7.3 and 26.7.4).
fn within(angle: f64, freedom: u64) -> f64 {
    let (sin, cos) = angle.sin_cos();
    let odd = freedom % 2 == 1;
    // Even: 1 + 1/2 cos^2 + (1 3)/(2 4) cos^4 + ...; odd: cos + 2/3 cos^3 + (2 4)/(3 5) cos^5 + ...; up to cos^(freedom - 2).
    let (mut power, mut term) = if odd { (1, cos) } else { (0, 1.0) };
    let mut sum = 0.0;
    while power + 2 <= freedom {
        sum += term;
        term *= (power + 1) as f64 / (power + 2) as f64 * cos * cos;
        power += 2;
    }
    if odd { 2.0 / PI * (angle + sin * sum) } else { sin * sum }
}

/// What an interval says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// All of it is above 0.
    Helps,
    /// All of it is below 0.
    Hurts,
    /// It holds 0: these seeds show no difference, which is not to say that there is none.
    NoDifferenceShown,
    /// There is none: one seed has no spread.
    NoInterval,
}

impl Verdict {
    /// In a few words.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::Helps => "helps",
            Verdict::Hurts => "hurts",
            Verdict::NoDifferenceShown => "no difference shown",
            Verdict::NoInterval => "one seed, no interval",
        }
    }
}

/// An arm beside another on the same seeds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Difference {
    /// Mean of the differences.
    pub mean: f64,
    /// The 95 % interval of the mean; none of one seed.
    pub interval: Option<[f64; 2]>,
    /// What that says.
    pub verdict: Verdict,
}

impl Difference {
    /// Of pairs (arm, reference), one for each seed; None if there are none.
    ///
    /// ```
    /// use ganvil::gan::augment::{Difference, Verdict};
    /// let d = Difference::of(&[(0.5, 0.4), (0.8, 0.6)]).unwrap();
    /// // t = tan(0.95 pi / 2) = 12.706 with one degree of freedom.
    /// assert!((d.mean - 0.15).abs() < 1e-12 && (d.interval.unwrap()[1] - 0.15 - 12.7062047 * 0.05).abs() < 1e-6);
    /// assert_eq!(d.verdict, Verdict::NoDifferenceShown);
    /// ```
    pub fn of(pairs: &[(f64, f64)]) -> Option<Difference> {
        let Spread { mean, deviation, .. } = Spread::of(pairs.iter().map(|(arm, other)| arm - other))?;
        let n = pairs.len();
        let interval = (n > 1).then(|| {
            let half = t_quantile(0.975, n as u64 - 1) * deviation / (n as f64).sqrt();
            [mean - half, mean + half]
        });
        let verdict = match interval {
            None => Verdict::NoInterval,
            Some([low, _]) if low > 0.0 => Verdict::Helps,
            Some([_, high]) if high < 0.0 => Verdict::Hurts,
            Some(_) => Verdict::NoDifferenceShown,
        };
        Some(Difference { mean, interval, verdict })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published tables, to their last digit.
    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (p, freedom, t) in [
            (0.975, 1, 12.706_205),
            (0.975, 2, 4.302_653),
            (0.975, 3, 3.182_446),
            (0.975, 4, 2.776_445),
            (0.975, 5, 2.570_582),
            (0.975, 9, 2.262_157),
            (0.975, 10, 2.228_139),
            (0.975, 30, 2.042_272),
            (0.975, 100, 1.983_972),
            (0.95, 4, 2.131_847),
            (0.995, 4, 4.604_095),
            (0.9995, 7, 5.407_883),
            (0.75, 1, 1.0),
        ] {
            let found = t_quantile(p, freedom);
            assert!((found - t).abs() < 1e-6, "{p}, {freedom}: {found}, {t}");
            assert!((t_quantile(1.0 - p, freedom) + found).abs() < 1e-9 * found, "the other side");
        }
        // Many degrees of freedom: the normal distribution's.
        assert!((t_quantile(0.975, 1_000_000) - 1.959_966).abs() < 1e-5);
    }

    /// Two degrees of freedom have the closed form t = (2p - 1) sqrt(2 / (4p (1 - p))).
    #[test]
    fn quantiles_of_two_degrees_of_freedom() {
        for p in [0.51f64, 0.6, 0.9, 0.99, 0.9999] {
            let t = (2.0 * p - 1.0) * (2.0 / (4.0 * p * (1.0 - p))).sqrt();
            assert!((t_quantile(p, 2) / t - 1.0).abs() < 1e-10, "{p}");
        }
    }

    #[test]
    fn verdicts_follow_the_interval() {
        let of = |pairs: &[(f64, f64)]| Difference::of(pairs).unwrap();
        // Differences 1, 2, 3, 4, 5: mean 3, deviation sqrt(2.5), 2.776445 sqrt(2.5 / 5) = 1.963243.
        let better = of(&[(1.0, 0.0), (4.0, 2.0), (3.0, 0.0), (5.0, 1.0), (5.0, 0.0)]);
        let [low, high] = better.interval.unwrap();
        assert!((low - (3.0 - 1.963_243)).abs() < 1e-6 && (high - (3.0 + 1.963_243)).abs() < 1e-6);
        assert_eq!((better.mean, better.verdict), (3.0, Verdict::Helps));
        assert_eq!(of(&[(0.0, 1.0), (0.0, 1.1), (0.0, 0.9)]).verdict, Verdict::Hurts);
        assert_eq!(of(&[(0.0, 1.0), (1.0, 0.0), (0.5, 0.4)]).verdict, Verdict::NoDifferenceShown);
        // Paired: every arm is better by the same, though seeds differ by far more.
        assert_eq!(of(&[(0.11, 0.1), (0.511, 0.5), (0.929, 0.92)]).verdict, Verdict::Helps);
        let same = of(&[(0.4, 0.4), (0.7, 0.7)]);
        assert_eq!((same.interval, same.verdict), (Some([0.0, 0.0]), Verdict::NoDifferenceShown));
        let one = of(&[(0.4, 0.3)]);
        assert_eq!((one.interval, one.verdict), (None, Verdict::NoInterval));
        assert_eq!(Difference::of(&[]), None);
    }
}
