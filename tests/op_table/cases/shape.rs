//! Views and rearrangements.

use crate::naive::{Nd, broadcast};
use crate::row::{ALL, Accuracy, Row, float, row};
use ganvil::Tensor;

pub fn view(
    name: String,
    shape: &[usize],
    op: impl Fn(&Tensor) -> Tensor + Send + Sync + 'static,
    naive: impl Fn(&Nd) -> Nd + Send + Sync + 'static,
) -> Row {
    row(name, vec![float(shape)], move |x| op(&x[0]), move |x| naive(&x[0]))
        .within(Accuracy::Exact)
        .dtypes(ALL)
}

const RESHAPES: [(&[usize], &[usize]); 11] = [
    (&[], &[1]),
    (&[1, 1], &[]),
    (&[6], &[2, 3]),
    (&[2, 3], &[3, 2]),
    (&[2, 3, 4], &[24]),
    (&[2, 3, 4], &[6, 4]),
    (&[2, 3, 4], &[2, 12]),
    (&[4, 3], &[2, 2, 1, 3]),
    (&[2, 3, 2, 2], &[2, 12]),
    (&[0, 3], &[7, 0]),
    (&[2, 3], &[2, 3]),
];

const PERMUTES: [(&[usize], &[isize]); 9] = [
    (&[], &[]),
    (&[4], &[0]),
    (&[2, 3], &[1, 0]),
    (&[2, 3, 4], &[2, 0, 1]),
    (&[2, 3, 4], &[-1, -3, -2]),
    (&[2, 3, 2, 4], &[0, 2, 3, 1]),
    (&[2, 0, 3], &[2, 1, 0]),
    (&[1, 3, 1], &[2, 1, 0]),
    (&[130, 131, 5], &[2, 1, 0]),
];

const CATS: [(&[&[usize]], isize); 7] = [
    (&[&[3]], 0),
    (&[&[3], &[2]], 0),
    (&[&[2, 3], &[2, 1], &[2, 4]], 1),
    (&[&[2, 3], &[4, 3]], -2),
    (&[&[2, 0, 3], &[2, 2, 3]], 1),
    (&[&[0], &[0]], 0),
    (&[&[2, 1, 2, 2], &[2, 3, 2, 2]], 1),
];

/// Shape, how many of it, and the new dimension.
const STACKS: [(&[usize], usize, isize); 6] =
    [(&[], 3, 0), (&[3], 1, -1), (&[2, 3], 2, 1), (&[2, 3], 3, -3), (&[2, 0], 2, 1), (&[2, 3, 2, 2], 2, 2)];

const EXPANDS: [(&[usize], &[usize]); 8] = [
    (&[], &[]),
    (&[], &[3]),
    (&[1], &[4]),
    (&[3, 1], &[3, 4]),
    (&[1, 3], &[2, 2, 3]),
    (&[1, 3], &[0, 3]),
    (&[2, 3], &[2, 3]),
    (&[1, 3, 1, 1], &[2, 3, 2, 2]),
];

fn concatenated(x: &[Nd], dim: isize) -> Nd {
    let d = dim.rem_euclid(x[0].shape.len() as isize) as usize;
    let mut shape = x[0].shape.clone();
    shape[d] = x.iter().map(|a| a.shape[d]).sum();
    Nd::from_fn(&shape, |i| {
        let (mut at, mut part) = (i.to_vec(), 0);
        while at[d] >= x[part].shape[d] {
            at[d] -= x[part].shape[d];
            part += 1;
        }
        x[part].at(&at)
    })
}

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (from, to) in RESHAPES {
        let r = view(format!("reshape to {to:?}"), from, move |x| x.reshape(to), move |x| x.reshape(to));
        rows.push(r.covers(&["Reshape"]));
    }
    for (shape, dims) in PERMUTES {
        let order: Vec<usize> = dims.iter().map(|d| d.rem_euclid(shape.len() as isize) as usize).collect();
        let back = order.clone();
        let name = format!("permute {dims:?}");
        rows.push(
            view(name, shape, move |x| x.permute(dims), move |x| x.permute(&order)).covers(&["Permute"]),
        );
        let name = format!("permute {dims:?} and contiguous");
        rows.push(view(name, shape, move |x| x.permute(dims).contiguous(), move |x| x.permute(&back)));
    }
    for (shapes, dim) in CATS {
        let op = move |x: &[Tensor]| Tensor::cat(&x.iter().collect::<Vec<_>>(), dim);
        let inputs = shapes.iter().map(|s| float(s)).collect();
        let r = row(format!("cat along {dim}"), inputs, op, move |x| concatenated(x, dim));
        rows.push(r.within(Accuracy::Exact).dtypes(ALL).covers(&["Cat"]));
    }
    for (shape, n, dim) in STACKS {
        let d = dim.rem_euclid(shape.len() as isize + 1) as usize;
        let op = move |x: &[Tensor]| Tensor::stack(&x.iter().collect::<Vec<_>>(), dim);
        let naive = move |x: &[Nd]| {
            let mut longer = x[0].shape.clone();
            longer.insert(d, n);
            Nd::from_fn(&longer, |i| x[i[d]].at(&[&i[..d], &i[d + 1..]].concat()))
        };
        let inputs = (0..n).map(|_| float(shape)).collect();
        let r = row(format!("stack along {dim}"), inputs, op, naive);
        rows.push(r.within(Accuracy::Exact).dtypes(ALL));
    }
    for (from, to) in EXPANDS {
        let naive = move |x: &Nd| Nd::from_fn(&broadcast(&x.shape, to), |i| x.at(i));
        rows.push(view(format!("expand to {to:?}"), from, move |x| x.expand(to), naive).covers(&["Expand"]));
    }
    rows.extend([
        view(
            "cat with itself".into(),
            &[2, 2],
            |x| Tensor::cat(&[x, x], 0),
            |x| concatenated(&[x.clone(), x.clone()], 0),
        ),
        view("transpose 0 -1".into(), &[2, 3, 4], |x| x.transpose(0, -1), |x| x.permute(&[2, 1, 0])),
        view("t".into(), &[2, 3, 4], Tensor::t, |x| x.permute(&[0, 2, 1])),
        view("squeeze 1".into(), &[2, 1, 3], |x| x.squeeze(1), |x| x.reshape(&[2, 3])),
        view("squeeze -1".into(), &[1], |x| x.squeeze(-1), |x| x.reshape(&[])),
        view("unsqueeze 0".into(), &[2, 3], |x| x.unsqueeze(0), |x| x.reshape(&[1, 2, 3])),
        view("unsqueeze -1".into(), &[], |x| x.unsqueeze(-1), |x| x.reshape(&[1])),
        view("unsqueeze -2".into(), &[0, 3], |x| x.unsqueeze(-2), |x| x.reshape(&[0, 1, 3])),
        view("contiguous".into(), &[2, 3, 2, 3], Tensor::contiguous, Nd::clone),
        view(
            "a chain of views".into(),
            &[2, 3, 4],
            |x| x.narrow(2, 1, 2).permute(&[1, 2, 0]).reshape(&[6, 2]).t(),
            |x| Nd::from_fn(&[3, 2, 2], |i| x.at(&[i[2], i[0], 1 + i[1]])).reshape(&[6, 2]).permute(&[1, 0]),
        ),
    ]);
    rows
}
