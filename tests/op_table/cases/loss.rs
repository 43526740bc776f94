//! Losses, with each reduction.

use crate::naive::{Nd, mean, sum};
use crate::row::{Accuracy, FULL, Gradient, Input, Row, float, index, range, row};
use ganvil::{Reduction, Tensor};

const SHAPES: [&[usize]; 6] = [&[], &[6], &[2, 3], &[2, 1, 2, 2], &[0], &[300, 257]];

/// Also more classes than a kernel holds at a time, and pixels with classes of their own.
const CLASSES: [&[usize]; 11] = [
    &[4, 3],
    &[1, 1],
    &[0, 3],
    &[2, 3, 2, 2],
    &[300, 10],
    &[3, 132],
    &[2, 1027],
    &[1, 4100],
    &[1, 8201],
    &[2, 130, 70],
    &[2, 1, 3],
];

type Loss = fn(&Tensor, &Tensor, Reduction) -> Tensor;
type Each = fn(f64, f64) -> f64;
type Fold = fn(&[f64]) -> f64;

pub fn rows() -> Vec<Row> {
    let losses: [(&str, Loss, Each); 4] = [
        ("bce", Tensor::bce, |p, t| -(t * p.ln() + (1.0 - t) * (1.0 - p).ln())),
        ("bce_with_logits", Tensor::bce_with_logits, |a, t| a.max(0.0) - a * t + (-a.abs()).exp().ln_1p()),
        ("mse", Tensor::mse, |a, b| (a - b) * (a - b)),
        ("l1", Tensor::l1, |a, b| (a - b).abs()),
    ];
    let reductions: [(Reduction, Option<Fold>); 3] =
        [(Reduction::Mean, Some(mean)), (Reduction::Sum, Some(sum)), (Reduction::None, None)];
    let mut rows = Vec::new();
    for (name, op, of) in losses {
        for shape in SHAPES {
            for (reduction, reduce) in reductions {
                let inputs: Vec<Input> = match name {
                    "bce" => vec![range(shape, 0.05, 0.95, &[]), range(shape, 0.0, 1.0, &[]).constant()],
                    "bce_with_logits" => {
                        vec![range(shape, -4.0, 4.0, &[]), range(shape, 0.0, 1.0, &[]).constant()]
                    }
                    _ => vec![float(shape), float(shape)],
                };
                let naive = move |x: &[Nd]| {
                    let each = x[0].zip(&x[1], of);
                    reduce.map_or(each.clone(), |f| Nd::scalar(f(&each.data)))
                };
                let is_nan = shape.contains(&0) && reduction == Reduction::Mean;
                rows.push(
                    row(format!("{name} {reduction:?}"), inputs, move |x| op(&x[0], &x[1], reduction), naive)
                        .within(Accuracy::Magnitude(8.0))
                        .gradient(if is_nan { Gradient::Unchecked } else { Gradient::Checked })
                        .covers(&["PairLoss"]),
                );
            }
        }
    }
    for shape in CLASSES {
        let classes: Vec<usize> =
            shape.iter().enumerate().filter(|(d, _)| *d != 1).map(|(_, &n)| n).collect();
        for (reduction, reduce) in reductions {
            let naive = move |x: &[Nd]| {
                let each = Nd::from_fn(&x[1].shape, |i| {
                    let logit = |c: usize| x[0].at(&[&i[..1], &[c], &i[1..]].concat());
                    let total: f64 = (0..shape[1]).map(|c| logit(c).exp()).sum();
                    total.ln() - logit(x[1].at(i) as usize)
                });
                reduce.map_or(each.clone(), |f| Nd::scalar(f(&each.data)))
            };
            let inputs = vec![float(shape), index(&classes, shape[1])];
            let is_nan = classes.contains(&0) && reduction == Reduction::Mean;
            rows.push(
                row(
                    format!("cross_entropy {reduction:?}"),
                    inputs,
                    move |x| x[0].cross_entropy(&x[1], reduction),
                    naive,
                )
                .within(Accuracy::Magnitude(12.0))
                .dtypes(FULL)
                .covers(&["CrossEntropy"])
                .gradient(if is_nan { Gradient::Unchecked } else { Gradient::Checked }),
            );
        }
    }
    rows
}
