//! A run in pieces is the run in one, byte for byte.

use crate::common::{Scratch, fails, program, run, text};
use crate::data;
use ganvil::data::{Dataset, Images};
use ganvil::gan::{NoProbe, TrainConfig, Trainer, latest_checkpoint, zoo};
use ganvil::{Device, checkpoint, threads};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

/// 40 pictures with classes, of a size that a recipe takes.
fn pictures(recipe: &str) -> Arc<Dataset> {
    let side = match recipe {
        "sngan-resnet32" => 32,
        "dcgan64" => 16,
        _ => 8,
    };
    let count = 40;
    let pixels = (0..count * side * side).map(|i| (i * 31 % 251) as u8).collect();
    let images = Images { count, channels: 1, rows: side, cols: side, pixels };
    let labels = Some((0..count as u32).map(|i| i % 10).collect());
    let classes = (0..10).map(|c| c.to_string()).collect();
    Arc::new(Dataset { images, labels, classes, name: "forty".into() })
}

#[test]
fn two_and_two_steps_are_four_for_every_recipe() {
    let tmp = Scratch::new("two-and-two");
    for recipe in &zoo::RECIPES {
        // Two epochs of 10 batches; small batches are the reduction that all recipes know.
        let config = TrainConfig { batch: 4, latent: 7, ..(recipe.config)() };
        let data = pictures(recipe.name);
        let begin = || Trainer::new(config.clone(), data.clone(), Device::Cpu).unwrap();
        let steps = |trainer: &mut Trainer, n: usize| {
            (0..n).for_each(|_| assert!(trainer.step(&mut NoProbe).is_ok()));
        };
        let saved = |trainer: &Trainer, name: &str| {
            let path = tmp.0.join(name);
            trainer.save(&path).unwrap();
            path
        };
        let whole = threads(2, || {
            let mut trainer = begin();
            steps(&mut trainer, 4);
            saved(&trainer, "whole")
        });
        for (first, second) in [(1, 2), (2, 1)] {
            let half = threads(first, || {
                let mut trainer = begin();
                steps(&mut trainer, 2);
                saved(&trainer, "half")
            });
            let resumed = threads(second, || {
                let mut trainer = begin();
                trainer.restore(&checkpoint::load(&half).unwrap(), &half).unwrap();
                assert_eq!(fs::read(&half).unwrap(), fs::read(saved(&trainer, "again")).unwrap());
                steps(&mut trainer, 2);
                saved(&trainer, "resumed")
            });
            assert!(fs::read(&whole).unwrap() == fs::read(&resumed).unwrap(), "{}", recipe.name);
        }
    }
}

/// What a run's log says, without what depends on the clock and the machine.
pub fn log_of(dir: &Path) -> Vec<Value> {
    let mut records = ganvil::report::read_log(dir.join("log.jsonl")).unwrap();
    for record in &mut records {
        for key in ["seconds", "images_per_s", "memory_mb"] {
            assert!(record.as_object_mut().unwrap().remove(key).is_some() || key == "memory_mb", "{key}");
        }
    }
    records
}

pub fn same_runs(a: &Path, b: &Path) {
    let (x, y) = (latest_checkpoint(a).unwrap(), latest_checkpoint(b).unwrap());
    assert_eq!(x.file_name(), y.file_name());
    assert!(fs::read(x).unwrap() == fs::read(y).unwrap(), "{} and {}", a.display(), b.display());
    assert_eq!(log_of(a), log_of(b));
}

/// Starts a run and kills it when its log has come to `lines`.
fn killed(args: &[&str], dir: &str, lines: usize) {
    let mut child = program(args).stderr(Stdio::null()).spawn().unwrap();
    let log = Path::new(dir).join("log.jsonl");
    let started = std::time::Instant::now();
    while fs::read_to_string(&log).map_or(0, |s| s.lines().count()) < lines {
        assert!(started.elapsed().as_secs() < 300, "{args:?} does not go on");
        assert!(child.try_wait().unwrap().is_none(), "{args:?} ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// 300 = 100 + kill + 100 + 100, on threads that change.
fn three_hundred(recipe: &str, mixtures: &[[&str; 4]]) {
    let tmp = Scratch::new(&format!("three-hundred-{recipe}"));
    let data = tmp.path("data");
    data::write(Path::new(&data), 640, 28);
    let whole = tmp.path("whole");
    let common = ["--data", &data, "--log-every", "10", "--sample-every", "100", "--checkpoint-every", "50"];
    let train = |dir: &str, steps: &str, threads: &str| -> Vec<String> {
        let head = ["train", recipe, "--steps", steps, "--threads", threads, "--out", dir];
        head.iter().chain(&common).map(|s| s.to_string()).collect()
    };
    let ok = |args: &[&str]| {
        let out = run(args);
        assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
        text(&out.stderr)
    };
    let args = train(&whole, "300", "2");
    ok(&args.iter().map(String::as_str).collect::<Vec<_>>());
    for [first, second, third, fourth] in mixtures {
        let dir = tmp.path(&[*first, second, third, fourth].concat());
        let args = train(&dir, "300", first);
        // Killed some way behind step 100, its checkpoint written.
        killed(&args.iter().map(String::as_str).collect::<Vec<_>>(), &dir, 13);
        assert!(latest_checkpoint(Path::new(&dir)).is_ok());
        killed(&["resume", &dir, "--threads", second], &dir, 19);
        ok(&["resume", &dir, "--steps", "200", "--threads", third]);
        let log = log_of(Path::new(&dir));
        assert_eq!(log.last().unwrap()["step"], 200);
        ok(&["resume", &dir, "--steps", "300", "--threads", fourth]);
        same_runs(Path::new(&whole), Path::new(&dir));
        // All grids of the whole run are there, and the same.
        for entry in fs::read_dir(Path::new(&whole).join("samples")).unwrap() {
            let name = entry.unwrap().file_name();
            let of = |dir: &str| fs::read(Path::new(dir).join("samples").join(&name)).unwrap();
            assert!(of(&whole) == of(&dir), "{}", name.display());
        }
        // Going on is in config.toml, so that the next start knows it.
        let config = fs::read_to_string(Path::new(&dir).join("config.toml")).unwrap();
        assert!(config.contains("steps = 300"), "{config}");
    }
}

#[test]
fn three_hundred_steps_of_mlp_in_four_pieces() {
    three_hundred("mlp", &[["1", "2", "1", "2"], ["2", "1", "2", "1"], ["2", "2", "1", "1"]]);
}

#[test]
fn three_hundred_steps_of_dcgan28_small_in_four_pieces() {
    three_hundred("dcgan28-small", &[["2", "1", "2", "2"]]);
}

/// A short run, and the data it is on.
pub fn short(tmp: &Scratch, more: &[&str]) -> (String, String) {
    let (data, dir) = (tmp.path("data"), tmp.path("run"));
    data::write(Path::new(&data), 64, 8);
    let mut args =
        vec!["train", "mlp-a", "--steps", "6", "--batch", "8", "--log-every", "1", "--checkpoint-every", "2"];
    args.extend(["--data", &data, "--out", &dir]);
    args.extend(more);
    let out = run(&args);
    assert!(out.status.success(), "{}", text(&out.stderr));
    (dir, data)
}

#[test]
fn a_run_repeated_from_its_own_settings_is_the_same() {
    let tmp = Scratch::new("repeat");
    let (dir, _) =
        short(&tmp, &["--lr-g", "3e-4", "--real-label", "0.9", "--seed", "5", "--set", "prior=sphere"]);
    let again = tmp.path("again");
    let config = format!("{dir}/config.toml");
    let out = run(&["train", "--config", &config, "--out", &again]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    same_runs(Path::new(&dir), Path::new(&again));
    assert_eq!(fs::read(&config).unwrap(), fs::read(format!("{again}/config.toml")).unwrap());
    // Flags and --set go before the file.
    let other = tmp.path("other");
    let out =
        run(&["train", "--config", &config, "--seed", "6", "--set", "optimizer_g.lr=1e-3", "--out", &other]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let text = fs::read_to_string(format!("{other}/config.toml")).unwrap();
    assert!(text.contains("seed = 6") && text.contains("lr = 0.001") && text.contains("0.9"), "{text}");
    let (code, err) = fails(&["train", "mlp", "--config", &config]);
    assert!(code == 2 && err.contains("recipe 'mlp'") && err.contains("of recipe mlp-a"), "{err}");
}

#[test]
fn a_run_that_was_moved_with_its_data_goes_on() {
    let tmp = Scratch::new("moved");
    let (dir, data) = short(&tmp, &[]);
    let (moved, new_data) = (tmp.path("elsewhere/deep"), tmp.path("elsewhere/pictures"));
    fs::create_dir_all(tmp.0.join("elsewhere")).unwrap();
    fs::rename(&dir, &moved).unwrap();
    fs::rename(&data, &new_data).unwrap();
    let out = run(&["resume", &moved, "--steps", "10", "--data", &new_data]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let tmp = Scratch::new("moved-whole");
    let (whole, _) = short(&tmp, &["--set", "steps=10"]);
    same_runs(Path::new(&whole), Path::new(&moved));
}

#[test]
fn what_cannot_be_resumed_says_why() {
    let tmp = Scratch::new("refused");
    let (dir, _) = short(&tmp, &[]);
    let (code, err) = fails(&["resume", &tmp.path("none")]);
    assert!(code == 1 && err.contains("no run found") && err.contains("ganvil list"), "{err}");
    let (code, err) = fails(&["resume", &dir, "--steps", "3"]);
    assert!(code == 2 && err.contains("--steps '3'") && err.contains("made 6 steps"), "{err}");
    let out = run(&["resume", &dir]);
    assert!(
        out.status.success() && text(&out.stderr).contains("all 6 steps are done"),
        "{}",
        text(&out.stderr)
    );

    // Other data of the same shape.
    let other = tmp.path("other");
    data::write(Path::new(&other), 65, 8);
    let (code, err) = fails(&["resume", &dir, "--steps", "8", "--data", &other]);
    assert!(
        code == 2 && err.contains("65 images") && err.contains("64 images") && err.contains("--data"),
        "{err}"
    );

    // Settings: those that make it another run, those that may change, and those that are no settings.
    let path = format!("{dir}/config.toml");
    let config = fs::read_to_string(&path).unwrap();
    let with = |from: &str, to: &str| fs::write(&path, config.replace(from, to)).unwrap();
    with("seed = 0", "seed = 1");
    let (code, err) = fails(&["resume", &dir, "--steps", "8"]);
    assert!(
        code == 2 && err.contains("setting 'seed'") && err.contains("says 1") && err.contains("with 0"),
        "{err}"
    );
    with("real_label = 1.0", "real_lable = 0.9");
    let (code, err) = fails(&["resume", &dir, "--steps", "8"]);
    assert!(code == 1 && err.contains("config.toml") && err.contains("did you mean 'real_label'?"), "{err}");
    with("real_label = 1.0", "real_label = 0.9");
    let out = run(&["resume", &dir, "--steps", "8"]);
    let err = text(&out.stderr);
    assert!(out.status.success() && err.contains("step.real_label is 0.9 from here on, it was 1.0"), "{err}");
}

#[test]
fn a_run_in_progress_is_left_alone() {
    let tmp = Scratch::new("running");
    let (data, dir) = (tmp.path("data"), tmp.path("run"));
    data::write(Path::new(&data), 64, 8);
    let args = [
        "train",
        "mlp-a",
        "--steps",
        "10000000",
        "--batch",
        "8",
        "--log-every",
        "1",
        "--data",
        &data,
        "--out",
        &dir,
    ];
    let mut child = program(&args).stderr(Stdio::null()).spawn().unwrap();
    while !Path::new(&dir).join("log.jsonl").exists() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let (code, err) = fails(&["resume", &dir]);
    assert!(code == 1 && err.contains("another process is training into"), "{err}");
    let (_, err) = fails(&["prune", &dir]);
    assert!(err.contains("another process"), "{err}");
    assert!(text(&run(&["show", &dir]).stdout).contains(": running,"));
    assert!(text(&run(&["list", &dir]).stdout).contains("running"));
    child.kill().unwrap();
    child.wait().unwrap();
    let out = run(&["resume", &dir, "--steps", "10"]);
    let shown = text(&run(&["show", &dir]).stdout);
    // Killed before its first checkpoint it begins anew; behind step 10 it has nothing to do.
    assert!(
        out.status.success() || text(&out.stderr).contains("steps; give a larger"),
        "{}",
        text(&out.stderr)
    );
    assert!(!shown.contains(": running,"), "{shown}");
}
