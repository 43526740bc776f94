//! How a fixture of each kind is computed and compared.

use super::compare::Report;
use super::fixture::Fixture;
use super::place::Place;
use super::{metric, ops, optim, penalty, state, train};
use ganvil::autograd::grad;
use ganvil::backend::cuda::{Traffic, traffic};
use ganvil::{Device, Tensor};

/// Computes a fixture and returns a line for each thing that differs.
pub fn compute(fixture: &Fixture, place: &Place) -> Result<Vec<String>, String> {
    let mut report = Report::new(fixture, place);
    match fixture.kind.as_str() {
        "op" if optim::is_known(&fixture.op) => optim::run(&mut report)?,
        "op" => op(&mut report)?,
        "double" if penalty::is_known(&fixture.op) => penalty::run(&mut report)?,
        "double" => double(&mut report)?,
        "state" => state::run(&mut report)?,
        "metric" if metric::is_known(&fixture.op) => metric::run(&mut report)?,
        "train" if train::is_known(&fixture.op) => train::run(&mut report)?,
        kind => return Err(format!("{kind} {} is not known", fixture.op)),
    }
    Ok(report.finish())
}

/// Inputs, those of them that are differentiated, and the outputs.
struct Evaluated {
    /// Number and leaf.
    leaves: Vec<(usize, Tensor)>,
    outputs: Vec<Tensor>,
}

/// Applies the fixture's operation to its inputs; those with a gradient in the file are leaves of the graph.
fn evaluate(f: &Fixture, place: &Place) -> Result<Evaluated, String> {
    let rule = ops::rule(&f.op).ok_or_else(|| format!("{} {} is not known", f.kind, f.op))?;
    let mut leaves = Vec::new();
    let mut inputs: Vec<Tensor> = Vec::new();
    for (i, array) in f.numbered("in").enumerate() {
        let mut t = array.tensor(place);
        if f.arrays.contains_key(&format!("grad.{i}")) {
            t = t.requires_grad();
            leaves.push((i, t.clone()));
        }
        inputs.push(t);
    }
    let outputs = rule(&f.attrs, &inputs)?;
    Ok(Evaluated { leaves, outputs })
}

fn compare_outputs(report: &mut Report, outputs: &[Tensor]) {
    match outputs {
        [y] if report.fixture.arrays.contains_key("out") => report.value("out", y),
        all => all.iter().enumerate().for_each(|(i, y)| report.value(&format!("out.{i}"), y)),
    }
}

/// The outputs, and the gradient of the first one's product with the cotangent.
fn op(report: &mut Report) -> Result<(), String> {
    let (f, place) = (report.fixture, report.place);
    let before = traffic();
    let Evaluated { leaves, outputs } = evaluate(f, place)?;
    let grads = if leaves.is_empty() {
        Vec::new()
    } else {
        let inputs: Vec<&Tensor> = leaves.iter().map(|(_, t)| t).collect();
        grad(&[&outputs[0]], &inputs, &[f.tensor("cotangent", place)?], false)
    };
    check_traffic(f, place, before)?;
    compare_outputs(report, &outputs);
    for ((i, _), g) in leaves.iter().zip(grads) {
        report.gradient(&format!("grad.{i}"), g, false);
    }
    Ok(())
}

/// Asserts that a device that is not the CPU computed the values itself: kernels ran, unless forward and gradient are both
/// views, and nothing has come to the host yet.
fn check_traffic(f: &Fixture, place: &Place, before: Traffic) -> Result<(), String> {
    let now = traffic();
    let (launches, to_host) = (now.launches - before.launches, now.to_host - before.to_host);
    let views = ["reshape", "permute"].contains(&f.op.as_str());
    if place.device != Device::Cpu && (launches == 0 && !views || to_host > 0) {
        return Err(format!(
            "{launches} kernels and {to_host} copies to the host before the results were read"
        ));
    }
    Ok(())
}

/// With the gradients g_j of `sum(out cotangent)` and S = sum_j <g_j, v_j>: outputs, g_j, and the gradient of S with
/// respect to inputs and cotangent. Zeros are stored where S does not depend on an input.
fn double(report: &mut Report) -> Result<(), String> {
    let (f, place) = (report.fixture, report.place);
    let Evaluated { leaves, outputs } = evaluate(f, place)?;
    compare_outputs(report, &outputs);
    let cotangent = f.tensor("cotangent", place)?.requires_grad();
    let mut inputs: Vec<&Tensor> = leaves.iter().map(|(_, t)| t).collect();
    let grads = grad(&[&outputs[0].mul(&cotangent).sum_all()], &inputs, &[], true);
    let mut s = Tensor::scalar(0.0, place.dtype, place.device);
    for ((i, _), g) in leaves.iter().zip(grads) {
        let v = f.tensor(&format!("v.{i}"), place)?;
        s = g.as_ref().map_or_else(|| s.clone(), |g| s.add(&g.mul(&v).sum_all()));
        report.gradient(&format!("grad.{i}"), g, false);
    }
    inputs.push(&cotangent);
    let mut second = grad(&[&s], &inputs, &[], false);
    report.gradient("gcot", second.pop().flatten(), true);
    for ((i, _), g) in leaves.iter().zip(second) {
        report.gradient(&format!("ggrad.{i}"), g, true);
    }
    Ok(())
}
