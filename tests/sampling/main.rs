//! What is asked of a trained generator: ways, rounds, classes, truncation, files of their own; and its way to PyTorch
//! and back.

#[path = "../common/mod.rs"]
mod common;
mod latents;
mod pictures;
mod transfer;

use common::Scratch;
use ganvil::Device;
use ganvil::data::{Dataset, Images};
use ganvil::gan::{NoProbe, Prior, Sampler, TrainConfig, Trainer, zoo};
use std::path::PathBuf;
use std::sync::Arc;

/// Pictures of 5 x 4 in three colours.
fn pictures() -> Arc<Dataset> {
    let pixels = (0..16 * 60).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let images = Images { count: 16, channels: 3, rows: 5, cols: 4, pixels };
    let labels = (0..16).map(|i| i % 3).collect();
    let classes = ["a", "b", "c"].map(String::from).into();
    Arc::new(Dataset { images, labels: Some(labels), classes, name: "noise".into() })
}

fn config(recipe: &str, prior: Prior) -> TrainConfig {
    TrainConfig { batch: 8, latent: 12, prior, ..(zoo::recipe(recipe).unwrap().config)() }
}

/// A checkpoint of a few steps.
fn checkpoint(tmp: &Scratch, recipe: &str, prior: Prior) -> PathBuf {
    let path = tmp.0.join("some.safetensors");
    let mut trainer = Trainer::new(config(recipe, prior), pictures(), Device::Cpu).unwrap();
    for _ in 0..4 {
        trainer.step(&mut NoProbe).unwrap();
    }
    trainer.save(&path).unwrap();
    path
}

fn sampler(tmp: &Scratch, prior: Prior) -> Sampler {
    Sampler::load(&checkpoint(tmp, "mlp", prior)).unwrap()
}

fn assert_says(text: &str, parts: &[&str]) {
    parts.iter().for_each(|p| assert!(text.contains(p), "no '{p}' in: {text}"));
}
