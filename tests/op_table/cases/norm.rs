//! Normalisation and dropout.

use crate::naive::{Nd, mean, variance};
use crate::row::{Accuracy, FULL, Gradient, Input, Kind, Row, float, range, row};
use ganvil::Tensor;

const EPS: f64 = 1e-3;

type Statistic = fn(&[Tensor]) -> Tensor;
type Fold = fn(&[f64]) -> f64;

const SHAPES: [&[usize]; 8] =
    [&[4, 3], &[2, 3, 5], &[2, 3, 2, 2], &[2, 1, 3, 2], &[5, 2, 1], &[2, 0, 3], &[3, 5, 67, 71], &[700, 101]];

/// A vector over dimension 1 of a shape of this rank.
fn per_channel(v: &Nd, rank: usize) -> Nd {
    v.reshape(&(0..rank).map(|d| if d == 1 { v.data.len() } else { 1 }).collect::<Vec<_>>())
}

fn over_batch(x: &Nd, f: impl Fn(&[f64]) -> f64) -> Nd {
    let dims: Vec<isize> = (0..x.shape.len() as isize).filter(|&d| d != 1).collect();
    x.reduce(&dims, false, f)
}

fn normalised(x: &Nd, weight: &Nd, bias: &Nd, mean: &Nd, var: &Nd) -> Nd {
    let spread = |v: &Nd| per_channel(v, x.shape.len());
    let centred = x.zip(&spread(mean), |x, m| x - m);
    let scaled = centred.zip(&spread(var), |x, v| x / (v + EPS).sqrt()).zip(&spread(weight), |x, w| x * w);
    scaled.zip(&spread(bias), |x, b| x + b)
}

/// Shape and how many leading dimensions hold groups of elements that share a mean and a variance.
const LAYERS: [(&[usize], usize); 13] = [
    (&[5], 0),
    (&[4, 6], 1),
    (&[2, 3, 4], 1),
    (&[2, 3, 4], 2),
    (&[2, 2, 3, 2], 2),
    (&[0, 4], 1),
    (&[37, 300], 1),
    (&[2, 3, 4, 5], 1),
    (&[9, 132], 1),
    (&[2, 1026], 1),
    (&[1, 4100], 1),
    (&[1, 8201], 1),
    (&[1, 8204], 1),
];

/// Shape and number of groups.
const GROUPS: [(&[usize], usize); 11] = [
    (&[3, 4], 2),
    (&[2, 4, 3], 2),
    (&[2, 4, 2, 2], 1),
    (&[2, 3, 2, 2], 3),
    (&[1, 6, 2, 1, 2], 3),
    (&[0, 4, 2], 2),
    (&[3, 8, 17, 19], 4),
    (&[2, 64, 3, 5], 2),
    (&[2, 39, 3, 5], 13),
    (&[2, 8, 4, 6], 2),
    (&[1, 32, 17, 16], 1),
];

/// Each run of `n` neighbours in row-major order with its own mean and variance taken out.
fn standardised(x: &Nd, n: usize) -> Nd {
    let each = |run: &[f64]| {
        let (m, v) = (mean(run), variance(run, 0.0));
        run.iter().map(|x| (x - m) / (v + EPS).sqrt()).collect::<Vec<_>>()
    };
    Nd { shape: x.shape.clone(), data: x.data.chunks(n).flat_map(each).collect() }
}

fn within_samples() -> Vec<Row> {
    let bound = Accuracy::Magnitude(32.0);
    let mut rows = Vec::new();
    for (shape, lead) in LAYERS {
        let own = &shape[lead..];
        let n: usize = own.iter().product();
        let inputs = || vec![float(shape), range(own, 0.5, 1.5, &[]), float(own)];
        let both = row(
            format!("layer_norm {own:?}"),
            inputs(),
            move |x| x[0].layer_norm(own, Some(&x[1]), Some(&x[2]), EPS),
            move |x| standardised(&x[0], n).zip(&x[1], |y, w| y * w).zip(&x[2], |y, b| y + b),
        );
        rows.push(both.within(bound).dtypes(FULL).covers(&["SampleNorm"]));
        let plain = row(
            format!("layer_norm {own:?} alone"),
            vec![float(shape)],
            move |x| x[0].layer_norm(own, None, None, EPS),
            move |x| standardised(&x[0], n),
        );
        rows.push(plain.within(bound).dtypes(FULL));
    }
    for (shape, groups) in GROUPS {
        let c = [shape[1]];
        let of_group = shape[1..].iter().product::<usize>() / groups;
        let inputs = vec![float(shape), range(&c, 0.5, 1.5, &[]), float(&c)];
        let naive = move |x: &[Nd], n| {
            let spread = |v: &Nd| per_channel(v, x[0].shape.len());
            let y = standardised(&x[0], n);
            y.zip(&spread(&x[1]), |y, w| y * w).zip(&spread(&x[2]), |y, b| y + b)
        };
        let op = move |x: &[Tensor]| x[0].group_norm(groups, Some(&x[1]), Some(&x[2]), EPS);
        let r = row(format!("group_norm {groups}"), inputs, op, move |x| naive(x, of_group));
        rows.push(r.within(bound).dtypes(FULL));
        let of_channel = shape[2..].iter().product();
        if of_channel > 1 {
            let inputs = vec![float(shape), range(&c, 0.5, 1.5, &[]), float(&c)];
            let op = |x: &[Tensor]| x[0].instance_norm(Some(&x[1]), Some(&x[2]), EPS);
            let r = row("instance_norm", inputs, op, move |x| naive(x, of_channel));
            rows.push(r.within(bound).dtypes(FULL));
        }
    }
    rows
}

pub fn rows() -> Vec<Row> {
    let mut rows = within_samples();
    for shape in SHAPES {
        let c = [shape[1]];
        let inputs = || vec![float(shape), range(&c, 0.5, 1.5, &[]), float(&c)];
        rows.push(
            row(
                "batch_norm",
                inputs(),
                |x| x[0].batch_norm(&x[1], &x[2], EPS).y,
                |x| {
                    normalised(
                        &x[0],
                        &x[1],
                        &x[2],
                        &over_batch(&x[0], mean),
                        &over_batch(&x[0], |v| variance(v, 0.0)),
                    )
                },
            )
            .within(Accuracy::Magnitude(32.0))
            .dtypes(FULL)
            .covers(&["BatchNormOp"]),
        );
        let statistics: [(&str, Statistic, Fold); 2] = [
            ("mean", |x| x[0].batch_norm(&x[1], &x[2], EPS).mean, mean),
            ("variance", |x| x[0].batch_norm(&x[1], &x[2], EPS).var, |v| variance(v, 0.0)),
        ];
        for (name, op, of) in statistics {
            rows.push(
                row(format!("batch_norm's {name}"), inputs(), op, move |x| over_batch(&x[0], of))
                    .within(Accuracy::Magnitude(32.0))
                    .dtypes(FULL)
                    .gradient(Gradient::Unchecked),
            );
        }
        let mut inputs = inputs();
        inputs.extend([float(&c), range(&c, 0.5, 2.0, &[])]);
        rows.push(
            row(
                "batch_norm_eval",
                inputs,
                |x| x[0].batch_norm_eval(&x[1], &x[2], &x[3], &x[4], EPS),
                |x| normalised(&x[0], &x[1], &x[2], &x[3], &x[4]),
            )
            .within(Accuracy::Magnitude(16.0))
            .dtypes(FULL),
        );
    }
    for (p, shape) in [(0.25, &[3, 4][..]), (0.0, &[5]), (1.0, &[5]), (0.5, &[]), (0.5, &[0, 2])] {
        let inputs = vec![float(shape), Input::new(shape, Kind::Index { size: 2 })];
        let scale = if p < 1.0 { 1.0 / (1.0 - p) } else { 0.0 };
        rows.push(row(
            format!("dropout_with_mask {p}"),
            inputs,
            move |x| x[0].dropout_with_mask(&x[1].to_dtype(x[0].dtype()), p),
            move |x| x[0].zip(&x[1], |x, m| x * m * scale),
        ));
    }
    rows
}
