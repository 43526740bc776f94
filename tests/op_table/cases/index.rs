//! Reading and adding at indices, and embedding.

use crate::naive::{Nd, indices};
use crate::row::{ALL, Accuracy, Row, float, index, row};
use ganvil::Tensor;

/// Shape, dimension, number of indices.
const SELECTS: [(&[usize], isize, usize); 11] = [
    (&[5], 0, 7),
    (&[4, 3], 0, 6),
    (&[4, 3], 1, 2),
    (&[2, 3, 2], -2, 4),
    (&[2, 3, 2], 0, 0),
    (&[2, 0], 0, 3),
    (&[0, 3], 1, 2),
    (&[1, 1], 0, 5),
    (&[2, 3, 2, 2], 1, 3),
    // More than a GPU goes through one by one, and more at a place than it adds in one piece.
    (&[7, 5], 0, 100),
    (&[2, 3, 33], 1, 200),
];

/// Shape, dimension, the index's shape.
const GATHERS: [(&[usize], isize, &[usize]); 10] = [
    (&[5], 0, &[7]),
    (&[4, 3], 0, &[6, 3]),
    (&[4, 3], 1, &[2, 5]),
    (&[2, 3, 4], 1, &[2, 5, 1]),
    (&[2, 3, 4], -1, &[1, 3, 6]),
    (&[2, 3], 0, &[0, 3]),
    (&[0, 3], 1, &[0, 2]),
    (&[2, 3, 2, 2], 1, &[2, 2, 2, 2]),
    (&[6, 4], 0, &[150, 3]),
    (&[2, 3], 1, &[2, 300]),
];

fn resolve(shape: &[usize], dim: isize) -> usize {
    dim.rem_euclid(shape.len() as isize) as usize
}

/// The shape with another size in one dimension.
fn with(shape: &[usize], dim: isize, n: usize) -> Vec<usize> {
    let mut shape = shape.to_vec();
    let d = resolve(&shape, dim);
    shape[d] = n;
    shape
}

/// The position that element `i` of an index-shaped array stands for.
fn target(i: &[usize], d: usize, picked: f64) -> Vec<usize> {
    let mut at = i.to_vec();
    at[d] = picked as usize;
    at
}

/// x with src added where `pick` says each of its elements goes.
fn added(x: &Nd, src: &Nd, dim: isize, pick: impl Fn(&[usize]) -> f64) -> Nd {
    let mut y = x.clone();
    let d = resolve(&x.shape, dim);
    for i in indices(&src.shape) {
        let to = target(&i, d, pick(&i));
        let flat = x.shape.iter().zip(&to).fold(0, |flat, (n, i)| flat * n + i);
        y.data[flat] += src.at(&i);
    }
    y
}

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (shape, dim, n) in SELECTS {
        let d = resolve(shape, dim);
        let naive = move |x: &[Nd]| {
            Nd::from_fn(&with(&x[0].shape, dim, n), |i| x[0].at(&target(i, d, x[1].at(&[i[d]]))))
        };
        let inputs = vec![float(shape), index(&[n], shape[d])];
        rows.push(
            row(format!("index_select {dim}"), inputs, move |x| x[0].index_select(dim, &x[1]), naive)
                .within(Accuracy::Exact)
                .dtypes(ALL)
                .covers(&["IndexSelect"]),
        );
        let inputs = vec![float(shape), index(&[n], shape[d]), float(&with(shape, dim, n))];
        let naive = move |x: &[Nd]| added(&x[0], &x[2], dim, |i| x[1].at(&[i[d]]));
        rows.push(
            row(format!("index_add {dim}"), inputs, move |x| x[0].index_add(dim, &x[1], &x[2]), naive)
                .within(Accuracy::Condition(n as f64 + 1.0))
                .covers(&["IndexAdd"]),
        );
    }
    for (shape, dim, picks) in GATHERS {
        let d = resolve(shape, dim);
        let naive = move |x: &[Nd]| Nd::from_fn(picks, |i| x[0].at(&target(i, d, x[1].at(i))));
        let inputs = vec![float(shape), index(picks, shape[d])];
        rows.push(
            row(format!("gather {dim}"), inputs, move |x| x[0].gather(dim, &x[1]), naive)
                .within(Accuracy::Exact)
                .dtypes(ALL)
                .covers(&["Gather"]),
        );
        let inputs = vec![float(shape), index(picks, shape[d]), float(picks)];
        let naive = move |x: &[Nd]| added(&x[0], &x[2], dim, |i| x[1].at(i));
        rows.push(
            row(format!("scatter_add {dim}"), inputs, move |x| x[0].scatter_add(dim, &x[1], &x[2]), naive)
                .within(Accuracy::Condition(picks[d] as f64 + 1.0))
                .covers(&["ScatterAdd"]),
        );
    }
    let embeddings: [(&[usize], [usize; 2]); 5] =
        [(&[], [3, 2]), (&[5], [3, 2]), (&[2, 3], [4, 1]), (&[0], [3, 2]), (&[2], [3, 0])];
    for (picks, table) in embeddings {
        let naive = |x: &[Nd]| {
            Nd::from_fn(&[&x[0].shape[..], &x[1].shape[1..]].concat(), |i| {
                let (last, picked) = i.split_last().expect("a table is wide");
                x[1].at(&[x[0].at(picked) as usize, *last])
            })
        };
        let inputs = vec![index(picks, table[0]), float(&table)];
        let r = row("embedding", inputs, |x| Tensor::embedding(&x[0], &x[1]), naive);
        rows.push(r.within(Accuracy::Exact).dtypes(ALL));
    }
    rows
}
