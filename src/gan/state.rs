//! What a checkpoint of a run holds.

use super::config::TrainConfig;
use super::step::Gan;
use crate::checkpoint;
use crate::data::Position;
use crate::nn::{Kind, Module};
use crate::{Result, Tensor};
use serde_json::{Value, json};
use std::path::Path;

/// What a checkpoint says of a run beside networks and settings.
pub(super) struct Standing {
    pub steps: u64,
    /// Channels, rows and columns of an image.
    pub shape: [usize; 3],
    pub position: Position,
    /// Draws made for noise, dropout and penalty.
    pub calls: [u64; 3],
    /// Classes, and draws made for labels, where G takes labels.
    pub labels: Option<(usize, u64)>,
    pub tier: &'static str,
}

/// Writes a checkpoint.
pub(super) fn save(path: &Path, gan: &Gan, config: &TrainConfig, s: &Standing) -> Result<()> {
    let mut tensors = Vec::new();
    visit(gan, &mut |name, t| tensors.push((name.to_owned(), t.detach())));
    for (prefix, net, opt) in [("G.", &gan.g, &gan.opt_g), ("D.", &gan.d, &gan.opt_d)] {
        let mut names = Vec::new();
        net.visit(&format!("opt_{prefix}"), &mut |name, kind, _| {
            if kind == Kind::Parameter {
                names.push(name.to_owned());
            }
        });
        tensors.extend(opt.state_dict(&names));
    }
    let mut config = json!(config);
    // How long and how often are the run's business, not the state's.
    if let Some(c) = config.as_object_mut() {
        for key in ["steps", "log_every", "sample_every", "checkpoint_every"] {
            c.remove(key);
        }
    }
    let [noise, dropout, penalty] = s.calls;
    let mut meta: Value = json!({
        "format": 1,
        "config": config,
        "step": s.steps,
        "images": gan.images,
        "image_shape": s.shape,
        "position": s.position,
        "calls": { "noise": noise, "dropout": dropout, "penalty": penalty },
        "simd": s.tier,
    });
    if let Some((classes, calls)) = s.labels {
        meta["classes"] = classes.into();
        meta["calls"]["labels"] = calls.into();
    }
    checkpoint::save(path, &tensors, &meta)
}

/// Names every tensor of the networks and the average, as checkpoints do.
pub(super) fn visit(gan: &Gan, f: &mut dyn FnMut(&str, &Tensor)) {
    gan.g.visit("G.", &mut |name, _, t| f(name, t));
    gan.d.visit("D.", &mut |name, _, t| f(name, t));
    if let Some(average) = &gan.average {
        average.visit("G_ema.", &mut |name, _, t| f(name, t));
    }
}
