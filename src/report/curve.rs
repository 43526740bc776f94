//! What is done to numbers before they are drawn: ranges, thinning, smoothing, clipping, dashes.

/// A point in the units of the data.
pub(super) type Point = (f64, f64);

/// Whether a value can be drawn. Beyond 1e30 differences and sums would soon overflow, and no axis helps.
pub(super) fn drawable((x, y): Point) -> bool {
    [x, y].iter().all(|v| v.abs() < 1e30)
}

/// The stretches of points that can be drawn; what cannot leaves a gap.
pub(super) fn runs(points: &[Point]) -> impl Iterator<Item = &[Point]> {
    points.split(|&p| !drawable(p)).filter(|run| !run.is_empty())
}

/// At most two points for every `stride`: the least and the greatest of each group, in their order, so that no spike
/// is lost.
pub(super) fn thin(run: &[Point], stride: usize) -> Vec<Point> {
    if stride <= 2 {
        return run.to_vec();
    }
    let extremes = |group: &[Point]| {
        let by = |i: &usize, j: &usize| group[*i].1.total_cmp(&group[*j].1);
        let low = (0..group.len()).min_by(by).unwrap();
        let high = (0..group.len()).max_by(by).unwrap();
        let (first, second) = (low.min(high), low.max(high));
        [Some(group[first]), (first != second).then(|| group[second])]
    };
    run.chunks(stride).flat_map(extremes).flatten().collect()
}

/// The moving average over `2 * half + 1` groups of `stride` points. At the ends, where fewer are on one side, it is
/// the straight line through the first or last so many by least squares: a slope stays a slope, and noise is evened
/// out up to the end.
pub(super) fn smooth(run: &[Point], stride: usize, half: usize) -> Vec<Point> {
    let mean = |points: &[Point]| {
        let n = points.len() as f64;
        (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n)
    };
    let groups: Vec<Point> = run.chunks(stride).map(mean).collect();
    let size = (2 * half + 1).min(groups.len());
    let at = |i: usize| {
        let first = i.saturating_sub(half).min(groups.len() - size);
        let window = &groups[first..first + size];
        let (centre, level) = mean(window);
        if first + half == i && size > 2 * half {
            return (centre, level);
        }
        let sum = |f: fn(f64, f64) -> f64| window.iter().map(|p| f(p.0 - centre, p.1 - level)).sum::<f64>();
        let (spread, common) = (sum(|x, _| x * x), sum(|x, y| x * y));
        let slope = if spread > 0.0 { common / spread } else { 0.0 };
        (groups[i].0, level + slope * (groups[i].0 - centre))
    };
    (0..groups.len()).map(at).collect()
}

/// The parts of a polyline with `low <= y <= high`, cut where it crosses.
pub(super) fn clip(line: &[Point], (low, high): (f64, f64)) -> Vec<Vec<Point>> {
    let inside = |p: Point| (low..=high).contains(&p.1);
    let mut parts: Vec<Vec<Point>> = Vec::new();
    let mut part: Vec<Point> = line.first().copied().filter(|&p| inside(p)).into_iter().collect();
    for pair in line.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let cut = |y: f64| (a.0 + (b.0 - a.0) * ((y - a.1) / (b.1 - a.1)), y);
        let toward = |p: Point| cut(if p.1 < low { low } else { high });
        match (inside(a), inside(b)) {
            (true, true) => part.push(b),
            (true, false) => {
                part.push(toward(b));
                parts.push(std::mem::take(&mut part));
            }
            (false, true) => part.extend([toward(a), b]),
            // Both outside: it crosses the whole range or none of it.
            (false, false) if (a.1 < low) != (b.1 < low) => parts.push(vec![toward(a), toward(b)]),
            (false, false) => {}
        }
    }
    parts.push(part);
    parts.retain(|part| !part.is_empty());
    parts
}

/// The dashes of a polyline: `on` drawn and `off` left out in turn, measured along it.
pub(super) fn dashes(line: &[Point], on: f64, off: f64) -> Vec<Vec<Point>> {
    let (mut parts, mut part) = (Vec::new(), Vec::new());
    let (mut drawing, mut left) = (true, on);
    part.extend(line.first());
    for pair in line.windows(2) {
        let (mut a, b) = (pair[0], pair[1]);
        let mut length = (b.0 - a.0).hypot(b.1 - a.1);
        while length > left {
            let t = left / length;
            a = (a.0 + (b.0 - a.0) * t, a.1 + (b.1 - a.1) * t);
            length -= left;
            if drawing {
                part.push(a);
                parts.push(std::mem::take(&mut part));
            } else {
                part.push(a);
            }
            drawing = !drawing;
            left = if drawing { on } else { off };
        }
        left -= length;
        if drawing {
            part.push(b);
        }
    }
    parts.extend((!part.is_empty()).then_some(part));
    parts
}

/// The range around the middle of another that reaches so far to both sides.
pub(super) fn around((low, high): (f64, f64), half: f64) -> (f64, f64) {
    let middle = (low + high) / 2.0;
    (middle - half, middle + half)
}

/// A range that is not empty, for an axis: of the values given, or 0 to 1 where there are none.
pub(super) fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    if low > high {
        (0.0, 1.0)
    } else if high - low <= 1e-9 * high.abs().max(low.abs()) || high == low {
        let room = if high == 0.0 { 1.0 } else { high.abs() / 2.0 };
        (low - room, high + room)
    } else {
        (low, high)
    }
}

/// The range of a y axis for these values: all of them, unless rare spikes (less than 1 in 100) would take up more
/// than two thirds of it. Every value of `always` is in it.
pub(super) fn y_extent(mut values: Vec<f64>, always: &[f64]) -> (f64, f64) {
    values.sort_unstable_by(f64::total_cmp);
    let mut kept = values.as_slice();
    if values.len() >= 200 {
        let tail = values.len() / 200;
        let (p, q) = (values[tail], values[values.len() - 1 - tail]);
        if values[values.len() - 1] - values[0] > 3.0 * (q - p) && q > p {
            let room = (q - p) / 4.0;
            let from = values.partition_point(|&v| v < p - room);
            kept = &values[from..values.partition_point(|&v| v <= q + room)];
        }
    }
    let (low, high) = extent(kept.first().into_iter().chain(kept.last()).chain(always).copied());
    let room = (high - low) * 0.06;
    (low - room, high + room)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_the_extremes() {
        let mut run: Vec<Point> = (0..1000).map(|i| (i as f64, (i % 7) as f64)).collect();
        run[503].1 = 99.0;
        run[777].1 = -99.0;
        let thinned = thin(&run, 10);
        assert!(thinned.len() <= 200);
        assert!(thinned.contains(&(503.0, 99.0)) && thinned.contains(&(777.0, -99.0)));
        assert!(thinned.windows(2).all(|w| w[0].0 < w[1].0));
        assert_eq!(thin(&[(1.0, 2.0)], 10), [(1.0, 2.0)]);
    }

    #[test]
    fn smoothing_keeps_slopes_and_evens_out_noise() {
        let slope: Vec<Point> = (0..400).map(|i| (i as f64, 2.0 * i as f64)).collect();
        for (x, y) in smooth(&slope, 1, 10).into_iter().chain(smooth(&slope, 7, 3)) {
            assert!((y - 2.0 * x).abs() < 1e-9);
        }
        let noise: Vec<Point> = (0..400).map(|i| (i as f64, if i % 2 == 0 { 1.0 } else { -1.0 })).collect();
        let even = smooth(&noise, 1, 10);
        assert!(even[10..390].iter().all(|p| p.1.abs() < 0.05));
        assert!(even.iter().all(|p| p.1.abs() < 0.2), "at the ends as well");
        assert_eq!(smooth(&[(1.0, 3.0)], 1, 0), [(1.0, 3.0)]);
        assert_eq!(smooth(&[(1.0, 3.0); 4], 1, 3), [(1.0, 3.0); 4]);
    }

    #[test]
    fn clipping_cuts_at_the_crossing() {
        let line = [(0.0, 0.5), (1.0, 2.5), (2.0, -1.0), (3.0, 0.5)];
        let parts = clip(&line, (0.0, 1.0));
        let close = |a: Point, b: Point| (a.0 - b.0).abs() < 1e-12 && (a.1 - b.1).abs() < 1e-12;
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2]);
        assert!(close(parts[0][1], (0.25, 1.0)));
        assert!(close(parts[1][0], (1.0 + 1.5 / 3.5, 1.0)) && close(parts[1][1], (1.0 + 2.5 / 3.5, 0.0)));
        assert!(close(parts[2][0], (2.0 + 1.0 / 1.5, 0.0)));
        assert_eq!(clip(&line[..1], (0.0, 1.0)), [[(0.0, 0.5)]]);
        assert!(clip(&[(0.0, 5.0), (1.0, 6.0)], (0.0, 1.0)).is_empty());
    }

    #[test]
    fn dashes_go_around_corners() {
        let length = |part: &Vec<Point>| -> f64 {
            part.windows(2).map(|p| (p[1].0 - p[0].0).hypot(p[1].1 - p[0].1)).sum()
        };
        let parts = dashes(&[(0.0, 0.0), (4.0, 0.0), (4.0, 10.0), (4.0, 10.0), (9.0, 10.0)], 5.0, 2.0);
        // 19 long: three dashes of 5 and gaps of 2 take up all of it.
        assert_eq!(parts.iter().map(length).collect::<Vec<_>>(), [5.0, 5.0, 5.0]);
        assert_eq!(parts[0], [(0.0, 0.0), (4.0, 0.0), (4.0, 1.0)]);
        assert_eq!(parts[2].last(), Some(&(9.0, 10.0)));
        assert_eq!(dashes(&[(1.0, 1.0)], 5.0, 2.0), [[(1.0, 1.0)]]);
        assert!(dashes(&[], 5.0, 2.0).is_empty());
    }

    #[test]
    fn what_cannot_be_drawn_is_a_gap() {
        let points =
            [(0.0, 1.0), (1.0, f64::NAN), (2.0, 1.0), (3.0, 2.0), (4.0, f64::INFINITY), (5.0, 1e300)];
        let lengths: Vec<usize> = runs(&points).map(<[Point]>::len).collect();
        assert_eq!(lengths, [1, 2]);
    }

    #[test]
    fn axes_hold_everything_but_rare_spikes() {
        let mut values: Vec<f64> = (0..1000).map(|i| (i % 10) as f64).collect();
        let (low, high) = y_extent(values.clone(), &[]);
        assert!(low < 0.0 && low > -1.0 && high > 9.0 && high < 10.0);
        values[5] = 1e6;
        let (_, high) = y_extent(values.clone(), &[]);
        assert!(high < 12.0);
        assert!(y_extent(values, &[50.0]).1 > 50.0);
        assert!(y_extent(vec![1.0, 1e6], &[]).1 > 1e6);
        for (values, holds) in [(vec![], 0.5), (vec![0.0], 0.0), (vec![3.0; 500], 3.0), (vec![-1e29], -1e29)]
        {
            let (low, high) = y_extent(values, &[]);
            assert!(low < holds && holds < high);
        }
    }
}
