//! The program as a user meets it: what it writes and prints, its exit codes, and what it says to bad input.

use common::{Scratch, fails, program, run, text};
use ganvil::gan::latest_checkpoint;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};

mod common;

fn short_run(dir: &str, more: &[&str]) -> Output {
    let mut args = vec!["train", "--steps", "25", "--log-every", "10", "--threads", "2", "--out", dir];
    args.extend(more);
    run(&args)
}

#[test]
fn convolutions_are_exact_on_request() {
    let tmp = Scratch::new("conv");
    let [exact, fast] = ["exact", "fast"].map(|way| {
        let dir = tmp.path(way);
        let of =
            ["train", "dcgan28-small", "--steps", "2", "--batch", "16", "--log-every", "1", "--conv", way];
        let out = run(&[&of[..], &["--out", &dir]].concat());
        assert!(out.status.success(), "{}", text(&out.stderr));
        let config = std::fs::read_to_string(tmp.0.join(way).join("config.toml")).unwrap();
        assert_eq!(config.contains("conv = \"exact\""), way == "exact", "{config}");
        let log = std::fs::read_to_string(tmp.0.join(way).join("log.jsonl")).unwrap();
        let losses: Vec<f64> = log
            .lines()
            .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["d_loss"].as_f64().unwrap())
            .collect();
        // The file says how it was made, so that its bytes differ in any case.
        let path = latest_checkpoint(&tmp.0.join(way)).unwrap();
        let weights = ganvil::checkpoint::load(&path).unwrap().tensors;
        let weights: BTreeMap<String, Vec<f64>> =
            weights.into_iter().map(|(name, t)| (name, t.to_f64_vec())).collect();
        (losses, weights)
    });
    assert_eq!(exact.0.len(), 2);
    assert!(
        exact.0.iter().zip(&fast.0).all(|(a, b)| (a - b).abs() <= 1e-4 * a.abs()),
        "{:?} and {:?}",
        exact.0,
        fast.0
    );
    assert!(exact.1.keys().eq(fast.1.keys()) && exact.1 != fast.1, "both ways took the same sums");
}

#[test]
fn a_short_run_leaves_everything_behind() {
    let tmp = Scratch::new("short");
    let dir = tmp.path("run");
    let out = short_run(&dir, &[]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert_eq!(text(&out.stdout), "", "progress goes to stderr");
    let err = text(&out.stderr);
    assert!(err.contains("training dcgan28-small for 25 steps of 64 images on 2 threads"), "{err}");
    assert!(err.contains("step 25/25") && err.contains("images/s"), "plain lines without a terminal: {err}");

    let dir = Path::new(&dir);
    for file in
        ["samples/real.png", "samples/kimg-00000.0.png", "samples/kimg-00001.6.png", "plots/training.png"]
    {
        let png = std::fs::read(dir.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        assert_eq!(&png[1..4], b"PNG", "{file}");
    }
    let config: toml::Table = std::fs::read_to_string(dir.join("config.toml")).unwrap().parse().unwrap();
    assert_eq!((config["recipe"].as_str(), config["steps"].as_integer()), (Some("dcgan28-small"), Some(25)));

    let log = ganvil::report::read_log(dir.join("log.jsonl")).unwrap();
    let steps: Vec<_> = log.iter().map(|r| r["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [1, 10, 20, 25], "the first and the last step are logged however short the run");
    for key in
        ["d_loss", "g_loss", "d_real", "d_fake", "acc_real", "acc_fake", "grad_norm_d", "grad_norm_g", "kimg"]
    {
        assert!(log[0][key].as_f64().unwrap().is_finite(), "{key}");
    }

    let checkpoint = latest_checkpoint(dir).unwrap();
    assert!(checkpoint.ends_with("checkpoints/step-00000025.safetensors"));
    let file = ganvil::checkpoint::load(&checkpoint).unwrap();
    for name in [
        "G.net.0.weight",
        "D.net.6.bias",
        "G.net.2.running_mean",
        "G_ema.net.7.weight",
        "opt_D.net.0.weight.moment1",
    ] {
        assert!(file.tensors.contains_key(name), "{name}");
    }
    assert_eq!(file.meta["step"], 25);
}

#[test]
fn samples_come_from_a_run_or_a_checkpoint() {
    let tmp = Scratch::new("sample");
    let dir = tmp.path("run");
    assert!(short_run(&dir, &["--prior", "sphere"]).status.success());
    let out = run(&["sample", &dir, "--n", "10", "--columns", "5"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let whole = std::fs::read(tmp.path("run/samples.png")).unwrap();
    let file = latest_checkpoint(Path::new(&dir)).unwrap();
    let (a, b) = (tmp.path("a.png"), tmp.path("b.png"));
    for (png, seed) in [(&a, "0"), (&b, "1")] {
        let args =
            ["sample", file.to_str().unwrap(), "--n", "10", "--columns", "5", "--seed", seed, "--out", png];
        assert!(run(&args).status.success());
    }
    assert_eq!(std::fs::read(a).unwrap(), whole);
    assert_ne!(std::fs::read(b).unwrap(), whole);
}

#[test]
fn bench_step_prints_one_line() {
    for (workload, threads) in [("mlp0-64", "1"), ("mlp2-32", "2")] {
        let out = run(&["bench", "step", workload, "--threads", threads, "--seconds", "0.2"]);
        assert!(out.status.success(), "{}", text(&out.stderr));
        let stdout = text(&out.stdout);
        assert_eq!(stdout.lines().count(), 1, "{stdout}");
        let fields: Vec<&str> = stdout.split_whitespace().collect();
        assert_eq!(fields.len(), 6, "{stdout}");
        assert_eq!(&fields[..2], [workload, threads]);
        assert!(["ganvil-avx512", "ganvil-avx2", "ganvil-portable"].contains(&fields[2]), "{stdout}");
        let number = |i: usize| fields[i].parse::<f64>().unwrap();
        let batch: f64 = workload.split('-').nth(1).unwrap().parse().unwrap();
        assert!((number(4) / number(3) - batch).abs() < 0.02 * batch, "{stdout}");
    }
    let out = program(&["bench", "step", "mlp0-8", "--seconds", "0.05"])
        .env("GANVIL_SIMD", "portable")
        .output()
        .unwrap();
    assert!(text(&out.stdout).contains(" ganvil-portable "), "{}", text(&out.stderr));
}

#[test]
fn bench_step_tells_how_long_the_first_step_takes() {
    let began = std::time::Instant::now();
    let out = run(&["bench", "step", "mlp0-16", "--threads", "1", "--first"]);
    let outside = began.elapsed().as_secs_f64();
    assert!(out.status.success(), "{}", text(&out.stderr));
    let stdout = text(&out.stdout);
    let fields: Vec<&str> = stdout.split_whitespace().collect();
    assert_eq!((stdout.lines().count(), fields.len()), (1, 7), "{stdout}");
    assert_eq!(
        (&fields[..2], fields[3], fields[5]),
        (&["mlp0-16", "1"][..], "first_step_done_s", "peak_rss_mb")
    );
    let number = |i: usize| fields[i].parse::<f64>().unwrap();
    // The system rounds both times that it is the difference of to a hundredth.
    assert!(number(4) > 0.0 && number(4) <= outside + 0.02, "{stdout} of {outside}");
    assert!(!cfg!(target_os = "linux") || number(6) > 1.0, "{stdout}");
    let (code, err) = fails(&["bench", "step", "mlp0-16", "--first", "--seconds", "1"]);
    assert!(code == 2 && err.contains("--first"), "{err}");
}

#[test]
fn bench_measures_gradients_by_themselves() {
    let out = run(&["bench", "map", "--only", "bwd 64", "--json"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let rows: Vec<serde_json::Value> =
        text(&out.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let names: Vec<&str> = rows.iter().map(|r| r["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["bce bwd 64", "bce_with_logits bwd 64"]);
    for row in rows {
        // Two tensors of 64 numbers read and one written.
        let (us, rate) = (row["us"].as_f64().unwrap(), row["rate"].as_f64().unwrap());
        assert!(us > 0.0 && (rate - 3.0 * 4.0 * 64.0 * 1e-3 / us).abs() < 1e-9 * rate, "{row}");
    }
}

#[test]
fn info_and_help() {
    let out = text(&run(&["info"]).stdout);
    for word in
        ["ganvil 0.", "processor", "device     cpu, ", "portable)", "60000 images of 28 x 28", "mlp-a"]
    {
        assert!(out.contains(word), "{word}: {out}");
    }
    let portable = program(&["info"]).env("GANVIL_SIMD", "portable").output().unwrap();
    assert!(text(&portable.stdout).contains("device     cpu, portable (the machine has "));
    let help = text(&run(&["--help"]).stdout);
    assert!(help.lines().count() <= 24 && help.lines().all(|l| l.len() <= 80), "fits one screen:\n{help}");
    assert_eq!(run(&["help", "train"]).stdout, run(&["train", "--help"]).stdout);
}

/// The commands that `--help` lists, each with the words that call it, and those below them.
fn listed(words: &[&str], found: &mut Vec<String>) {
    let help = text(&run(&[words, &["--help"]].concat()).stdout);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let rows = commands.take_while(|line| line.starts_with("  "));
    // A summary that needs a second line goes on deeper.
    for name in rows.filter(|row| !row.starts_with("   ")).filter_map(|row| row.split_whitespace().next()) {
        if name != "help" {
            let words = [words, &[name]].concat();
            found.push(words.join(" "));
            listed(&words, found);
        }
    }
}

#[test]
fn every_command_has_help_with_an_example_and_a_manual_page() {
    let unlisted = ["plot", "prune", "summary", "export", "import", "augment", "completions", "man"];
    let mut commands = Vec::from(unlisted.map(String::from));
    listed(&[], &mut commands);
    assert!(commands.len() >= 13 && commands.contains(&"data inspect".into()), "{commands:?}");
    let tmp = Scratch::new("man");
    let dir = tmp.path("a/man1");
    for _ in 0..2 {
        let out = run(&["man", "--out", &dir]);
        assert!(out.status.success() && out.stdout.is_empty(), "{}", text(&out.stderr));
    }
    let top = std::fs::read_to_string(Path::new(&dir).join("ganvil.1")).unwrap();
    assert_eq!(top, text(&run(&["man"]).stdout));
    for words in &commands {
        let arguments: Vec<&str> = words.split(' ').chain(["--help"]).collect();
        let help = text(&run(&arguments).stdout);
        let (_, examples) = help.rsplit_once("\nExample").unwrap_or_else(|| panic!("no example: {help}"));
        let example = examples.lines().nth(1).unwrap();
        assert!(example.starts_with(&format!("  ganvil {words}")), "{help}");

        let name = words.replace(' ', "-");
        let page = std::fs::read_to_string(Path::new(&dir).join(format!("ganvil-{name}.1"))).unwrap();
        assert!(page.contains(&format!(".TH ganvil-{name} 1")), "{page}");
        // A hyphen that can be copied is written so.
        let escaped = |text: &str| text.replace('-', "\\-");
        assert!(page.contains(".SH EXAMPLES\n.nf\n") && page.contains(&escaped(example)), "{page}");
        if !words.contains(' ') {
            assert!(top.contains(&escaped(&format!("ganvil-{name}(1)"))), "{name}: {top}");
        }
    }
    assert!(top.contains(".TH ganvil 1"), "{top}");
    let pages = std::fs::read_dir(&dir).unwrap().count();
    assert_eq!(pages, commands.len() + 1);
}

#[test]
fn shells_complete_commands_and_flags() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let out = run(&["completions", shell]);
        assert!(out.status.success() && out.stderr.is_empty(), "{}", text(&out.stderr));
        let script = text(&out.stdout);
        ["ganvil", "train", "inspect", "interpolate"]
            .iter()
            .for_each(|w| assert!(script.contains(w), "{shell}: {w}"));
    }
    let (code, err) = fails(&["completions", "tcsh"]);
    assert!(code == 2 && err.contains("tcsh") && err.contains("bash") && err.contains("fish"), "{err}");

    let bash = |arguments: &[&str]| Command::new("bash").args(arguments).output();
    if bash(&["--version"]).is_err() {
        return println!("note: there is no bash here; its script is not run");
    }
    let tmp = Scratch::new("completions");
    let script = tmp.path("ganvil.bash");
    std::fs::write(&script, run(&["completions", "bash"]).stdout).unwrap();
    let out = bash(&["-n", &script]).unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    // What bash does when the tab key is pressed behind the last of some words.
    let press = r#"source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        [[ $(complete -p ganvil) =~ -F\ ([^ ]+) ]] || exit 1
        "${BASH_REMATCH[1]}" ganvil "${@: -1}" "${@: -2:1}"; printf '%s\n' "${COMPREPLY[@]}""#;
    for (words, want) in [
        (&["ganvil", "tr"][..], "train\n"),
        (&["ganvil", "data", "ins"], "inspect\n"),
        (&["ganvil", "sample", "my-run", "--inter"], "--interpolate\n"),
        (&["ganvil", "completions", "f"], "fish\n"),
        (&["ganvil", "xyz"], "\n"),
    ] {
        let out = bash(&[&["-c", press, "bash", &script], words].concat()).unwrap();
        assert_eq!(text(&out.stdout), want, "{words:?}: {}", text(&out.stderr));
    }
}

#[test]
fn summary_counts_both_networks_of_a_recipe() {
    let out = run(&["summary", "mlp-a", "--batch", "64"]);
    assert!(out.status.success() && out.stderr.is_empty(), "{}", text(&out.stderr));
    let out = text(&out.stdout);
    let row = |name: &str| {
        let line =
            out.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("no {name} in:\n{out}"));
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("G.net.0"), ["G.net.0", "Linear", "[64,", "128]", "12,928", "819,200"]);
    assert_eq!(row("G.net.3"), ["G.net.3", "BatchNorm1d", "[64,", "256]", "512", "-"]);
    assert_eq!(row("D.net.4"), ["D.net.4", "Linear", "[64,", "1]", "129", "8,192"]);
    assert_eq!(row("total"), ["total", "[64,", "784]", "247,952", "15,761,408"]);
    assert_eq!(out.lines().filter(|l| l.starts_with("total")).count(), 2);
    assert!(out.starts_with("mlp-a: ") && out.contains("input [64, 100], parameters 968.6 KiB"), "{out}");
    // Without a recipe it is the one that `train` takes.
    assert_eq!(run(&["summary"]).stdout, run(&["summary", "dcgan28-small"]).stdout);
    let help = text(&run(&["summary", "--help"]).stdout);
    assert!(help.contains("ganvil summary mlp-a --batch 64"), "{help}");
    let (_, of_train) = fails(&["train", "mpl"]);
    assert_eq!(fails(&["summary", "mpl"]), (2, of_train));
}

#[test]
fn usage_errors_exit_with_2_and_suggest() {
    let cases: &[(&[&str], &[&str])] = &[
        (&["train", "mpl"], &["invalid recipe 'mpl'", "did you mean 'mlp'?", "mlp, mlp-a"]),
        (&["train", "--sede", "1"], &["unexpected argument '--sede'", "--seed"]),
        (&["trian"], &["unrecognized subcommand 'trian'", "train"]),
        (&["train", "--conv", "exakt"], &["way of convolving 'exakt'", "did you mean 'exact'?"]),
        (&["bench", "conv", "--conv", "quick"], &["way of convolving 'quick'", "exact, fast"]),
        (&["train", "--device", "cuda"], &["cuda", "cpu"]),
        (&["train", "--device", "meta"], &["invalid device 'meta'", "use cpu"]),
        (&["train", "--prior", "gaussian"], &["invalid prior 'gaussian'", "normal, uniform, sphere"]),
        (&["train", "--loss", "non-saturatin"], &["did you mean 'non-saturating'?"]),
        (&["train", "--batch", "1"], &["invalid --batch '1'", "at least 2"]),
        (&["train", "--batch", "70000"], &["70000", "60000"]),
        (&["train", "--steps", "0"], &["invalid --steps '0'"]),
        (&["train", "--epochs", "-1"], &["invalid --epochs '-1'", "positive"]),
        (&["train", "--epochs", "1", "--steps", "1"], &["--epochs", "--steps", "cannot be used with"]),
        (&["train", "--lr-d", "NaN"], &["invalid --lr-d 'NaN'"]),
        (&["train", "--real-label", "1.5"], &["invalid --real-label '1.5'"]),
        (&["train", "--threads", "0"], &["invalid --threads '0'"]),
        (&["train", "--ema", "inf"], &["invalid --ema 'inf'"]),
        (
            &["bench", "step", "mlp9-64"],
            &["invalid workload 'mlp9-64'", "mlp0-BATCH", "for example dcgan28-64"],
        ),
        (&["bench", "step", "mlp0"], &["invalid workload 'mlp0'"]),
        (&["bench", "step", "mlp0-64", "--seconds", "0"], &["invalid --seconds '0'"]),
        (&["sample", "x", "--n", "0"], &["invalid --n '0'"]),
        (&["summary", "--batch", "0"], &["invalid --batch '0'"]),
        (&["train", "--init", "orthogonl"], &["invalid init 'orthogonl'", "did you mean 'orthogonal'?"]),
        (&["train", "--epochs", "1e300"], &["invalid --epochs '1e300'"]),
        (&["train", "--log-every", "0"], &["invalid --log-every '0'"]),
    ];
    for (args, words) in cases {
        let (code, err) = fails(args);
        assert_eq!(code, 2, "{args:?}: {err}");
        words.iter().for_each(|w| assert!(err.contains(w), "{args:?}: no '{w}' in: {err}"));
    }
    let out = program(&["info"]).env("GANVIL_SIMD", "sse9").output().unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("invalid GANVIL_SIMD 'sse9': use avx512, avx2 or portable"));
}

#[test]
fn failures_exit_with_1_and_name_the_file() {
    let tmp = Scratch::new("failures");
    let file = tmp.path("a-file");
    std::fs::write(&file, b"no folder").unwrap();
    let under = format!("{file}/run");
    let (code, err) = fails(&["train", "--steps", "1", "--out", &under]);
    assert_eq!(code, 1);
    assert!(err.contains("cannot create the folder") && err.contains(&file), "{err}");

    let (code, err) = fails(&["train", "--data", &tmp.path("nowhere")]);
    assert_eq!(code, 1);
    assert!(err.contains("nowhere"), "{err}");

    let (code, err) = fails(&["sample", &tmp.path("no-run")]);
    assert_eq!(code, 1);
    assert!(err.contains("no checkpoint found") && err.contains("no-run"), "{err}");

    let broken = tmp.path("broken.safetensors");
    std::fs::write(&broken, b"\x10\0\0\0\0\0\0\0{}").unwrap();
    let (code, err) = fails(&["sample", &broken]);
    assert_eq!(code, 1);
    assert!(err.contains("not a readable safetensors file") && err.contains("broken"), "{err}");

    // A run is never written over.
    let dir = tmp.path("run");
    assert!(short_run(&dir, &[]).status.success());
    let (code, err) = fails(&["train", "--steps", "1", "--out", &dir]);
    assert_eq!(code, 2);
    assert!(err.contains("the folder is not empty"), "{err}");
}

#[test]
fn damaged_data_is_named() {
    let tmp = Scratch::new("data");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mnist");
    let copy = |name: &str| std::fs::copy(source.join(name), tmp.0.join(name)).unwrap();
    copy("train-labels-idx1-ubyte.gz");
    let images = std::fs::read(source.join("train-images-idx3-ubyte.gz")).unwrap();
    std::fs::write(tmp.0.join("train-images-idx3-ubyte.gz"), &images[..images.len() / 2]).unwrap();
    let (code, err) = fails(&["train", "--data", &tmp.path("")]);
    assert_eq!(code, 1);
    assert!(err.contains("train-images-idx3-ubyte.gz"), "{err}");
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_checkpoint() {
    let tmp = Scratch::new("nonfinite");
    let dir = tmp.path("run");
    // Logits overflow after a few steps, in the middle of one: D has been updated when G's loss is looked at.
    let game = ["train", "mlp-a", "--loss", "non-saturating", "--checkpoint-every", "1", "--lr-d", "4e10"];
    let args = |steps: &'static str, dir: &str| {
        let more = ["--threads", "1", "--steps", steps, "--out"].map(String::from);
        game.iter().map(|a| a.to_string()).chain(more).chain([dir.to_string()]).collect::<Vec<_>>()
    };
    let run_args = args("40", &dir);
    let out = run(&run_args.iter().map(String::as_str).collect::<Vec<_>>());
    let err = text(&out.stderr);
    assert_eq!(out.status.code(), Some(1), "{err}");
    assert!(err.contains("loss is ") && err.contains(" at step "), "{err}");
    let named = err.split("first non-finite tensor: ").nth(1).expect("a tensor is named");
    assert!(["G", "D", "real batch", "the loss itself"].iter().any(|n| named.starts_with(n)), "{err}");
    assert!(err.contains("lower --lr-d and --lr-g"), "{err}");
    let kept = latest_checkpoint(Path::new(&dir)).unwrap();
    assert!(err.contains(&kept.display().to_string()), "{err}");
    // The checkpoint that is kept is a whole one: the bytes of a run that ended there.
    let step = ganvil::checkpoint::load(&kept).unwrap().meta["step"].as_u64().unwrap();
    let clean = tmp.path("clean");
    let steps: &'static str = Box::leak(step.to_string().into_boxed_str());
    let clean_args = args(steps, &clean);
    assert!(run(&clean_args.iter().map(String::as_str).collect::<Vec<_>>()).status.success());
    let clean = latest_checkpoint(Path::new(&clean)).unwrap();
    assert!(std::fs::read(clean).unwrap() == std::fs::read(kept).unwrap(), "the checkpoint of step {step}");
}

#[test]
fn a_checkpoint_that_claims_too_much_is_refused() {
    let tmp = Scratch::new("hostile");
    let dir = tmp.path("run");
    assert!(short_run(&dir, &[]).status.success());
    let good = ganvil::checkpoint::load(&latest_checkpoint(Path::new(&dir)).unwrap()).unwrap();
    let tensors: Vec<_> = good.tensors.iter().map(|(n, t)| (n.clone(), t.clone())).collect();
    let huge = 1u64 << 50;
    let changes: [(&str, serde_json::Value); 3] =
        [("latent", huge.into()), ("image_shape", vec![1, huge, huge].into()), ("recipe", "dcgan".into())];
    for (what, value) in changes {
        let mut meta = good.meta.clone();
        match what {
            "image_shape" => meta[what] = value,
            _ => meta["config"][what] = value,
        }
        let file = tmp.path("claims.safetensors");
        ganvil::checkpoint::save(Path::new(&file), &tensors, &meta).unwrap();
        let (_, err) = fails(&["sample", &file]);
        assert!(
            err.contains("claims.safetensors") || err.contains("invalid recipe 'dcgan'"),
            "{what}: {err}"
        );
    }
}

#[test]
fn epochs_count_every_image_that_the_discriminator_sees() {
    let tmp = Scratch::new("epochs");
    let dir = tmp.path("run");
    let out = run(&["train", "mlp-a", "--epochs", "0.1", "--n-d", "5", "--threads", "2", "--out", &dir]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let log = ganvil::report::read_log(Path::new(&dir).join("log.jsonl")).unwrap();
    let kimg = log.last().unwrap()["kimg"].as_f64().unwrap();
    assert!((kimg - 6.0).abs() <= 0.32, "a tenth of 60 thousand images, to a step's 320: {kimg}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_stdout_is_an_error_and_a_closed_one_is_not() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let out = program(&["info"]).stdout(full).output().unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(text(&out.stderr).contains("cannot write to stdout"), "{}", text(&out.stderr));
    let mut child = program(&["info"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success() && out.stderr.is_empty(), "{}", text(&out.stderr));
}

#[cfg(unix)]
#[test]
fn an_interrupt_saves_the_state_and_exits_with_130() {
    let tmp = Scratch::new("interrupt");
    let dir = tmp.path("run");
    let args = ["train", "--steps", "1000000", "--log-every", "5", "--out", &dir];
    let child = program(&args).stderr(Stdio::piped()).spawn().unwrap();
    let log = Path::new(&dir).join("log.jsonl");
    let started = std::time::Instant::now();
    while std::fs::read_to_string(&log).map_or(0, |s| s.lines().count()) < 3 {
        assert!(started.elapsed().as_secs() < 120, "training did not start");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let out = child.wait_with_output().unwrap();
    let err = text(&out.stderr);
    assert_eq!(out.status.code(), Some(130), "{err}");
    assert!(err.contains("interrupted at step ") && err.contains("the state is saved in "), "{err}");
    let checkpoint = latest_checkpoint(Path::new(&dir)).unwrap();
    assert!(err.contains(&checkpoint.display().to_string()), "{err}");
    assert!(run(&["sample", &dir]).status.success());
}

#[test]
fn folders_that_take_no_run_say_why() {
    let tmp = Scratch::new("folders");
    let file = tmp.path("file");
    std::fs::write(&file, "").unwrap();
    let (code, err) = fails(&["train", "mlp-a", "--steps", "1", "--out", &file]);
    assert!(code == 1 && err.contains(&file) && err.contains("there is a file of this name"), "{err}");
    let (code, err) = fails(&["train", "mlp-a", "--steps", "1", "--seed", "9223372036854775808"]);
    assert!(code == 2 && err.contains("--seed") && err.contains("9223372036854775807"), "{err}");
    // In the folder where it is, through a link, and beside a number that has no next one of 32 bits.
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mnist").display().to_string();
    let at = |more: &[&str]| {
        let mut c = program(&[&["train", "mlp-a", "--steps", "1", "--data", &data], more].concat());
        let out = c.current_dir(&tmp.0).output().unwrap();
        (out.status.code(), text(&out.stderr))
    };
    let (code, err) = at(&["--out", "."]);
    assert!(code == Some(2) && err.contains("not empty"), "{err}");
    let empty = tmp.0.join("empty");
    std::fs::create_dir(&empty).unwrap();
    let mut c = program(&["train", "mlp-a", "--steps", "1", "--data", &data, "--out", "."]);
    let err = text(&c.current_dir(&empty).output().unwrap().stderr);
    assert!(err.contains("name a new folder within it"), "{err}");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&empty, tmp.0.join("link")).unwrap();
        assert_eq!(at(&["--out", "link"]).0, Some(0));
        assert!(empty.join("config.toml").is_file());
    }
    std::fs::create_dir_all(tmp.0.join("runs/4294967295-x")).unwrap();
    assert_eq!(at(&[]).0, Some(0));
    assert!(tmp.0.join("runs/4294967296-mnist-mlp-a/config.toml").is_file());
}

#[test]
fn runs_are_numbered() {
    let tmp = Scratch::new("numbered");
    for _ in 0..2 {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mnist");
        let mut c = Command::new(env!("CARGO_BIN_EXE_ganvil"));
        // The folder's name plays no part.
        let elsewhere = tmp.0.join("elsewhere");
        std::fs::create_dir_all(&elsewhere).unwrap();
        for file in ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"] {
            std::fs::copy(data.join(file), elsewhere.join(file)).unwrap();
        }
        c.args(["train", "mlp-a", "--steps", "2", "--data"]).arg(&elsewhere).current_dir(&tmp.0);
        assert!(c.output().unwrap().status.success());
    }
    assert!(tmp.0.join("runs/00000-mnist-mlp-a/config.toml").is_file());
    assert!(tmp.0.join("runs/00001-mnist-mlp-a/checkpoints/step-00000002.safetensors").is_file());
}
