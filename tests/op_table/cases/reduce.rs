//! Reductions.

use crate::naive::{Nd, mean, sum, variance};
use crate::row::{Accuracy, Gradient, Input, Kind, Row, float, row};
use ganvil::Tensor;

const CASES: [(&[usize], &[isize]); 24] = [
    (&[], &[]),
    (&[5], &[]),
    (&[5], &[0]),
    (&[1], &[-1]),
    (&[2, 3, 4], &[]),
    (&[2, 3, 4], &[0]),
    (&[2, 3, 4], &[1]),
    (&[2, 3, 4], &[-1]),
    (&[2, 3, 4], &[0, 2]),
    (&[2, 3, 4], &[-1, -2]),
    (&[2, 3, 4], &[2, 0, 1]),
    (&[3, 1, 2], &[1]),
    (&[2, 3, 2, 3], &[0, 2, 3]),
    (&[2, 3, 2, 3], &[1, 3]),
    (&[2, 2, 2, 2, 2], &[0, 2, 4]),
    (&[4, 0], &[0]),
    (&[0, 3], &[1]),
    (&[2, 0, 3], &[0, 2]),
    (&[300, 257], &[0]),
    (&[300, 257], &[1]),
    (&[300, 257], &[]),
    (&[70_001], &[]),
    (&[3, 5, 67, 71], &[0, 2, 3]),
    (&[3, 67, 5, 71], &[1, 3]),
];

/// Sums of nothing: 0, NaN, NaN; the largest of nothing does not exist.
const EMPTY: [(&[usize], &[isize]); 3] = [(&[0], &[]), (&[0, 3], &[0]), (&[2, 0], &[1])];

/// Terms of one result.
fn terms(shape: &[usize], dims: &[isize]) -> f64 {
    let over =
        |d: usize| dims.is_empty() || dims.iter().any(|&e| e.rem_euclid(shape.len() as isize) as usize == d);
    (0..shape.len()).filter(|&d| over(d)).map(|d| shape[d] as f64).product()
}

type Reduction = fn(&Tensor, &[isize], bool) -> Tensor;

fn rows_of(
    name: &str,
    op: Reduction,
    of: fn(&[f64]) -> f64,
    cases: &[(&'static [usize], &'static [isize])],
    input: fn(&[usize]) -> Input,
    accuracy: fn(f64) -> Accuracy,
    covers: &'static [&'static str],
) -> Vec<Row> {
    let mut rows = Vec::new();
    for &(shape, dims) in cases {
        for keepdim in [false, true] {
            let title = format!("{name} over {dims:?} keepdim {keepdim}");
            let naive = move |x: &[Nd]| x[0].reduce(dims, keepdim, of);
            let is_nan = of(&vec![0.0; terms(shape, dims) as usize]).is_nan();
            rows.push(
                row(title, vec![input(shape)], move |x| op(&x[0], dims, keepdim), naive)
                    .within(accuracy(terms(shape, dims)))
                    .gradient(if is_nan { Gradient::Unchecked } else { Gradient::Checked })
                    .covers(covers),
            );
        }
    }
    rows
}

fn distinct(shape: &[usize]) -> Input {
    Input::new(shape, Kind::Distinct)
}

pub fn rows() -> Vec<Row> {
    // No more than 300 terms are added one after the other; chunks are combined after that.
    let chain = |n: f64| Accuracy::Condition(n.min(300.0) + 2.0);
    let scaled = |_: f64| Accuracy::Magnitude(24.0);
    let exact = |_: f64| Accuracy::Exact;
    let largest = |v: &[f64]| v.iter().fold(f64::NEG_INFINITY, |m, &x| m.max(x));
    let norm = |v: &[f64]| sum(&v.iter().map(|x| x * x).collect::<Vec<_>>()).sqrt();
    let with_empty = [&CASES[..], &EMPTY[..]].concat();
    let biased: Reduction = |x, d, k| x.var(d, false, k);
    let unbiased: Reduction = |x, d, k| x.var(d, true, k);
    [
        rows_of("sum", Tensor::sum, sum, &with_empty, float, chain, &["Sum"]),
        rows_of("mean", Tensor::mean, mean, &with_empty, float, chain, &[]),
        rows_of("var biased", biased, |v| variance(v, 0.0), &with_empty, float, scaled, &["Var"]),
        rows_of("var unbiased", unbiased, |v| variance(v, 1.0), &CASES[4..15], float, scaled, &["Var"]),
        rows_of("var unbiased of many", unbiased, |v| variance(v, 1.0), &CASES[18..], float, scaled, &[]),
        rows_of("norm", Tensor::norm, norm, &with_empty, float, chain, &["Norm"]),
        rows_of("max", Tensor::max, largest, &CASES, distinct, exact, &["Max"]),
        vec![
            row("sum_all", vec![float(&[3, 4])], |x| x[0].sum_all(), |x| Nd::scalar(sum(&x[0].data)))
                .within(Accuracy::Condition(12.0)),
            row(
                "trace",
                vec![float(&[2, 3, 4])],
                |x| x[0].trace(),
                |x| Nd::from_fn(&[2], |i| sum(&[0, 1, 2].map(|d| x[0].at(&[i[0], d, d])))),
            )
            .within(Accuracy::Condition(5.0)),
            row("mean_all", vec![float(&[3, 4])], |x| x[0].mean_all(), |x| Nd::scalar(mean(&x[0].data)))
                .within(Accuracy::Condition(13.0)),
        ],
    ]
    .into_iter()
    .flatten()
    .collect()
}
