//! Losses, with each reduction.

use crate::naive::{Nd, mean, sum};
use crate::row::{Accuracy, Gradient, Input, Row, float, range, row};
use ganvil::{Reduction, Tensor};

const SHAPES: [&[usize]; 6] = [&[], &[6], &[2, 3], &[2, 1, 2, 2], &[0], &[300, 257]];

type Loss = fn(&Tensor, &Tensor, Reduction) -> Tensor;
type Each = fn(f64, f64) -> f64;
type Fold = fn(&[f64]) -> f64;

pub fn rows() -> Vec<Row> {
    let losses: [(&str, Loss, Each, &'static [&'static str]); 3] = [
        ("bce", Tensor::bce, |p, t| -(t * p.ln() + (1.0 - t) * (1.0 - p).ln()), &["Bce"]),
        (
            "bce_with_logits",
            Tensor::bce_with_logits,
            |a, t| a.max(0.0) - a * t + (-a.abs()).exp().ln_1p(),
            &["BceWithLogits"],
        ),
        ("mse", Tensor::mse, |a, b| (a - b) * (a - b), &[]),
    ];
    let reductions: [(Reduction, Option<Fold>); 3] =
        [(Reduction::Mean, Some(mean)), (Reduction::Sum, Some(sum)), (Reduction::None, None)];
    let mut rows = Vec::new();
    for (name, op, of, covers) in losses {
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
                        .covers(covers),
                );
            }
        }
    }
    rows
}
