//! The scarce-label experiment: that test images decide nothing, arms are independent of each other, and no finished cell
//! is lost.

use common::{Scratch, fails, program, run, text};
use ganvil::data::{Dataset, Images, Jitter};
use ganvil::gan::augment::{Arm, AugmentConfig, Cell, CellResult, Experiment, Progress, TrainedOn};
use ganvil::metrics::{ClassifierConfig, ClassifierTrainer};
use ganvil::rng::{Key, Philox, Stream};
use ganvil::{Device, threads};
use rand::RngExt;
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

mod common;

const SIDE: usize = 28;
const CLASSES: u32 = 3;

/// Bars that lie, stand or lean, each somewhere else, on noise.
fn bars(count: usize, seed: u64) -> Dataset {
    let mut random = Philox::new(Key::new(seed, Stream::General), 0);
    let labels: Vec<u32> = (0..count as u32).map(|i| i % CLASSES).collect();
    let mut pixels = Vec::with_capacity(count * SIDE * SIDE);
    for label in &labels {
        let at: i32 = random.random_range(-5..=5);
        for y in 0..SIDE as i32 {
            for x in 0..SIDE as i32 {
                let from = [y - 14, x - 14, (y - x) / 2][*label as usize];
                let ink = (from - at).abs() <= 2 && (4..24).contains(&x) && (4..24).contains(&y);
                pixels.push(random.random_range(0..40) + if ink { 200 } else { 0 });
            }
        }
    }
    let images = Images { count, channels: 1, rows: SIDE, cols: SIDE, pixels };
    let classes = (0..CLASSES).map(|c| c.to_string()).collect();
    Dataset { images, labels: Some(labels), classes, name: "bars".into() }
}

fn tiny() -> AugmentConfig {
    let mut config = AugmentConfig {
        ratios: vec![1, 2],
        validation: 8,
        gan_states: 2,
        classifier_states: 2,
        ..AugmentConfig::default()
    };
    (config.gan.steps, config.gan.batch, config.gan.latent) = (4, 12, 8);
    (config.classifier.steps, config.classifier.batch) = (Some(12), 12);
    config
}

fn experiment(config: AugmentConfig, test: Dataset) -> Experiment {
    Experiment::new(config, bars(150, 1), test).unwrap()
}

fn result(config: AugmentConfig, test: Dataset) -> CellResult {
    let cell = Cell { per_class: 5, seed: 3 };
    let never = AtomicBool::new(false);
    experiment(config, test).run(cell, Device::Cpu, &never, &mut |_| {}).unwrap().timeless()
}

#[test]
fn every_arm_is_trained_as_planned() {
    let config = tiny();
    let planned = config.trainings();
    let (mut seen, mut gans) = (vec![], vec![]);
    let cell = Cell { per_class: 5, seed: 3 };
    let r = experiment(config, bars(60, 2))
        .run(cell, Device::Cpu, &AtomicBool::new(false), &mut |p| match p {
            Progress::Arm(a) => seen.push(a.arm),
            Progress::Gan(g) => gans.push(g.on),
        })
        .unwrap();
    assert_eq!((seen, gans), (Arm::ALL.to_vec(), vec![TrainedOn::Labelled, TrainedOn::All]));
    assert_eq!((r.trained, r.cell), (planned, cell));
    // 1 + 1 for the labelled images, 2 ratios of four arms, 1 of gan-only, and 2 states of two GANs.
    assert_eq!((planned.gans, planned.classifiers), (2, 2 + 4 * 2 + 1 + 2 * 2));
    for a in &r.arms {
        let ratios: Vec<_> = a.ratios.iter().map(|r| r.0).collect();
        assert_eq!(
            ratios,
            if a.arm.adds_images() { vec![Some(1), Some(2)] } else { vec![None] },
            "{}",
            a.arm
        );
        let best = a.ratios.iter().map(|r| r.1).fold(0.0, f64::max);
        assert!(a.validation == best && a.ratios.contains(&(a.ratio, best)), "{a:?}");
        assert!([6, 12].contains(&a.step) && (0.0..=1.0).contains(&a.test), "{a:?}");
    }
    let few = &r.gans[0];
    assert_eq!(few.states.iter().map(|s| s.0).collect::<Vec<_>>(), [2, 4]);
    let chosen = few.states.iter().find(|s| s.0 == few.steps).unwrap().1;
    assert_eq!(r.arm(Arm::GanOnly).unwrap().ratios[1].1, chosen, "the classifier that chose the state");
    let memory = few.memory.unwrap();
    assert!(memory.held_out > 0.0 && memory.fakes > 0.0 && r.gans[1].memory.is_none());
    assert!((0.0..=1.0).contains(&r.pseudo_labels.unwrap()));
}

#[test]
fn results_do_not_depend_on_threads_or_on_other_arms() {
    let of = |n| threads(n, || result(tiny(), bars(60, 2)));
    let all = of(1);
    assert_eq!(of(3), all);
    let some = AugmentConfig { arms: Arm::with_references(&[Arm::GanJitter]), ..tiny() };
    let some = result(some, bars(60, 2));
    assert_eq!(some.arms.len(), 3);
    for a in &some.arms {
        assert_eq!(all.arm(a.arm), Some(a), "an arm is the same beside others");
    }
    assert_ne!(some.settings, all.settings);
}

#[test]
fn the_test_images_decide_nothing() {
    let mut wrong = bars(60, 2);
    wrong.labels.iter_mut().flatten().for_each(|l| *l = (*l + 1) % CLASSES);
    let blind = |mut r: CellResult| {
        r.arms.iter_mut().for_each(|a| a.test = 0.0);
        r.settings.clear();
        r
    };
    let (right, wrong) = (result(tiny(), bars(60, 2)), result(tiny(), wrong));
    assert!(right.arms.iter().zip(&wrong.arms).any(|(a, b)| a.test != b.test));
    assert_eq!(blind(right), blind(wrong));
}

#[test]
fn few_labels_are_enough_for_what_is_easy_and_jitter_is_seen() {
    let steps = |mut c: AugmentConfig| {
        c.arms = vec![Arm::Real, Arm::Jitter];
        c.classifier.steps = Some(80);
        c
    };
    let r = result(steps(tiny()), bars(60, 2));
    assert!(r.arm(Arm::Real).unwrap().test > 0.8, "{:?}", r.arms);
    let none = Jitter { degrees: 0.0, scale: 0.0, shear: 0.0, shift: 0.0 };
    let same = result(AugmentConfig { jitter: none, ..steps(tiny()) }, bars(60, 2));
    let without = |a: Arm| {
        let a = same.arm(a).unwrap();
        (a.step, a.validation, a.test)
    };
    assert_eq!(without(Arm::Jitter), without(Arm::Real), "maps that do nothing change nothing");
}

#[test]
fn a_classifier_takes_as_many_steps_as_it_is_told_whatever_the_data() {
    let loss = |jitter| {
        let config =
            ClassifierConfig { steps: Some(6), batch: 12, shift: 0, jitter, ..ClassifierConfig::default() };
        let mut t = ClassifierTrainer::new(config, Arc::new(bars(24, 1)), Device::Cpu).unwrap();
        (0..6).map(|_| t.step().unwrap()).collect::<Vec<_>>()
    };
    let plain = loss(None);
    let none = Jitter { degrees: 0.0, scale: 0.0, shear: 0.0, shift: 0.0 };
    assert_eq!(loss(Some(none)), plain);
    let jittered = loss(Some(Jitter::default()));
    assert_ne!(jittered[0], plain[0], "the first batch is altered already");
    assert_eq!(loss(Some(Jitter::default())), jittered);
    let bad = ClassifierConfig { steps: Some(0), ..ClassifierConfig::default() };
    assert!(bad.check().unwrap_err().to_string().contains("invalid steps '0'"));
}

/// A folder of IDX files.
fn write(dir: &Path) {
    std::fs::create_dir_all(dir).unwrap();
    for (prefix, data) in [("train", bars(150, 1)), ("t10k", bars(60, 2))] {
        let head = |magic: u32, sizes: &[usize]| {
            let sizes = sizes.iter().flat_map(|n| (*n as u32).to_be_bytes());
            magic.to_be_bytes().into_iter().chain(sizes).collect::<Vec<u8>>()
        };
        let images = [head(0x803, &[data.images.count, SIDE, SIDE]), data.images.pixels].concat();
        let labels: Vec<u8> = data.labels.unwrap().into_iter().map(|l| l as u8).collect();
        let labels = [head(0x801, &[labels.len()]), labels].concat();
        std::fs::write(dir.join(format!("{prefix}-images-idx3-ubyte")), images).unwrap();
        std::fs::write(dir.join(format!("{prefix}-labels-idx1-ubyte")), labels).unwrap();
    }
}

/// Settings as those of [`tiny`].
const TINY: [&str; 17] = [
    "--ratio",
    "1,2",
    "--steps",
    "4",
    "--set",
    "validation=8",
    "--set",
    "gan_states=2",
    "--set",
    "gan.batch=12",
    "--set",
    "gan.latent=8",
    "--set",
    "classifier.batch=12",
    "--set",
    "classifier.steps=12",
    "--threads=2",
];

struct Place {
    _tmp: Scratch,
    data: String,
    out: String,
}

impl Place {
    fn new(name: &str) -> Place {
        let tmp = Scratch::new(name);
        let (data, out) = (tmp.path("bars"), tmp.path("out"));
        write(Path::new(&data));
        Place { _tmp: tmp, data, out }
    }

    fn args<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        [&["augment", "--data", &self.data, "--out", &self.out], &TINY[..], more].concat()
    }

    /// Stdout and stderr.
    fn start(&self, more: &[&str]) -> (String, String) {
        let out = run(&self.args(more));
        let err = text(&out.stderr);
        assert!(out.status.success(), "{err}");
        (text(&out.stdout), err)
    }

    fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(Path::new(&self.out).join(name)).unwrap()
    }
}

#[test]
fn the_command_prints_a_table_and_goes_on_where_it_stopped() {
    let place = Place::new("augment");
    let (table, err) = place.start(&["--per-class", "5,6", "--seeds", "2"]);
    assert!(err.contains("4 cells, 2 side by side: 8 GANs of 4 steps and 60 classifiers of 12"), "{err}");
    assert!(err.contains("n = 6, seed 1: done in") && err.contains("4 of 4"), "{err}");
    for part in [
        "accuracy on 60 test images",
        "n = 5 of each class, 2 seeds",
        "n = 6 of each class, 2 seeds",
        "GAN of the labelled images: fakes are",
        "labels given to unlabelled images",
        // Six arms besides real, two of which are compared twice, for two numbers of labels.
        "of 16 such intervals 0.8 leave out 0 by chance",
        "the arms pseudo and semi use the unlabelled training images",
    ] {
        assert!(table.contains(part), "no '{part}' in {table}");
    }
    for arm in Arm::ALL {
        let lines = table.lines().filter(|l| l.split(' ').next() == Some(arm.name())).count();
        assert_eq!(lines, 2, "{arm}: {table}");
    }
    let kept = place.file("n-00006-seed-001.json");
    let (json, err) = place.start(&["--per-class", "5,6", "--seeds", "3", "--json"]);
    assert!(err.contains("4 of 6 cells are in") && err.contains("2 cells, 2 side by side"), "{err}");
    assert_eq!(kept, place.file("n-00006-seed-001.json"), "it is not run again");
    assert_eq!(json.as_bytes(), place.file("summary.json"));
    check(&serde_json::from_str(&json).unwrap());
    let (again, err) = place.start(&["--per-class", "5,6", "--seeds", "2"]);
    assert!(again == table && err.contains("4 of 4 cells are in") && !err.contains("side by side"), "{err}");
    let (one, _) = place.start(&["--per-class", "5", "--seeds", "1"]);
    assert!(one.contains("one seed, no interval") && one.contains("one seed has no interval; use --seeds 5"));
    let (code, err) = fails(&place.args(&["--per-class", "5", "--arms", "gan"]));
    assert!(code == 2 && err.contains("other settings") && err.contains("name another folder"), "{err}");
}

/// The summary's means and differences are those of its cells.
fn check(summary: &Value) {
    let (rows, cells) = (summary["rows"].as_array().unwrap(), summary["cells"].as_array().unwrap());
    assert_eq!((rows.len(), cells.len(), summary["test_images"].as_u64()), (2, 6, Some(60)));
    for row in rows {
        let tests = |arm: &str| -> Vec<f64> {
            let of = cells.iter().filter(|c| c["cell"]["per_class"] == row["per_class"]);
            let arms = of.flat_map(|c| c["arms"].as_array().unwrap());
            arms.filter(|a| a["arm"] == arm).map(|a| a["test"].as_f64().unwrap()).collect()
        };
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        for arm in row["arms"].as_array().unwrap() {
            let own = tests(arm["arm"].as_str().unwrap());
            assert_eq!(own.len(), 3);
            assert!((arm["test"]["mean"].as_f64().unwrap() - mean(&own)).abs() < 1e-12);
            for compared in arm["compared"].as_array().unwrap() {
                let theirs = tests(compared["with"].as_str().unwrap());
                let apart: Vec<f64> = own.iter().zip(&theirs).map(|(a, b)| a - b).collect();
                let m = mean(&apart);
                // The 0.975 quantile of two degrees of freedom.
                let deviation = (apart.iter().map(|d| (d - m).powi(2)).sum::<f64>() / 2.0).sqrt();
                let half = 4.302_652_73 * deviation / 3f64.sqrt();
                let [low, high] = [0, 1].map(|i| compared["interval"][i].as_f64().unwrap());
                assert!((low - (m - half)).abs() < 1e-8 && (high - (m + half)).abs() < 1e-8, "{compared}");
                let verdict = match (low > 0.0, high < 0.0) {
                    (true, _) => "helps",
                    (_, true) => "hurts",
                    _ => "no-difference-shown",
                };
                assert_eq!(compared["verdict"], verdict);
            }
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_made() {
    let place = Place::new("augment-refused");
    for (args, hint) in [
        (
            &["--per-class", "43"][..],
            "class 0 has 50 training images, 8 of them for validation; use at most 42",
        ),
        (&["--per-class", "3"], "9 labelled images are no batch of 12; use at least 4"),
        (&["--per-class", "30"], "arm pseudo adds up to 180 unlabelled images, and there are 36"),
        (&["--per-class", "10,5"], "rising whole numbers"),
        (&["--per-class", "0"], "rising whole numbers"),
        (&["--arms", "gans"], "did you mean 'gan'?"),
        (&["--seeds", "0"], "use 1 to 1000 seeds"),
        (&["--threads", "0"], "--threads"),
        (&["--set", "ratios=[1]"], "use --ratio"),
        (&["--set", "gan.steps=9"], "use --steps"),
        (&["--set", "gan.step.agument=x"], "did you mean 'augment'?"),
        (&["--set", "gan.conditioning=none"], "asked for classes"),
        (&["--set", "jitter.scale=2"], "jitter.scale"),
        (&["--set", "classifier_states=13"], "use 1 to 12"),
        (&["--set", "validation=0"], "at least 1 image of each class"),
    ] {
        let (code, err) = fails(&place.args(args));
        assert!(code == 2 && err.contains(hint), "{args:?}: {code}, {err}");
        assert!(!Path::new(&place.out).exists(), "{args:?}: nothing is made");
    }
    let ratio = ["augment", "--data", &place.data, "--out", &place.out, "--ratio", "5,1"];
    let (code, err) = fails(&ratio);
    assert!(code == 2 && err.contains("rising whole numbers from 1 to 1000"), "{err}");
}

#[test]
#[cfg(unix)]
fn ctrl_c_keeps_finished_cells() {
    use std::process::{Command, Stdio};
    let place = Place::new("augment-signal");
    let args = place.args(&["--arms", "jitter", "--per-class", "5", "--seeds", "1000"]);
    let mut child = program(&args).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let first = Path::new(&place.out).join("n-00005-seed-000.json");
    while !first.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let out = child.wait_with_output().unwrap();
    let err = text(&out.stderr);
    assert_eq!(out.status.code(), Some(130), "{err}");
    assert!(err.contains("finished cells are in") && text(&out.stdout).is_empty(), "{err}");
    let (_, err) = place.start(&["--arms", "jitter", "--per-class", "5", "--seeds", "1"]);
    assert!(err.contains("1 of 1 cells are in"), "{err}");
}
