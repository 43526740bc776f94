//! Softmax, its logarithm, and the losses.

use crate::naive::{Nd, sum};
use crate::order::along;
use crate::row::eps;
use crate::tensors::{Choices, FULL, RANK, assert_near, choices, place, shape, uniform, whole};
use ganvil::{DType, Reduction, Tensor};
use proptest::prelude::*;

/// What a softmax's line is computed from.
fn parts(line: &[f64]) -> (f64, f64) {
    let top = line.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (top, sum(&line.iter().map(|x| (x - top).exp()).collect::<Vec<_>>()))
}

/// The largest distance of a line from its top.
fn depth(line: &[f64]) -> f64 {
    line.iter().fold(0.0, |m, x| f64::max(m, parts(line).0 - x))
}

fn log_softmax(line: &[f64]) -> Vec<f64> {
    let (top, total) = parts(line);
    line.iter().map(|x| x - top - total.ln()).collect()
}

/// How far each element of log_softmax may be off, in eps: its difference from the top and the final one are rounded
/// once each, and the total, which is at least 1, has the relative error of n additions, of exponentials (2 eps) and
/// of their rounded arguments.
fn log_softmax_errors(line: &[f64]) -> Vec<f64> {
    let total = line.len() as f64 + 2.0 + depth(line);
    log_softmax(line).iter().map(|y| total + depth(line) + y.abs() + 2.0 * parts(line).1.ln() + 2.0).collect()
}

/// A loss of single elements, each with its own possible error in eps, checked with every reduction.
fn check_reductions(loss: impl Fn(Reduction) -> Tensor, each: &Nd, errors: &Nd, dtype: DType) {
    let (n, e) = (each.data.len() as f64, eps(dtype));
    assert_near(&loss(Reduction::None), each, &errors.map(|k| k * e));
    let total = sum(&each.data);
    let error = e * (sum(&errors.data) + (n + 1.0) * sum(&each.map(f64::abs).data));
    assert_near(&loss(Reduction::Sum), &Nd::scalar(total), &Nd::scalar(error));
    assert_near(
        &loss(Reduction::Mean),
        &Nd::scalar(total / n),
        &Nd::scalar((error + 2.0 * e * total.abs()) / n),
    );
}

/// -2 to 2, or far apart.
fn logits(shape: &[usize], c: &mut Choices) -> Nd {
    let width = c.of(&[2.0, 20.0]);
    uniform(shape, c.seed(), -width, width)
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn softmax_and_its_logarithm(shape in shape(1..=RANK, 0), place in place(), mut c in choices()) {
        let dtype = c.of(&FULL);
        let x = place.lay(&logits(&shape, &mut c), dtype);
        let ((d, dim), e) = (c.dim(shape.len()), eps(dtype));
        let softmax = |line: &[f64]| log_softmax(line).iter().map(|y| y.exp()).collect();
        // As for the logarithm, and a division.
        let relative = |line: &[f64]| {
            let k = line.len() as f64 + 2.0 * (depth(line) + 2.0) + 2.0;
            log_softmax(line).iter().map(|y| k * e * y.exp()).collect()
        };
        assert_near(&x.t.softmax(dim), &along(&x.a, d, shape[d], softmax), &along(&x.a, d, shape[d], relative));
        let errors = along(&x.a, d, shape[d], |line| log_softmax_errors(line).iter().map(|k| k * e).collect());
        assert_near(&x.t.log_softmax(dim), &along(&x.a, d, shape[d], log_softmax), &errors);
    }

    #[test]
    fn cross_entropy_is_the_logarithm_at_the_class(
        shape in shape(2..=RANK, 1), places in [place(), place()], mut c in choices(),
    ) {
        let dtype = c.of(&FULL);
        let x = places[0].lay(&logits(&shape, &mut c), dtype);
        let mut classes = shape.clone();
        let n = classes.remove(1);
        let class = places[1].lay(&whole(&classes, c.seed(), 0..=n as i64 - 1), DType::I64);
        let at = |a: &Nd| {
            Nd::from_fn(&classes, |i| a.at(&[&i[..1], &[class.a.at(i) as usize], &i[1..]].concat()))
        };
        let each = at(&along(&x.a, 1, n, log_softmax)).map(|y| -y);
        let errors = at(&along(&x.a, 1, n, log_softmax_errors));
        check_reductions(|r| x.t.cross_entropy(&class.t, r), &each, &errors, dtype);
    }

    #[test]
    fn losses_of_pairs(shape in shape(0..=RANK, 0), places in [place(), place()], mut c in choices()) {
        let dtype = c.of(&FULL);
        let [a, b] = [0, 1].map(|i| places[i].lay(&uniform(&shape, c.seed(), -4.0, 4.0), dtype));
        let (p, t) = (
            places[0].lay(&uniform(&shape, c.seed(), 0.01, 0.99), dtype),
            places[1].lay(&uniform(&shape, c.seed(), 0.0, 1.0), dtype),
        );
        // A difference, its square or absolute value.
        let (squared, absolute) = (a.a.zip(&b.a, |a, b| (a - b) * (a - b)), a.a.zip(&b.a, |a, b| (a - b).abs()));
        check_reductions(|r| a.t.mse(&b.t, r), &squared, &squared.map(|l| 2.0 * l), dtype);
        check_reductions(|r| a.t.l1(&b.t, r), &absolute, &absolute, dtype);
        // Logarithms within 2 eps, products, a sum; rounding 1 - p moves its logarithm by eps / (2 (1 - p)).
        let bce = |p: f64, t: f64| -(t * p.ln() + (1.0 - t) * (1.0 - p).ln());
        let error = |p: f64, t: f64| 4.0 * bce(p, t) + (1.0 - t) / (1.0 - p);
        check_reductions(|r| p.t.bce(&t.t, r), &p.a.zip(&t.a, bce), &p.a.zip(&t.a, error), dtype);
        // max(a, 0), a t and ln(1 + e^-|a|), which is at most ln 2.
        let of = |a: f64, t: f64| a.max(0.0) - a * t + (-a.abs()).exp().ln_1p();
        let error = |a: f64, _: f64| 3.0 * a.abs() + 4.0;
        check_reductions(|r| a.t.bce_with_logits(&t.t, r), &a.a.zip(&t.a, of), &a.a.zip(&t.a, error), dtype);
    }
}
