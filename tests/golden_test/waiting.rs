//! What is not there yet: the one list of fixtures that are neither passed nor failed, and what each waits for.
//! Whatever is neither computed nor listed here fails.

use super::fixture::Fixture;
use super::rules;
use serde_json::Value;

/// Which fixtures wait.
enum Which {
    /// All of these kinds.
    Kinds(&'static [&'static str]),
    /// Of these kinds, these operations or traces.
    Ops(&'static [&'static str], &'static [&'static str]),
    /// Of what is computed, networks with this setting of a layer switched on.
    LayerFlag(&'static str),
}
use Which::{Kinds, LayerFlag, Ops};

const BOTH: &[&str] = &["op", "double"];

const WAITING: &[(&str, Which)] = &[
    ("pooling and resampling", Ops(BOTH, &["avg_pool2d", "max_pool2d", "adaptive_avg_pool2d"])),
    ("pooling and resampling", Ops(BOTH, &["interpolate", "pixel_shuffle"])),
    ("spectral normalisation", Ops(BOTH, &["spectral_norm"])),
    ("spectral normalisation", LayerFlag("spectral_norm")),
    ("StyleGAN layers", Ops(BOTH, &["pixel_norm", "minibatch_stddev"])),
    ("conditional batch normalisation", Ops(BOTH, &["conditional_batch_norm"])),
    ("self-attention", Ops(BOTH, &["self_attention"])),
    ("WGAN-GP training", Ops(&["train"], &["wgan_gp"])),
    ("R1 penalty", Ops(&["double"], &["r1_penalty"])),
    ("convolution", Ops(&["train"], &["dcgan"])),
    ("hinge loss", Ops(&["train"], &["hinge_sn"])),
    ("least-squares loss", Ops(&["train"], &["lsgan"])),
    ("conditional training", Ops(&["train"], &["cgan"])),
    ("Inception and feature metrics", Kinds(&["metric"])),
];

fn is_computed(f: &Fixture) -> bool {
    rules::is_known(&f.kind, &f.op)
}

fn is_on(flag: Option<&Value>) -> bool {
    flag.and_then(Value::as_bool) == Some(true)
}

impl Which {
    fn covers(&self, f: &Fixture) -> bool {
        match self {
            Kinds(kinds) => kinds.contains(&&*f.kind),
            Ops(kinds, ops) => kinds.contains(&&*f.kind) && ops.contains(&&*f.op),
            LayerFlag(flag) => is_computed(f) && f.layers().iter().any(|l| is_on(l.get(flag))),
        }
    }
}

/// What a fixture waits for, if it waits.
pub fn feature(f: &Fixture) -> Option<&'static str> {
    WAITING.iter().find(|(_, which)| which.covers(f)).map(|(feature, _)| *feature)
}

/// The list names nothing that is computed: an entry is to go when what it waits for has come.
pub fn check() -> Result<(), String> {
    for (feature, which) in WAITING {
        if let Ops(kinds, ops) = which {
            for (kind, op) in kinds.iter().flat_map(|k| ops.iter().map(move |o| (k, o))) {
                if rules::is_known(kind, op) {
                    return Err(format!("{kind} {op} is computed, yet listed as waiting for {feature}"));
                }
            }
        }
    }
    Ok(())
}
