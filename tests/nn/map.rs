//! Modules with substituted parameters.

use super::*;
use ganvil::autograd::{CheckOptions, grad, gradcheck};
use ganvil::nn::{BatchNorm1d, Boxed, Buffer, Kind, LeakyReLU, Linear, Sequential, parameters, to_dtype};

fn mlp(random: &Generator) -> Sequential {
    let mut net = Sequential::new()
        .with(Linear::new(3, 5, true, random))
        .with(BatchNorm1d::new(5, 1e-5, 0.1))
        .with(LeakyReLU { negative_slope: 0.2 })
        .with(Linear::new(5, 2, true, random));
    to_dtype(&mut net, DType::F64);
    net
}

fn values(module: &dyn Module) -> Vec<Vec<f64>> {
    ganvil::nn::state_dict(module).iter().map(|(_, t)| t.to_f64_vec()).collect()
}

/// Parameters theta - rate g, as an unrolled GAN has them: the gradient with respect to theta, g and the rate goes
/// through the whole network, batch statistics included.
#[test]
fn gradients_flow_through_substituted_parameters() {
    let random = random();
    let net = mlp(&random);
    let before = values(&net);
    let x = noise(&[6, 3], &random);
    let theta: Vec<Tensor> = parameters(&net).iter().map(Tensor::detach).collect();
    let n = theta.len();
    let mut inputs = theta.clone();
    inputs.extend(theta.iter().map(|t| noise(t.shape(), &random)));
    inputs.push(Tensor::scalar(0.3, DType::F64, Device::Cpu));
    inputs.push(x);
    let forward = |inputs: &[Tensor]| {
        let (rate, x) = (&inputs[2 * n], &inputs[2 * n + 1]);
        let mut i = 0;
        let stepped = net.map(|_, kind, t| match kind {
            Kind::Parameter => {
                i += 1;
                inputs[i - 1].sub(&inputs[n + i - 1].mul(rate))
            }
            Kind::Buffer => t.clone(),
        });
        assert_eq!(i, n);
        assert_eq!(names(&stepped), names(&net));
        stepped.forward(x, &Ctx::train(&random))
    };
    gradcheck(forward, &inputs, &CheckOptions::default()).unwrap();
    assert_eq!(values(&net), before, "parameters and running statistics of the original stay");
}

/// What the copy computes is what a network with those values computes, also its gradients.
#[test]
fn a_mapped_module_is_the_module_with_those_parameters() {
    let random = random();
    let (net, x) = (mlp(&random), noise(&[6, 3], &random));
    let doubled = net.map(|_, kind, t| if kind == Kind::Parameter { t.mul_scalar(2.0) } else { t.clone() });
    let mut reference = net.clone();
    reference.visit_mut("", &mut |_, kind, t| {
        if kind == Kind::Parameter {
            *t = t.detach().mul_scalar(2.0).requires_grad();
        }
    });
    let ctx = Ctx::train(&random).frozen();
    let (a, b) = (doubled.forward(&x, &ctx), reference.forward(&x, &ctx));
    assert_eq!(a.to_vec::<f64>(), b.to_vec::<f64>());
    let gradients = |y: &Tensor, of: &dyn Module| {
        let leaves = parameters(of);
        grad(&[&y.square().sum_all()], &leaves.iter().collect::<Vec<_>>(), &[], false)
    };
    let (through, direct) = (gradients(&a, &net), gradients(&b, &reference));
    for (through, direct) in through.iter().zip(&direct) {
        let direct = direct.as_ref().unwrap().mul_scalar(2.0);
        assert_eq!(
            through.as_ref().unwrap().to_vec::<f64>(),
            direct.to_vec::<f64>(),
            "the chain rule's factor 2"
        );
    }
}

#[test]
fn copies_have_buffers_of_their_own_and_the_same_leaves() {
    let random = random();
    let net = mlp(&random);
    let before = values(&net);
    let x = noise(&[6, 3], &random);
    let copies: [Box<dyn Module>; 3] =
        [net.boxed(), Box::new(net.clone()), Box::new(net.map(|_, _, t| t.clone()))];
    for copy in copies {
        let y = copy.forward(&x, &Ctx::train(&random));
        assert_eq!(values(&net), before);
        assert_ne!(values(&*copy), before, "the copy's statistics moved");
        let leaves = parameters(&net);
        let grads = grad(&[&y.square().sum_all()], &leaves.iter().collect::<Vec<_>>(), &[], false);
        assert!(grads.iter().all(Option::is_some), "a copy computes with the original's leaves");
        // And the other way round.
        let after = values(&*copy);
        net.forward(&x, &Ctx::train(&random).frozen());
        assert_eq!(values(&*copy), after);
    }
    let buffer = Buffer::new(ones(&[1]));
    let copy = buffer.clone();
    copy.set(ones(&[2]));
    assert_eq!(buffer.get().shape(), [1]);
}

#[test]
fn substitutes_have_the_shape_of_what_they_replace() {
    let net = mlp(&random());
    refused(&["map: '1.bias' is [5]", "substitute [1, 5]", "same shape"], || {
        net.map(|name, _, t| if name == "1.bias" { t.reshape(&[1, 5]) } else { t.clone() })
    });
    // Another dtype is fine: this is how a copy in another precision is had.
    let single = net.map(|_, _, t| if t.dtype().is_float() { t.to_dtype(DType::F32) } else { t.clone() });
    assert_eq!(eval(&single, &ones(&[2, 3])).dtype(), DType::F32);
}
