//! The numbers along an axis.

/// A number along an axis: where it lies, and its text; empty for a tick between those with numbers.
pub(super) type Tick = (f64, String);

/// About `count` round numbers in a range.
pub(super) fn ticks(range: (f64, f64), count: usize) -> Vec<Tick> {
    ticks_by(range, round_step(range, count))
}

/// [`ticks`] among whole numbers, for what is counted.
pub(super) fn whole_ticks(range: (f64, f64), count: usize) -> Vec<Tick> {
    ticks_by(range, round_step(range, count).max(1.0))
}

/// 1, 2 or 5 times a power of ten that goes into a range about `count` times.
fn round_step((low, high): (f64, f64), count: usize) -> f64 {
    let rough = (high - low) / count as f64;
    let power = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|&s| s >= rough * 0.999).unwrap()
}

fn ticks_by((low, high): (f64, f64), step: f64) -> Vec<Tick> {
    let first = (low / step - 1e-6).ceil() as i64;
    let last = (high / step + 1e-6).floor() as i64;
    let largest = low.abs().max(high.abs());
    (first..=last).map(|i| (i as f64 * step, tick_text(i as f64 * step, step, largest))).collect()
}

/// `step` and `largest` are the same for a whole axis, so that its numbers are alike.
fn tick_text(value: f64, step: f64, largest: f64) -> String {
    let text = if value == 0.0 {
        "0".into()
    } else if largest >= 1e10 || step < 1e-5 {
        format!("{:.1e}", value)
    } else if step >= 1e6 {
        format!("{:.0}M", value / 1e6)
    } else if step >= 1e3 {
        format!("{:.0}k", value / 1e3)
    } else {
        let decimals = (-step.log10()).ceil().max(0.0) as usize;
        format!("{value:.decimals$}")
    };
    text.replace('-', "\u{2212}")
}

/// Ticks of a logarithmic axis, whose ends and whose ticks' places are given as powers of ten.
///
/// Numbers stand at powers of ten, or at 1, 2 and 5 times them where fewer than two are in the range, or at numbers a
/// round step apart where these are too few as well. The other multiples of powers of ten are ticks without numbers.
pub(super) fn log_ticks((low, high): (f64, f64)) -> Vec<Tick> {
    // Numbers of a range so wide need not stand at every power.
    const MOST: i32 = 7;
    let (below, above) = (low.floor() as i32, high.ceil() as i32);
    let inside = |&(at, ..): &(f64, i32, i32)| (low - 1e-9..=high + 1e-9).contains(&at);
    let digits = |power: i32| (1..10).map(move |digit| (power as f64 + (digit as f64).log10(), digit, power));
    let all: Vec<_> = (below..=above).flat_map(digits).filter(inside).collect();
    let count = |wanted: fn(i32) -> bool| all.iter().filter(|t| wanted(t.1)).count() as i32;
    let powers = count(|digit| digit == 1);
    if powers < 2 && count(|digit| matches!(digit, 1 | 2 | 5)) < 3 {
        let linear = ticks((10f64.powf(low), 10f64.powf(high)), 4);
        return linear.into_iter().map(|(value, text)| (value.log10(), text)).collect();
    }
    let stride = powers.div_euclid(MOST) + 1;
    let numbered = |digit: i32, power: i32| {
        if powers < 2 { matches!(digit, 1 | 2 | 5) } else { digit == 1 && power.rem_euclid(stride) == 0 }
    };
    let plain = low >= -5.0 && high < 6.0;
    let text = |digit, power| if plain { decimal(digit, power) } else { scientific(digit, power) };
    let tick = |(at, digit, power): (f64, i32, i32)| {
        let text = if numbered(digit, power) { text(digit, power) } else { String::new() };
        // Between powers that are themselves left out, nothing can be told apart.
        (stride == 1 || digit == 1).then_some((at, text))
    };
    all.into_iter().filter_map(tick).collect()
}

fn decimal(digit: i32, power: i32) -> String {
    let decimals = (-power).max(0) as usize;
    format!("{:.decimals$}", digit as f64 * 10f64.powi(power))
}

fn scientific(digit: i32, power: i32) -> String {
    format!("{digit}e{power}").replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(range: (f64, f64), count: usize) -> Vec<String> {
        ticks(range, count).into_iter().map(|t| t.1).collect()
    }

    #[test]
    fn ticks_are_round_and_alike() {
        assert_eq!(texts((0.0, 1.0), 5), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts((-1.3, 1.2), 4), ["\u{2212}1", "0", "1"]);
        assert_eq!(texts((0.0, 23450.0), 5), ["0", "5k", "10k", "15k", "20k"]);
        assert_eq!(texts((1.0, 2000.0), 4), ["500", "1000", "1500", "2000"]);
        assert_eq!(texts((0.0, 4e6), 4), ["0", "1M", "2M", "3M", "4M"]);
        assert_eq!(texts((0.012, 0.05), 4), ["0.02", "0.03", "0.04", "0.05"]);
        for exponent in -25..29 {
            let high = 3.0 * 10f64.powi(exponent);
            let n = ticks((-high, high), 5).len();
            assert!((3..=8).contains(&n), "{n} ticks up to {high}");
        }
    }

    #[test]
    fn what_is_counted_has_whole_ticks() {
        let texts = |range| whole_ticks(range, 8).into_iter().map(|t| t.1).collect::<Vec<_>>();
        assert_eq!(texts((0.5, 1.5)), ["1"]);
        assert_eq!(texts((1.0, 2.0)), ["1", "2"]);
        assert_eq!(texts((1.0, 5.0)), ["1", "2", "3", "4", "5"]);
        assert_eq!(
            texts((0.0, 8000.0)),
            ticks((0.0, 8000.0), 8).into_iter().map(|t| t.1).collect::<Vec<_>>()
        );
    }

    fn numbers(low: f64, high: f64) -> Vec<String> {
        let all = log_ticks((low.log10(), high.log10()));
        assert!(all.windows(2).all(|w| w[0].0 < w[1].0), "in order");
        assert!(all.iter().all(|t| (low * 0.999..=high * 1.001).contains(&10f64.powf(t.0))));
        all.into_iter().map(|t| t.1).filter(|text| !text.is_empty()).collect()
    }

    #[test]
    fn numbers_of_a_logarithmic_axis_stand_at_decades() {
        assert_eq!(numbers(0.02, 300.0), ["0.1", "1", "10", "100"]);
        assert_eq!(numbers(2e-4, 2.0), ["0.001", "0.01", "0.1", "1"]);
        assert_eq!(numbers(0.001, 1.0), ["0.001", "0.01", "0.1", "1"]);
        assert_eq!(numbers(1e-8, 1e-4), ["1e−8", "1e−7", "1e−6", "1e−5", "1e−4"]);
        assert_eq!(numbers(0.3, 8.0), ["0.5", "1", "2", "5"]);
        assert_eq!(numbers(2e7, 9e8), ["2e7", "5e7", "1e8", "2e8", "5e8"]);
        assert_eq!(numbers(2.7, 3.3), ["2.8", "3.0", "3.2"]);
        // Between 0.1 and 1 and between 1 and 10 the ticks are at 2 to 9 times the lower.
        assert_eq!(log_ticks((-1.0, 1.0)).len(), 9 + 9 + 1);
        for exponent in -30..30 {
            for span in [0.02, 0.1, 0.4, 0.9, 1.3, 2.5, 9.0, 60.0] {
                let low = exponent as f64 + 0.37;
                let range = (low, (low + span).min(30.4));
                let n = log_ticks(range).iter().filter(|t| !t.1.is_empty()).count();
                assert!((2..=8).contains(&n), "{n} numbers over {span} decades from 10^{low}");
            }
        }
    }
}
