//! Tensors of no elements and of no dimensions.

use super::*;

#[test]
fn nothing_has_neutral_reductions() {
    let none = t(&[], &[0, 3]);
    assert_eq!(none.sum(&[0], false).to_vec::<f64>(), [0.0; 3]);
    assert_eq!(none.sum(&[1], true).shape(), [0, 1]);
    assert!(none.mean_all().item().is_nan() && none.var(&[], true, false).item().is_nan());
    assert_eq!(t(&[], &[2, 0]).matmul(&t(&[], &[0, 3])).to_vec::<f64>(), [0.0; 6]);
    let bias = t(&[1.0, 2.0], &[2]);
    assert_eq!(t(&[], &[2, 0]).linear(&t(&[], &[2, 0]), Some(&bias)).to_vec::<f64>(), [1.0, 2.0, 1.0, 2.0]);
}

#[test]
fn gradients_of_nothing_are_empty_or_zero() {
    let none = t(&[], &[0, 3]).requires_grad();
    let row = t(&[1.0, 2.0, 3.0], &[3]).requires_grad();
    let y = (&none * &row).exp().sum_all();
    let g = grad(&[&y], &[&none, &row], &[], false);
    assert_eq!(g[0].as_ref().unwrap().shape(), [0, 3]);
    assert_eq!(g[1].as_ref().unwrap().to_vec::<f64>(), [0.0; 3], "no element depends on the row");
    let (a, b) = (t(&[], &[2, 0]).requires_grad(), t(&[], &[0, 3]).requires_grad());
    a.matmul(&b).sum_all().backward();
    assert_eq!((a.grad().unwrap().shape(), b.grad().unwrap().shape()), (&[2, 0][..], &[0, 3][..]));
}

#[test]
fn scalars_broadcast_and_reduce() {
    let s = Tensor::scalar(2.0, DType::F64, Device::Cpu);
    assert_eq!((s.sum_all().item(), s.max(&[], true).item(), s.mean(&[], false).item()), (2.0, 2.0, 2.0));
    assert_eq!((&s + &count(&[3])).to_vec::<f64>(), [2.0, 3.0, 4.0]);
    assert_eq!((&s * &s).shape(), [0usize; 0]);
    assert_eq!(s.expand(&[0]).numel(), 0);
    assert_eq!(s.permute(&[]).reshape(&[1, 1]).squeeze(0).squeeze(0).item(), 2.0);
}

#[test]
fn broadcasting_aligns_at_the_last_dimension() {
    let column = count(&[2, 1]);
    let row = count(&[3]) * 10.0;
    assert_eq!((&column + &row).to_vec::<f64>(), [0.0, 10.0, 20.0, 1.0, 11.0, 21.0]);
    assert_eq!((&row.unsqueeze(1) + &row).shape(), [3, 3]);
}
