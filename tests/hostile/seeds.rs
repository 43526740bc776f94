//! Valid and nearly valid inputs to start fuzzing from, made by the code that writes such files.

use crate::readers::{gzip, idx_file};
use ganvil::data::{Dataset, Images};
use ganvil::gan::{Conditioning, TrainConfig, Trainer, zoo};
use ganvil::nn::LayerSpec;
use ganvil::{DType, Device, Tensor, checkpoint};
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("ganvil-seed-{}-{name}", std::process::id()))
}

pub fn idx() -> Vec<Vec<u8>> {
    let images = idx_file(3, &[2, 3, 4], &[7; 24]);
    let labels = idx_file(1, &[5], &[1, 2, 3, 4, 5]);
    let two_members = [gzip(&labels[..6]), gzip(&labels[6..])].concat();
    let cut = gzip(&images)[..20].to_vec();
    let claims = idx_file(3, &[u32::MAX as usize; 3], &[]);
    vec![gzip(&images), gzip(&labels), gzip(&claims), images, labels, two_members, cut, claims]
}

/// The smallest network there is a recipe for, as training writes it.
fn smallest(conditioning: Conditioning) -> Vec<u8> {
    let images = Images { count: 2, channels: 1, rows: 1, cols: 1, pixels: vec![0, 255] };
    let classes = vec!["0".into(), "1".into()];
    let data = Arc::new(Dataset { images, labels: Some(vec![0, 1]), classes, name: "two".into() });
    let mut config = (zoo::recipe("mlp-a").unwrap().config)();
    (config.latent, config.batch, config.step.ema) = (1, 2, None);
    config.conditioning = conditioning;
    let path = scratch("network");
    Trainer::new(config, data, Device::Cpu).unwrap().save(&path).unwrap();
    let file = std::fs::read(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file
}

/// In the form that the fuzz target takes: whole files after an `F`, headers after an `H`.
pub fn checkpoints() -> Vec<Vec<u8>> {
    let path = scratch("tensors");
    let file = |tensors: &[(String, Tensor)], meta| {
        checkpoint::save(&path, tensors, &meta).unwrap();
        let file = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        [b"F", &file[..]].concat()
    };
    let every = DType::ALL.map(|d| (format!("t.{d}"), Tensor::arange(6, d, Device::Cpu).reshape(&[2, 3])));
    let odd = [
        ("scalar".to_string(), Tensor::scalar(1.5, DType::F32, Device::Cpu)),
        ("none".to_string(), Tensor::zeros(&[0, 3], DType::F32, Device::Cpu)),
    ];
    let headers = [Conditioning::None, Conditioning::Embed].map(|conditioning| {
        let network = smallest(conditioning);
        let header = &network[8..][..u64::from_le_bytes(*network.first_chunk().unwrap()) as usize];
        [b"H", header].concat()
    });
    let files = vec![
        file(
            &every,
            json!({ "step": 3, "config": { "recipe": "mlp", "latent": 7 }, "image_shape": [1, 2, 2] }),
        ),
        file(&odd, json!(null)),
    ];
    files.into_iter().chain(headers).collect()
}

pub fn configs() -> Vec<Vec<u8>> {
    let mut all = vec![b"optimizer_g.lr=1e-3".to_vec(), b"step.r1=none".to_vec(), b"name=\"x\"".to_vec()];
    for recipe in &zoo::RECIPES {
        let config: TrainConfig = (recipe.config)();
        all.push(serde_json::to_vec(&config).unwrap());
        all.push(toml::to_string(&config).unwrap().into_bytes());
        let conditioning = config.conditioning;
        let shape = zoo::Shape { latent: 2, image: [1, 1, 3], classes: 2, logits: true, conditioning };
        let layers: Vec<LayerSpec> = (recipe.architecture)(&shape).generator.layers;
        all.push(serde_json::to_vec(&layers).unwrap());
    }
    all
}
