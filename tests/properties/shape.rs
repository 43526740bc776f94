//! Joining, cutting and reshaping: every dtype, no arithmetic.

use crate::naive::Nd;
use crate::tensors::{RANK, assert_same, choices, place, shape, whole};
use ganvil::{DType, Tensor};
use proptest::prelude::*;

/// `length` entries of a dimension from `start`, `step` apart.
pub fn sliced(a: &Nd, d: usize, start: usize, length: usize, step: usize) -> Nd {
    let mut shape = a.shape.clone();
    shape[d] = length;
    Nd::from_fn(&shape, |i| {
        let mut from = i.to_vec();
        from[d] = start + i[d] * step;
        a.at(&from)
    })
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn reshape_keeps_the_order_of_elements(
        shape in shape(0..=RANK, 0), place in place(), mut c in choices(),
    ) {
        let x = place.lay(&whole(&shape, c.seed(), 0..=99), c.of(&DType::ALL));
        let wanted = c.factors(x.a.data.len());
        let y = x.t.reshape(&wanted);
        assert_same(&y, &x.a.reshape(&wanted));
        assert_same(&y.reshape(&shape), &x.a);
        let flat = x.t.reshape(&[x.a.data.len()]);
        assert_same(&flat.reshape(&wanted), &x.a.reshape(&wanted));
        let p = c.permutation(shape.len());
        let permuted = x.t.permute(&p.iter().map(|&d| d as isize).collect::<Vec<_>>());
        assert_same(&permuted.reshape(&wanted), &x.a.permute(&p).reshape(&wanted));
        assert!(permuted.contiguous().layout().is_contiguous());
    }

    #[test]
    fn split_and_cat_undo_each_other(shape in shape(1..=RANK, 0), place in place(), mut c in choices()) {
        let x = place.lay(&whole(&shape, c.seed(), 0..=99), c.of(&DType::ALL));
        let ((d, dim), size) = (c.dim(shape.len()), 1 + c.below(8));
        let parts = x.t.split(size, dim);
        assert_eq!(parts.len(), shape[d].div_ceil(size).max(1));
        for (i, part) in parts.iter().enumerate() {
            assert_same(part, &sliced(&x.a, d, i * size, size.min(shape[d] - i * size), 1));
        }
        assert_same(&Tensor::cat(&parts.iter().collect::<Vec<_>>(), dim), &x.a);
    }

    #[test]
    fn cat_and_stack_join_tensors_from_anywhere(
        shape in shape(0..=RANK, 0), places in [place(), place(), place()], mut c in choices(),
    ) {
        let (dtype, n) = (c.of(&DType::ALL), 1 + c.below(3));
        let (d, dim) = c.dim(shape.len() + 1);
        let all: Vec<_> = (0..n).map(|i| places[i].lay(&whole(&shape, c.seed(), 0..=99), dtype)).collect();
        let stacked = Tensor::stack(&all.iter().map(|x| &x.t).collect::<Vec<_>>(), dim);
        let mut joined = shape.clone();
        joined.insert(d, n);
        assert_same(&stacked, &Nd::from_fn(&joined, |i| all[i[d]].a.at(&[&i[..d], &i[d + 1..]].concat())));
        if shape.is_empty() {
            return Ok(());
        }
        // Of different lengths, none of them a part of another.
        let (d, dim) = c.dim(shape.len());
        let mut starts = vec![0];
        let mut pieces = Vec::new();
        for place in &places[..n] {
            let mut own = shape.clone();
            own[d] = c.below(5);
            starts.push(starts[starts.len() - 1] + own[d]);
            pieces.push(place.lay(&whole(&own, c.seed(), 0..=99), dtype));
        }
        let mut joined = shape.clone();
        joined[d] = starts[n];
        let want = Nd::from_fn(&joined, |i| {
            let part = (0..n).find(|&p| i[d] < starts[p + 1]).expect("one of them");
            pieces[part].a.at(&[&i[..d], &[i[d] - starts[part]], &i[d + 1..]].concat())
        });
        assert_same(&Tensor::cat(&pieces.iter().map(|p| &p.t).collect::<Vec<_>>(), dim), &want);
    }
}
