//! The digit classifier: the weights that come with the program, training them, and what they measure.

mod common;

use common::{Scratch, fails, run, text};
use ganvil::checkpoint;
use ganvil::data::{Dataset, ImageOptions, Images, Split, locate, to_unit};
use ganvil::gan::{NoProbe, Sampler, TrainConfig, Trainer, latest_checkpoint, zoo};
use ganvil::metrics::{ClassReport, Classifier, ClassifierConfig, ClassifierTrainer, digit_images};
use ganvil::nn::state_dict;
use ganvil::{Device, Tensor};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/classifier/mnist.safetensors");

fn mnist(split: Split) -> Dataset {
    Dataset::load(locate(None).unwrap(), split).unwrap()
}

fn assert_says(text: &str, parts: &[&str]) {
    parts.iter().for_each(|p| assert!(text.contains(p), "no '{p}' in: {text}"));
}

#[test]
fn the_shipped_weights_know_the_test_set() {
    let classifier = Classifier::mnist().unwrap();
    assert!(std::fs::metadata(SHIPPED).unwrap().len() < 1_000_000);
    assert_eq!(Classifier::load(SHIPPED.as_ref(), None).unwrap().checksum(), Classifier::MNIST_SHA256);
    let test = mnist(Split::Test);
    let report = ClassReport::of_data(&classifier, &test).unwrap();
    let agreement = report.agreement.unwrap();
    assert_eq!(report.n, 10_000);
    assert!(agreement.overall >= 0.992, "{}", agreement.overall);
    assert_eq!(agreement.overall, classifier.net().accuracy(&test).unwrap());
    assert!(agreement.per_class.iter().all(|share| share.unwrap() > 0.98), "{:?}", agreement.per_class);
    assert!(report.confidence > 0.98, "{}", report.confidence);
    assert!((report.shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    // The test set has 892 fives, the fewest, and an entropy that its labels have.
    assert!((report.min_share - 0.0892).abs() < 0.002, "{}", report.min_share);
    assert!(report.kl_to_uniform > 0.0 && report.kl_to_uniform < 0.01);
}

#[test]
fn labels_that_are_wrong_do_not_agree() {
    let classifier = Classifier::mnist().unwrap();
    let mut data = mnist(Split::Test).first(500);
    let labels = data.labels.as_mut().unwrap();
    labels.iter_mut().for_each(|l| *l = (*l + 1) % 10);
    let report = ClassReport::of_data(&classifier, &data).unwrap();
    assert!(report.agreement.unwrap().overall < 0.02);
}

#[test]
fn features_do_not_depend_on_the_other_pictures() {
    let classifier = Classifier::mnist().unwrap();
    let data = mnist(Split::Test).first(300);
    let pixels: Vec<f32> = data.images.pixels.iter().map(|v| to_unit(*v)).collect();
    let all = Tensor::new(&pixels, &[300, 1, 28, 28]);
    let features = classifier.features(&all);
    assert_eq!(features.shape(), [300, 128]);
    let some = classifier.features(&all.narrow(0, 250, 20));
    assert_eq!(some.to_vec::<f32>(), features.narrow(0, 250, 20).to_vec::<f32>());
    let values = features.to_vec::<f32>();
    assert!(values.iter().all(|v| *v >= 0.0) && values.iter().any(|v| *v > 0.0));
}

#[test]
fn other_weights_are_refused_by_their_checksum() {
    let tmp = Scratch::new("checksum");
    let path = tmp.0.join("changed.safetensors");
    let mut bytes = std::fs::read(SHIPPED).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let other = Classifier::load(&path, None).unwrap().checksum().to_owned();
    assert_ne!(other, Classifier::MNIST_SHA256);
    let Err(error) = Classifier::load(&path, Some(Classifier::MNIST_SHA256)) else { panic!("loaded") };
    assert_says(&error.to_string(), &["changed.safetensors", &other, Classifier::MNIST_SHA256]);
    // What has the checksum but is no classifier says so.
    let generator = tmp.0.join("generator.safetensors");
    checkpoint::save(&generator, &[("net.0.weight".into(), Tensor::from(&[1.0f32][..]))], &Value::Null)
        .unwrap();
    let Err(error) = Classifier::load(&generator, None) else { panic!("loaded") };
    assert_says(&error.to_string(), &["generator.safetensors", "net.0.weight", "[32, 1, 5, 5]"]);
}

#[test]
fn twenty_steps_lower_the_loss_on_any_number_of_threads() {
    let data = Arc::new(mnist(Split::Train).first(2000));
    let train = |threads| {
        ganvil::threads(threads, || {
            let config = ClassifierConfig { epochs: 3, ..ClassifierConfig::default() };
            let mut trainer = ClassifierTrainer::new(config, data.clone(), Device::Cpu).unwrap();
            let losses: Vec<f64> = (0..20).map(|_| trainer.step().unwrap()).collect();
            let weights: Vec<_> = state_dict(trainer.net());
            (losses, weights.iter().map(|(_, t)| t.to_vec::<f32>()).collect::<Vec<_>>())
        })
    };
    let (losses, weights) = train(1);
    assert!((losses[0] - 10f64.ln()).abs() < 0.1, "knows nothing yet: {losses:?}");
    assert!(losses[15..].iter().all(|l| *l < 0.75 * losses[0]), "{losses:?}");
    let (losses_2, weights_2) = train(2);
    assert_eq!(losses, losses_2);
    assert!(weights == weights_2, "weights differ between 1 and 2 threads");
}

#[test]
fn data_without_digits_is_refused_before_training() {
    let digits = mnist(Split::Test).first(200);
    let refuses = |data: Dataset, parts: &[&str]| {
        let Err(e) = ClassifierTrainer::new(ClassifierConfig::default(), Arc::new(data), Device::Cpu) else {
            panic!("accepted")
        };
        assert_says(&e.to_string(), parts);
    };
    refuses(Dataset { labels: None, ..digits.clone() }, &["no labels"]);
    let classes = (0..11).map(|c| c.to_string()).collect();
    refuses(Dataset { classes, ..digits.clone() }, &["11"]);
    let images = Images { rows: 14, cols: 56, ..digits.images.clone() };
    refuses(Dataset { images, ..digits }, &["1 x 14 x 56", "1 x 28 x 28"]);
}

/// One split as IDX files.
fn write_idx(dir: &Path, prefix: &str, data: &Dataset) {
    let n = (data.images.count as u32).to_be_bytes();
    let side = 28u32.to_be_bytes();
    let images = [&[0, 0, 8, 3], &n[..], &side, &side, &data.images.pixels].concat();
    let labels: Vec<u8> = data.labels.as_ref().unwrap().iter().map(|l| *l as u8).collect();
    std::fs::create_dir_all(dir).unwrap();
    std::fs::write(dir.join(format!("{prefix}-images-idx3-ubyte")), images).unwrap();
    std::fs::write(
        dir.join(format!("{prefix}-labels-idx1-ubyte")),
        [&[0, 0, 8, 1], &n[..], &labels].concat(),
    )
    .unwrap();
}

#[test]
fn a_run_of_the_recipe_leaves_weights_that_load() {
    let tmp = Scratch::new("recipe");
    let (data, out) = (tmp.0.join("digits"), tmp.0.join("run"));
    write_idx(&data, "train", &mnist(Split::Train).first(512));
    let test = mnist(Split::Test).first(256);
    write_idx(&data, "t10k", &test);
    let (data, dir) = (tmp.path("digits"), tmp.path("run"));
    let of = ["train", "classifier", "--threads", "1", "--batch", "32", "--data", &data];
    let with = |more: &[&'static str]| [&of[..], more, &["--out", &dir]].concat();

    let result = run(&with(&["--epochs", "2", "--seed", "3"]));
    let err = text(&result.stderr);
    assert!(result.status.success(), "{err}");
    assert_says(&err, &["epoch 1/2: loss ", "epoch 2/2: loss ", "test accuracy "]);

    let config: ClassifierConfig =
        toml::from_str(&std::fs::read_to_string(out.join("config.toml")).unwrap()).unwrap();
    assert_eq!(config, ClassifierConfig { seed: 3, epochs: 2, batch: 32, ..ClassifierConfig::default() });
    let log = std::fs::read_to_string(out.join("log.jsonl")).unwrap();
    let log: Vec<Value> = log.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(log.len(), 2);
    assert_eq!(log[1]["step"], 32);
    assert!(log[1]["loss"].as_f64() < log[0]["loss"].as_f64());

    let result: Value =
        serde_json::from_str(&std::fs::read_to_string(out.join("result.json")).unwrap()).unwrap();
    let rounded = Classifier::load(&out.join("classifier.safetensors"), result["sha256"].as_str()).unwrap();
    assert_eq!(Some(rounded.net().accuracy(&test).unwrap()), result["test_accuracy"].as_f64());
    assert!(result["test_accuracy"].as_f64().unwrap() > 0.5, "{result}");
    assert_says(&err, &[rounded.checksum()]);
    let exact = checkpoint::load(&out.join("classifier-f32.safetensors")).unwrap().tensors;
    for (name, t) in state_dict(rounded.net()) {
        assert_eq!(exact[&name].to_dtype(ganvil::DType::F16).to_vec::<half::f16>(), {
            t.to_dtype(ganvil::DType::F16).to_vec::<half::f16>()
        });
    }

    let (code, err) = fails(&with(&["--epochs", "1"]));
    assert_eq!(code, 2);
    assert_says(&err, &["--out", "not empty"]);
}

#[test]
fn flags_of_gans_are_refused_by_the_classifier() {
    let refused = |args: &[&str], parts: &[&str]| {
        let (code, err) = fails(&[&["train", "classifier"], args].concat());
        assert_eq!(code, 2, "{err}");
        assert_says(&err, parts);
    };
    refused(&["--lr-d", "1e-3"], &["--lr-d", "classifier", "--epochs"]);
    refused(&["--seed", "1", "--steps", "5"], &["--steps"]);
    refused(&["--reuse-fakes", "true"], &["--reuse-fakes"]);
    refused(&["--epochs", "1.5"], &["--epochs '1.5'", "whole"]);
    refused(&["--epochs", "-1"], &["--epochs '0'"]);
    refused(&["--epochs", "nan"], &["--epochs"]);
    refused(&["--batch", "0"], &["batch size '0'"]);
    assert_says(&text(&run(&["train", "--help"]).stdout), &["  classifier ", "ganvil train classifier"]);
}

#[test]
fn background_is_taken_off_again() {
    let digits = mnist(Split::Test).first(20).images;
    let options = ImageOptions { pad: Some(33), ..ImageOptions::default() };
    let padded = Dataset::open(locate(None).unwrap(), Split::Test, &options).unwrap().images;
    let samples: Vec<f32> = padded.pixels[..20 * padded.area()].iter().map(|v| to_unit(*v)).collect();
    assert_eq!(digit_images(&samples, padded.shape(), Some(33)).unwrap(), digits);
    for (shape, pad) in [([1, 33, 33], None), ([1, 33, 33], Some(32)), ([3, 33, 11], None)] {
        let error = digit_images(&samples, shape, pad).unwrap_err().to_string();
        assert_says(&error, &["1 x 28 x 28", "--pad"]);
    }
}

fn evaluate(args: &[&str]) -> Value {
    let out = run(&[&["evaluate", "--json"], args].concat());
    assert!(out.status.success(), "{}", text(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

#[test]
fn evaluate_prints_what_the_library_measures() {
    let tmp = Scratch::new("evaluate");
    let dir = tmp.path("run");
    let done = run(&["train", "cgan", "--steps", "40", "--threads", "1", "--out", &dir]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let json = evaluate(&[&dir, "--n", "205", "--seed", "4", "--threads", "1"]);
    assert_eq!(json["feature_sha256"], Classifier::MNIST_SHA256);
    assert_eq!((&json["steps"], &json["seed"], &json["recipe"]), (&40.into(), &4.into(), &"cgan".into()));

    let classifier = Classifier::mnist().unwrap();
    let sampler = Sampler::load(&latest_checkpoint(Path::new(&dir)).unwrap()).unwrap();
    let images = digit_images(&sampler.sample(205, 4), sampler.shape, None).unwrap();
    let asked: Vec<u32> = (0..205).map(|i| i % 10).collect();
    let want = ClassReport::new(&classifier, &images, Some(&asked)).unwrap();
    let found: Vec<f64> = serde_json::from_value(json["samples"]["shares"].clone()).unwrap();
    assert_eq!(found, want.shares);
    assert_eq!(json["samples"]["agreement"], serde_json::to_value(&want.agreement).unwrap());
    // Summed in another order.
    assert!((json["samples"]["confidence"].as_f64().unwrap() - want.confidence).abs() < 1e-12);
    assert_eq!(
        (&json["real"]["n"], &json["n_real"], &json["against"]),
        (&205.into(), &205.into(), &"test".into())
    );
    assert_eq!(json["real"]["agreement"]["per_class"].as_array().unwrap().len(), 10);
    assert_eq!(json["metrics"]["agreement"]["value"], json["samples"]["agreement"]["overall"]);
    assert!(json["metrics"]["fid"]["ratio"].as_f64().unwrap() > 2.0, "{}", json["metrics"]["fid"]);

    let table = text(&run(&["evaluate", &dir, "--n", "30", "--threads", "1"]).stdout);
    assert_says(
        &table,
        &[
            Classifier::MNIST_SHA256,
            "mean top-1 confidence",
            "KL to uniform",
            "agreement of class 9",
            "floor",
        ],
    );
}

#[test]
fn evaluate_crops_padded_runs_and_asks_nothing_of_unconditional_ones() {
    let tmp = Scratch::new("padded");
    let dir = tmp.path("run");
    let train =
        ["train", "mlp-a", "--pad", "32", "--steps", "2", "--batch", "8", "--threads", "1", "--out", &dir];
    assert!(run(&train).status.success());
    let json = evaluate(&[&dir, "--n", "12", "--threads", "1"]);
    assert_eq!(json["samples"]["n"], 12);
    assert!(json["samples"]["agreement"].is_null());
    assert!(json["real"]["agreement"]["overall"].as_f64().unwrap() > 0.9);
}

/// A checkpoint of a generator of these images.
fn checkpoint_of(tmp: &Scratch, recipe: &str, shape: [usize; 3], classes: u32) -> String {
    let [channels, rows, cols] = shape;
    let images = Images { count: 12, channels, rows, cols, pixels: vec![7; 12 * channels * rows * cols] };
    let data = Dataset {
        images,
        labels: Some((0..12).map(|i| i % classes).collect()),
        classes: (0..classes).map(|c| c.to_string()).collect(),
        name: "flat".into(),
    };
    let config = TrainConfig { batch: 4, latent: 8, ..(zoo::recipe(recipe).unwrap().config)() };
    let mut trainer = Trainer::new(config, Arc::new(data), Device::Cpu).unwrap();
    trainer.step(&mut NoProbe).unwrap();
    let path = tmp.path(&format!("{recipe}-{channels}-{rows}.safetensors"));
    trainer.save(path.as_ref()).unwrap();
    path
}

#[test]
fn evaluate_refuses_what_it_cannot_measure() {
    let tmp = Scratch::new("refused");
    let refused = |args: &[&str], parts: &[&str]| {
        let (code, err) = fails(&[&["evaluate"], args].concat());
        assert_eq!(code, 2, "{err}");
        assert_says(&err, parts);
    };
    refused(&[&checkpoint_of(&tmp, "mlp", [3, 28, 28], 2)], &["3 x 28 x 28", "1 x 28 x 28"]);
    refused(&[&checkpoint_of(&tmp, "mlp", [1, 32, 32], 2)], &["1 x 32 x 32", "--pad"]);
    let small = checkpoint_of(&tmp, "cgan", [1, 28, 28], 3);
    refused(&[&small], &["number of classes '3'", "10 digits"]);
    refused(&[&small, "--n", "0"], &["--n '0'"]);
    let (code, err) = fails(&["evaluate", &tmp.path("nothing")]);
    assert_eq!(code, 1);
    assert_says(&err, &["no checkpoint found", "nothing"]);
}
