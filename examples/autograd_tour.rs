//! A tour of the autograd engine: first and second derivatives, what is and is not computed, and how rules are checked.
//!
//!     cargo run --example autograd_tour

use ganvil::autograd::{CheckOptions, GradOptions, grad, grad_with, gradcheck, gradgradcheck};
use ganvil::backend::trace;
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Tensor, live_nodes, no_grad};

/// Stop 1. A leaf is a tensor that wants a gradient; everything computed from it remembers how.
fn first_derivatives() {
    let x = Tensor::new(&[1.0f64, 2.0, 3.0], &[3]).requires_grad();
    let y = (&x * &x).sum_all(); // y = x1^2 + x2^2 + x3^2
    y.backward();
    println!("1. dy/dx of sum x^2      {}", x.grad().expect("backward filled it"));
}

/// Stop 2. `grad` returns gradients instead of storing them. With create_graph they are tensors like any other and can be
/// differentiated again, as often as you like: each op's rule is itself written with ops.
fn higher_derivatives() {
    let x = Tensor::new(&[0.5f64], &[1]).requires_grad();
    let mut y = x.tanh();
    for order in 1..=4 {
        y = grad(&[&y], &[&x], &[], true).remove(0).expect("y depends on x");
        println!("2. tanh, derivative {order}    {y}");
    }
}

/// Stop 3. What WGAN-GP needs: the gradient of a function of a gradient. For the linear critic w.x the penalty
/// (|w| - 1)^2 has the gradient 2 (|w| - 1) w / |w|.
fn gradient_of_a_gradient() {
    let w = Tensor::new(&[3.0f64, 4.0], &[2, 1]).requires_grad();
    let x = Tensor::new(&[0.1f64, -0.2], &[1, 2]).requires_grad();
    let score = x.matmul(&w).sum_all();
    let slope = grad(&[&score], &[&x], &[], true).remove(0).expect("the score depends on x");
    let penalty = slope.square().sum_all().sqrt().add_scalar(-1.0).square();
    let dw = grad(&[&penalty], &[&w], &[], false).remove(0).expect("the slope depends on w");
    println!("3. penalty {}, its gradient {}", penalty, dw.reshape(&[2]));
}

/// Stop 4. Only what lies between outputs and requested inputs is computed: the kernel calls show it.
fn pruning() {
    let random = Generator::new(0, Stream::General);
    let normal = |shape: &[usize]| random.normal(shape, 0.0, 1.0, DType::F32, Device::Cpu).requires_grad();
    let (x, w) = (normal(&[64, 100]), normal(&[10, 100]));
    for (name, inputs) in [("x", vec![&x]), ("x and w", vec![&x, &w])] {
        let y = x.linear(&w, None).sum_all();
        let (_, calls) = trace::record(|| grad(&[&y], &inputs, &[], false));
        let products = calls.iter().filter(|c| c.kernel == "gemm").count();
        println!("4. gradient of {name:<7}   {products} matrix products");
    }
}

/// Stop 5. A graph is released as it is walked; walking it again must be asked for.
fn lifetimes() {
    let x = Tensor::new(&[2.0f64], &[1]).requires_grad();
    let y = x.exp();
    let keep = GradOptions { retain_graph: true, ..GradOptions::default() };
    let again = grad_with(&[&y], &[&x], &keep).remove(0).expect("y depends on x");
    assert_eq!(again.item(), grad(&[&y], &[&x], &[], false).remove(0).expect("y depends on x").item());
    println!("5. with y alive          {} node", live_nodes());
    drop(y);
    println!("   after dropping it     {} nodes", live_nodes());
    println!("   under no_grad         tracked: {}", no_grad(|| x.exp()).is_tracked());
}

/// Stop 6. Every rule of ganvil is checked against finite differences, to second order; so can yours be.
fn checks() {
    let x = Tensor::new(&[0.3f64, -0.8, 1.2, 0.4], &[2, 2]);
    let f = |v: &[Tensor]| v[0].matmul(&v[0].t()).sigmoid().log();
    let options = CheckOptions::default();
    println!("6. gradcheck             {:?}", gradcheck(f, std::slice::from_ref(&x), &options));
    println!("   gradgradcheck         {:?}", gradgradcheck(f, std::slice::from_ref(&x), &options));
    let wrong = |v: &[Tensor]| v[0].mul(&v[0].detach()); // claims d(x^2)/dx = x
    println!("   of a wrong rule       {}", gradcheck(wrong, &[x], &options).expect_err("it is wrong"));
}

fn main() {
    first_derivatives();
    higher_derivatives();
    gradient_of_a_gradient();
    pruning();
    lifetimes();
    checks();
}
