//! Reductions over any dimensions.

use crate::naive::{Nd, mean, sum, variance};
use crate::row::rounded;
use crate::tensors::{
    FLOATS, RANK, assert_rounded, assert_same, choices, place, shape, special, uniform, whole,
};
use ganvil::Tensor;
use proptest::prelude::*;

/// How many elements become one.
fn terms(shape: &[usize], dims: &[isize]) -> usize {
    let rank = shape.len() as isize;
    let over = |d: usize| dims.is_empty() || dims.iter().any(|&e| e.rem_euclid(rank) as usize == d);
    (0..shape.len()).filter(|&d| over(d)).map(|d| shape[d]).product()
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn sums_and_their_kin(shape in shape(0..=RANK, 0), place in place(), mut c in choices()) {
        let x = place.lay(&uniform(&shape, c.seed(), -2.0, 2.0), c.of(&FLOATS));
        let (dims, keepdim) = (c.dims(shape.len()), c.flag());
        let n = terms(&shape, &dims) as f64;
        let over = |a: &Nd, f: &dyn Fn(&[f64]) -> f64| a.reduce(&dims, keepdim, f);
        let absolute = x.a.map(f64::abs);

        // n - 1 additions, whatever their order; a mean is multiplied by a rounded 1/n.
        assert_rounded(&x.t.sum(&dims, keepdim), &over(&x.a, &sum), n, &over(&absolute, &sum));
        assert_rounded(&x.t.mean(&dims, keepdim), &over(&x.a, &mean), n + 2.0, &over(&absolute, &mean));

        // The root halves the relative error of the sum of rounded squares.
        let squares = |v: &[f64]| sum(&v.iter().map(|x| x * x).collect::<Vec<_>>());
        let norm = over(&x.a, &|v| squares(v).sqrt());
        assert_rounded(&x.t.norm(&dims, keepdim), &norm, n / 2.0 + 2.0, &norm);

        // The mean is off by (n + 2) eps mean |x| at most, which moves each square by twice that times the deviation;
        // by Cauchy and Schwarz all of it is below (3n + 10) eps of the mean square.
        for unbiased in [false, true] {
            let divisor = if unbiased { (n - 1.0).max(0.0) } else { n };
            let want = over(&x.a, &|v| variance(v, unbiased as u8 as f64));
            let magnitude = over(&x.a, &|v| squares(v) / divisor);
            if divisor > 0.0 {
                assert_rounded(&x.t.var(&dims, unbiased, keepdim), &want, 3.0 * n + 10.0, &magnitude);
            } else {
                let y = x.t.var(&dims, unbiased, keepdim);
                assert!(y.shape() == want.shape && y.to_f64_vec().iter().all(|v| v.is_nan()));
            }
        }
    }

    #[test]
    fn the_largest_is_exact(shape in shape(0..=RANK, 0), place in place(), mut c in choices()) {
        let x = place.lay(&special(&shape, c.seed()), c.of(&FLOATS));
        let (dims, keepdim) = (c.dims(shape.len()), c.flag());
        prop_assume!(terms(&shape, &dims) > 0);
        let larger = |m: f64, v: f64| if m.is_nan() || v.is_nan() { f64::NAN } else { m.max(v) };
        let largest = |v: &[f64]| v.iter().copied().fold(f64::NEG_INFINITY, larger);
        assert_same(&x.t.max(&dims, keepdim), &x.a.reduce(&dims, keepdim, largest));
    }

    #[test]
    fn sums_of_special_values_are_not_finite_where_they_should_not_be(
        shape in shape(1..=RANK, 1), place in place(), mut c in choices(),
    ) {
        let x = place.lay(&special(&shape, c.seed()), c.of(&FLOATS));
        let dims = c.dims(shape.len());
        // Halves are summed exactly, and rounded once.
        let plain = |v: &[f64]| rounded(v.iter().sum::<f64>(), x.t.dtype());
        assert_same(&x.t.sum(&dims, false), &x.a.reduce(&dims, false, plain));
    }

    #[test]
    fn a_reduction_in_two_steps_is_the_reduction(
        shape in shape(2..=RANK, 1), place in place(), mut c in choices(),
    ) {
        let x = place.lay(&whole(&shape, c.seed(), -3..=3), c.of(&FLOATS)).t.to_dtype(ganvil::DType::F32);
        let (first, _) = c.dim(shape.len());
        let (second, _) = c.dim(shape.len() - 1);
        let both = [first as isize, (second + (second >= first) as usize) as isize];
        let steps = |f: fn(&Tensor, &[isize], bool) -> Tensor| {
            (f(&f(&x, &[first as isize], false), &[second as isize], false).to_vec::<f32>(), f(&x, &both, false))
        };
        for f in [Tensor::sum, Tensor::max] {
            let (twice, once) = steps(f);
            assert_eq!(twice, once.to_vec::<f32>());
        }
    }
}
