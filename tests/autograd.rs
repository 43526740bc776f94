//! The walk: order, pruning, retention, depth.

use ganvil::autograd::{CheckOptions, GradOptions, grad, gradcheck, gradgradcheck};
use ganvil::backend::trace;
use ganvil::{DType, Device, Tensor, no_grad};

fn t(v: &[f64]) -> Tensor {
    Tensor::new(v, &[v.len()])
}

#[test]
fn gradients_accumulate_over_several_uses() {
    let x = t(&[2.0, 3.0]).requires_grad();
    let y = &x * &x + &x * 3.0 + x.sum_all();
    y.sum_all().backward();
    assert_eq!(x.grad().unwrap().to_vec::<f64>(), [2.0 * 2.0 + 3.0 + 2.0, 2.0 * 3.0 + 3.0 + 2.0]);
    (&x * 2.0).sum_all().backward();
    assert_eq!(x.take_grad().unwrap().to_vec::<f64>(), [11.0, 13.0], "backward adds to what is there");
    assert!(x.grad().is_none());
}

#[test]
fn third_derivative() {
    let x = t(&[1.5]).requires_grad();
    let mut y = x.pow(4.0).mul(&x.exp());
    for _ in 0..3 {
        y = grad(&[&y], &[&x], &[], true)[0].clone().unwrap();
    }
    // (x^4 e^x)''' = e^x (x^4 + 12 x^3 + 36 x^2 + 24 x)
    let want = 1.5f64.exp() * (1.5f64.powi(4) + 12.0 * 1.5f64.powi(3) + 36.0 * 2.25 + 24.0 * 1.5);
    assert!((y.item() - want).abs() < 1e-9 * want, "{} {want}", y.item());
}

#[test]
fn only_what_is_asked_for_is_computed() {
    let x = Tensor::ones(&[4, 3], DType::F32, Device::Cpu).requires_grad();
    let w = Tensor::ones(&[5, 3], DType::F32, Device::Cpu).requires_grad();
    let y = x.linear(&w, None).sum_all();
    let (_, calls) = trace::record(|| grad(&[&y], &[&x], &[], false));
    let gemms: Vec<_> = calls.iter().filter(|c| c.kernel == "gemm").collect();
    assert_eq!(gemms.len(), 1, "{calls:?}");
    assert_eq!(gemms[0].shape, [4, 3, 5], "dx = G W and no dW = G^T x");
}

#[test]
fn inputs_that_play_no_part_have_no_gradient() {
    let (a, b) = (t(&[1.0]).requires_grad(), t(&[2.0]).requires_grad());
    let g = grad(&[&a.exp()], &[&a, &b], &[], false);
    assert!(g[0].is_some() && g[1].is_none());
}

#[test]
#[should_panic(expected = "set retain_graph on the first walk")]
fn a_second_walk_is_refused() {
    let x = t(&[1.0]).requires_grad();
    let y = x.exp();
    grad(&[&y], &[&x], &[], false);
    grad(&[&y], &[&x], &[], false);
}

#[test]
fn a_second_walk_after_retaining_agrees_with_the_first() {
    let x = t(&[1.0, 2.0]).requires_grad();
    let y = x.exp().sum_all();
    let options = GradOptions { retain_graph: true, ..GradOptions::default() };
    let a = ganvil::autograd::grad_with(&[&y], &[&x], &options)[0].clone().unwrap();
    let b = grad(&[&y], &[&x], &[], false)[0].clone().unwrap();
    assert_eq!(a.to_vec::<f64>(), b.to_vec::<f64>());
}

#[test]
fn detach_and_no_grad_cut_the_graph() {
    let x = t(&[3.0]).requires_grad();
    let y = &x * &x.detach();
    y.backward();
    assert_eq!(x.grad().unwrap().to_vec::<f64>(), [3.0]);
    assert!(!no_grad(|| x.exp()).is_tracked());
    assert!(!no_grad(|| ganvil::threads(2, || x.exp())).is_tracked(), "other threads of the call included");
    assert!(ganvil::threads(2, || x.exp()).is_tracked());
}

#[test]
fn an_input_in_the_middle_of_the_graph() {
    let x = t(&[2.0]).requires_grad();
    let h = &x * 3.0;
    let y = &h * &h;
    let g = grad(&[&y], &[&h, &x], &[], false);
    assert_eq!((g[0].as_ref().unwrap().item(), g[1].as_ref().unwrap().item()), (12.0, 36.0));
}

#[test]
fn a_chain_of_100_000_ops_fits_a_2_mib_stack() {
    // Miri looks at what is dropped, not at how deep the stack is.
    let (long, short) = if cfg!(miri) { (200, 20) } else { (100_000, 1000) };
    let work = move || {
        let x = t(&[1.0]).requires_grad();
        let mut y = x.clone();
        for _ in 0..long {
            y = y.add_scalar(1e-9);
        }
        let mut z = y.clone();
        for _ in 0..short {
            z = z.mul(&z.detach()).mul_scalar(0.5);
        }
        z.backward();
        assert!(x.grad().is_some());
        // A second chain is dropped without having been walked.
        let mut y = x.clone();
        for _ in 0..long {
            y = y.tanh();
        }
        drop(y);
        let nested = grad(&[&x.exp()], &[&x], &[], true);
        assert!(nested[0].as_ref().is_some_and(Tensor::is_tracked));
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
}

#[test]
fn checks_find_a_wrong_rule() {
    let x = t(&[0.3, -0.7]);
    let right = |v: &[Tensor]| v[0].tanh();
    // The derivative of the detached factor is missing.
    let wrong = |v: &[Tensor]| v[0].mul(&v[0].detach());
    let o = CheckOptions::default();
    assert_eq!(gradcheck(right, std::slice::from_ref(&x), &o), Ok(()));
    assert_eq!(gradgradcheck(right, std::slice::from_ref(&x), &o), Ok(()));
    let message = gradcheck(wrong, std::slice::from_ref(&x), &o).unwrap_err();
    assert!(message.contains("input 0 (shape [2]), element 0"), "{message}");
    // Right first derivative, wrong second: x tanh'(x) with the slope taken as a constant.
    let half =
        |v: &[Tensor]| v[0].relu().mul(&v[0].relu()).add(&v[0].exp().detach().mul(&(&v[0] - &v[0].detach())));
    assert!(gradgradcheck(half, &[x], &o).is_err());
}
