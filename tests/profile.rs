//! Where the time of steps goes: spans, the profile made of them, and `--profile`.

use common::{Scratch, fails, run, text};
use ganvil::backend::trace::{self, Part, Span, Timeline};
use ganvil::nn::{Ctx, LeakyReLU, Linear, Module, Sequential, gradients};
use ganvil::report::{Profile, read_log};
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Tensor};
use serde_json::Value;
use std::fs;
use std::path::Path;

mod common;
#[path = "runs/data.rs"]
mod data;

fn ones(shape: &[usize]) -> Tensor {
    Tensor::ones(shape, DType::F32, Device::Cpu)
}

/// Every span of a thread lies within each that is open on it when it begins.
fn assert_nested(spans: &[Span]) {
    let threads = spans.iter().map(|s| s.thread).max().unwrap_or(0);
    for thread in 0..=threads {
        let mut open: Vec<&Span> = Vec::new();
        for span in spans.iter().filter(|s| s.thread == thread) {
            while open.last().is_some_and(|o| o.end <= span.start) {
                open.pop();
            }
            for o in &open {
                assert!(o.start <= span.start && span.end <= o.end, "{span:?} in {o:?}");
            }
            open.push(span);
        }
    }
}

#[test]
fn layers_are_told_from_kernels_forward_and_backward() {
    let random = Generator::new(0, Stream::Init);
    let net = Sequential::new()
        .with(Linear::new(32, 48, true, &random))
        .with(LeakyReLU { negative_slope: 0.2 })
        .with(Linear::new(48, 1, true, &random));
    let timeline = Timeline::default();
    let step = || {
        let y = net.forward(&ones(&[16, 32]), &Ctx::eval());
        gradients(&y.square().mean_all(), &net)
    };
    let grads = timeline.watch(step);
    let spans = timeline.spans();
    assert_nested(&spans);
    let profile = Profile::new(spans, 1);
    let cost = |name: &str, part| {
        let found = profile.layers.iter().find(|c| c.name == name && c.part == part);
        found.unwrap_or_else(|| panic!("no {name} {part:?} in {:?}", profile.layers))
    };
    // 2 m n k; backward only the gradient of the first weight, and both of the last layer.
    assert_eq!(cost("0", Part::Forward).flops, 2 * 16 * 48 * 32);
    assert_eq!(cost("0", Part::Backward).flops, 2 * 16 * 48 * 32);
    assert_eq!(cost("2", Part::Backward).flops, 2 * 2 * 16 * 48);
    assert_eq!(cost("2", Part::Backward).kind, "Linear");
    assert!(cost("losses", Part::Backward).calls > 0);
    let sum = |of: &[ganvil::report::Cost]| of.iter().map(|c| c.seconds).sum::<f64>();
    let whole: f64 =
        profile.spans().iter().filter(|s| s.parent.is_none()).map(|s| s.duration().as_secs_f64()).sum();
    // Times are whole nanoseconds.
    assert!((sum(&profile.layers) - whole).abs() < 1e-9 * profile.spans().len() as f64);
    assert!((sum(&profile.kernels) - whole).abs() < 1e-9 * profile.spans().len() as f64);
    for (a, b) in grads.iter().zip(step()) {
        assert_eq!(a.as_ref().unwrap().to_vec::<f32>(), b.unwrap().to_vec::<f32>());
    }
}

#[test]
fn a_product_has_the_operations_and_bytes_of_its_shape() {
    let (a, b) = (ones(&[8, 20, 30]), ones(&[30, 40]));
    let timeline = Timeline::default();
    let (_, calls) = timeline.watch(|| trace::record(|| a.matmul(&b)));
    let spans = timeline.spans();
    let gemm: Vec<&Span> = spans.iter().filter(|s| &*s.name == "gemm").collect();
    assert_eq!((gemm.len(), gemm[0].part), (1, Part::Kernel), "recorded and timed at once");
    assert_eq!(gemm[0].call.as_ref(), calls.iter().find(|c| c.kernel == "gemm"));
    let profile = Profile::new(spans.clone(), 1);
    let cost = profile.kernels.iter().find(|c| c.name == "gemm").unwrap();
    assert_eq!(cost.flops, 2 * 8 * 20 * 30 * 40);
    // However the batch is laid out for the kernel, b is read once.
    assert_eq!(cost.bytes, 4 * (8 * 20 * 30 + 30 * 40 + 8 * 20 * 40));
}

#[test]
fn pieces_of_a_kernel_are_on_the_threads_that_did_them() {
    let x = ones(&[512, 512]);
    let spans = ganvil::threads(2, || {
        let timeline = Timeline::default();
        timeline.watch(|| (0..20).for_each(|_| drop(x.matmul(&x))));
        timeline.spans()
    });
    assert_nested(&spans);
    let pieces: Vec<&Span> = spans.iter().filter(|s| s.part == Part::Piece).collect();
    assert!(pieces.len() >= 20, "{} pieces", pieces.len());
    for piece in pieces {
        let kernel = &spans[piece.parent.unwrap()];
        assert!(&*piece.name == "gemm" && kernel.start <= piece.start && piece.end <= kernel.end);
    }
}

const GAME: [&str; 8] = ["--steps", "16", "--batch", "8", "--log-every", "4", "--threads", "2"];

fn trained(tmp: &Scratch, out: &str, args: &[&str]) -> String {
    let folder = tmp.path("data");
    if !Path::new(&folder).exists() {
        data::write(Path::new(&folder), 64, 28);
    }
    let out = run(&[&["train", "dcgan28-small", "--data", &folder, "--out", out][..], &GAME, args].concat());
    assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
    text(&out.stdout)
}

fn number(v: &Value, key: &str) -> f64 {
    v[key].as_f64().unwrap_or_else(|| panic!("no {key} in {v}"))
}

#[test]
fn a_profiled_run_is_the_run_without() {
    let tmp = Scratch::new("profile");
    let (plain, timed) = (tmp.path("plain"), tmp.path("timed"));
    assert_eq!(trained(&tmp, &plain, &[]), "");
    let table = trained(&tmp, &timed, &["--profile=4"]);
    let checkpoint =
        |dir: &str| fs::read(Path::new(dir).join("checkpoints/step-00000016.safetensors")).unwrap();
    assert!(checkpoint(&plain) == checkpoint(&timed));
    let losses = |dir: &str| -> Vec<(Value, Value)> {
        let log = read_log(Path::new(dir).join("log.jsonl")).unwrap();
        log.iter().map(|r| (r["d_loss"].clone(), r["g_loss"].clone())).collect()
    };
    assert_eq!(losses(&plain), losses(&timed));
    assert!(!Path::new(&plain).join("profile.json").exists());

    // 16 steps are left, so that 8 are for warming up.
    assert!(table.contains("steps 9 to 12: "), "{table}");
    for words in
        ["gemm", "conv2d_weight_grad", "D.net.0", "ConvTranspose2d", "backward", "optimiser", "directions"]
    {
        assert!(table.contains(words), "no {words} in:\n{table}");
    }
    let trace: Value =
        serde_json::from_slice(&fs::read(Path::new(&timed).join("profile.json")).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let spans: Vec<&Value> = events.iter().filter(|e| e["ph"] == "X").collect();
    let interval = |e: &Value| (number(e, "ts"), number(e, "ts") + number(e, "dur"));
    for (name, cat) in [
        ("real batch", "data"),
        ("noise", "data"),
        ("D forward on x", "phase"),
        ("optimiser of G", "optimiser"),
    ] {
        assert!(spans.iter().any(|e| e["name"] == name && e["cat"] == cat), "no {name}");
    }
    let steps: Vec<&&Value> = spans.iter().filter(|e| e["cat"] == "step").collect();
    assert_eq!(steps.len(), 4);
    // What lies directly in a step fills it.
    for step in steps {
        let (from, to) = interval(step);
        let mut end = from;
        let mut inside = 0.0;
        for e in spans.iter().filter(|e| e["tid"] == step["tid"] && e["cat"] != "step") {
            let (a, b) = interval(e);
            // A nanosecond is a thousandth of a microsecond; sums of numbers this size are off by far less.
            if a >= from && b <= to + 1e-4 && a >= end - 1e-4 {
                (end, inside) = (b, inside + b - a);
            }
        }
        assert!(inside >= 0.9 * (to - from), "{inside} of {} us", to - from);
    }
    // Events of a thread nest, and stand in the order in which they began.
    let mut open: Vec<(f64, f64)> = Vec::new();
    for (a, b) in spans.iter().filter(|e| e["tid"] == 0).map(|e| interval(e)) {
        open.retain(|o| o.1 > a + 1e-4);
        assert!(open.iter().all(|o| o.0 <= a + 1e-4 && b <= o.1 + 1e-4), "{a} to {b} in {open:?}");
        open.push((a, b));
    }
    let rate = spans.iter().find(|e| e["name"] == "conv2d_weight_grad").unwrap();
    let flops = number(&rate["args"], "flops");
    assert!((number(&rate["args"], "GFLOP/s") - flops / number(rate, "dur") * 1e-3).abs() < 1e-6 * flops);
}

#[test]
fn a_profile_takes_what_steps_there_are() {
    let tmp = Scratch::new("profile-short");
    let dir = tmp.path("run");
    let table = trained(&tmp, &dir, &["--profile"]);
    assert!(table.contains("steps 9 to 16: "), "{table}");
    let out = run(&["resume", &dir, "--steps", "17", "--profile=3"]);
    assert!(text(&out.stdout).contains("step 17: "), "{} {}", text(&out.stdout), text(&out.stderr));
    for n in ["0", "1001"] {
        let folder = tmp.path("data");
        let args = ["train", "--data", &folder, "--out", &tmp.path("none"), &format!("--profile={n}")];
        let (code, err) = fails(&args);
        assert!(code == 2 && err.contains(&format!("--profile '{n}'")) && err.contains("1 to 1000"), "{err}");
    }
}
