//! Batch, layer, group and instance normalisation.

use crate::naive::{Nd, indices, mean, variance};
use crate::row::eps;
use crate::tensors::{Choices, FULL, Operand, Place, RANK, assert_near, choices, place, shape, uniform};
use ganvil::DType;
use proptest::prelude::*;
use std::collections::HashMap;

const EPS: f64 = 1e-2;

/// The mean and variance of a group of elements, and how far off each may be.
struct Group {
    mean: f64,
    var: f64,
    mean_error: f64,
    var_error: f64,
    largest: f64,
}

impl Group {
    fn of(v: &[f64], e: f64) -> Group {
        let n = v.len() as f64;
        let largest = v.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        // The bounds of tests/properties/reduce.rs, with every element as large as the largest.
        let (mean_error, var_error) = ((n + 2.0) * e * largest, (3.0 * n + 10.0) * e * largest * largest);
        Group { mean: mean(v), var: variance(v, 0.0), mean_error, var_error, largest }
    }

    /// (x - mean) / sqrt(var + EPS), and how far off it may be.
    fn standardised(&self, x: f64, e: f64) -> (f64, f64) {
        let rstd = 1.0 / (self.var + EPS).sqrt();
        let (y, off) = ((x - self.mean) * rstd, self.var_error / (self.var + EPS));
        assert!(off < 0.9, "the variance means nothing");
        // The root of 1 / (1 - off) is how much too large the scale may be; it is rounded, as are difference and product.
        let scale = (1.0 - off).powf(-0.5) - 1.0 + 6.0 * e;
        (y, (self.mean_error + 2.0 * e * self.largest) * rstd * (1.0 + scale) + y.abs() * scale)
    }
}

/// Every element standardised in its group, times weight, plus bias; and the errors.
fn normalised(x: &Operand, own: impl Fn(&[usize]) -> usize, weight: &Nd, bias: &Nd, e: f64) -> (Nd, Nd) {
    let mut groups: HashMap<usize, Vec<f64>> = HashMap::new();
    for (i, &v) in indices(&x.a.shape).iter().zip(&x.a.data) {
        groups.entry(own(i)).or_default().push(v);
    }
    let groups: HashMap<usize, Group> = groups.into_iter().map(|(k, v)| (k, Group::of(&v, e))).collect();
    let each = |pick: fn((f64, f64)) -> f64| {
        Nd::from_fn(&x.a.shape, |i| pick(groups[&own(i)].standardised(x.a.at(i), e)))
    };
    let y = each(|p| p.0).zip(weight, |y, w| y * w).zip(bias, |y, b| y + b);
    let errors = each(|p| p.1).zip(weight, |err, w| err * w.abs());
    // A product and a sum.
    let rounding = y.zip(bias, |y, b| 2.0 * e * (y.abs() + b.abs()));
    (y, errors.zip(&rounding, |a, b| a + b))
}

/// A vector over dimension 1 of a shape of this rank.
fn per_channel(v: &Nd, rank: usize) -> Nd {
    v.reshape(&(0..rank).map(|d| if d == 1 { v.data.len() } else { 1 }).collect::<Vec<_>>())
}

/// x, and weight and bias of some shape.
fn operands(
    shape: &[usize],
    own: &[usize],
    places: &[Place; 3],
    dtype: DType,
    c: &mut Choices,
) -> [Operand; 3] {
    [
        places[0].lay(&uniform(shape, c.seed(), -2.0, 2.0), dtype),
        places[1].lay(&uniform(own, c.seed(), 0.5, 1.5), dtype),
        places[2].lay(&uniform(own, c.seed(), -2.0, 2.0), dtype),
    ]
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn batch_norm_standardises_channels(
        shape in shape(2..=RANK, 1), places in [place(), place(), place()], mut c in choices(),
    ) {
        let (dtype, rank) = (c.of(&FULL), shape.len());
        let (e, channels) = (eps(dtype), shape[1]);
        let [x, w, b] = operands(&shape, &[channels], &places, dtype, &mut c);
        let spread = |v: &Nd| per_channel(v, rank);
        let of_channel = |k: usize| -> Vec<f64> {
            indices(&shape).iter().filter(|i| i[1] == k).map(|i| x.a.at(i)).collect()
        };
        let groups: Vec<Group> = (0..channels).map(|k| Group::of(&of_channel(k), e)).collect();
        let vector = |f: fn(&Group) -> f64| Nd { shape: vec![channels], data: groups.iter().map(f).collect() };
        if x.a.data.len() / channels > 1 {
            let normed = x.t.batch_norm(&w.t, &b.t, EPS);
            let (y, errors) = normalised(&x, |i| i[1], &spread(&w.a), &spread(&b.a), e);
            assert_near(&normed.y, &y, &errors);
            assert_near(&normed.mean, &vector(|g| g.mean), &vector(|g| g.mean_error));
            assert_near(&normed.var, &vector(|g| g.var), &vector(|g| g.var_error));
        }
        let mean = places[1].lay(&uniform(&[channels], c.seed(), -2.0, 2.0), dtype);
        let var = places[2].lay(&uniform(&[channels], c.seed(), 0.1, 2.0), dtype);
        let scale = var.a.zip(&w.a, |v, w| w / (v + EPS).sqrt());
        let y = x.a.zip(&spread(&mean.a), |x, m| x - m).zip(&spread(&scale), |x, s| x * s);
        let want = y.zip(&spread(&b.a), |y, b| y + b);
        // A difference, a scale of four roundings, a product and a sum.
        let errors = y.zip(&spread(&b.a), |y, b| 8.0 * e * (y.abs() + b.abs()));
        assert_near(&x.t.batch_norm_eval(&w.t, &b.t, &mean.t, &var.t, EPS), &want, &errors);
    }

    #[test]
    fn layer_norm_standardises_the_end_of_a_sample(
        shape in shape(1..=RANK, 1), places in [place(), place(), place()], mut c in choices(),
    ) {
        let (dtype, lead) = (c.of(&FULL), c.below(shape.len()));
        let (e, own) = (eps(dtype), shape[lead..].to_vec());
        let [x, w, b] = operands(&shape, &own, &places, dtype, &mut c);
        let sample = |i: &[usize]| i[..lead].iter().zip(&shape).fold(0, |flat, (i, n)| flat * n + i);
        let (y, errors) = normalised(&x, sample, &w.a, &b.a, e);
        assert_near(&x.t.layer_norm(&own, Some(&w.t), Some(&b.t), EPS), &y, &errors);
        let (y, errors) = normalised(&x, sample, &Nd::scalar(1.0), &Nd::scalar(0.0), e);
        assert_near(&x.t.layer_norm(&own, None, None, EPS), &y, &errors);
    }

    #[test]
    fn group_and_instance_norm_standardise_channels_of_a_sample(
        shape in shape(2..=RANK, 1), places in [place(), place(), place()], mut c in choices(),
    ) {
        let (dtype, channels) = (c.of(&FULL), shape[1]);
        let e = eps(dtype);
        let [x, w, b] = operands(&shape, &[channels], &places, dtype, &mut c);
        let (weight, bias) = (per_channel(&w.a, shape.len()), per_channel(&b.a, shape.len()));
        let divisors: Vec<usize> = (1..=channels).filter(|g| channels % g == 0).collect();
        let groups = c.of(&divisors);
        let of_group = |i: &[usize]| i[0] * groups + i[1] / (channels / groups);
        let (y, errors) = normalised(&x, of_group, &weight, &bias, e);
        assert_near(&x.t.group_norm(groups, Some(&w.t), Some(&b.t), EPS), &y, &errors);
        if shape[2..].iter().product::<usize>() > 1 {
            let (y, errors) = normalised(&x, |i| i[0] * channels + i[1], &weight, &bias, e);
            assert_near(&x.t.instance_norm(Some(&w.t), Some(&b.t), EPS), &y, &errors);
        }
    }
}
