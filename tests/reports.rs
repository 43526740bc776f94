//! What the program says of runs afterwards: figures, comparisons, lists.

use common::{Scratch, fails, program, run, text};
use ganvil::report::read_log;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

mod common;

/// Trains a small network for 20 steps.
fn train(dir: &str, more: &[&str]) {
    let mut args =
        vec!["train", "mlp-a", "--steps", "20", "--log-every", "5", "--threads", "1", "--out", dir];
    args.extend(more);
    let out = run(&args);
    assert!(out.status.success(), "{}", text(&out.stderr));
}

/// A folder with settings and a log as a run leaves them.
fn made_up(dir: &str, config: &str, log: &str) {
    fs::create_dir_all(dir).unwrap();
    fs::write(Path::new(dir).join("config.toml"), config).unwrap();
    fs::write(Path::new(dir).join("log.jsonl"), log).unwrap();
}

/// Stdout of a call that must succeed.
fn prints(args: &[&str]) -> String {
    let out = run(args);
    assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
    text(&out.stdout)
}

fn names(dir: impl AsRef<Path>) -> Vec<String> {
    let mut all: Vec<_> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    all.sort();
    all
}

#[test]
fn a_report_is_one_page_and_twice_the_same() {
    let tmp = Scratch::new("report");
    let dir = tmp.path("a <b>run");
    train(&dir, &[]);
    let path = Path::new(&dir).join("report.html");
    let at_its_end = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    for threads in ["1", "2"] {
        let out = run(&["report", &dir, "--threads", threads]);
        assert!(out.status.success() && out.stdout.is_empty(), "{}", text(&out.stderr));
        assert_eq!(text(&out.stderr).trim_end(), path.display().to_string());
        assert!(fs::read(&path).unwrap() == at_its_end, "other bytes on {threads} threads");
    }
    let page = String::from_utf8(at_its_end).unwrap();
    assert!(page.contains("<title>a &lt;b&gt;run</title>") && !page.contains("<b>run"));
    // MNIST has pictures that the run has not seen, and digits that the classifier knows.
    for words in ["real, never seen (1024)", "Test images and theirs", "looked at 500 samples", "No alarms"] {
        assert!(page.contains(words), "{words}");
    }
    assert_eq!(page.matches("src=\"data:image/png;base64,").count(), 2 + 1 + 40);
    // What is gone is said, and what is left is shown.
    for gone in ["samples", "checkpoints"] {
        fs::remove_dir_all(Path::new(&dir).join(gone)).unwrap();
    }
    let elsewhere = tmp.path("page.html");
    assert!(run(&["report", &dir, "--out", &elsewhere]).status.success());
    let page = fs::read_to_string(&elsewhere).unwrap();
    assert!(page.contains("There is no sample grid") && page.contains("There is no checkpoint"));

    let none = tmp.path("none");
    let into_none = format!("{none}/page.html");
    let cases: [(&[&str], i32, &[&str]); 5] = [
        (&[&none], 1, &["config.toml", "ganvil list"]),
        (&[&dir, "--data", &none], 2, &["--data", "no such folder"]),
        (&[&dir, "--out", &dir], 2, &["--out", "it is a folder"]),
        (&[&dir, "--threads", "0"], 2, &["--threads"]),
        (&[&dir, "--out", &into_none], 1, &["page.html"]),
    ];
    for (args, code, words) in cases {
        let (exit, err) = fails(&[&["report"], args].concat());
        assert!(exit == code && err.lines().count() == 1, "{args:?}: {exit}, {err}");
        words.iter().for_each(|w| assert!(err.contains(w), "{args:?}: {err}"));
    }
}

#[test]
fn figures_are_drawn_again_from_the_log_alone() {
    let tmp = Scratch::new("plot");
    let dir = tmp.path("run");
    train(&dir, &[]);
    for gone in ["plots", "samples", "checkpoints"] {
        fs::remove_dir_all(Path::new(&dir).join(gone)).unwrap();
    }
    let out = run(&["plot", &dir]);
    assert!(out.status.success() && out.stdout.is_empty(), "{}", text(&out.stderr));
    let told = text(&out.stderr);
    assert!(
        told.contains("training, losses, outputs, gradients, accuracy, samples, rate of 5 records"),
        "{told}"
    );
    let figures = ["accuracy", "gradients", "losses", "outputs", "rate", "samples", "training"];
    let both: Vec<String> = figures.iter().flat_map(|f| [format!("{f}.png"), format!("{f}.svg")]).collect();
    assert_eq!(names(Path::new(&dir).join("plots")), both);

    let other = tmp.path("elsewhere/figures");
    prints(&["plot", &dir, "--out", &other, "--format", "svg"]);
    assert_eq!(names(&other), figures.map(|f| format!("{f}.svg")));
    for name in names(&other) {
        let [first, second] = [Path::new(&dir).join("plots"), other.clone().into()].map(|d| d.join(&name));
        assert!(fs::read(first).unwrap() == fs::read(second).unwrap(), "{name}");
    }
    let losses = fs::read_to_string(Path::new(&other).join("losses.svg")).unwrap();
    for words in ["mlp-a", "D at equilibrium, 1.386", "G at equilibrium, 0.693"] {
        assert!(losses.contains(words), "{words}");
    }
    let outputs = fs::read_to_string(Path::new(&other).join("outputs.svg")).unwrap();
    assert!(outputs.contains("probability of real"));

    // What the log says is what is drawn, whatever else it says.
    let log = Path::new(&dir).join("log.jsonl");
    let mut records = read_log(&log).unwrap();
    records[2]["g_loss"] = Value::Null;
    records[3]["something_new"] = json!({"nested": true});
    fs::write(&log, records.iter().map(|r| format!("{r}\n")).collect::<String>()).unwrap();
    prints(&["plot", &dir, "--format", "svg"]);
    let changed = fs::read_to_string(Path::new(&dir).join("plots/losses.svg")).unwrap();
    assert!(changed.contains("1 missing or not finite") && changed != losses);
}

#[test]
fn scores_and_smoothed_labels_have_other_lines() {
    let tmp = Scratch::new("plot-loss");
    let record = r#"{"step":1,"d_loss":1.5,"g_loss":0.1,"d_real":3.0,"d_fake":-3.0}"#;
    let drawn = |name: &str, step: &str| {
        let dir = tmp.path(name);
        made_up(&dir, &format!("recipe = \"x\"\n[step]\n{step}\n"), &format!("{record}\n"));
        prints(&["plot", &dir, "--format", "svg"]);
        ["losses", "outputs"]
            .map(|f| fs::read_to_string(Path::new(&dir).join(format!("plots/{f}.svg"))).unwrap())
    };
    let [losses, outputs] = drawn("hinge", "loss = \"hinge\"");
    assert!(losses.contains("D at equilibrium, 2.000") && outputs.contains("mean score"));
    let [losses, outputs] = drawn("smoothed", "loss = \"bce\"\nreal_label = 0.9");
    assert!(!losses.contains("equilibrium") && outputs.contains("probability of real"));
}

#[test]
fn what_cannot_be_drawn_is_named() {
    let tmp = Scratch::new("plot-fails");
    let config = "recipe = \"mlp\"\n[step]\nloss = \"bce\"\n";
    let good = "{\"step\":1,\"d_loss\":1.0}\n";
    let dir = tmp.path("run");
    let refused = |words: &[&str]| {
        let (code, err) = fails(&["plot", &dir]);
        assert_eq!(code, 1, "{err}");
        assert_eq!(err.lines().count(), 1, "{err}");
        words.iter().for_each(|w| assert!(err.contains(w), "no '{w}' in: {err}"));
    };
    refused(&["no run found", "run/config.toml", "Name the folder of a run"]);
    made_up(&dir, config, "");
    refused(&["log.jsonl: holds no record"]);
    made_up(&dir, config, &format!("{good}{{\"step\":2,\n{good}"));
    refused(&["log.jsonl: line 2 is no record"]);
    made_up(&dir, config, "{\"epoch\":1,\"loss\":0.5}\n");
    refused(&["log.jsonl: has nothing to draw"]);
    made_up(&dir, "recipe = \"mlp\"\nsteps 5\n", good);
    refused(&["config.toml: line 2 is no TOML"]);
    made_up(&dir, "recipe = \"mlp\"\n[step]\nloss = \"hing\"\n", good);
    refused(&["config.toml: invalid loss 'hing'", "did you mean 'hinge'"]);
    made_up(&dir, config, good);
    fs::remove_file(Path::new(&dir).join("log.jsonl")).unwrap();
    refused(&["no log found", "log.jsonl", "ganvil import"]);
    let (code, err) = fails(&["plot", &dir, "--format", "pdf"]);
    assert!(code == 2 && err.contains("png, svg, both"), "{err}");
}

/// The cells of a table's row.
fn row<'a>(table: &'a str, name: &str) -> Vec<&'a str> {
    let line = table.lines().find(|l| l.trim_start().starts_with(name));
    let line = line.unwrap_or_else(|| panic!("no {name} in:\n{table}"));
    line.trim_start()[name.len()..].split_whitespace().collect()
}

#[test]
fn runs_are_compared_by_settings_and_results() {
    let tmp = Scratch::new("compare");
    let (a, b, c) = (tmp.path("first"), tmp.path("second"), tmp.path("third"));
    train(&a, &[]);
    train(&b, &["--lr-g", "4e-4", "--loss", "hinge", "--r1", "10"]);
    let table = prints(&["compare", &a, &b]);
    assert_eq!(table.lines().next().unwrap().split_whitespace().collect::<Vec<_>>(), ["first", "second"]);
    assert_eq!(row(&table, "step.loss"), ["bce", "hinge"]);
    assert_eq!(row(&table, "optimizer_g.lr"), ["0.0002", "0.0004"]);
    assert_eq!(row(&table, "step.r1"), ["-", "10.0"]);
    assert!(!table.contains("optimizer_d.lr") && !table.contains("seed"), "only what differs:\n{table}");
    assert_eq!(row(&table, "step "), ["20", "20"]);
    assert_eq!(row(&table, "R1")[0], "-");
    let last = |dir: &str| read_log(Path::new(dir).join("log.jsonl")).unwrap().pop().unwrap();
    let shown: f64 = row(&table, "D's loss")[1].parse().unwrap();
    let recorded = last(&b)["d_loss"].as_f64().unwrap();
    assert!((shown - recorded).abs() <= 5e-4 * recorded.abs(), "{shown} {recorded}");
    // The columns end below each other.
    let ends = |line: &str| line.rfind(char::is_whitespace).map(|_| line.chars().count());
    let all: Vec<_> = table.lines().filter(|l| l.starts_with("  ")).map(ends).collect();
    assert!(all.windows(2).all(|w| w[0] == w[1]), "{table}");

    // Another recipe, without records.
    let config = fs::read_to_string(Path::new(&a).join("config.toml")).unwrap();
    made_up(&c, &config.replace("\"mlp-a\"", "\"mlp\""), "");
    let json: Value = serde_json::from_str(&prints(&["compare", &a, &b, &c, "--json"])).unwrap();
    assert_eq!(json["settings"]["recipe"], json!(["mlp-a", "mlp-a", "mlp"]));
    assert_eq!(json["settings"]["step.r1"], json!([null, "10.0", null]));
    assert_eq!(json["last"]["step"], json!([20, 20, null]));
    assert_eq!(json["last"]["g_loss"], json!([last(&a)["g_loss"], last(&b)["g_loss"], null]));
    assert_eq!(json["runs"][2], json!({"name": "third", "path": c, "records": 0}));

    for (x, under) in [("step", "step"), ("kimg", "real images seen, thousands"), ("seconds", "time, s")] {
        let svg = tmp.path("curves.svg");
        prints(&["compare", &a, &b, &c, "--out", &svg, "--x", x]);
        let svg = fs::read_to_string(svg).unwrap();
        for words in ["mlp-a, mlp", "first", "second", "Loss of G", "probability or score", under] {
            assert!(svg.lines().any(|l| l.contains(words)), "{words}");
        }
        assert!(!svg.contains("third"), "a run without records has no curve");
        assert!(svg.contains("#0072B2") && svg.contains("#D55E00"));
    }
    let same = tmp.path("folder/first");
    made_up(&same, &config, "");
    let table = prints(&["compare", &a, &same]);
    assert!(table.contains("all settings are the same") && table.contains(&same), "{table}");
}

#[test]
fn many_runs_have_looks_of_their_own() {
    let tmp = Scratch::new("compare-many");
    let dirs: Vec<String> = (0..15).map(|i| tmp.path(&format!("run-{i:02}"))).collect();
    for (i, dir) in dirs.iter().enumerate() {
        let record = |step: usize| format!("{{\"step\":{step},\"d_loss\":{}}}\n", i + step);
        made_up(dir, &format!("recipe = \"mlp\"\nseed = {i}\n"), &(record(1) + &record(9)));
    }
    let picture = tmp.path("many.svg");
    let args = |n: usize| {
        let given = dirs[..n].iter().map(String::as_str);
        ["compare"].into_iter().chain(given).chain(["--out", &picture]).collect::<Vec<_>>()
    };
    prints(&args(14));
    let svg = fs::read_to_string(&picture).unwrap();
    let blue = svg.lines().filter(|l| l.contains("<polyline") && l.contains("#0072B2")).count();
    assert!(blue > 10, "one curve in one piece, another in dashes: {blue} pieces");
    assert!((0..14).all(|i| svg.contains(&format!("run-{i:02}"))));
    let (code, err) = fails(&args(15));
    assert!(code == 2 && err.contains("invalid number of runs '15'") && err.contains("14"), "{err}");
}

#[test]
fn what_cannot_be_compared_is_named() {
    let tmp = Scratch::new("compare-fails");
    let (a, b) = (tmp.path("a"), tmp.path("b"));
    made_up(&a, "recipe = \"mlp\"\n", "");
    made_up(&b, "recipe = \"mlp\"\n", "");
    let out = tmp.path("none.svg");
    let again = format!("{a}/../a");
    let cases: [(&[&str], i32, &str); 5] = [
        (&[&a], 2, "2 values required"),
        (&[&a, &again], 2, "given twice"),
        (&[&a, &tmp.path("nowhere")], 1, "nowhere/config.toml"),
        (&[&a, &b, "--out", &out], 2, "nothing to draw"),
        (&[&a, &b, "--x", "epoch"], 2, "step, kimg, seconds"),
    ];
    for (args, want, words) in cases {
        let (code, err) = fails(&[&["compare"], args].concat());
        assert!(code == want && err.contains(words), "{args:?}: {code}, {err}");
    }
    assert!(!Path::new(&out).exists());
}

#[test]
fn a_folder_of_runs_is_listed() {
    let tmp = Scratch::new("list");
    let runs = tmp.path("runs");
    let at = |name: &str| tmp.path(&format!("runs/{name}"));
    train(&at("00000-mnist-mlp-a"), &[]);
    // The same run with more steps to go, one before its first checkpoint, and damaged ones.
    let config = fs::read_to_string(tmp.0.join("runs/00000-mnist-mlp-a/config.toml")).unwrap();
    train(&at("longer"), &["--seed", "1"]);
    let longer = config.replace("steps = 20", "steps = 5000");
    assert_ne!(longer, config);
    fs::write(tmp.0.join("runs/longer/config.toml"), &longer).unwrap();
    let record = "{\"step\":300,\"kimg\":19.2,\"seconds\":3920.0,\"d_loss\":null,\"g_loss\":1.25}\n";
    made_up(&at("begun"), &longer, record);
    made_up(&at("bad-log"), &longer, &format!("{record}nonsense\n{record}"));
    made_up(&at("bad-config"), "steps = = 3\n", record);
    fs::create_dir_all(at("no-run")).unwrap();
    fs::create_dir_all(at(".runs.tmp")).unwrap();
    fs::write(at("a-file"), "").unwrap();

    let table = prints(&["list", &runs]);
    let done = row(&table, "00000-mnist-mlp-a");
    assert_eq!(&done[..3], ["mlp-a", "mnist", "20/20"]);
    assert_eq!(done.last(), Some(&"finished"));
    assert_eq!(row(&table, "longer")[2], "20/5000");
    assert_eq!(row(&table, "longer").last(), Some(&"unfinished"));
    let begun = row(&table, "begun");
    assert_eq!(&begun[..7], ["mlp-a", "mnist", "300/5000", "19.2", "-", "1.250", "1:05:20"]);
    assert_eq!(&begun[begun.len() - 2..], ["no", "checkpoint"]);
    let line = |name: &str| table.lines().find(|l| l.starts_with(name)).unwrap();
    assert!(line("bad-log").contains("no checkpoint; log.jsonl: line 2 is no record"), "{table}");
    assert!(line("bad-config").contains("damaged; config.toml: line 1 is no TOML"), "{table}");
    assert!(table.ends_with("1 folder that is no run is left out\n"), "{table}");
    assert!(!table.contains("a-file") && !table.contains("tmp"), "{table}");

    let json: Value = serde_json::from_str(&prints(&["list", &runs, "--json"])).unwrap();
    let of = |name: &str| json["runs"].as_array().unwrap().iter().find(|r| r["folder"] == name).unwrap();
    assert_eq!(json["left_out"], 1);
    let done = of("00000-mnist-mlp-a");
    assert_eq!(
        (&done["steps"], &done["target"], &done["state"]),
        (&json!(20), &json!(20), &json!("finished"))
    );
    assert_eq!(done["problems"], Value::Null);
    let size: u64 = names_and_sizes(&tmp.0.join("runs/00000-mnist-mlp-a"));
    assert_eq!(done["bytes"], size);
    assert_eq!((&of("begun")["d_loss"], &of("begun")["state"]), (&Value::Null, &json!("no-checkpoint")));
    assert_eq!(of("bad-log")["problems"].as_array().unwrap().len(), 1);

    // A run by itself, and the default folder.
    assert_eq!(prints(&["list", &at("begun")]).lines().count(), 2);
    let out = program(&["list"]).current_dir(&tmp.0).output().unwrap();
    assert_eq!(text(&out.stdout), table);
}

/// The size of the files in a folder.
fn names_and_sizes(dir: &Path) -> u64 {
    let size = |e: fs::DirEntry| {
        if e.path().is_dir() { names_and_sizes(&e.path()) } else { e.metadata().unwrap().len() }
    };
    fs::read_dir(dir).unwrap().map(|e| size(e.unwrap())).sum()
}

#[test]
fn the_newest_run_is_the_last() {
    let tmp = Scratch::new("list-order");
    for (name, started) in
        [("b", 1_700_000_000), ("a", 1_800_000_000), ("c", 1_600_000_000), ("d", 1_700_000_000)]
    {
        let dir = tmp.path(name);
        made_up(&dir, "recipe = \"mlp\"\nsteps = 10\n", "");
        let starts = json!([{ "started": started }, { "started": 1_900_000_000 }]);
        fs::write(Path::new(&dir).join("environment.json"), starts.to_string()).unwrap();
    }
    let table = prints(&["list", &tmp.path("")]);
    let order: Vec<_> = table.lines().skip(1).map(|l| l.split_whitespace().next().unwrap()).collect();
    assert_eq!(order, ["c", "b", "d", "a"]);
}

#[test]
fn a_folder_without_runs_says_what_to_do() {
    let tmp = Scratch::new("list-fails");
    let (code, err) = fails(&["list", &tmp.path("nowhere")]);
    assert!(code == 1 && err.contains("no run found; looked in") && err.contains("ganvil train"), "{err}");
    fs::create_dir_all(tmp.path("empty/one")).unwrap();
    let (code, err) = fails(&["list", &tmp.path("empty")]);
    assert!(code == 1 && err.contains("empty") && err.contains("ganvil list DIR"), "{err}");
    fs::write(tmp.path("file"), "").unwrap();
    let (code, err) = fails(&["list", &tmp.path("file")]);
    assert!(code == 1 && err.contains("cannot read the folder") && err.contains("file"), "{err}");
}
