//! Matrix products of strided operands with batch dimensions that broadcast.

use crate::elementwise::broadcastable;
use crate::naive::Nd;
use crate::tensors::{Choices, FLOATS, Operand, Place, assert_rounded, choices, place, uniform};
use ganvil::DType;
use proptest::prelude::*;

/// Sizes of rows, inner dimension and columns: at most one of them crosses the borders of tiles.
fn sizes(c: &mut Choices) -> [usize; 3] {
    let mut sizes = [0; 3].map(|_| c.below(20).clamp(1, 7) % 7);
    if c.below(3) == 1 {
        sizes[c.below(3)] = 7 + c.below(64);
    }
    sizes
}

fn batch(c: &mut Choices) -> Vec<usize> {
    (0..c.below(4)).map(|_| 1 + c.below(3)).collect()
}

fn drawn(shape: &[usize], place: &Place, dtype: DType, c: &mut Choices) -> Operand {
    place.lay(&uniform(shape, c.seed(), -2.0, 2.0), dtype)
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn matmul_broadcasts_its_batch(places in [place(), place()], mut c in choices()) {
        let (dtype, [m, k, n], batch) = (c.of(&FLOATS), sizes(&mut c), batch(&mut c));
        let sa = [&broadcastable(&batch, &mut c)[..], &[m, k]].concat();
        let sb = [&broadcastable(&batch, &mut c)[..], &[k, n]].concat();
        let (a, b) = (drawn(&sa, &places[0], dtype, &mut c), drawn(&sb, &places[1], dtype, &mut c));
        let magnitude = a.a.map(f64::abs).matmul(&b.a.map(f64::abs));
        assert_rounded(&a.t.matmul(&b.t), &a.a.matmul(&b.a), k as f64 + 1.0, &magnitude);
    }

    #[test]
    fn linear_is_a_product_and_a_sum(places in [place(), place(), place()], mut c in choices()) {
        let (dtype, [m, k, n]) = (c.of(&FLOATS), sizes(&mut c));
        let lead = if c.flag() { batch(&mut c) } else { vec![m] };
        let sx = [&lead[..], &[k]].concat();
        let x = drawn(&sx, &places[0], dtype, &mut c);
        let w = drawn(&[n, k], &places[1], dtype, &mut c);
        let b = drawn(&[n], &places[2], dtype, &mut c);
        let product = |f: fn(f64) -> f64| {
            let rows = x.a.map(f).reshape(&[lead.iter().product(), k]);
            rows.matmul(&w.a.map(f).permute(&[1, 0])).reshape(&[&lead[..], &[n]].concat())
        };
        let (plain, absolute) = (product(|v| v), product(f64::abs));
        let with = |y: &Nd, b: &Nd| y.zip(b, |y, b| y + b);
        assert_rounded(&x.t.linear(&w.t, None), &plain, k as f64 + 1.0, &absolute);
        let (want, magnitude) = (with(&plain, &b.a), with(&absolute, &b.a.map(f64::abs)));
        assert_rounded(&x.t.linear(&w.t, Some(&b.t)), &want, k as f64 + 2.0, &magnitude);
    }
}
