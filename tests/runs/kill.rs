//! SIGKILL at random moments. GANVIL_KILLS says how many (10); GANVIL_SEED repeats a series.
#![cfg(unix)]

use crate::common::{Scratch, program, run, text};
use crate::data;
use crate::resume::{log_of, same_runs};
use ganvil::gan::{checkpoints, latest_checkpoint};
use ganvil::rng::{Key, Philox, Stream};
use rand::RngExt;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |v| v.parse().unwrap_or_else(|_| panic!("{variable}={v}")))
}

/// Files that a kill left half-written: it came inside of writing one.
fn half_written(dir: &Path) -> usize {
    let always = ["", "samples", "plots", "checkpoints"].map(|sub| fs::read_dir(dir.join(sub)).unwrap());
    // Made for the first best checkpoint.
    let best = fs::read_dir(dir.join("checkpoints/best")).ok();
    let all = always.into_iter().chain(best).flatten();
    all.filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().ends_with(".tmp")).count()
}

#[test]
fn killed_runs_lose_nothing() {
    let (kills, seed) = (number("GANVIL_KILLS", 10), number("GANVIL_SEED", u64::from(std::process::id())));
    println!("{kills} kills, GANVIL_SEED={seed}");
    let mut random = Philox::new(Key::new(seed, Stream::General), 0);
    let tmp = Scratch::new("kills");
    let (data, dir, whole) = (tmp.path("data"), tmp.path("run"), tmp.path("whole"));
    data::write(Path::new(&data), 640, 28);
    // A checkpoint after every few milliseconds of training: kills come inside of writing one, too.
    let settings = [
        "--log-every",
        "1",
        "--sample-every",
        "8",
        "--checkpoint-every",
        "4",
        "--batch",
        "16",
        "--eval-every",
        "4",
        "--eval-n",
        "60",
        "--eval-metrics",
        "precision",
        "--data",
        &data,
    ];
    let train = |dir: &str, steps: &str| -> Vec<String> {
        let head = ["train", "mlp-a", "--steps", steps, "--out", dir];
        head.iter().chain(&settings).map(|s| s.to_string()).collect()
    };
    let (mut steps, mut inside, mut fresh) = (0, 0, 0);
    for _ in 0..kills {
        let started = Path::new(&dir).join("config.toml").exists();
        let args = if started { vec!["resume".to_string(), dir.clone()] } else { train(&dir, "1000000") };
        let mut child = program(&args.iter().map(String::as_str).collect::<Vec<_>>())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(random.random_range(0..700_000)));
        child.kill().unwrap();
        let out = child.wait_with_output().unwrap();
        assert!(out.status.code().is_none(), "it ended by itself: {}", text(&out.stderr));
        if !Path::new(&dir).join("config.toml").exists() {
            fresh += 1;
            continue;
        }
        inside += half_written(Path::new(&dir));
        // What is there is whole: all checkpoints are intact, and no step is lost that one had.
        for path in checkpoints(Path::new(&dir)).unwrap() {
            ganvil::checkpoint::load(&path).unwrap();
        }
        if let Ok(newest) = latest_checkpoint(Path::new(&dir)) {
            let now = ganvil::checkpoint::load(&newest).unwrap().meta["step"].as_u64().unwrap();
            assert!(now >= steps, "step {now} after {steps}");
            steps = now;
        }
        // Each life writes it anew in its own name; prune knows them.
        if inside > 0 {
            assert!(run(&["prune", &dir, "--keep", "2"]).status.success());
            assert_eq!(half_written(Path::new(&dir)), 0);
        }
    }
    println!("{steps} steps; {inside} kills inside of writing a file, {fresh} before the run was there");
    let total = (steps + 9).to_string();
    let started = Path::new(&dir).join("config.toml").exists();
    let args = if started {
        vec!["resume".to_string(), dir.clone(), "--steps".into(), total.clone()]
    } else {
        train(&dir, &total)
    };
    for args in [args, train(&whole, &total)] {
        let out = run(&args.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(out.status.success(), "{}", text(&out.stderr));
    }
    same_runs(Path::new(&whole), Path::new(&dir));
    let logged: Vec<u64> = log_of(Path::new(&dir)).iter().map(|r| r["step"].as_u64().unwrap()).collect();
    assert_eq!(logged, (1..=steps + 9).collect::<Vec<_>>(), "no line is torn, missing or doubled");
    let best = |dir: &str| -> BTreeMap<_, _> {
        let all = fs::read_dir(Path::new(dir).join("checkpoints/best")).unwrap().map(|e| e.unwrap());
        all.map(|e| (e.file_name(), fs::read(e.path()).unwrap())).collect()
    };
    assert_eq!(best(&dir).keys().collect::<Vec<_>>(), best(&whole).keys().collect::<Vec<_>>());
    assert!(best(&dir) == best(&whole) && !best(&dir).is_empty(), "other best checkpoints");
    let [measured, of_whole] =
        [&dir, &whole].map(|d| fs::read_to_string(format!("{d}/metrics.jsonl")).unwrap());
    assert!(measured == of_whole, "measured otherwise:\n{measured}\n{of_whole}");
}
