//! Reading and adding at indices, with repeats, none at all, and indices that are views themselves.

use crate::naive::{Nd, indices};
use crate::tensors::{FLOATS, RANK, assert_same, choices, place, shape, whole};
use ganvil::{DType, Tensor};
use proptest::prelude::*;

/// An index with one coordinate replaced.
fn with(i: &[usize], d: usize, to: usize) -> Vec<usize> {
    let mut i = i.to_vec();
    i[d] = to;
    i
}

fn flat(shape: &[usize], i: &[usize]) -> usize {
    shape.iter().zip(i).fold(0, |flat, (n, i)| flat * n + i)
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn entries_are_selected_and_added_to(
        shape in shape(1..=RANK, 1), places in [place(), place(), place()], mut c in choices(),
    ) {
        let (d, dim) = c.dim(shape.len());
        let n = c.below(8);
        let x = places[0].lay(&whole(&shape, c.seed(), -3..=3), c.of(&FLOATS));
        let index = places[1].lay(&whole(&[n], c.seed(), 0..=shape[d] as i64 - 1), DType::I64);
        let listed = with(&shape, d, n);
        let picked = |j: usize| index.a.data[j] as usize;
        let selected = Nd::from_fn(&listed, |i| x.a.at(&with(i, d, picked(i[d]))));
        assert_same(&x.t.index_select(dim, &index.t), &selected);

        // Small whole numbers add up exactly.
        let src = places[2].lay(&whole(&listed, c.seed(), -3..=3), x.t.dtype());
        let mut sum = x.a.clone();
        for i in indices(&listed) {
            sum.data[flat(&shape, &with(&i, d, picked(i[d])))] += src.a.at(&i);
        }
        assert_same(&x.t.index_add(dim, &index.t, &src.t), &sum);
    }

    #[test]
    fn elements_are_gathered_and_scattered(
        shape in shape(1..=RANK, 1), places in [place(), place(), place()], mut c in choices(),
    ) {
        let (d, dim) = c.dim(shape.len());
        let x = places[0].lay(&whole(&shape, c.seed(), -3..=3), c.of(&FLOATS));
        let mut listed: Vec<usize> = shape.iter().map(|&n| n - c.below(n.min(3))).collect();
        listed[d] = c.below(8);
        let index = places[1].lay(&whole(&listed, c.seed(), 0..=shape[d] as i64 - 1), DType::I64);
        let to = |i: &[usize]| with(i, d, index.a.at(i) as usize);
        assert_same(&x.t.gather(dim, &index.t), &Nd::from_fn(&listed, |i| x.a.at(&to(i))));

        let src = places[2].lay(&whole(&listed, c.seed(), -3..=3), x.t.dtype());
        let mut sum = x.a.clone();
        indices(&listed).iter().for_each(|i| sum.data[flat(&shape, &to(i))] += src.a.at(i));
        assert_same(&x.t.scatter_add(dim, &index.t, &src.t), &sum);
    }

    #[test]
    fn every_dtype_is_read_at_indices(
        shape in shape(1..=RANK, 1), places in [place(), place()], mut c in choices(),
    ) {
        let (d, dim) = c.dim(shape.len());
        let x = places[0].lay(&whole(&shape, c.seed(), 0..=99), c.of(&DType::ALL));
        let index = places[1].lay(&whole(&shape, c.seed(), 0..=shape[d] as i64 - 1), DType::I64);
        let want = Nd::from_fn(&shape, |i| x.a.at(&with(i, d, index.a.at(i) as usize)));
        assert_same(&x.t.gather(dim, &index.t), &want);
        let row = index.t.reshape(&[index.t.numel()]);
        let want = Nd::from_fn(&with(&shape, d, row.numel()), |i| x.a.at(&with(i, d, index.a.data[i[d]] as usize)));
        if want.data.len() < 20_000 {
            assert_same(&x.t.index_select(dim, &row), &want);
        }
    }

    #[test]
    fn an_embedding_is_a_row_for_each_index(
        shape in shape(0..=RANK, 0), places in [place(), place()], mut c in choices(),
    ) {
        let (entries, width) = (1 + c.below(9), c.below(9));
        let table = places[0].lay(&whole(&[entries, width], c.seed(), -9..=9), c.of(&FLOATS));
        let index = places[1].lay(&whole(&shape, c.seed(), 0..=entries as i64 - 1), DType::I64);
        let want = Nd::from_fn(&[&shape[..], &[width]].concat(), |i| {
            table.a.at(&[index.a.at(&i[..shape.len()]) as usize, i[shape.len()]])
        });
        assert_same(&Tensor::embedding(&index.t, &table.t), &want);
    }
}
