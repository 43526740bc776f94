//! Files of a run that are not what they should be.

use crate::common::{Scratch, fails, run, text};
use crate::resume::short;
use ganvil::data::{Dataset, Images};
use ganvil::gan::{NoProbe, TrainConfig, Trainer, checkpoints, zoo};
use ganvil::{Device, Error, checkpoint};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// A trainer whose checkpoint is a few kilobytes, after a step.
fn tiny() -> (Trainer, impl Fn() -> Trainer) {
    let pixels = (0..32).map(|i| i * 8).collect();
    let images = Images { count: 8, channels: 1, rows: 2, cols: 2, pixels };
    let data = Arc::new(Dataset { images, labels: None, classes: vec![], name: "tiny".into() });
    let config = TrainConfig { batch: 2, latent: 1, ..(zoo::recipe("mlp-a").unwrap().config)() };
    let begin = move || Trainer::new(config.clone(), data.clone(), Device::Cpu).unwrap();
    let mut trainer = begin();
    trainer.step(&mut NoProbe).unwrap();
    (trainer, begin)
}

/// Every byte flipped, and every length: an error that names the file, or a state that trains; never a panic. Without a
/// manifest, which would see every one of them.
#[test]
fn every_flipped_byte_of_a_checkpoint() {
    let tmp = Scratch::new("flips");
    let path = tmp.0.join("step-00000001.safetensors");
    let (trainer, begin) = tiny();
    trainer.save(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let attempt = |bytes: &[u8]| -> Result<(), Error> {
        let damaged = tmp.0.join("damaged.safetensors");
        fs::write(&damaged, bytes).unwrap();
        let file = checkpoint::load(&damaged)?;
        begin().restore(&file, &damaged).map(drop)
    };
    attempt(&bytes).unwrap();
    // What is in front of the tensors' values, all of it; of the values, which any bytes can be, some.
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let values = (header..bytes.len()).step_by((bytes.len() - header) / 400);
    let (mut refused, mut taken) = (0, 0);
    for i in (0..header).chain(values.clone()) {
        let mut flipped = bytes.clone();
        flipped[i] ^= 1 << (i % 7);
        match attempt(&flipped) {
            Err(Error::Format { path, problem }) => {
                assert!(path.ends_with("damaged.safetensors") && !problem.is_empty());
                refused += 1;
            }
            Err(Error::Argument { what, .. }) => assert_eq!(what, "data"),
            Err(e) => panic!("byte {i}: {e}"),
            Ok(()) => taken += 1,
        }
    }
    assert!(refused > header / 3 && taken > 0, "{refused} refused, {taken} taken of {}", bytes.len());
    for cut in (0..header).chain(values) {
        assert!(matches!(attempt(&bytes[..cut]), Err(Error::Format { .. })), "cut at {cut}");
    }
}

#[test]
fn checkpoints_of_another_kind_are_refused() {
    let tmp = Scratch::new("kinds");
    let path = tmp.0.join("step-00000001.safetensors");
    let (trainer, begin) = tiny();
    trainer.save(&path).unwrap();
    let refused = |change: &dyn Fn(&mut checkpoint::Checkpoint)| {
        let mut file = checkpoint::load(&path).unwrap();
        change(&mut file);
        begin().restore(&file, &path).unwrap_err().to_string()
    };
    let text = refused(&|f| f.meta["step"] = (1u64 << 60).into());
    assert!(text.contains("counts to 1152921504606846976"), "{text}");
    let text = refused(&|f| f.meta["position"]["index"] = 9.into());
    assert!(text.contains("8 examples"), "{text}");
    let text = refused(&|f| f.meta["format"] = 2.into());
    assert!(text.contains("format is 2"), "{text}");
    let text = refused(&|f| drop(f.meta.as_object_mut().unwrap().remove("calls")));
    assert!(text.contains("calls"), "{text}");
    let text = refused(&|f| f.meta["image_shape"] = serde_json::json!([1, 2, 3]));
    assert!(text.contains("[1, 2, 3]"), "{text}");
    let text = refused(&|f| drop(f.tensors.remove("opt_D.net.0.weight.moment1")));
    assert!(text.contains("no tensor 'opt_D.net.0.weight.moment1'"), "{text}");
    let text = refused(&|f| {
        let half = f.tensors["G.net.0.weight"].to_dtype(ganvil::DType::F16);
        f.tensors.insert("G.net.0.weight".into(), half);
    });
    assert!(text.contains("'G.net.0.weight' is f16"), "{text}");
    let text = refused(&|f| {
        let more = f.tensors["G.net.0.weight"].clone();
        f.tensors.insert("G.net.77.weight".into(), more);
    });
    assert!(text.contains("was it saved with others?"), "{text}");
    let text = refused(&|f| {
        let moment = &f.tensors["opt_G.net.0.weight.moment0"];
        let moment = moment.reshape(&[moment.numel()]);
        f.tensors.insert("opt_G.net.0.weight.moment0".into(), moment);
    });
    assert!(text.contains("its parameter"), "{text}");
}

#[test]
fn a_damaged_checkpoint_is_passed_over() {
    let tmp = Scratch::new("fallback");
    let (dir, _) = short(&tmp, &[]);
    let all = checkpoints(Path::new(&dir)).unwrap();
    let names: Vec<_> = all.iter().map(|p| p.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["step-00000004.safetensors", "step-00000006.safetensors"]);
    let whole = fs::read(&all[1]).unwrap();
    for damage in
        [&whole[..whole.len() / 2], &[&whole[..whole.len() - 1], &[whole[whole.len() - 1] ^ 1]].concat()]
    {
        fs::write(&all[1], damage).unwrap();
        // A sample is of the checkpoint asked for or of none.
        let (_, err) = fails(&["sample", &dir]);
        assert!(err.contains("step-00000006") && err.contains("is damaged"), "{err}");
        let out = run(&["resume", &dir]);
        let err = text(&out.stderr);
        assert!(out.status.success() && err.contains("going back to the one before"), "{err}");
        assert!(all[1].with_extension("safetensors.damaged").exists(), "{err}");
        assert!(err.contains("step-00000006") && err.contains("from step 4 on"), "{err}");
        assert_eq!(fs::read(&all[1]).unwrap(), whole, "the same step is made again");
    }
    assert!(run(&["prune", &dir, "--keep", "2"]).status.success());
    assert!(!all[1].with_extension("safetensors.damaged").exists() && all[1].exists());
    for path in &all {
        fs::write(path, &fs::read(path).unwrap()[..100]).unwrap();
    }
    let (code, err) = fails(&["resume", &dir]);
    assert!(code == 1 && err.contains("no intact checkpoint"), "{err}");
    assert!(err.contains("step-00000004") && err.contains("step-00000006"), "{err}");
}

/// What was passed over must not outlive what is written afterwards because its number is higher.
#[test]
fn a_run_that_went_back_keeps_what_it_writes() {
    let tmp = Scratch::new("back");
    let (dir, _) = short(&tmp, &["--set", "steps=8"]);
    let early = fs::read(&checkpoints(Path::new(&dir)).unwrap()[0]).unwrap();
    for path in checkpoints(Path::new(&dir)).unwrap() {
        fs::write(&path, b"torn").unwrap();
    }
    // A copy is no checkpoint, whatever it holds.
    fs::write(format!("{dir}/checkpoints/step-00000006-copy.safetensors"), &early).unwrap();
    fs::write(format!("{dir}/checkpoints/step-00000002.safetensors"), &early).unwrap();
    let config = format!("{dir}/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    // What stands at step 2 is of step 6, and says so.
    fs::write(&config, text.replace("steps = 8", "steps = 7")).unwrap();
    let out = run(&["resume", &dir]);
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let names: Vec<String> = checkpoints(Path::new(&dir))
        .unwrap()
        .iter()
        .map(|p| p.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["step-00000002.safetensors", "step-00000007.safetensors"]);
    assert!(run(&["sample", &dir]).status.success());
}

#[test]
fn checkpoints_that_are_gone_do_not_cost_the_log() {
    let tmp = Scratch::new("gone");
    let (dir, data) = short(&tmp, &[]);
    let log = fs::read(format!("{dir}/log.jsonl")).unwrap();
    let refused = |words: &str| {
        let (code, err) = fails(&["resume", &dir, "--steps", "8"]);
        assert!(code == 1 && err.contains("no checkpoint found") && err.contains(words), "{err}");
        assert_eq!(fs::read(format!("{dir}/log.jsonl")).unwrap(), log);
    };
    for path in checkpoints(Path::new(&dir)).unwrap() {
        fs::remove_file(path).unwrap();
    }
    refused("lists some that are gone");
    fs::rename(format!("{dir}/checkpoints"), tmp.path("away")).unwrap();
    refused("put it back");
    // Nor is data that is gone replaced by other data.
    fs::remove_dir_all(&data).unwrap();
    let (code, err) =
        fails(&["train", "--config", &format!("{dir}/config.toml"), "--out", &tmp.path("again")]);
    assert!(code == 1 && err.contains(&data), "{err}");
}

#[test]
fn settings_lead_nowhere_outside() {
    let tmp = Scratch::new("tricks");
    let (dir, _) = short(&tmp, &[]);
    let config = fs::read_to_string(format!("{dir}/config.toml")).unwrap();
    let file = tmp.path("tricks.toml");
    let attempt = |text: String| {
        fs::write(&file, text).unwrap();
        fails(&["train", "--config", &file, "--out", &tmp.path("never")]).1
    };
    for recipe in ["../../etc", "mlp-a/../x", "/tmp/x"] {
        let err = attempt(config.replace("recipe = \"mlp-a\"", &format!("recipe = {recipe:?}")));
        assert!(err.contains("tricks.toml") && err.contains("recipe"), "{err}");
    }
    for (key, value) in [("latent = 100", "latent = 999999999999"), ("batch = 8", "batch = 99999999999")] {
        let err = attempt(config.replace(key, value));
        assert!(err.contains("use at most"), "{err}");
    }
    assert!(attempt("x".repeat(2 << 20)).contains("at most 1048576"));
    assert!(attempt("\u{0}\u{1}".into()).contains("tricks.toml"));
    assert!(!Path::new(&tmp.path("never")).exists());

    // A name is part of a folder's and stays within `runs`.
    let named = config.replace("recipe = ", "name = \"../../up/../x y\"\nrecipe = ");
    fs::write(&file, named).unwrap();
    let inner = tmp.0.join("inner");
    fs::create_dir_all(&inner).unwrap();
    let mut command = crate::common::program(&["train", "--config", &file]);
    let out = command.current_dir(&inner).output().unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    let made: Vec<_> = fs::read_dir(inner.join("runs")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(made, ["00000-data-mlp-a-.._.._up_.._x_y"]);
    assert!(inner.join("runs").join(&made[0]).join("log.jsonl").is_file());
}

#[test]
fn absurd_headers_take_no_memory() {
    let tmp = Scratch::new("headers");
    let (dir, _) = short(&tmp, &[]);
    let path = &checkpoints(Path::new(&dir)).unwrap()[1];
    for size in [u64::MAX, 1 << 62, 1 << 40, 100_000_001] {
        // It would see that the file is another one before anything reads it.
        fs::remove_file(format!("{dir}/checkpoints/manifest.json")).unwrap();
        fs::write(path, [&size.to_le_bytes()[..], b"{\"x\":1}"].concat()).unwrap();
        let err = text(&run(&["resume", &dir]).stderr);
        assert!(err.contains("step-00000006") && err.contains("not a readable safetensors file"), "{err}");
    }
}
