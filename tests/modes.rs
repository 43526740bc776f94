//! The mode benchmarks: that they cover what they should, are the same on any threads, and lose no finished seed.

use common::{Scratch, fails, program, run, text};
use ganvil::data::Synthetic;
use ganvil::gan::modes::{self, Folder, Game, ModesConfig, RECIPES, SeedResult, recipe, run_seed};
use ganvil::nn::state_dict;
use ganvil::optim::Schedule;
use ganvil::{Device, threads};
use std::path::Path;
use std::sync::atomic::AtomicBool;

mod common;

fn played(config: &ModesConfig, seed: u64) -> SeedResult {
    run_seed(config, seed, Device::Cpu, &AtomicBool::new(false), &mut |_| {}).unwrap()
}

/// G's and D's parameters after some steps.
fn weights(config: &ModesConfig, steps: u64) -> Vec<(String, Vec<f32>)> {
    let mut game = Game::new(config, 3, Device::Cpu).unwrap();
    (0..steps).for_each(|_| game.step().unwrap());
    let all = |net| state_dict(net).into_iter().map(|(name, t)| (name, t.to_vec()));
    all(&game.gan().g).chain(all(&game.gan().d)).collect()
}

/// The shipped recipe with its schedules shortened to a quarter, so that they are played to their end.
///
/// What a seed reaches hangs on rounding too, so the bounds are what every one of 20 seeds of the ring (worst: 89.7 %
/// good, reverse KL 0.157) and of 12 of the grid (68.9 %, 0.139) keeps at this length; at half of it three of 20 on the ring miss a mode.
#[test]
fn a_short_schedule_covers_every_mode() {
    std::thread::scope(|scope| {
        for (task, steps, modes, good) in
            [(Synthetic::Grid25, 6000, 25, 0.6), (Synthetic::Ring8, 3000, 8, 0.8)]
        {
            let config = recipe("r3gan", task).unwrap().lasting(steps);
            for seed in [0, 1] {
                let config = config.clone();
                scope.spawn(move || {
                    let score = threads(1, || played(&config, seed)).score;
                    assert!(
                        score.modes == modes && score.high_quality > good,
                        "{task}, seed {seed}: {score:?}"
                    );
                    assert!(score.reverse_kl.unwrap() < 0.2, "{task}, seed {seed}: {score:?}");
                    assert!((0.5..1.3).contains(&score.width.unwrap()), "{task}, seed {seed}: {score:?}");
                });
            }
        }
    });
}

#[test]
fn packs_of_one_are_the_plain_game_bit_for_bit() {
    for task in [Synthetic::Ring8, Synthetic::Grid25] {
        let plain = recipe("gan", task).unwrap();
        let packed = recipe("pacgan", task).unwrap();
        let mut one = packed.clone();
        one.set_all(&["step.pack=1", "batch=128"]).unwrap();
        assert_eq!(weights(&one, 20), weights(&plain, 20), "{task}");
        let d = |c: &ModesConfig| weights(c, 1).iter().find(|(_, w)| w.len() == 2 * 2 * 128).is_some();
        assert!(d(&packed) && !d(&plain), "D's first layer takes two points");
    }
}

#[test]
fn every_recipe_plays_its_own_game() {
    let mut seen = Vec::new();
    for (name, _) in RECIPES {
        let config = recipe(name, Synthetic::Grid25).unwrap();
        let all = weights(&config, 3);
        assert!(all.iter().all(|(_, w)| w.iter().all(|v| v.is_finite())), "{name}");
        assert!(!seen.contains(&all), "{name} is another recipe's game");
        seen.push(all);
    }
    let other: Vec<_> =
        RECIPES.iter().map(|(name, _)| recipe(name, Synthetic::Ring8).unwrap().digest()).collect();
    assert!(other.iter().all(|d| d.len() == 64 && other.iter().filter(|e| *e == d).count() == 1));
}

#[test]
fn results_do_not_depend_on_threads() {
    for name in ["r3gan", "wgan-gp", "pacgan"] {
        let config = recipe(name, Synthetic::Ring8).unwrap().lasting(40);
        let of = |n| threads(n, || played(&config, 5));
        let first = of(1);
        for n in [2, 3] {
            let again = of(n);
            assert_eq!((&again.score, &again.snapshots), (&first.score, &first.snapshots), "{name}");
        }
        assert_ne!(played(&config, 6).score, first.score, "another seed");
    }
}

#[test]
fn a_shorter_game_has_shorter_schedules() {
    let mut c = recipe("r3gan", Synthetic::Grid25).unwrap();
    let of = |c: &ModesConfig, share: f64| {
        let at = |s: &Schedule| s.factor((c.steps as f64 * share) as u64);
        [at(&c.schedule_d), at(&c.schedule_g), at(&c.schedule_gamma)]
    };
    // Steps are whole, so a schedule in stairs may be a stair behind.
    let grains = |c: &ModesConfig| {
        [&c.schedule_d, &c.schedule_g, &c.schedule_gamma].map(|s| match s {
            Schedule::Step { gamma, .. } => f64::max(0.02, 1.0 - gamma),
            _ => 0.02,
        })
    };
    let same = |c: &ModesConfig| {
        for steps in [c.steps * 3, c.steps / 7, 500] {
            let other = c.clone().lasting(steps);
            // A warm-up begins with the step that is the first of either.
            for share in [0.1, 0.3, 0.5, 0.9, 1.0] {
                for ((a, b), grain) in of(c, share).iter().zip(of(&other, share)).zip(grains(c)) {
                    assert!((a - b).abs() < grain, "{c:?} in {steps} steps at {share}: {a}, {b}");
                }
            }
        }
    };
    same(&c);
    c.set_all(&["schedule_d.type=linear", "schedule_d.horizon=9000", "schedule_d.warmup=500"]).unwrap();
    c.set_all(&["schedule_g.type=cosine", "schedule_g.horizon=12000"]).unwrap();
    c.set_all(&[
        "schedule_gamma.type=milestones",
        "schedule_gamma.at=[2000, 7000]",
        "schedule_gamma.gamma=0.5",
    ])
    .unwrap();
    same(&c);
    c.set_all(&["schedule_d.type=step", "schedule_d.every=2", "schedule_d.gamma=0.9999"]).unwrap();
    same(&c);
}

#[test]
fn a_folder_keeps_results_of_one_game() {
    let tmp = Scratch::new("modes-folder");
    let dir = tmp.0.join("ring");
    let config = recipe("gan", Synthetic::Ring8).unwrap().lasting(2);
    let folder = Folder::open(&dir, &config).unwrap();
    assert!(folder.finished(4).unwrap().is_none());
    let result = played(&config, 4);
    folder.keep(&result).unwrap();
    assert_eq!(Folder::open(&dir, &config).unwrap().finished(4).unwrap(), Some(result));
    let other = Folder::open(&dir, &config.clone().lasting(3)).unwrap_err().to_string();
    assert!(other.contains("other settings") && other.contains("name another folder"), "{other}");
    // A file under another seed's name, and one that was cut off.
    std::fs::copy(dir.join("seed-004.json"), dir.join("seed-005.json")).unwrap();
    std::fs::write(dir.join("seed-006.json"), "{\"task\":").unwrap();
    for seed in [5, 6] {
        let problem = folder.finished(seed).unwrap_err().to_string();
        assert!(
            problem.contains(&format!("seed-00{seed}.json")) && problem.contains("remove it"),
            "{problem}"
        );
    }
}

#[test]
fn a_second_start_plays_only_what_is_missing() {
    let tmp = Scratch::new("modes-again");
    let dir = tmp.path("ring");
    let start = |more: &[&str]| {
        let mut args = vec!["modes", "ring8", "--steps", "20", "--threads", "2", "--out", &dir];
        args.extend(more);
        let out = run(&args);
        assert!(out.status.success(), "{}", text(&out.stderr));
        (text(&out.stdout), text(&out.stderr))
    };
    let file = |name: &str| std::fs::read(Path::new(&dir).join(name)).unwrap();
    let (table, err) = start(&["--seeds", "2"]);
    assert!(err.contains("playing 2 seeds of r3gan on ring8, 20 steps each, 2 side by side"), "{err}");
    assert!(
        ["seed 0 ", "seed 1 ", "mean ", "real data ", "VEEGAN"].iter().all(|s| table.contains(s)),
        "{table}"
    );
    assert!(table.contains("published, by other networks") && table.contains("arXiv:1712.04086"), "{table}");
    assert_eq!(&file("samples.png")[1..4], b"PNG");
    let before = (file("seed-000.json"), file("seed-001.json"));
    let (json, err) = start(&["--seeds", "3", "--json"]);
    assert!(err.contains("2 of 3 seeds are in") && err.contains("playing 1 seed "), "{err}");
    assert_eq!(before, (file("seed-000.json"), file("seed-001.json")), "they are not played again");
    assert_eq!(json.as_bytes(), file("summary.json"));
    let summary: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(summary["seeds"].as_array().unwrap().len(), 3);
    let mean =
        summary["seeds"].as_array().unwrap().iter().map(|s| s["score"]["high_quality"].as_f64().unwrap());
    let mean = mean.sum::<f64>() / 3.0;
    assert!((summary["mean"]["high_quality"]["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
    // Real data at 2500 samples: within 3 sigma with probability 1 - exp(-9/2); 20 draws leave 0.05 points.
    let real = summary["real"]["high_quality"]["mean"].as_f64().unwrap();
    assert!((real - 0.9889).abs() < 0.003, "{real}");
    let (_, err) = start(&["--seeds", "3"]);
    assert!(err.contains("3 of 3 seeds are in") && !err.contains("playing"), "{err}");
    let (code, err) = fails(&["modes", "ring8", "--steps", "21", "--out", &dir]);
    assert!(code == 2 && err.contains("other settings") && err.contains("name another folder"), "{err}");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let tmp = Scratch::new("modes-refused");
    let dir = tmp.path("out");
    for (args, hint) in [
        (&["two-moons"][..], "use one of ring8, grid25, imbalanced-ring"),
        (&["ring9"], "did you mean 'ring8'?"),
        (&["ring8", "--recipe", "wgangp"], "did you mean 'wgan-gp'?"),
        (&["ring8", "--seeds", "0"], "use 1 to 10000 seeds"),
        (&["ring8", "--first-seed", "18446744073709551615"], "9223372036854775807"),
        (&["ring8", "--steps", "0"], "at least 1"),
        (&["ring8", "--threads", "0"], "--threads"),
        (&["ring8", "--set", "steps=5"], "use --steps"),
        (&["ring8", "--set", "task=grid25"], "name it in place of this one"),
        (&["ring8", "--set", "hidden_g=[]"], "[128, 128, 128] is usual"),
        (&["ring8", "--set", "hidden_d=[0]"], "[128, 128, 128] is usual"),
        (&["ring8", "--set", "scale=0"], "above 0"),
        (&["ring8", "--set", "scale=nan"], "above 0"),
        (&["ring8", "--set", "step.pack=3"], "packs divide the batch"),
        (&["ring8", "--set", "step.r1=-1"], "0 or more"),
        (&["ring8", "--set", "step.r3=1"], "did you mean 'r1'?"),
        (&["ring8", "--set", "batch=0"], "batch"),
        (&["ring8", "--set", "schedule_gamma.every=0"], "at least 1"),
    ] {
        let mut all = vec!["modes"];
        all.extend(args);
        all.extend(["--out", &dir]);
        let (code, err) = fails(&all);
        assert!(code == 2 && err.contains(hint), "{args:?}: {code}, {err}");
        assert!(!Path::new(&dir).exists(), "{args:?}: nothing is made");
    }
}

#[test]
#[cfg(unix)]
fn ctrl_c_keeps_finished_seeds() {
    use std::process::{Command, Stdio};
    let tmp = Scratch::new("modes-signal");
    let dir = tmp.path("ring");
    let args = ["modes", "ring8", "--steps", "30", "--seeds", "10000", "--threads", "2", "--out", &dir];
    let mut child = program(&args).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let first = Path::new(&dir).join("seed-000.json");
    while !first.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let out = child.wait_with_output().unwrap();
    let err = text(&out.stderr);
    assert_eq!(out.status.code(), Some(130), "{err}");
    assert!(err.contains("finished seeds are in") && text(&out.stdout).is_empty(), "{err}");
    let out = run(&["modes", "ring8", "--steps", "30", "--seeds", "1", "--out", &dir]);
    assert!(
        out.status.success() && text(&out.stderr).contains("1 of 1 seeds are in"),
        "{}",
        text(&out.stderr)
    );
    let alone = played(&recipe("r3gan", Synthetic::Ring8).unwrap().lasting(30), 0);
    let kept: SeedResult = serde_json::from_slice(&std::fs::read(first).unwrap()).unwrap();
    assert_eq!(kept.score, alone.score, "as the seed gives by itself");
    assert_eq!(kept.snapshots.iter().map(|s| s.0).collect::<Vec<_>>(), modes::snapshot_steps(30));
}
