//! State dicts as PyTorch saves them: the network of the fixture's specification, loaded by name, in evaluation mode.

use super::compare::Report;
use super::network;
use ganvil::gan::Network;
use ganvil::nn::{Ctx, Module, state_dict};
use ganvil::rng::Stream;
use ganvil::{Generator, Tensor, no_grad};
use serde_json::Value;
use std::collections::HashMap;

/// What a network's own names begin with.
const PREFIX: &str = "net.";

/// Loads the state and compares the output.
pub fn run(report: &mut Report) -> Result<(), String> {
    let (f, place) = (report.fixture, report.place);
    let model = f.model.as_ref().and_then(Value::as_object).ok_or("there is no model")?;
    if let Some(other) = model.keys().find(|k| !["layers", "prefix"].contains(&k.as_str())) {
        return Err(format!("the model has '{other}', which is not known"));
    }
    let prefix = model.get("prefix").and_then(Value::as_str).unwrap_or("");
    let before =
        prefix.strip_suffix(PREFIX).ok_or_else(|| format!("prefix '{prefix}' does not end in {PREFIX}"))?;
    let layers = network::layers(model.get("layers").unwrap_or(&Value::Null))?;
    let mut net = Network::new("G", &layers, &Generator::new(0, Stream::Init));
    let of_state = f.arrays.iter().filter(|(n, _)| n.starts_with(prefix));
    let state: HashMap<String, Tensor> = of_state.map(|(n, a)| (n.clone(), a.tensor(place))).collect();
    network::load(&mut net, &state, before, f, place)?;
    for (name, _) in state_dict(&net) {
        report.mark(&format!("{before}{name}"));
    }
    let z = f.tensor("in.0", place)?;
    report.mark("in.0");
    if z.shape()[1] != f.attrs.usize("latent")? {
        return Err(format!("latents of shape {:?} are not of the size in the attributes", z.shape()));
    }
    report.value("out", &no_grad(|| net.forward(&z, &Ctx::eval())));
    Ok(())
}
