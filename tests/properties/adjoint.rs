//! Every linear op and its derivative rule are adjoint: `<A x, y> = <x, A^T y>`. Operands are small whole numbers, so
//! that both sides are exact and no tolerance is needed.

use crate::naive::Nd;
use crate::tensors::{Choices, RANK, assert_same, choices, place, shape, whole};
use ganvil::autograd::grad;
use ganvil::{DType, Device, PadMode, Tensor};
use proptest::prelude::*;

type Linear = Box<dyn Fn(&Tensor) -> Tensor>;

/// How many kinds of linear maps there are.
const KINDS: usize = 34;

fn constant(shape: &[usize], c: &mut Choices) -> Tensor {
    Tensor::new(&whole(shape, c.seed(), -3..=3).data, shape)
}

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::zeros(shape, DType::F64, Device::Cpu)
}

/// An index into a dimension of `size` entries.
fn index(shape: &[usize], size: usize, c: &mut Choices) -> Tensor {
    let top = size.saturating_sub(1) as i64;
    Tensor::new(&whole(shape, c.seed(), 0..=top).data, shape).to_dtype(DType::I64)
}

/// Maps that take a tensor of any shape.
fn of_any_rank(kind: usize, s: &[usize], c: &mut Choices) -> Linear {
    let (rank, n) = (s.len(), s.iter().product());
    match kind {
        0 => {
            let p: Vec<isize> = c.permutation(rank).iter().map(|&d| d as isize).collect();
            Box::new(move |x| x.permute(&p))
        }
        1 => {
            let (mut wide, lead) = (s.to_vec(), c.below(3));
            wide.iter_mut().filter(|n| **n == 1).for_each(|n| *n = 1 + c.below(3));
            wide.splice(0..0, std::iter::repeat_n(2, if rank < RANK { lead } else { 0 }));
            Box::new(move |x| x.expand(&wide))
        }
        2 => {
            let other = c.factors(n);
            Box::new(move |x| x.reshape(&other))
        }
        3 => {
            let (dims, keepdim) = (c.dims(rank), c.flag());
            Box::new(move |x| x.sum(&dims, keepdim))
        }
        4 => {
            let sides: Vec<usize> = (0..2 * c.below(rank + 1)).map(|_| c.below(4)).collect();
            Box::new(move |x| x.pad(&sides, PadMode::Constant(0.0)))
        }
        5 => {
            let dims = c.dims(rank);
            Box::new(move |x| x.flip(&dims))
        }
        6 => {
            let factor = c.below(7) as f64 - 3.0;
            Box::new(move |x| x.mul_scalar(factor).neg())
        }
        7 => {
            let by = constant(&crate::elementwise::broadcastable(s, c), c);
            Box::new(move |x| x.mul(&by).sub(x))
        }
        8 => {
            let wide = [&[1 + c.below(3)], s].concat();
            Box::new(move |x| zeros(&wide).sub(x).add(&zeros(&wide)))
        }
        9 => {
            let mask = constant(s, c).gt_scalar(0.0);
            Box::new(move |x| mask.where_(x, &x.mul_scalar(2.0)))
        }
        10 => {
            let by = constant(s, c).gt_scalar(0.0).to_dtype(DType::F64);
            Box::new(move |x| x.dropout_with_mask(&by, 0.5))
        }
        11 => Box::new(|x| x.contiguous()),
        12 => Box::new(|x| x.to_dtype(DType::F32).to_dtype(DType::F64)),
        13 => {
            let (_, dim) = c.dim(rank + 1);
            Box::new(move |x| Tensor::stack(&[x, &x.neg(), x], dim))
        }
        14 => {
            let by = constant(&[1 + c.below(3), n], c);
            Box::new(move |x| x.reshape(&[n]).linear(&by, None))
        }
        15 => {
            let (rows, out) = (c.below(4), c.below(4));
            let (x0, w0) = (zeros(&[rows, out]), zeros(&[n, out]));
            Box::new(move |x| x0.linear(&w0, Some(&x.reshape(&[n]))))
        }
        16 => {
            let (_, dim) = c.dim(rank + 1);
            Box::new(move |x| x.unsqueeze(dim).squeeze(dim))
        }
        _ => unreachable!("kinds below 17"),
    }
}

/// Maps that take a tensor of one dimension or more.
fn along_a_dimension(kind: usize, s: &[usize], c: &mut Choices) -> Linear {
    let (d, dim) = c.dim(s.len());
    let size = s[d];
    let sized = |n: usize| {
        let mut s = s.to_vec();
        s[d] = n;
        s
    };
    match kind {
        17 => {
            let start = c.below(size + 1);
            let n = c.below(size - start + 1);
            Box::new(move |x| x.narrow(dim, start, n))
        }
        18 => {
            let (start, end, step) = (c.below(size + 1) as isize, -(c.below(3) as isize), 1 + c.below(3));
            Box::new(move |x| x.slice(dim, start, if end == 0 { isize::MAX } else { end }, step))
        }
        19 => {
            let parts = 1 + c.below(4);
            Box::new(move |x| {
                x.split(parts, dim).iter().rev().cloned().reduce(|a, b| Tensor::cat(&[&a, &b], dim)).unwrap()
            })
        }
        20 => Box::new(move |x| x.cumsum(dim)),
        21 => {
            let gap = zeros(&sized(c.below(3)));
            Box::new(move |x| Tensor::cat(&[x, &gap, &x.flip(&[dim])], dim))
        }
        22 => {
            let sides: Vec<usize> =
                s.iter().rev().flat_map(|&n| [c.below(n.max(1)), c.below(n.max(1))]).collect();
            Box::new(move |x| x.pad(&sides, PadMode::Reflect))
        }
        23 => {
            let index = index(&[if size > 0 { c.below(7) } else { 0 }], size, c);
            Box::new(move |x| x.index_select(dim, &index))
        }
        24 => {
            let index = index(&sized(if size > 0 { c.below(7) } else { 0 }), size, c);
            Box::new(move |x| x.gather(dim, &index))
        }
        25 => {
            let to = 1 + c.below(5);
            let (index, base) = (index(&[size], to, c), zeros(&sized(to)));
            Box::new(move |x| base.index_add(dim, &index, x))
        }
        26 => {
            let to = 1 + c.below(5);
            let (index, base) = (index(s, to, c), zeros(&sized(to)));
            Box::new(move |x| base.scatter_add(dim, &index, x))
        }
        27 => {
            let n = if size > 0 { c.below(5) } else { 0 };
            let (list, each) = (index(&[n], size, c), index(&sized(n), size, c));
            let none = zeros(&sized(n));
            Box::new(move |x| x.index_add(dim, &list, &none).scatter_add(dim, &each, &none))
        }
        _ => unreachable!("kinds from 17 to 27"),
    }
}

/// Maps that take matrices `[.., m, n]`.
fn of_matrices(kind: usize, s: &[usize], c: &mut Choices) -> Linear {
    let (lead, [m, n]) = (&s[..s.len() - 2], [s[s.len() - 2], s[s.len() - 1]]);
    let k = c.below(5);
    let offset = c.below(7) as isize - 3;
    match kind {
        28 => {
            let by = constant(&[&crate::elementwise::broadcastable(lead, c)[..], &[n, k]].concat(), c);
            Box::new(move |x| x.matmul(&by))
        }
        29 => {
            let by = constant(&[&crate::elementwise::broadcastable(lead, c)[..], &[k, m]].concat(), c);
            Box::new(move |x| by.matmul(x))
        }
        30 => {
            // x is the one that is broadcast.
            let by = constant(&[&[2][..], &vec![1; lead.len()], &[n, k]].concat(), c);
            Box::new(move |x| x.matmul(&by))
        }
        31 => {
            let by = constant(&[1 + c.below(3), 2, n], c);
            let rows = lead.iter().product::<usize>() * m;
            Box::new(move |x| by.linear(&x.reshape(&[rows, n]), None))
        }
        32 => Box::new(move |x| x.tril(offset).add(&x.triu(offset + 1).mul_scalar(2.0))),
        _ => Box::new(move |x| x.diagonal(offset).sum(&[-1], true).add(&x.trace().unsqueeze(-1))),
    }
}

fn dot(a: &Nd, b: &Nd) -> f64 {
    a.data.iter().zip(&b.data).map(|(a, b)| a * b).sum()
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn rules_of_linear_ops_are_their_adjoints(
        shape in shape(0..=RANK, 0), places in [place(), place()], mut c in choices(),
    ) {
        let kind = c.below(match shape.len() { 0 => 17, 1 => 28, _ => KINDS });
        let a = match kind {
            ..17 => of_any_rank(kind, &shape, &mut c),
            17..28 => along_a_dimension(kind, &shape, &mut c),
            _ => of_matrices(kind, &shape, &mut c),
        };
        let x = places[0].lay(&whole(&shape, c.seed(), -3..=3), DType::F64);
        let leaf = x.t.clone().requires_grad();
        let ax = a(&leaf);
        prop_assume!(ax.rank() <= RANK + 1);
        let y = places[1].lay(&whole(ax.shape(), c.seed(), -3..=3), DType::F64);
        let upstream = y.t.clone().requires_grad();
        let g = grad(&[&ax], &[&leaf], std::slice::from_ref(&upstream), true)[0].clone().expect("x is used");
        assert_eq!(g.shape(), shape);
        let value = |t: &Tensor| Nd { shape: t.shape().to_vec(), data: t.to_f64_vec() };
        assert_eq!(dot(&value(&ax), &y.a), dot(&x.a, &value(&g)), "kind {kind}");
        // The adjoint of the adjoint is the op itself.
        let again = grad(&[&g], &[&upstream], std::slice::from_ref(&x.t), false)[0].clone();
        assert_same(&again.expect("the gradient depends on what comes from above"), &value(&ax));
        // Without a graph the rule is the same.
        let plain = grad(&[&a(&leaf)], &[&leaf], &[y.t], false)[0].clone().expect("x is used");
        assert_same(&plain, &value(&g));
    }
}
