//! What a checkpoint of a run holds.

use super::config::TrainConfig;
use super::network::Network;
use super::regularisers::balance;
use super::step::Gan;
use crate::checkpoint::{self, Checkpoint};
use crate::data::{Fingerprint, Position};
use crate::nn::{Kind, Module, load_state_dict};
use crate::optim::Optimizer;
use crate::{Error, Result, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;

/// What a checkpoint says of a run beside networks and settings.
#[derive(Serialize, Deserialize)]
pub(super) struct Standing {
    pub format: u32,
    pub step: u64,
    /// Real images seen.
    pub images: u64,
    /// Channels, rows and columns of an image.
    pub image_shape: [usize; 3],
    pub position: Position,
    /// Draws made from each stream.
    pub calls: Calls,
    /// What the rule that holds D back remembers, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance: Option<balance::Standing>,
    /// Where G takes labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    /// What the run is trained on; nothing for networks from elsewhere, which have seen none of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Fingerprint>,
    /// The instruction set that made the bits what they are.
    pub simd: String,
}

/// Draws made from the streams of a run.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Calls {
    pub noise: u64,
    pub dropout: u64,
    pub penalty: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<u64>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub instance_noise: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub label_flips: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub augmentation: u64,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// Settings that are the run's business, not the state's: how long, how often, where.
const OF_THE_RUN: [&str; 8] =
    ["steps", "log_every", "sample_every", "checkpoint_every", "name", "dataset", "tensorboard", "evaluate"];

/// The settings that decide how a state goes on.
pub(super) fn settings_of_state(config: &TrainConfig) -> Value {
    let mut config = json!(config);
    if let Some(c) = config.as_object_mut() {
        OF_THE_RUN.iter().for_each(|key| drop(c.remove(*key)));
    }
    config
}

/// A checkpoint's bytes; the path is for messages.
pub(super) fn to_bytes(path: &Path, gan: &Gan, config: &TrainConfig, s: &Standing) -> Result<Vec<u8>> {
    let mut tensors = Vec::new();
    visit(gan, &mut |name, t| tensors.push((name.to_owned(), t.detach())));
    for (net, opt) in [(&gan.g, &gan.opt_g), (&gan.d, &gan.opt_d)] {
        tensors.extend(opt.state_dict(&names_of_moments(net)));
    }
    let mut meta = json!(s);
    meta["config"] = settings_of_state(config);
    checkpoint::to_bytes(path, &tensors, &meta)
}

/// The names under which a network's optimiser keeps its state.
fn names_of_moments(net: &Network) -> Vec<String> {
    let mut names = Vec::new();
    net.visit(&format!("opt_{}.", net.name()), &mut |name, kind, _| {
        if kind == Kind::Parameter {
            names.push(name.to_owned());
        }
    });
    names
}

/// Names every tensor of the networks and the average, as checkpoints do.
pub(super) fn visit(gan: &Gan, f: &mut dyn FnMut(&str, &Tensor)) {
    gan.g.visit("G.", &mut |name, _, t| f(name, t));
    gan.d.visit("D.", &mut |name, _, t| f(name, t));
    if let Some(average) = &gan.average {
        average.visit("G_ema.", &mut |name, _, t| f(name, t));
    }
}

/// What a checkpoint says of its run.
///
/// # Errors
/// If something is missing, or no run could have come so far.
pub(super) fn standing(file: &Checkpoint, path: &Path) -> Result<Standing> {
    let bad = |what: &str| Error::format(path, format!("is no checkpoint that a run can go on from: {what}"));
    let s: Standing = serde_json::from_value(file.meta.clone()).map_err(|e| bad(&e.to_string()))?;
    if s.format != 1 {
        return Err(bad(&format!("its format is {}, this version knows 1", s.format)));
    }
    let Calls { noise, dropout, penalty, labels, instance_noise, label_flips, augmentation } = s.calls;
    let counts = [s.step, s.images, s.position.epoch, s.position.index];
    let draws = [noise, dropout, penalty, labels.unwrap_or(0), instance_noise, label_flips, augmentation];
    let skipped = s.balance.map_or(0, |b| b.skipped);
    let counts = counts.into_iter().chain(draws).chain([skipped]);
    if let Some(n) = counts.into_iter().find(|n| *n >= 1 << 53) {
        return Err(bad(&format!("it counts to {n}")));
    }
    Ok(s)
}

/// Puts a checkpoint's tensors in place of those of a game that has not begun.
///
/// # Errors
/// If a tensor is missing, too many, or not as the networks and optimisers have it.
pub(super) fn load(file: &Checkpoint, path: &Path, gan: &mut Gan) -> Result<()> {
    let mut problem = None;
    let mut known = 0;
    visit(gan, &mut |name, t| {
        // What is converted does not go on bit for bit.
        if let Some(found) = file.tensors.get(name) {
            known += 1;
            if found.dtype() != t.dtype() && problem.is_none() {
                problem =
                    Some(format!("tensor '{name}' is {}, the network has {}", found.dtype(), t.dtype()));
            }
        }
    });
    if let Some(problem) = problem {
        return Err(Error::format(path, problem));
    }
    load_state_dict(&mut gan.g, &file.tensors, "G.", path)?;
    load_state_dict(&mut gan.d, &file.tensors, "D.", path)?;
    if let Some(average) = &mut gan.average {
        load_state_dict(average, &file.tensors, "G_ema.", path)?;
    }
    known += load_moments(&gan.g, &mut gan.opt_g, file, path)?;
    known += load_moments(&gan.d, &mut gan.opt_d, file, path)?;
    if known != file.tensors.len() {
        let problem = format!("has {} tensors, the settings make {known}", file.tensors.len());
        return Err(Error::format(path, format!("{problem}; was it saved with others?")));
    }
    Ok(())
}

/// How many tensors it took.
fn load_moments(net: &Network, opt: &mut Optimizer, file: &Checkpoint, path: &Path) -> Result<usize> {
    let names = names_of_moments(net);
    let params = crate::nn::parameters(net);
    opt.load_state_dict(&names, &params.iter().collect::<Vec<_>>(), &file.tensors, path)?;
    Ok(opt.state_dict(&names).len())
}
