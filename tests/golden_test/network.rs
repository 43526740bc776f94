//! Networks described by a fixture, with its parameters.

use super::fixture::Fixture;
use super::place::Place;
use ganvil::Tensor;
use ganvil::nn::{Kind, LayerSpec, Module, load_state_dict, to_device, to_dtype};
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;

/// The layers of a specification. A layer or a setting that does not exist is an error.
pub fn layers(spec: &Value) -> Result<Vec<LayerSpec>, String> {
    let list = spec.as_array().ok_or_else(|| format!("layers are a list, not {spec}"))?;
    let layer =
        |l: &Value| serde_json::from_value(l.clone()).map_err(|e| format!("layer {l} is not known: {e}"));
    list.iter().map(layer).collect()
}

/// Moves a fresh network to where the fixture is computed, and replaces its tensors by these; `prefix` is put before
/// the network's own names.
pub fn load(
    net: &mut dyn Module,
    tensors: &HashMap<String, Tensor>,
    prefix: &str,
    f: &Fixture,
    place: &Place,
) -> Result<(), String> {
    to_dtype(net, place.dtype);
    to_device(net, place.device);
    load_state_dict(net, tensors, prefix, Path::new(&f.file)).map_err(|e| e.to_string())
}

/// Names of the parameters, in the order in which gradients are returned.
pub fn parameter_names(net: &dyn Module, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    net.visit(prefix, &mut |name, kind, _| {
        if kind == Kind::Parameter {
            names.push(name.to_owned());
        }
    });
    names
}
