//! Order along a dimension, running sums and softmax.

use crate::naive::Nd;
use crate::row::{ALL, Accuracy, FULL, Gradient, Input, Kind, Row, float, row};
use ganvil::DType;
use std::collections::BTreeSet;

const CASES: [(&[usize], isize); 9] = [
    (&[5], 0),
    (&[1], -1),
    (&[3, 4], 0),
    (&[3, 4], 1),
    (&[2, 3, 4], -2),
    (&[0, 3], 1),
    (&[2, 3, 2, 2], 1),
    (&[300, 257], 1),
    (&[257, 300], 0),
];

/// Every line of elements along a dimension, replaced by what `f` makes of it.
fn along(x: &Nd, dim: isize, f: impl Fn(&[f64]) -> Vec<f64>) -> Nd {
    let d = dim.rem_euclid(x.shape.len() as isize) as usize;
    let n = x.shape[d];
    let length = f(&vec![0.0; n]).len();
    let mut shape = x.shape.clone();
    shape[d] = length;
    let (outer, inner): (usize, usize) = (shape[..d].iter().product(), shape[d + 1..].iter().product());
    let mut data = vec![0.0; outer * length * inner];
    for (o, i) in (0..outer).flat_map(|o| (0..inner).map(move |i| (o, i))) {
        let line: Vec<f64> = (0..n).map(|j| x.data[(o * n + j) * inner + i]).collect();
        for (j, v) in f(&line).into_iter().enumerate() {
            data[(o * length + j) * inner + i] = v;
        }
    }
    Nd { shape, data }
}

/// Positions in ascending or descending order, equal elements by position.
fn sorted(v: &[f64], descending: bool) -> Vec<f64> {
    let mut order: Vec<usize> = (0..v.len()).collect();
    order.sort_by(|&a, &b| {
        let ascending = v[a].total_cmp(&v[b]);
        (if descending { ascending.reverse() } else { ascending }).then(a.cmp(&b))
    });
    order.into_iter().map(|i| i as f64).collect()
}

fn running(v: &[f64]) -> Vec<f64> {
    v.iter()
        .scan(0.0, |sum, x| {
            *sum += x;
            Some(*sum)
        })
        .collect()
}

/// Lines longer than what a kernel holds at a time, of sizes that quads divide and of others; and more neighbours than
/// are done together.
const LINES: [(&[usize], isize); 8] = [
    (&[3, 130], 1),
    (&[9, 132], 1),
    (&[2, 1026], 1),
    (&[1, 4100], 1),
    (&[1, 8201], 1),
    (&[2, 129, 70], 1),
    (&[300, 3], 0),
    (&[2, 40, 3], 1),
];

fn softmax(v: &[f64]) -> Vec<f64> {
    let sum: f64 = v.iter().map(|x| x.exp()).sum();
    v.iter().map(|x| x.exp() / sum).collect()
}

fn positions(r: Row, name: &'static str) -> Row {
    r.dtypes(ALL).result(DType::I64).within(Accuracy::Exact).gradient(Gradient::Refused(name))
}

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (shape, dim) in CASES {
        let steps = || vec![Input::new(shape, Kind::Steps)];
        let line = shape[dim.rem_euclid(shape.len() as isize) as usize];
        for keepdim in [false, true] {
            let naive = move |x: &[Nd]| {
                let y = along(&x[0], dim, |v| vec![sorted(v, true)[0]]);
                let d = dim.rem_euclid(x[0].shape.len() as isize) as usize;
                let kept = |i: &usize| keepdim || *i != d;
                let shape: Vec<usize> = (0..y.shape.len()).filter(kept).map(|i| y.shape[i]).collect();
                y.reshape(&shape)
            };
            let name = format!("argmax {dim} keepdim {keepdim}");
            rows.push(positions(row(name, steps(), move |x| x[0].argmax(dim, keepdim), naive), "argmax"));
        }
        for descending in [false, true] {
            let naive = move |x: &[Nd]| along(&x[0], dim, |v| sorted(v, descending));
            let name = format!("argsort {dim} descending {descending}");
            rows.push(positions(
                row(name, steps(), move |x| x[0].argsort(dim, descending), naive),
                "argsort",
            ));
        }
        for k in BTreeSet::from([0, 1, line.div_ceil(2)]) {
            let naive = move |x: &[Nd]| along(&x[0], dim, |v| sorted(v, true)[..k].to_vec());
            let r = row(format!("topk {k} {dim}: positions"), steps(), move |x| x[0].topk(k, dim).1, naive);
            rows.push(positions(r, "topk"));
            let largest =
                move |v: &[f64]| sorted(v, true)[..k].iter().map(|&i| v[i as usize]).collect::<Vec<_>>();
            let distinct = vec![Input::new(shape, Kind::Distinct)];
            let naive = move |x: &[Nd]| along(&x[0], dim, largest);
            let r = row(format!("topk {k} {dim}: values"), distinct, move |x| x[0].topk(k, dim).0, naive);
            rows.push(r.within(Accuracy::Exact).dtypes(ALL));
        }
        let naive = move |x: &[Nd]| along(&x[0], dim, running);
        rows.push(
            row(format!("cumsum {dim}"), vec![float(shape)], move |x| x[0].cumsum(dim), naive)
                .within(Accuracy::Condition(line as f64 + 1.0))
                .covers(&["Cumsum"]),
        );
    }
    for (shape, dim) in CASES.into_iter().chain(LINES) {
        let naive = move |x: &[Nd]| along(&x[0], dim, softmax);
        rows.push(
            row(format!("softmax {dim}"), vec![float(shape)], move |x| x[0].softmax(dim), naive)
                // e^(x - max) inherits 4 eps from the difference and adds 2 of its own, above and below.
                .within(Accuracy::Relative(24.0))
                .dtypes(FULL)
                .covers(&["Softmax"]),
        );
        let naive = move |x: &[Nd]| along(&x[0], dim, |v| softmax(v).iter().map(|p| p.ln()).collect());
        rows.push(
            row(format!("log_softmax {dim}"), vec![float(shape)], move |x| x[0].log_softmax(dim), naive)
                .within(Accuracy::Magnitude(12.0))
                .dtypes(FULL)
                .covers(&["LogSoftmax"]),
        );
    }
    rows
}
