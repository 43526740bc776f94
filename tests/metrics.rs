//! Samples measured against real images: generators that fail on purpose, and what results must not depend on.

mod common;

use common::{Scratch, fails, run, text};
use ganvil::data::{Dataset, Images, Split, locate};
use ganvil::gan::{EvaluationRecord, TrainConfig};
use ganvil::metrics::{Evaluation, Evaluator, FeatureNet, FindingKind, Metric, Reals, Wanted};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::OnceLock;

/// Samples and real images of each side.
const N: usize = 1000;

/// Training images, test images, and training images that no generator here has seen.
fn data() -> &'static [Dataset; 3] {
    static DATA: OnceLock<[Dataset; 3]> = OnceLock::new();
    DATA.get_or_init(|| {
        let load = |split| Dataset::load(locate(None).unwrap(), split).unwrap();
        let (train, test) = (load(Split::Train), load(Split::Test));
        let rest = pick(&train, 4000..5500);
        [train.first(4000), test, rest]
    })
}

fn pick(d: &Dataset, which: impl Iterator<Item = usize> + Clone) -> Dataset {
    let pixels = which.clone().flat_map(|i| d.images.image(i).to_vec()).collect();
    let labels = Some(which.clone().map(|i| d.labels.as_ref().unwrap()[i]).collect());
    let images = Images { count: which.count(), pixels, ..d.first(0).images };
    Dataset { images, labels, ..d.first(0) }
}

/// The images with each pixel moved by up to `most`, by a sequence that repeats itself nowhere near.
fn noised(images: &Images, most: i32) -> Images {
    let mut state = 1u64;
    let mut draw = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as i32 % (2 * most + 1) - most
    };
    let pixels = images.pixels.iter().map(|v| (i32::from(*v) + draw()).clamp(0, 255) as u8).collect();
    Images { pixels, ..images.clone() }
}

fn evaluator(metrics: &[Metric], n: usize) -> Evaluator {
    let [train, test, _] = data();
    let wanted = Wanted {
        metrics: metrics.iter().copied().collect::<BTreeSet<_>>(),
        against: Split::Test,
        n,
        seed: 0,
    };
    let reals = Reals { train: Some(train), test: Some(test) };
    Evaluator::new(FeatureNet::mnist().unwrap(), &reals, wanted).unwrap()
}

fn kinds(e: &Evaluation) -> Vec<FindingKind> {
    e.findings.iter().map(|f| f.kind).collect()
}

#[test]
fn failing_generators_are_told_apart() {
    use Metric::{Copies, Coverage, Density, FeatureCopies, Fid, Precision, Recall, Strays};
    let [train, test, rest] = data();
    let e = evaluator(&[Fid, Precision, Recall, Density, Coverage, Copies, FeatureCopies, Strays], N);
    let measure = |images: &Images| e.evaluate(images, None).unwrap();

    let good = measure(&rest.images);
    assert_eq!(kinds(&good), [], "{:?}", good.findings);
    // A good draw is at the floor.
    let ratio = good.metrics[&Fid].ratio.unwrap();
    assert!((0.5..1.5).contains(&ratio), "{ratio}");

    // Twenty pictures over and over, which are good ones, of all classes and of no training image.
    let few = noised(&pick(test, (0..N).map(|i| i % 20)).images, 3);
    let collapsed = measure(&few);
    assert_eq!(kinds(&collapsed)[0], FindingKind::Collapsed, "{:?}", collapsed.findings);
    assert!(collapsed.metrics[&Precision].value > 0.8 && collapsed.metrics[&Recall].value < 0.2);
    assert!(!kinds(&collapsed).contains(&FindingKind::Memorising));

    // Training images from memory: the best distance of all, and worth nothing.
    let memorising = measure(&noised(&train.first(N).images, 1));
    assert_eq!(kinds(&memorising), [FindingKind::Memorising], "{:?}", memorising.findings);
    let ratio = memorising.metrics[&Fid].ratio.unwrap();
    assert!(ratio < 2.0, "{ratio}: as near as real images but for the draw");
    assert!(memorising.metrics[&Copies].value > 0.9 && good.metrics[&Copies].value < 0.05);

    // Real digits under noise. The classifier, which is trained to look past it, finds them precise; pixels do not.
    let noisy = measure(&noised(&rest.images, 140));
    assert_eq!(kinds(&noisy)[0], FindingKind::Noisy, "{:?}", noisy.findings);
    assert!(!kinds(&noisy).contains(&FindingKind::Collapsed));
    let ratio = noisy.metrics[&Precision].ratio.unwrap();
    assert!(ratio > 0.8 && noisy.findings[0].text.contains("in pixels"), "{ratio}, {:?}", noisy.findings);

    // The report of a run says so, and of a good one nothing.
    let tmp = Scratch::new("failing");
    let all = ["Collapsed", "Memorising", "Noisy"];
    for (name, evaluation) in [("good", good), (all[0], collapsed), (all[1], memorising), (all[2], noisy)] {
        let dir = tmp.path(name);
        std::fs::create_dir_all(&dir).unwrap();
        let config = toml::to_string(&TrainConfig::default()).unwrap();
        std::fs::write(format!("{dir}/config.toml"), config).unwrap();
        let record = EvaluationRecord { step: 1000, kimg: 64.0, evaluation };
        let line = serde_json::to_string(&record).unwrap() + "\n";
        std::fs::write(format!("{dir}/metrics.jsonl"), line).unwrap();
        let out = run(&["report", &dir]);
        assert!(out.status.success(), "{}", text(&out.stderr));
        let page = std::fs::read_to_string(format!("{dir}/report.html")).unwrap();
        let named: Vec<&str> =
            all.into_iter().filter(|kind| page.contains(&format!("<h3>{kind}</h3>"))).collect();
        assert_eq!(named.first().copied().unwrap_or("good"), name);
        // What is between backticks looks otherwise on a page, and a number keeps its sign.
        let said = record.evaluation.findings.first().map_or("", |f| f.text.split('`').next().unwrap());
        assert!(page.contains(&said.replace(" %", "\u{a0}%")), "{name}: '{said}' is not in {dir}");
    }
}

#[test]
fn results_depend_on_neither_order_nor_threads() {
    let metrics =
        [Metric::Fid, Metric::Precision, Metric::Score, Metric::Kid, Metric::FidInfinity, Metric::Copies];
    let rest = &data()[2];
    let measure = |threads: usize, images: &Images| {
        let found = ganvil::threads(threads, || evaluator(&metrics, N).evaluate(images, None).unwrap());
        serde_json::to_string(&found).unwrap()
    };
    let backwards = pick(rest, (0..rest.images.count).rev());
    let want = measure(1, &rest.images);
    assert_eq!(want, measure(2, &backwards.images));
    // Nor on the order of real images, but for what the sets are known by.
    let turned = |d: &Dataset| pick(d, (0..d.images.count).rev());
    let [train, test, _] = data();
    let (train, test) = (turned(train), turned(test));
    let wanted = Wanted { metrics: metrics.into(), against: Split::Test, n: N, seed: 0 };
    let reals = Reals { train: Some(&train), test: Some(&test) };
    let e = Evaluator::new(FeatureNet::mnist().unwrap(), &reals, wanted).unwrap();
    let found = e.evaluate(&rest.images, None).unwrap();
    assert_eq!(found.metrics, serde_json::from_str::<Value>(&want).map(|v| measured(&v["metrics"])).unwrap());
}

fn measured(metrics: &Value) -> std::collections::BTreeMap<Metric, ganvil::metrics::Measured> {
    let metrics = metrics.as_object().unwrap();
    metrics.iter().map(|(m, v)| (m.parse().unwrap(), serde_json::from_value(v.clone()).unwrap())).collect()
}

/// A folder of pictures in classes that no classifier knows, which the run's settings name.
#[test]
fn runs_on_pictures_are_measured_by_their_own_pictures() {
    let tmp = Scratch::new("pictures");
    let (photos, images) = (tmp.path("photos"), &data()[2].images);
    for (class, name) in ["a", "b", "c"].iter().enumerate() {
        let values: Vec<f32> =
            (0..50).flat_map(|i| images.image(50 * class + i).to_vec()).map(ganvil::data::to_unit).collect();
        ganvil::report::save_pictures(format!("{photos}/{name}"), &values, [50, 1, 28, 28]).unwrap();
    }
    for (name, pad, side) in [("plain", &[][..], 28), ("padded", &["--pad", "32"], 32)] {
        let dir = tmp.path(name);
        let train = [
            "train",
            "mlp-a",
            "--data",
            &photos,
            "--steps",
            "2",
            "--batch",
            "16",
            "--out",
            &dir,
            "--threads",
            "1",
        ];
        let out = run(&[&train[..], pad].concat());
        assert!(out.status.success(), "{}", text(&out.stderr));
        let out =
            run(&["evaluate", &dir, "--n", "60", "--metrics", "fid,precision", "--json", "--threads", "1"]);
        assert!(out.status.success(), "{}", text(&out.stderr));
        assert!(text(&out.stderr).contains("no classifier knows these pictures"), "{}", text(&out.stderr));
        let found: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!((&found["features"], &found["against"]), (&"pixels".into(), &"half of photos".into()));
        let mut fid = found["metrics"]["fid"]["value"].as_f64().unwrap();
        // Background is the same in all pictures: it adds nothing to the distance of real ones, and samples of two steps
        // are grey there.
        assert!(fid > found["metrics"]["fid"]["floor"].as_f64().unwrap(), "{side}: {found}");
        fid /= f64::from(side * side);
        assert!(fid < 1.0, "{side}: squared distances of pixels in [0, 1]");
        let (code, err) = fails(&["evaluate", &dir, "--n", "60", "--metrics", "copies"]);
        assert!(code == 2 && err.contains("both a train and a test split"), "{err}");
    }
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let [train, test, rest] = data();
    let says = |wanted: Wanted, net: FeatureNet, parts: &[&str]| {
        let reals = Reals { train: Some(train), test: Some(test) };
        let message = Evaluator::new(net, &reals, wanted).err().expect("refused").to_string();
        parts.iter().for_each(|part| assert!(message.contains(part), "{message}"));
    };
    let wanted = |metric, n| Wanted { metrics: [metric].into(), against: Split::Test, n, seed: 0 };
    let digits = || FeatureNet::mnist().unwrap();
    says(wanted(Metric::Kid, 999), digits(), &["'kid'", "999", "1000"]);
    says(wanted(Metric::Fid, 20), digits(), &["'fid'", "20"]);
    says(wanted(Metric::Score, 100), FeatureNet::Pixels, &["'score'", "pixels"]);
    says(wanted(Metric::Fid, 4001), digits(), &["--n '4001'", "4000"]);
    let e = evaluator(&[Metric::Fid], 100);
    let other = Images { count: 100, channels: 1, rows: 32, cols: 32, pixels: vec![0; 100 * 1024] };
    let message = e.evaluate(&other, None).unwrap_err().to_string();
    assert!(message.contains("1 x 32 x 32") && message.contains("1 x 28 x 28"), "{message}");
    let message = e.evaluate(&rest.first(60).images, None).unwrap_err().to_string();
    assert!(message.contains("60 samples"), "{message}");

    // The classifier of digits says so of labels that are not those of the images.
    let labels: Vec<u32> = test.labels.as_ref().unwrap().iter().map(|l| (l + 1) % 10).collect();
    let others = Dataset { labels: Some(labels), ..test.clone() };
    let reals = Reals { train: Some(train), test: Some(&others) };
    let message = Evaluator::new(digits(), &reals, wanted(Metric::Fid, 100)).err().unwrap().to_string();
    assert!(message.contains("trained on others"), "{message}");
    // And of data of more classes than it knows.
    let classes = (0..15).map(|c| c.to_string()).collect();
    let labels: Vec<u32> = (0..test.images.count as u32).map(|i| i % 15).collect();
    let letters = Dataset { labels: Some(labels), classes, ..test.clone() };
    for (train, test) in [(train, &letters), (&letters, test)] {
        let reals = Reals { train: Some(train), test: Some(test) };
        let message = Evaluator::new(digits(), &reals, wanted(Metric::Fid, 100)).err().unwrap().to_string();
        assert!(message.contains("10 classes apart, and the data has 15"), "{message}");
    }
    let nothing = Wanted { metrics: BTreeSet::new(), against: Split::Test, n: 5, seed: 0 };
    says(nothing, FeatureNet::Pixels, &["--n '5'", "nothing can be measured", "50"]);
    says(wanted(Metric::GanTrain, 100), digits(), &["'gan-train'", "128"]);
    let half = Reals { train: Some(train), test: None };
    let message = Evaluator::new(digits(), &half, wanted(Metric::Strays, 100)).err().unwrap().to_string();
    assert!(message.contains("'strays'") && message.contains("a train and a test split"), "{message}");
    let wide = |d: &Dataset| {
        let images =
            Images { count: 200, channels: 3, rows: 64, cols: 64, pixels: vec![0; 200 * 3 * 64 * 64] };
        Dataset { images, labels: None, ..d.clone() }
    };
    let (train, test) = (wide(train), wide(test));
    let reals = Reals { train: Some(&train), test: Some(&test) };
    let message =
        Evaluator::new(FeatureNet::Pixels, &reals, wanted(Metric::Fid, 100)).err().unwrap().to_string();
    assert!(message.contains("12288 features") && message.contains("4096"), "{message}");
}

#[test]
fn a_run_that_cannot_be_measured_leaves_nothing_behind() {
    let tmp = Scratch::new("not-measured");
    let dir = tmp.path("run");
    for (metrics, n, parts) in [
        ("fid", "20000", ["--eval-n", "10000"]),
        ("kid", "100", ["--eval-metrics", "1000"]),
        ("fid,agreement", "100", ["--eval-metrics", "conditional run"]),
    ] {
        let (code, err) = fails(&[
            "train",
            "mlp-a",
            "--steps",
            "2",
            "--eval-every",
            "1",
            "--eval-metrics",
            metrics,
            "--eval-n",
            n,
            "--out",
            &dir,
        ]);
        assert!(code == 2 && parts.iter().all(|part| err.contains(part)), "{err}");
        assert!(!std::path::Path::new(&dir).exists(), "{metrics}");
    }
}

/// Samples are measured as bytes: floats that round to the same ones are the same samples.
#[test]
fn floats_are_made_bytes_before_they_are_measured() {
    let net = FeatureNet::mnist().unwrap();
    let floats: Vec<f32> =
        data()[2].images.image(0).iter().map(|v| ganvil::data::to_unit(*v) + 1e-3).collect();
    let images = net.images(&floats, [1, 28, 28], None).unwrap();
    assert_eq!(images.pixels, data()[2].images.image(0));
}

#[test]
fn a_run_measures_on_the_way_and_keeps_the_best() {
    let tmp = Scratch::new("eval-every");
    let dir = tmp.path("run");
    let train = |steps: &str, dir: &str| {
        run(&[
            "train",
            "mlp-a",
            "--steps",
            steps,
            "--batch",
            "16",
            "--eval-every",
            "2",
            "--eval-n",
            "60",
            "--eval-metrics",
            "fid,recall",
            "--keep-best",
            "2",
            "--out",
            dir,
            "--threads",
            "1",
        ])
    };
    let out = train("7", &dir);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("step 2: fid "), "{}", text(&out.stderr));
    let read = |dir: &str| -> Vec<Value> {
        let lines = std::fs::read_to_string(format!("{dir}/metrics.jsonl")).unwrap();
        lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    };
    let records = read(&dir);
    assert_eq!(records.iter().map(|r| r["step"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 4, 6, 7]);
    let mut best: Vec<(f64, u64)> = records
        .iter()
        .map(|r| (r["metrics"]["fid"]["value"].as_f64().unwrap(), r["step"].as_u64().unwrap()))
        .collect();
    best.sort_by(|a, b| a.0.total_cmp(&b.0));
    for (_, step) in &best[..2] {
        assert!(std::path::Path::new(&format!("{dir}/checkpoints/best/step-{step:08}.safetensors")).exists());
    }
    assert!(
        !std::path::Path::new(&format!("{dir}/checkpoints/best/step-{:08}.safetensors", best[3].1)).exists()
    );
    // A run that is taken up again has the records of one that never stopped, and measuring leaves the game as it is.
    let halves = tmp.path("halves");
    assert!(train("4", &halves).status.success());
    assert!(run(&["resume", &halves, "--steps", "7", "--threads", "1"]).status.success());
    assert_eq!(read(&dir), read(&halves));
    for (_, step) in &best[..2] {
        let [one, other] = [&dir, &halves]
            .map(|d| std::fs::read(format!("{d}/checkpoints/best/step-{step:08}.safetensors")).unwrap());
        assert_eq!(one, other);
    }
    let last = "checkpoints/step-00000007.safetensors";
    assert_eq!(
        std::fs::read(format!("{dir}/{last}")).unwrap(),
        std::fs::read(format!("{halves}/{last}")).unwrap()
    );
    let plain = tmp.path("plain");
    assert!(
        run(&["train", "mlp-a", "--steps", "7", "--batch", "16", "--out", &plain, "--threads", "1"])
            .status
            .success()
    );
    assert_eq!(
        std::fs::read(format!("{dir}/{last}")).unwrap(),
        std::fs::read(format!("{plain}/{last}")).unwrap()
    );
    // What is measured of the same step later joins its record.
    let more = ["evaluate", &dir, "--n", "60", "--metrics", "score", "--against", "train", "--threads", "1"];
    assert!(run(&more).status.success());
    let record = read(&dir).pop().unwrap();
    assert!(
        ["fid", "recall", "score"].iter().all(|m| record["metrics"][*m]["value"].is_number()),
        "{record}"
    );
    assert_eq!(read(&dir).len(), 4);
    let table = text(&run(&["compare", &dir, &plain]).stdout);
    assert!(table.contains("fid"), "{table}");
    // The newest way of measuring that both share, not what each was last measured by.
    let shared = |dir: &str| run(&["evaluate", dir, "--n", "60", "--metrics", "score", "--threads", "1"]);
    let other = ["evaluate", &plain, "--n", "70", "--metrics", "score", "--threads", "1"];
    assert!(shared(&dir).status.success() && shared(&plain).status.success() && run(&other).status.success());
    let table = text(&run(&["compare", &dir, &plain]).stdout);
    assert!(table.contains("score") && !table.contains("not measured in the same way"), "{table}");
    // What one of several runs cannot have is refused before any is measured.
    let before = std::fs::read(format!("{dir}/metrics.jsonl")).unwrap();
    let (code, err) = fails(&["evaluate", &dir, &plain, "--n", "80", "--metrics", "score,agreement"]);
    assert!(code == 2 && err.contains("conditional run") && err.contains(&dir), "{err}");
    assert_eq!(std::fs::read(format!("{dir}/metrics.jsonl")).unwrap(), before);
}

#[test]
fn folders_of_pictures_are_measured_in_any_order_of_files() {
    let tmp = Scratch::new("folders");
    let images = &data()[2].images;
    let save = |dir: &str, reversed: bool| {
        let values: Vec<f32> = (0..60)
            .flat_map(|i| images.image(if reversed { 59 - i } else { i }).to_vec())
            .map(ganvil::data::to_unit)
            .collect();
        ganvil::report::save_pictures(dir, &values, [60, 1, 28, 28]).unwrap();
    };
    let (one, two) = (tmp.path("one"), tmp.path("two"));
    save(&one, false);
    save(&two, true);
    let measure = |dir: &str| {
        let out = run(&["evaluate", dir, "--n", "60", "--metrics", "fid,precision,score", "--json"]);
        assert!(out.status.success(), "{}", text(&out.stderr));
        let mut json: Value = serde_json::from_slice(&out.stdout).unwrap();
        json.as_object_mut().unwrap().remove("run");
        json
    };
    assert_eq!(measure(&one), measure(&two));
    let (code, err) = fails(&["evaluate", &one, "--n", "60", "--metrics", "path-length"]);
    assert!(code == 2 && err.contains("path-length") && err.contains("generator"), "{err}");
    let (code, err) = fails(&["evaluate", &one, "--metrics", "fidd"]);
    assert!(code == 2 && err.contains("did you mean 'fid'"), "{err}");
    let (code, err) = fails(&["evaluate", &one]);
    assert!(code == 2 && err.contains("60 samples"), "{err}");
}
