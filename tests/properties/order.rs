//! Order along a dimension, and running sums.

use crate::naive::Nd;
use crate::tensors::{
    FLOATS, RANK, assert_rounded, assert_same, choices, place, shape, special, uniform, whole,
};
use ganvil::DType;
use proptest::prelude::*;
use std::cmp::Ordering;

/// Every line of elements along a dimension, replaced by what `f` makes of it: `length` elements.
pub fn along(x: &Nd, d: usize, length: usize, f: impl Fn(&[f64]) -> Vec<f64>) -> Nd {
    let mut shape = x.shape.clone();
    shape[d] = length;
    let mut lines = std::collections::HashMap::new();
    Nd::from_fn(&shape, |i| {
        let at = |j: usize| x.at(&[&i[..d], &[j], &i[d + 1..]].concat());
        let key = [&i[..d], &i[d + 1..]].concat();
        let line = lines.entry(key).or_insert_with(|| f(&(0..x.shape[d]).map(at).collect::<Vec<_>>()));
        line[i[d]]
    })
}

/// Numbers in order, zeros equal, NaN above all and equal to itself.
fn order(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Positions in order, equal elements by position.
fn sorted(line: &[f64], descending: bool) -> Vec<usize> {
    let mut positions: Vec<usize> = (0..line.len()).collect();
    positions.sort_by(|&a, &b| {
        let ascending = order(line[a], line[b]);
        (if descending { ascending.reverse() } else { ascending }).then(a.cmp(&b))
    });
    positions
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn sorting_is_stable_and_the_largest_come_first(
        shape in shape(1..=RANK, 0), place in place(), mut c in choices(),
    ) {
        let dtype = c.of(&DType::ALL);
        let values = if dtype.is_float() { special(&shape, c.seed()) } else { whole(&shape, c.seed(), 0..=4) };
        let x = place.lay(&values, dtype);
        let (d, dim) = c.dim(shape.len());
        let n = shape[d];
        for descending in [false, true] {
            let positions = x.t.argsort(dim, descending);
            let places = |line: &[f64]| sorted(line, descending).into_iter().map(|i| i as f64).collect();
            assert_eq!(positions.dtype(), DType::I64);
            assert_same(&positions, &along(&x.a, d, n, places));
            let values = |line: &[f64]| sorted(line, descending).into_iter().map(|i| line[i]).collect();
            assert_same(&x.t.gather(dim, &positions), &along(&x.a, d, n, values));
        }
        let k = c.below(n + 1);
        let (values, positions) = x.t.topk(k, dim);
        let first = |line: &[f64]| sorted(line, true)[..k].to_vec();
        assert_same(&positions, &along(&x.a, d, k, |l| first(l).iter().map(|&i| i as f64).collect()));
        assert_same(&values, &along(&x.a, d, k, |l| first(l).iter().map(|&i| l[i]).collect()));
        if n > 0 {
            let largest = along(&x.a, d, 1, |line| vec![sorted(line, true)[0] as f64]);
            assert_same(&x.t.argmax(dim, true), &largest);
            let mut kept = shape.clone();
            kept.remove(d);
            assert_same(&x.t.argmax(dim, false), &largest.reshape(&kept));
        }
    }

    #[test]
    fn running_sums(shape in shape(1..=RANK, 0), place in place(), mut c in choices()) {
        let x = place.lay(&uniform(&shape, c.seed(), -2.0, 2.0), c.of(&FLOATS));
        let (d, dim) = c.dim(shape.len());
        let running = |line: &[f64]| (1..=line.len()).map(|n| crate::naive::sum(&line[..n])).collect();
        let n = shape[d];
        let magnitude = along(&x.a.map(f64::abs), d, n, running);
        assert_rounded(&x.t.cumsum(dim), &along(&x.a, d, n, running), n as f64, &magnitude);
    }
}
