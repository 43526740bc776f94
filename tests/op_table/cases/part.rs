//! Parts: narrow, slice, split, diagonal, triangles; and the other way, borders.

use super::shape::view;
use crate::naive::Nd;
use crate::row::{FLOATS, Row};
use ganvil::{PadMode, Tensor};

const NARROWS: [(&[usize], isize, usize, usize); 8] = [
    (&[5], 0, 1, 3),
    (&[5], -1, 5, 0),
    (&[3, 4], 1, 2, 2),
    (&[3, 4], 0, 0, 1),
    (&[3, 4], 0, 0, 3),
    (&[2, 3, 4], 1, 1, 1),
    (&[2, 0], 0, 1, 1),
    (&[2, 3, 2, 3], 3, 1, 2),
];

/// Shape, dimension, Python's start, end and step, and the entries that they stand for.
type Slice = (&'static [usize], isize, isize, isize, usize, &'static [usize]);
const SLICES: [Slice; 12] = [
    (&[7], 0, 1, 6, 2, &[1, 3, 5]),
    (&[7], -1, 0, 7, 3, &[0, 3, 6]),
    (&[7], 0, -3, isize::MAX, 1, &[4, 5, 6]),
    (&[7], 0, isize::MIN, -4, 2, &[0, 2]),
    (&[7], 0, 5, 2, 1, &[]),
    (&[7], 0, 6, 7, usize::MAX, &[6]),
    (&[3, 6], 1, 1, 6, 3, &[1, 4]),
    (&[3, 6], 0, 0, 3, 2, &[0, 2]),
    (&[2, 0], 1, 0, 3, 2, &[]),
    (&[2, 4, 3], 1, 0, 4, 1, &[0, 1, 2, 3]),
    (&[2, 3, 4, 5], 2, 0, 4, 2, &[0, 2]),
    (
        &[40, 301],
        1,
        7,
        290,
        11,
        &[
            7, 18, 29, 40, 51, 62, 73, 84, 95, 106, 117, 128, 139, 150, 161, 172, 183, 194, 205, 216, 227,
            238, 249, 260, 271, 282,
        ],
    ),
];

const SPLITS: [(&[usize], usize, isize, usize); 6] = [
    (&[5], 2, 0, 2),
    (&[5], 2, 0, 0),
    (&[4, 3], 3, -1, 0),
    (&[4, 3], 9, 0, 0),
    (&[0, 3], 2, 0, 0),
    (&[2, 4, 3], 2, 1, 1),
];

const DIAGONALS: [(&[usize], isize); 9] = [
    (&[3, 3], 0),
    (&[3, 5], 1),
    (&[3, 5], 4),
    (&[3, 5], 7),
    (&[5, 3], -2),
    (&[5, 3], -5),
    (&[2, 3, 4], -1),
    (&[2, 0], 0),
    (&[1, 1], 0),
];

const REVERSALS: [(&[usize], &[isize]); 7] = [
    (&[5], &[0]),
    (&[3, 4], &[1]),
    (&[3, 4], &[-2, 1]),
    (&[3, 4], &[]),
    (&[2, 0], &[0]),
    (&[2, 3, 2, 3], &[2, 3]),
    (&[2, 3, 17, 19], &[3]),
];

const PADS: [(&[usize], &[usize]); 9] = [
    (&[], &[]),
    (&[3], &[2, 1]),
    (&[3, 2], &[0, 0, 1, 0]),
    (&[2, 3], &[1, 1]),
    (&[2, 0], &[1, 2]),
    (&[2, 2, 3, 4], &[3, 2, 1, 0]),
    (&[2, 2, 3, 4], &[1, 1, 1, 1, 0, 1]),
    (&[2, 3, 4], &[0, 0, 0, 0]),
    (&[3, 5, 28, 28], &[2, 2, 2, 2]),
];

fn resolve(shape: &[usize], dim: isize) -> usize {
    dim.rem_euclid(shape.len() as isize) as usize
}

/// The listed entries of a dimension.
fn picked(x: &Nd, d: usize, entries: &[usize]) -> Nd {
    let mut shape = x.shape.clone();
    shape[d] = entries.len();
    Nd::from_fn(&shape, |i| {
        let mut at = i.to_vec();
        at[d] = entries[i[d]];
        x.at(&at)
    })
}

/// The padded shape, and where element `i` of it comes from in each dimension: below 0 or past the end if outside.
fn padded(x: &Nd, padding: &[usize], value: impl Fn(&[isize]) -> f64) -> Nd {
    let rank = x.shape.len();
    let sides = |d: usize| {
        let at = 2 * (rank - 1 - d);
        if at < padding.len() { (padding[at], padding[at + 1]) } else { (0, 0) }
    };
    let shape: Vec<usize> = (0..rank).map(|d| sides(d).0 + x.shape[d] + sides(d).1).collect();
    Nd::from_fn(&shape, |i| {
        let from: Vec<isize> = (0..rank).map(|d| i[d] as isize - sides(d).0 as isize).collect();
        value(&from)
    })
}

fn constant_border(x: &Nd, padding: &[usize], value: f64) -> Nd {
    padded(x, padding, |from| {
        let inside = from.iter().zip(&x.shape).all(|(&i, &n)| i >= 0 && (i as usize) < n);
        let at: Vec<usize> = from.iter().map(|&i| i as usize).collect();
        if inside { x.at(&at) } else { value }
    })
}

fn reflected_border(x: &Nd, padding: &[usize]) -> Nd {
    padded(x, padding, |from| {
        let mirror =
            |(&i, &n): (&isize, &usize)| (n as isize - 1 - (n as isize - 1 - i.abs()).abs()) as usize;
        x.at(&from.iter().zip(&x.shape).map(mirror).collect::<Vec<_>>())
    })
}

fn triangle(x: &Nd, keep: impl Fn(isize) -> bool) -> Nd {
    let n = x.shape.len();
    Nd::from_fn(&x.shape, |i| if keep(i[n - 1] as isize - i[n - 2] as isize) { x.at(i) } else { 0.0 })
}

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (shape, dim, start, length) in NARROWS {
        let entries: Vec<usize> = (start..start + length).collect();
        let d = resolve(shape, dim);
        let name = format!("narrow {dim} {start}+{length}");
        let r = view(name, shape, move |x| x.narrow(dim, start, length), move |x| picked(x, d, &entries));
        rows.push(r.covers(&["Part", "PutBack"]));
    }
    for (shape, dim, start, end, step, entries) in SLICES {
        let d = resolve(shape, dim);
        let name = format!("slice {dim} {start}..{end} by {step}");
        rows.push(view(name, shape, move |x| x.slice(dim, start, end, step), move |x| picked(x, d, entries)));
    }
    for (shape, size, dim, which) in SPLITS {
        let d = resolve(shape, dim);
        let entries: Vec<usize> = (which * size..shape[d].min((which + 1) * size)).collect();
        let name = format!("piece {which} of split {size} {dim}");
        let op = move |x: &Tensor| {
            let pieces = x.split(size, dim);
            assert_eq!(pieces.len(), x.size(dim).div_ceil(size).max(1));
            pieces[which].clone()
        };
        rows.push(view(name, shape, op, move |x| picked(x, d, &entries)));
    }
    for (shape, offset) in DIAGONALS {
        let naive = move |x: &Nd| {
            let (r, n) = (x.shape.len(), x.shape[x.shape.len() - 1] as isize);
            let on = |i: isize| i + offset >= 0 && i + offset < n;
            let start = (0..x.shape[r - 2] as isize).find(|&i| on(i)).unwrap_or(0);
            let length = (0..x.shape[r - 2] as isize).filter(|&i| on(i)).count();
            Nd::from_fn(&[&x.shape[..r - 2], &[length]].concat(), |i| {
                let row = start + i[r - 2] as isize;
                x.at(&[&i[..r - 2], &[row as usize, (row + offset) as usize]].concat())
            })
        };
        rows.push(view(format!("diagonal {offset}"), shape, move |x| x.diagonal(offset), naive));
        let lower = view(
            format!("tril {offset}"),
            shape,
            move |x| x.tril(offset),
            move |x| triangle(x, |above| above <= offset),
        );
        let upper = view(
            format!("triu {offset}"),
            shape,
            move |x| x.triu(offset),
            move |x| triangle(x, |above| above >= offset),
        );
        rows.extend([lower.dtypes(FLOATS), upper.dtypes(FLOATS)]);
    }
    for (shape, dims) in REVERSALS {
        let naive = move |x: &Nd| {
            dims.iter().map(|&d| resolve(&x.shape, d)).fold(x.clone(), |x, d| {
                let order: Vec<usize> = (0..x.shape[d]).rev().collect();
                picked(&x, d, &order)
            })
        };
        rows.push(view(format!("flip {dims:?}"), shape, move |x| x.flip(dims), naive));
    }
    for (shape, padding) in PADS {
        let op = move |x: &Tensor| x.pad(padding, PadMode::Constant(3.0));
        let r = view(format!("pad {padding:?} with 3"), shape, op, move |x| constant_border(x, padding, 3.0));
        rows.push(r.covers(&["Pad"]));
        if fits(shape, padding) {
            let op = move |x: &Tensor| x.pad(padding, PadMode::Reflect);
            rows.push(view(format!("reflect {padding:?}"), shape, op, move |x| reflected_border(x, padding)));
        }
    }
    rows
}

/// Whether every reflection is shorter than its dimension.
fn fits(shape: &[usize], padding: &[usize]) -> bool {
    padding.iter().enumerate().all(|(i, &p)| p == 0 || p < shape[shape.len() - 1 - i / 2])
}
