//! First and second derivatives of random compositions, on strided operands, against finite differences.

use crate::tensors::{Choices, choices, place, uniform};
use ganvil::autograd::{CheckOptions, gradcheck, gradgradcheck};
use ganvil::{DType, PadMode, Reduction, Tensor};
use proptest::collection::vec;
use proptest::prelude::*;

/// Elements beyond which a composition is summed up: finite differences are slow.
const ELEMENTS: usize = 48;
const EPS: f64 = 0.1;

/// An op of any tensor h (and of the vector w, of three elements). What grows is brought back by tanh, so that finite
/// differences keep their digits.
fn pointwise(h: &Tensor, w: &Tensor, c: &mut Choices) -> Tensor {
    let number = w.narrow(0, c.below(3), 1);
    let positive = h.square().add_scalar(1.0);
    match c.below(16) {
        0 => h.tanh(),
        1 => h.sigmoid(),
        2 => h.softplus(1.5, 20.0),
        3 => h.tanh().exp(),
        4 => positive.log(),
        5 => positive.sqrt(),
        6 => number.div(&positive),
        7 => h.mul(&number).sub(&number),
        8 => h.tanh().pow(3.0),
        9 => positive.pow(-0.7),
        10 => h.mul(h).sub(h).tanh(),
        11 => h.bce_with_logits(&h.detach().mul_scalar(0.0), Reduction::None),
        12 => h.sigmoid().bce(&h.detach().full_like(0.3), Reduction::None),
        13 => h.mse(&h.tanh(), Reduction::None).tanh(),
        14 => h.flip(&c.dims(h.rank())).add(&number),
        _ => h.unsqueeze(-1).mul(w),
    }
}

/// An op along one dimension of h.
fn along(h: &Tensor, c: &mut Choices) -> Tensor {
    let (d, dim) = c.dim(h.rank());
    let n = h.shape()[d];
    match c.below(14) {
        0 => h.sum(&[dim], c.flag()),
        1 => h.mean(&c.dims(h.rank()), c.flag()),
        2 if n > 1 => h.var(&[dim], c.flag(), c.flag()),
        3 => h.square().add_scalar(1.0).norm(&[dim], true),
        4 => h.cumsum(dim).tanh(),
        5 => h.softmax(dim),
        6 => h.log_softmax(dim),
        7 => {
            let start = c.below(n);
            h.narrow(dim, start, 1 + c.below(n - start))
        }
        8 => h.slice(dim, c.below(2) as isize, isize::MAX, 2),
        9 => Tensor::cat(&[h, &h.mul_scalar(0.5)], dim),
        10 => h.index_select(dim, &Tensor::from(&[n as i64 - 1, 0, n as i64 - 1][..])),
        11 => h.layer_norm(&h.shape()[d..], None, None, EPS),
        12 => {
            let zero = Tensor::zeros(h.shape(), DType::I64, h.device());
            h.gather(dim, &zero).add(h)
        }
        _ => {
            let last = h.shape()[h.rank() - 1];
            h.pad(&[last - 1, 1], if last > 1 { PadMode::Reflect } else { PadMode::Constant(0.5) })
        }
    }
}

/// An op of matrices, or of channels.
fn of_matrices(h: &Tensor, w: &Tensor, c: &mut Choices) -> Tensor {
    let (r, last) = (h.rank(), h.shape()[h.rank() - 1]);
    let channels = h.shape()[1];
    let spread = |n: usize| w.narrow(0, 0, 1).expand(&[n]);
    match c.below(10) {
        0 => h.matmul(&h.t()).tanh(),
        1 => h.linear(&w.narrow(0, 0, 2).unsqueeze(1).expand(&[2, last]), Some(&w.narrow(0, 1, 2))),
        2 => h.tril(c.below(3) as isize - 1),
        3 => h.triu(0).add(&h.mean_all()),
        4 => h.diagonal(0).tanh(),
        5 if h.numel() > channels => h.batch_norm(&spread(channels), &spread(channels), EPS).y,
        6 => h.group_norm(1, Some(&spread(channels)), Some(&spread(channels)), EPS),
        7 if r > 2 && h.shape()[2..].iter().product::<usize>() > 1 => h.instance_norm(None, None, EPS),
        8 => {
            let class = Tensor::zeros(&[&h.shape()[..1], &h.shape()[2..]].concat(), DType::I64, h.device());
            h.cross_entropy(&class, Reduction::Mean)
        }
        _ => h.transpose(c.below(r) as isize, -1),
    }
}

fn composed(x: &[Tensor], c: &Choices) -> Tensor {
    let (mut h, mut c) = (x[0].clone(), c.clone());
    for _ in 0..2 + c.below(3) {
        h = match c.below(3) {
            1 if h.rank() > 0 && h.numel() > 0 => along(&h, &mut c),
            2 if h.rank() > 1 && h.numel() > 0 => of_matrices(&h, &x[1], &mut c),
            _ => pointwise(&h, &x[1], &mut c),
        };
        while h.numel() > ELEMENTS || h.rank() > 4 {
            h = h.mean(&[0], false);
        }
    }
    h
}

/// Round-off spoils short differences and curvature long ones; a wrong rule agrees with none.
fn checked(check: impl Fn(&CheckOptions) -> Result<(), String>) {
    let tried = [1e-6, 1e-5, 1e-4].map(|eps| CheckOptions { eps, ..CheckOptions::default() });
    if let Err(e) = check(&tried[0])
        && tried[1..].iter().all(|o| check(o).is_err())
    {
        panic!("{e}");
    }
}

proptest! {
    #![proptest_config(crate::config())]

    #[test]
    fn derivatives_of_compositions_agree_with_finite_differences(
        shape in vec(1..=3usize, 0..=3), places in [place(), place()], mut c in choices(),
    ) {
        let x = places[0].lay(&uniform(&shape, c.seed(), -2.0, 2.0), DType::F64);
        let w = places[1].lay(&uniform(&[3], c.seed(), 0.5, 1.5), DType::F64);
        let (f, inputs) = (|x: &[Tensor]| composed(x, &c), [x.t, w.t]);
        checked(|options| gradcheck(f, &inputs, options));
        checked(|options| gradgradcheck(f, &inputs, options).map_err(|e| format!("second order: {e}")));
    }
}
