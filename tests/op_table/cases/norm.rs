//! Batch normalisation and dropout.

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

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
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
