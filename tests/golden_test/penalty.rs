//! Penalties on a critic's gradient, differentiated with respect to its weights.

use super::compare::Report;
use super::network;
use ganvil::autograd::grad;
use ganvil::gan::{gradient_penalty, r1};
use ganvil::nn::{Ctx, LayerSpec, Module, parameters, state_dict};
use ganvil::rng::Stream;
use ganvil::{Generator, Tensor};
use std::collections::HashMap;

pub fn is_known(op: &str) -> bool {
    ["gradient_penalty", "r1_penalty"].contains(&op)
}

/// The data (gradient_penalty: in.0 real, in.1 fake, in.2 eps; r1_penalty: in.0 real), then the weights. out.0 the
/// weighted penalty, out.1 the norms (squared in r1_penalty), out.2 the critic's output; gradients of out.0 exist for
/// the weights.
pub fn run(report: &mut Report) -> Result<(), String> {
    let (f, place) = (report.fixture, report.place);
    let random = Generator::new(0, Stream::General);
    let specs = network::layers(f.attrs.get("layers").ok_or("attribute 'layers' is missing")?)?;
    let mut critic = LayerSpec::sequential(&specs, &random);
    let names = f.attrs.strings("params")?;
    if names != network::parameter_names(&critic, "") {
        return Err(format!("the layers have other parameters than {names:?}"));
    }
    let first = if f.op == "r1_penalty" { 1 } else { 3 };
    // Buffers have no values in the file: the critic is in training mode.
    let mut tensors: HashMap<String, Tensor> = state_dict(&critic).into_iter().collect();
    for (i, name) in names.iter().enumerate() {
        tensors.insert(name.clone(), f.tensor(&format!("in.{}", first + i), place)?);
    }
    network::load(&mut critic, &tensors, "", f, place)?;

    let data = |i: usize| f.tensor(&format!("in.{i}"), place);
    let forward = |x: &Tensor| critic.forward(x, &Ctx::train(&random).frozen());
    let (weighted, norms, output) = if f.op == "r1_penalty" {
        let p = r1(&forward, &data(0)?);
        (p.penalty.mul_scalar(f.attrs.f64("gamma")?), p.square_norms, p.output)
    } else {
        let p = gradient_penalty(&forward, &data(0)?, &data(1)?, &data(2)?);
        (p.penalty.mul_scalar(f.attrs.f64("lambda")?), p.norms, p.output)
    };
    report.value("out.0", &weighted);
    report.value("out.1", &norms);
    report.value("out.2", &output);
    let params = parameters(&critic);
    let cotangent = [f.tensor("cotangent", place)?];
    let grads = grad(&[&weighted], &params.iter().collect::<Vec<_>>(), &cotangent, false);
    for (i, g) in grads.into_iter().enumerate() {
        // The penalty does not depend on the last bias.
        report.gradient(&format!("grad.{}", first + i), g, true);
    }
    Ok(())
}
