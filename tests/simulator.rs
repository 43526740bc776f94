//! Training on the simulator, as a user does it: the same losses as on the CPU.
//!
//! Needs the simulator's library: `cargo build -p ptxsim`, and `GANVIL_PTXSIM` set to target/debug/libptxsim.so.

use common::{Scratch, fails, program, run, text};
use ganvil::autograd::grad;
use ganvil::backend::cpu::simd::Tier;
use ganvil::backend::cuda::{self, PTXSIM, Rung};
use ganvil::backend::{Backend, View, ViewMut};
use ganvil::data::{Dataset, Split, locate};
use ganvil::metrics::{ClassifierConfig, ClassifierTrainer};
use ganvil::rng::Stream;
use ganvil::{ConvOptions, DType, Device, Generator, Layout, Reduction, Tensor};
use serde_json::Value;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, Mutex};

mod common;

/// Whether the simulator is there; prints why a test is skipped if not.
fn simulator() -> bool {
    let told = std::env::var_os("GANVIL_PTXSIM").is_some_and(|p| Path::new(&p).is_file());
    if !told {
        println!("SKIPPED: GANVIL_PTXSIM names no library");
    }
    told
}

/// What each step of a run logged under `key`.
fn logged(dir: &Path, key: &str) -> Vec<f64> {
    let text = std::fs::read_to_string(dir.join("log.jsonl")).unwrap();
    let records = text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
    records.map(|r| r[key].as_f64().unwrap()).collect()
}

/// Runs the program, which must succeed, and hold none of the device's memory when it ends.
fn done(args: &[&str]) {
    let out = run(args);
    let err = text(&out.stderr);
    assert!(out.status.success() && !err.contains("warning"), "{args:?}: {err}");
}

/// Trains on both devices and compares the losses of every step, to 1e-4 relative.
fn same_losses(recipe: &str, steps: &str, batch: &str) {
    let scratch = Scratch::new(&format!("simulator-{recipe}"));
    let [cpu, simulated] = ["cpu", "ptxsim"].map(|device| {
        let out = scratch.path(device);
        let head = ["train", recipe, "--steps", steps, "--batch", batch, "--log-every", "1"];
        done(&[&head[..], &["--device", device, "--out", &out]].concat());
        scratch.0.join(device)
    });
    for key in ["d_loss", "g_loss"] {
        let (a, b) = (logged(&cpu, key), logged(&simulated, key));
        assert_eq!(a.len(), steps.parse::<usize>().unwrap());
        for (step, (a, b)) in a.iter().zip(&b).enumerate() {
            assert!((a - b).abs() <= 1e-4 * a.abs(), "{recipe}, step {}: {key} is {a} and {b}", step + 1);
        }
    }
}

#[test]
fn mlp_trains_to_the_same_losses() {
    if simulator() {
        same_losses("mlp", "5", "16");
    }
}

#[test]
fn a_small_dcgan_trains_to_the_same_losses() {
    if simulator() {
        same_losses("dcgan28-small", "2", "8");
    }
}

#[test]
fn runs_on_the_simulator_repeat_bit_for_bit() {
    if !simulator() {
        return;
    }
    let scratch = Scratch::new("simulator-repeats");
    let [a, b] = ["a", "b"].map(|name| {
        let head = ["train", "mlp-a", "--steps", "3", "--batch", "8", "--device", "ptxsim"];
        done(&[&head[..], &["--out", &scratch.path(name)]].concat());
        std::fs::read(scratch.0.join(name).join("checkpoints/step-00000003.safetensors")).unwrap()
    });
    assert!(a == b);
}

#[test]
fn samples_come_from_the_simulator() {
    if !simulator() {
        return;
    }
    let scratch = Scratch::new("simulator-samples");
    let (out, picture) = (scratch.path("run"), scratch.path("grid.png"));
    done(&["train", "mlp-a", "--steps", "2", "--batch", "8", "--out", &out]);
    done(&["sample", &out, "--n", "4", "--device", "ptxsim", "--out", &picture]);
    assert!(Path::new(&picture).is_file());
}

#[test]
fn the_classifier_trains_on_the_simulator() {
    if !simulator() {
        return;
    }
    let mut data = Dataset::load(locate(None).unwrap(), Split::Test).unwrap();
    data.images.count = 64;
    data.images.pixels.truncate(64 * data.images.area());
    data.labels.as_mut().unwrap().truncate(64);
    let config = ClassifierConfig { batch: 16, epochs: 1, ..ClassifierConfig::default() };
    let trained = [Device::Cpu, Device::Ptxsim].map(|device| {
        let mut trainer = ClassifierTrainer::new(config.clone(), Arc::new(data.clone()), device).unwrap();
        let losses = [(); 3].map(|()| trainer.step().unwrap());
        (losses, trainer.net().accuracy(&data).unwrap())
    });
    let [(cpu, cpu_accuracy), (simulated, accuracy)] = trained;
    assert!(cpu.iter().zip(&simulated).all(|(a, b)| (a - b).abs() <= 1e-4 * a), "{cpu:?} and {simulated:?}");
    // One picture in 64 may lie on the border between two digits.
    assert!((cpu_accuracy - accuracy).abs() <= 1.0 / 64.0, "{cpu_accuracy} and {accuracy}");
}

/// In a process of its own: a device that was shut down stays so.
#[test]
fn what_is_still_held_is_told_when_the_device_is_shut_down() {
    const INNER: &str = "GANVIL_TEST_SHUTDOWN";
    if !simulator() {
        return;
    }
    if let Ok(keep) = std::env::var(INNER) {
        let x = Tensor::ones(&[1000], DType::F32, Device::Cpu).to_device(Device::Ptxsim);
        let y = x.exp();
        drop(x);
        if keep == "yes" {
            std::mem::forget(y);
        } else {
            assert_eq!(y.sum_all().item().round(), 2718.0);
            drop(y);
        }
        let told = ganvil::device::shutdown().map_err(|e| e.to_string());
        assert!(ganvil::device::shutdown().is_ok(), "the second time there is nothing to do");
        let after = cuda::open(Device::Ptxsim).unwrap_err().to_string();
        assert!(after.contains("has been shut down"), "{after}");
        let failed =
            ganvil::try_run(|| Tensor::ones(&[1], DType::F32, Device::Ptxsim)).unwrap_err().to_string();
        assert!(failed.contains("has been shut down"), "{failed}");
        match told {
            Ok(()) => assert_eq!(keep, "no"),
            Err(e) => {
                assert_eq!(keep, "yes");
                let parts = [
                    "shut down ptxsim: 1 allocations of 4000 bytes",
                    "4000 bytes at 0x3",
                    "`unary_dense`",
                    "drop every",
                ];
                assert!(parts.iter().all(|p| e.contains(p)), "{e}");
            }
        }
        return;
    }
    for keep in ["yes", "no"] {
        let name = "what_is_still_held_is_told_when_the_device_is_shut_down";
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        let out = again.args([name, "--exact", "--nocapture"]).env(INNER, keep).output().unwrap();
        assert!(out.status.success(), "{keep}: {}{}", text(&out.stdout), text(&out.stderr));
    }
}

#[test]
fn a_missing_library_is_named() {
    let mut command = program(&["train", "--device", "ptxsim", "--steps", "1"]);
    let out = command.env("GANVIL_PTXSIM", "/nowhere/libptxsim.so").output().unwrap();
    let message = text(&out.stderr);
    assert_eq!((out.status.code(), message.trim_end().lines().count()), (Some(2), 1), "{message}");
    assert!(message.contains("/nowhere/libptxsim.so") && message.contains("--features ptxsim"), "{message}");
}

/// Where there is a driver there is nothing to see.
#[test]
fn a_missing_driver_is_said_in_one_line() {
    // One process has one driver, and this one's is the simulator: another is asked.
    let info = text(&run(&["info"]).stdout);
    if info.lines().any(|l| l.starts_with("gpu        cuda, ")) {
        return println!("SKIPPED: this machine has a GPU");
    }
    let (code, message) = fails(&["train", "--device", "cuda", "--steps", "1"]);
    assert_eq!((code, message.trim_end().lines().count()), (2, 1), "{message}");
    assert!(message.contains("libcuda.so") && message.contains("--device cpu"), "{message}");
}

/// The counts are the process's: tests that compute on the simulator in this process do so one at a time.
static ONE: Mutex<()> = Mutex::new(());

/// What the simulator counts for `f`, as the kernel's counts.
fn counted(kernel: &str, f: impl FnOnce()) -> Value {
    cuda::simulator_counts();
    f();
    let all: Value = serde_json::from_str(&cuda::simulator_counts().expect("the simulator is open")).unwrap();
    all["kernels"][kernel].as_object().unwrap_or_else(|| panic!("{kernel} was not launched: {all}"));
    all["kernels"][kernel].clone()
}

/// Sectors of global memory over the fewest that would do.
fn excess(counts: &Value) -> f64 {
    counts["global"]["sectors"].as_f64().unwrap() / counts["global"]["ideal_sectors"].as_f64().unwrap()
}

/// The gradient of the mean squared error by the prediction, with nothing recorded.
fn loss_gradient(x: &Tensor, target: &Tensor) -> Tensor {
    let x = x.detach().requires_grad();
    grad(&[&x.mse(target, Reduction::Mean)], &[&x], &[], false)[0].clone().unwrap()
}

#[test]
fn kernels_move_no_more_than_they_must() {
    if !simulator() {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    cuda::open(Device::Ptxsim).unwrap();
    let random = Generator::new(0, Stream::General);
    let normal = |shape: &[usize]| random.normal(shape, 0.0, 1.0, DType::F32, Device::Ptxsim);
    // Not multiples of a block's work, so that the last block is a part of one.
    let (x, y) = (normal(&[10_001]), normal(&[10_001]));
    for (kernel, counts) in [
        ("unary_dense", counted("unary_dense", || drop(x.tanh()))),
        ("binary_dense", counted("binary_dense", || drop(x.add(&y)))),
        ("random_f32", counted("random_f32", || drop(normal(&[10_001])))),
        ("sum_rows", counted("sum_rows", || drop(x.sum_all()))),
        ("loss_dense", counted("loss_dense", || drop(x.bce_with_logits(&y, Reduction::Mean)))),
        ("loss_grad_dense", counted("loss_grad_dense", || drop(loss_gradient(&x, &y)))),
    ] {
        assert!(excess(&counts) <= 1.05, "{kernel} asks for {} times what it needs", excess(&counts));
    }
    let m = normal(&[96, 160]);
    let turned = counted("transpose_b4", || drop(m.t().contiguous()));
    assert!(excess(&turned) <= 1.05 && turned["shared"]["bank_conflicts"] == 0, "{turned}");
    // Every pair of orders that operands can lie in; sizes that the small tile's quads divide.
    let (a, b) = (normal(&[128, 72]), normal(&[72, 192]));
    let (at, bt) = (a.t().contiguous(), b.t().contiguous());
    for (kernel, a, b) in [
        ("gemm_kl_64", a.clone(), b.clone()),
        ("gemm_kk_64", a.clone(), bt.t()),
        ("gemm_ll_64", at.t(), b.clone()),
        ("gemm_lk_64", at.t(), bt.t()),
    ] {
        let counts = counted(kernel, || drop(a.matmul(&b)));
        assert_eq!(counts["shared"]["bank_conflicts"], 0, "{kernel}: {counts}");
        assert!(excess(&counts) <= 1.05, "{kernel}: {counts}");
    }
    let image = |n, c, side| normal(&[n, side, side, c]).permute(&[0, 3, 1, 2]);
    let (x, w) = (image(2, 16, 14), normal(&[32, 16, 4, 4]));
    let options = ConvOptions::new().stride(2).padding(1);
    let g = x.conv2d(&w, None, &options);
    for (kernel, counts) in [
        ("conv2d_64", counted("conv2d_64", || drop(x.conv2d(&w, None, &options)))),
        (
            "conv2d_input_grad_64",
            counted("conv2d_input_grad_64", || drop(g.conv_transpose2d(&w, None, &options, [0, 0]))),
        ),
        (
            "conv2d_weight_grad_64",
            counted("conv2d_weight_grad_64", || drop(x.conv2d_weight_grad(&g, [4, 4], &options))),
        ),
    ] {
        assert_eq!(counts["shared"]["bank_conflicts"], 0, "{kernel}: {counts}");
    }
}

/// Kernels along lines: rows whose quads are aligned ask for exactly what they need, whole columns likewise, and nothing
/// of shared memory is waited for.
#[test]
fn kernels_along_lines_move_no_more_than_they_must() {
    if !simulator() {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    cuda::open(Device::Ptxsim).unwrap();
    let random = Generator::new(4, Stream::General);
    let normal = |shape: &[usize]| random.normal(shape, 0.0, 1.0, DType::F32, Device::Ptxsim);
    let lean = |kernel: &str, bytes: usize, f: &dyn Fn()| {
        let counts = counted(kernel, f);
        assert!(excess(&counts) <= 1.05, "{kernel}: {counts}");
        assert_eq!(counts["shared"]["bank_conflicts"], 0, "{kernel}: {counts}");
        // Each operand is read once: what is asked for is what must move.
        let sectors = counts["global"]["sectors"].as_f64().unwrap();
        assert!(sectors <= 1.05 * (bytes / 32) as f64, "{kernel}: {sectors} sectors for {bytes} bytes");
    };
    for (name, shape, passes) in [
        ("warp_128", [9, 96], 1),
        ("warp_1024", [9, 1000], 1),
        ("block_4096", [3, 4000], 1),
        ("block_8192", [3, 8192], 1),
        ("long", [2, 9000], 2),
    ] {
        let (x, g, n) = (normal(&shape), normal(&shape), 4 * shape[0] * shape[1]);
        lean(&format!("softmax_{name}"), n * (passes + 1), &|| drop(x.softmax(1)));
        lean(&format!("softmax_{name}"), n * (passes + 1), &|| drop(x.log_softmax(1)));
        let t = x.requires_grad();
        let y = t.softmax(1);
        lean(&format!("softmax_grad_{name}"), n * (2 * passes + 1), &|| {
            drop(grad(&[&y], &[&t], std::slice::from_ref(&g), false));
        });
        // Beside the logits a line's class, logit, loss and two numbers, each in a sector of its own at worst.
        let (class, line) = (t.detach().argmax(1, false), 5 * 32 * shape[0]);
        let mut loss = None;
        lean(&format!("cross_entropy_{name}"), n + line, &|| drop(t.cross_entropy(&class, Reduction::None)));
        counted("sum_rows", || loss = Some(t.cross_entropy(&class, Reduction::Sum)));
        // What is known of a line is asked for by every access of 16 bytes in it.
        lean("cross_entropy_grad_rows", 2 * n + n / 2, &|| {
            drop(grad(&[loss.as_ref().unwrap()], &[&t], &[], false))
        });
    }
    norms_move_no_more_than_they_must(&normal, &lean);
    for (name, shape, passes) in [("columns_128", [2, 100, 64], 1), ("columns", [2, 200, 64], 2)] {
        let (x, n) = (normal(&shape), 4 * shape.iter().product::<usize>());
        lean(&format!("softmax_{name}"), n * (passes + 1), &|| drop(x.softmax(1)));
    }
}

/// Asserts that what is done launches this kernel, which asks for about so many bytes.
type Lean<'a> = dyn Fn(&str, usize, &dyn Fn()) + 'a;

/// Normalisation within samples: `passes` readings of x forward, `grad_passes` of x and g backward. Weights are read by every
/// row, from a cache.
fn norms_move_no_more_than_they_must(normal: &dyn Fn(&[usize]) -> Tensor, lean: &Lean) {
    type Norm = fn(&Tensor, usize, &Tensor, &Tensor) -> Tensor;
    let layer: Norm = |x, _, w, b| x.layer_norm(&[x.size(-1)], Some(w), Some(b), 1e-5);
    let group: Norm = |x, n, w, b| x.group_norm(n, Some(w), Some(b), 1e-5);
    let image = |n, c, side| normal(&[n, side, side, c]).permute(&[0, 3, 1, 2]);
    // Kernel, operand, norm, groups, weights, readings of x forward and backward.
    for (name, x, norm, groups, weights, passes, grad_passes) in [
        ("warp_128", normal(&[16, 96]), layer, 1, 96, 1, 1),
        ("warp_1024", normal(&[9, 1000]), layer, 1, 1000, 1, 1),
        ("block_4096", normal(&[3, 4000]), layer, 1, 4000, 1, 1),
        ("block_8192", normal(&[3, 8192]), layer, 1, 8192, 1, 1),
        ("long", normal(&[2, 9000]), layer, 1, 9000, 3, 2),
        ("block_4096", image(2, 128, 7), group, 2, 128, 1, 1),
        ("lanes", image(2, 64, 9), group, 64, 64, 3, 2),
        ("lanes", image(2, 64, 9), group, 16, 64, 3, 2),
    ] {
        let n = 4 * x.numel();
        let (t, w, b) = (x.requires_grad(), normal(&[weights]), normal(&[weights]));
        let stats = 32 * n / 4 / weights;
        // A lane asks for its channel's weight once.
        let reading = if name == "lanes" { n / 4 } else { n };
        lean(&format!("group_norm_{name}"), n * (passes + 1) + 2 * reading + stats, &|| {
            drop(norm(&t, groups, &w, &b))
        });
        let y = norm(&t, groups, &w, &b);
        let g = normal(y.shape());
        lean(
            &format!("group_norm_grad_{name}"),
            n * (2 * grad_passes + 1) + reading * grad_passes + stats,
            &|| {
                drop(grad(&[&y], &[&t], std::slice::from_ref(&g), false));
            },
        );
    }
    // The sums for the weights read what is given twice over, x and g, and a line's mean and deviation.
    let (x, w) = (normal(&[500, 64]), normal(&[64]).requires_grad());
    let (y, n) = (layer(&x, 1, &w, &w), 4 * x.numel());
    lean("group_norm_sums_columns", 2 * n + 2 * 500 * 32, &|| drop(grad(&[&y], &[&w], &[y.detach()], false)));
}

#[test]
fn the_rungs_of_the_ladder_agree_with_the_cpu_at_odd_sizes() {
    if !simulator() {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let random = Generator::new(1, Stream::General);
    for (m, n, k) in [(1, 1, 1), (3, 5, 7), (65, 33, 17), (64, 128, 96), (130, 129, 70)] {
        let matrix = |rows, columns| random.normal(&[rows, columns], 0.0, 1.0, DType::F32, Device::Cpu);
        let (a, b) = (matrix(m, k), matrix(k, n));
        let want = a.matmul(&b).to_vec::<f32>();
        let bytes = |t: &Tensor| t.to_vec::<f32>().iter().flat_map(|v| v.to_ne_bytes()).collect::<Vec<u8>>();
        let (x, y) = (PTXSIM.upload(DType::F32, &bytes(&a)), PTXSIM.upload(DType::F32, &bytes(&b)));
        let [la, lb, lc] = [[m, k], [k, n], [m, n]].map(|shape| Layout::contiguous(&shape));
        for rung in Rung::ALL {
            let mut z = PTXSIM.alloc(DType::F32, m * n);
            let c = ViewMut { storage: &mut z, layout: &lc };
            PTXSIM.gemm_rung(rung, View { storage: &x, layout: &la }, View { storage: &y, layout: &lb }, c);
            let mut got = vec![0f32; m * n];
            PTXSIM.download(&z, 0, bytemuck::cast_slice_mut(&mut got));
            for (i, (g, w)) in got.iter().zip(&want).enumerate() {
                // k roundings of terms of size 1 in either order.
                let bound = 2.0 * k as f32 * f32::EPSILON * 4.0;
                assert!((g - w).abs() <= bound, "{} {m} {n} {k}, element {i}: {g} and {w}", rung.name());
            }
        }
    }
}

/// Tensors of the same values on the CPU and on the simulator.
fn both(t: &Tensor) -> [Tensor; 2] {
    [t.clone(), t.to_device(Device::Ptxsim)]
}

/// Asserts that the simulator's result is the CPU's but for the order of sums.
fn close(what: &str, cpu: &Tensor, simulated: &Tensor) {
    let (a, b) = (cpu.to_vec::<f32>(), simulated.to_vec::<f32>());
    assert_eq!(cpu.shape(), simulated.shape(), "{what}");
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    let error = norm(&mut a.iter().zip(&b).map(|(a, b)| f64::from(a - b)));
    assert!(error <= 1e-5 * norm(&mut a.iter().map(|a| f64::from(*a))), "{what}: off by {error} in L2");
}

/// Results of so many tiles that the backend takes the large one, and more matrices than a grid has places for.
#[test]
fn large_problems_have_the_values_of_the_cpu() {
    if !simulator() {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let random = Generator::new(2, Stream::General);
    let normal = |shape: &[usize]| random.normal(shape, 0.0, 1.0, DType::F32, Device::Cpu);
    let ([a, sa], [b, sb]) = (both(&normal(&[65, 18])), both(&normal(&[18, 16_900])));
    let turned = |t: &Tensor| t.t().contiguous().t();
    let want = a.matmul(&b);
    for (kernel, a, b) in [
        ("gemm_kl_128", sa.clone(), sb.clone()),
        ("gemm_kk_128", sa.clone(), turned(&sb)),
        ("gemm_ll_128", turned(&sa), sb.clone()),
        ("gemm_lk_128", turned(&sa), turned(&sb)),
    ] {
        let mut y = None;
        counted(kernel, || y = Some(a.matmul(&b)));
        close(kernel, &want, &y.unwrap());
    }
    let ([a, sa], [b, sb]) = (both(&normal(&[70_000, 1, 2])), both(&normal(&[70_000, 2, 1])));
    close("70000 matrices", &a.matmul(&b), &sa.matmul(&sb));
    let options = ConvOptions::new().padding(1);
    // Many pixels and a tile's worth of channels; for the weight, many taps.
    let ([x, sx], [w, sw]) = (both(&normal(&[2, 8, 92, 92])), both(&normal(&[128, 8, 3, 3])));
    let mut y = None;
    counted("conv2d_128", || y = Some(sx.conv2d(&sw, None, &options)));
    close("conv2d_128", &x.conv2d(&w, None, &options), &y.take().unwrap());
    let [w, sw] = both(&normal(&[8, 128, 3, 3]));
    counted("conv2d_input_grad_128", || y = Some(sx.conv_transpose2d(&sw, None, &options, [0, 0])));
    close("conv2d_input_grad_128", &x.conv_transpose2d(&w, None, &options, [0, 0]), &y.take().unwrap());
    let ([x, sx], [g, sg]) = (both(&normal(&[1, 1900, 4, 4])), both(&normal(&[1, 128, 4, 4])));
    counted("conv2d_weight_grad_128", || y = Some(sx.conv2d_weight_grad(&sg, [3, 3], &options)));
    close("conv2d_weight_grad_128", &x.conv2d_weight_grad(&g, [3, 3], &options), &y.take().unwrap());
    // More groups times phases than a grid has layers.
    let depthwise = ConvOptions::new().stride(2).groups(16_400);
    let ([x, sx], [w, sw]) = (both(&normal(&[1, 16_400, 1, 1])), both(&normal(&[16_400, 1, 2, 2])));
    let (y, sy) = (
        x.conv_transpose2d(&w, None, &depthwise, [0, 0]),
        sx.conv_transpose2d(&sw, None, &depthwise, [0, 0]),
    );
    close("65600 groups and phases", &y, &sy);
    let pixelwise = ConvOptions::new().groups(65_600);
    let ([x, sx], [w, sw]) = (both(&normal(&[1, 65_600, 1, 1])), both(&normal(&[65_600, 1, 1, 1])));
    close("65600 groups", &x.conv2d(&w, None, &pixelwise), &sx.conv2d(&sw, None, &pixelwise));
}

/// What is promised to be the same: elementwise functions on the tiers with FMA, random numbers, conversions.
#[test]
fn bits_are_those_of_the_cpu() {
    if !simulator() {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let bits = |t: &Tensor| t.to_vec::<f32>().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    let draws = |device| {
        let random = Generator::new(3, Stream::General);
        [
            random.normal(&[4099], 0.5, 2.0, DType::F32, device),
            random.uniform(&[4099], -1.0, 3.0, DType::F32, device),
            random.bernoulli(&[4099], 0.3, 2.0, DType::F32, device),
        ]
    };
    for (cpu, simulated) in draws(Device::Cpu).iter().zip(&draws(Device::Ptxsim)) {
        assert!(bits(cpu) == bits(simulated), "random numbers differ");
    }
    let [x, s] = both(&draws(Device::Cpu)[0].mul_scalar(8.0));
    for dtype in [DType::F16, DType::BF16, DType::I64] {
        let back = |t: &Tensor| bits(&t.to_dtype(dtype).to_dtype(DType::F32));
        assert!(back(&x) == back(&s), "conversion to {dtype} differs");
    }
    if ganvil::backend::cpu::simd::tier() == Tier::Portable {
        return println!("SKIPPED: the portable tier has no FMA");
    }
    type Function = fn(&Tensor) -> Tensor;
    let functions: [(&str, Function); 9] = [
        ("exp", |x| x.exp()),
        ("log", |x| x.abs().log()),
        ("tanh", |x| x.tanh()),
        ("sigmoid", |x| x.sigmoid()),
        ("softplus", |x| x.softplus(1.0, 20.0)),
        ("leaky_relu", |x| x.leaky_relu(0.2)),
        ("sqrt", |x| x.abs().sqrt()),
        ("affine", |x| x.mul_scalar(0.3).add_scalar(0.7)),
        ("div", |x| x.div(&x.square().add_scalar(1.0))),
    ];
    for (name, f) in functions {
        assert!(bits(&f(&x)) == bits(&f(&s)), "{name} has other bits");
    }
}

/// A class that is none is told when the device is next waited for, as any index.
#[test]
fn a_class_out_of_range_is_reported() {
    if !simulator() {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let device = |t: Tensor| t.to_device(Device::Ptxsim);
    // Rows, and columns.
    for (shape, classes) in [(vec![2, 3], vec![2i64, 3]), (vec![1, 3, 2], vec![2, -1])] {
        let x = device(Tensor::ones(&shape, DType::F32, Device::Cpu));
        let class = device(Tensor::new(&classes, &[&shape[..1], &shape[2..]].concat()));
        let failed =
            std::panic::catch_unwind(AssertUnwindSafe(|| x.cross_entropy(&class, Reduction::Mean).item()))
                .unwrap_err();
        let message = failed.downcast_ref::<String>().expect("a message");
        let wanted = format!("index {} is out of range for a dimension of 3 entries", classes[1]);
        assert!(message.contains(&wanted) && message.contains("cross_entropy"), "{message}");
        let right = device(Tensor::new(&[0i64, 1], &[&shape[..1], &shape[2..]].concat()));
        assert!((x.cross_entropy(&right, Reduction::Mean).item() - 3f64.ln()).abs() < 1e-6);
    }
}

/// A thread that never touched the driver may be the last to hold a tensor; and a device that is not there leaves no trace.
#[test]
fn tensors_end_on_any_thread() {
    if !simulator() {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let x = ganvil::threads(2, || Tensor::ones(&[4], DType::F32, Device::Ptxsim));
    std::thread::spawn(move || drop(x)).join().unwrap();
    assert_eq!(Tensor::ones(&[4], DType::F32, Device::Ptxsim).sum_all().item(), 4.0);
    let other = cuda::open(Device::Cuda).unwrap_err().to_string();
    assert!(other.contains("one process has one driver"), "{other}");
    assert!(cuda::open(Device::Cpu).is_err() && cuda::open(Device::Ptxsim).is_ok());
}

/// n whole numbers from -8 to 8: sums of them are exact in any order.
fn whole(shape: &[usize]) -> Tensor {
    let n = shape.iter().product::<usize>();
    let each: Vec<f32> = (0..n).map(|i| (i * 7919 % 17) as f32 - 8.0).collect();
    Tensor::new(&each, shape)
}

/// n indices below `size`; how they are spread is the second argument's to say.
fn indices(shape: &[usize], spread: fn(usize, usize) -> usize, size: usize) -> Tensor {
    let each: Vec<i64> = (0..shape.iter().product()).map(|i| spread(i, size) as i64).collect();
    Tensor::new(&each, shape)
}

/// Everywhere, all in one place, a few here and the rest there, in long runs, falling.
const SPREADS: [fn(usize, usize) -> usize; 5] = [
    |i, size| i * 7919 % size,
    |_, size| size / 2,
    |i, size| if i % 40 == 0 { i / 40 % size } else { size - 1 },
    |i, size| i / 77 % size,
    |i, size| size - 1 - i % size,
];

#[test]
fn additions_to_indexed_places_have_the_values_of_the_cpu() {
    if !simulator() {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let bits = |t: &Tensor| t.to_vec::<f32>().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    for spread in SPREADS {
        // Around a block of the sort, a chunk and a warp of columns; more than 256 and than 65536 places.
        for (outer, size, inner, count) in
            [(1, 10, 128, 3000), (2, 3, 1, 65), (1, 300, 5, 2049), (1, 70_000, 1, 640), (3, 7, 33, 96)]
        {
            let index = indices(&[count], spread, size);
            let (acc, src) = (whole(&[outer, size, inner]), whole(&[outer, count, inner]));
            let [acc, src] = [acc, src].map(|t| both(&t));
            let want = acc[0].index_add(1, &index, &src[0]);
            let index = index.to_device(Device::Ptxsim);
            let add = || acc[1].index_add(1, &index, &src[1]);
            assert!(bits(&add()) == bits(&want), "index_add {outer} {size} {inner} {count}");
        }
        for (shape, dim, picks) in [
            (&[1000][..], 0, &[9001][..]),
            (&[40, 7], 0, &[700, 5]),
            (&[3, 70_000], 1, &[2, 4100]),
            (&[2, 5, 3], 1, &[2, 65, 3]),
        ] {
            let index = indices(picks, spread, shape[dim]);
            let ([acc, sa], [src, ss]) = (both(&whole(shape)), both(&whole(picks)));
            let want = acc.scatter_add(dim as isize, &index, &src);
            let got = sa.scatter_add(dim as isize, &index.to_device(Device::Ptxsim), &ss);
            assert!(bits(&got) == bits(&want), "scatter_add {shape:?} {dim} {picks:?}");
        }
    }
}

/// The order of the additions is the kernels' and no worker's: the same bits each time, for numbers whose sums round.
#[test]
fn additions_to_indexed_places_repeat_bit_for_bit_and_come_near() {
    if !simulator() {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let random = Generator::new(5, Stream::General);
    let normal = |shape: &[usize]| both(&random.normal(shape, 0.0, 1.0, DType::F32, Device::Cpu));
    let bits = |t: &Tensor| t.to_vec::<f32>().iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    for spread in SPREADS {
        let ([acc, sa], [src, ss]) = (normal(&[12, 40]), normal(&[2500, 40]));
        let index = indices(&[2500], spread, 12);
        let there = index.to_device(Device::Ptxsim);
        let got = sa.index_add(0, &there, &ss);
        close("index_add", &acc.index_add(0, &index, &src), &got);
        assert!(bits(&got) == bits(&sa.index_add(0, &there, &ss)));
        let ([acc, sa], [src, ss]) = (normal(&[90]), normal(&[9000]));
        let index = indices(&[9000], spread, 90);
        let there = index.to_device(Device::Ptxsim);
        let got = sa.scatter_add(0, &there, &ss);
        close("scatter_add", &acc.scatter_add(0, &index, &src), &got);
        assert!(bits(&got) == bits(&sa.scatter_add(0, &there, &ss)));
    }
}

#[test]
fn sorted_additions_move_no_more_than_they_must() {
    if !simulator() {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let there = |t: Tensor| t.to_device(Device::Ptxsim);
    let (acc, src) = (there(whole(&[10, 128])), there(whole(&[4096, 128])));
    let index = there(indices(&[4096], SPREADS[0], 10));
    let rows = |kernel| counted(kernel, || drop(acc.index_add(0, &index, &src)));
    let (line, values) = (there(whole(&[10])), there(whole(&[8192])));
    let one_place = there(indices(&[8192], SPREADS[1], 10));
    let single = |kernel| counted(kernel, || drop(line.scatter_add(0, &one_place, &values)));
    for (kernel, counts) in [
        ("radix_scan", rows("radix_scan")),
        ("segment_rows", rows("segment_rows")),
        ("segment_rows_long", rows("segment_rows_long")),
        ("scatter_value_keys", single("scatter_value_keys")),
        ("segment_values", single("segment_values")),
        ("segment_values_long", single("segment_values_long")),
    ] {
        assert!(excess(&counts) <= 1.05, "{kernel} asks for {} times what it needs", excess(&counts));
        assert_eq!(counts["shared"]["bank_conflicts"], 0, "{kernel}: {counts}");
    }
}

/// An index that is none is found after the op has returned; the message still says whose it was.
#[test]
fn a_bad_index_is_reported_with_the_name_of_its_op() {
    if !simulator() {
        return;
    }
    let _one = ONE.lock().unwrap_or_else(|e| e.into_inner());
    let there = |t: Tensor| t.to_device(Device::Ptxsim);
    let with_one_bad = |n: usize| {
        let mut each = vec![0i64; n];
        each[n / 2] = 7;
        there(Tensor::new(&each, &[n]))
    };
    let (x, line) = (there(whole(&[3, 2])), there(whole(&[3])));
    let added = |n| x.index_add(0, &with_one_bad(n), &there(whole(&[n, 2])));
    let scattered = |n| line.scatter_add(0, &with_one_bad(n), &there(whole(&[n])));
    // Indices that are walked, and indices that are sorted.
    let cases: [(&str, &dyn Fn() -> Tensor); 7] = [
        ("index_select", &|| x.index_select(0, &with_one_bad(5))),
        ("embedding", &|| Tensor::embedding(&with_one_bad(5), &x)),
        ("gather", &|| line.gather(0, &with_one_bad(5))),
        ("index_add", &|| added(5)),
        ("index_add", &|| added(200)),
        ("scatter_add", &|| scattered(5)),
        ("scatter_add", &|| scattered(200)),
    ];
    let message = |f: &dyn Fn() -> Tensor| {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| f().to_vec::<f32>()));
        *result.expect_err("the index is out of range").downcast::<String>().unwrap()
    };
    for (op, f) in cases {
        let said = message(f);
        let wanted = format!("{op}: index 7 is out of range for a dimension of 3 entries (found on ptxsim ");
        assert!(said.starts_with(&wanted), "{op}: {said}");
        // The note is cleared with the report.
        assert_eq!(line.sum_all().item(), whole(&[3]).sum_all().item());
    }
    // Each op has a note of its own.
    let both = message(&|| {
        drop(added(5));
        scattered(200)
    });
    assert!(both.contains("index_add: index 7") && both.contains("scatter_add: index 7"), "{both}");
}
