//! The Inception network beside the package pytorch-fid's own module, and what a file of weights may be.

#[allow(dead_code, reason = "the program is not started here")]
#[path = "../common/mod.rs"]
mod common;

use common::Scratch;
use ganvil::checkpoint;
use ganvil::data::Images;
use ganvil::metrics::Inception;
use ganvil::{DType, Device, Tensor};
use std::io::Write;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Names and shapes of the package's convolutions, by `.ci/inception.py layers`.
const LAYERS: &str = include_str!("layers.txt");

/// Numbers in [-1, 1) by a formula, other ones for each name: a hash of the index (murmur3's last step).
fn noise(name: &str, count: usize) -> impl Iterator<Item = f64> {
    let seed =
        name.bytes().fold(0x811c_9dc5_u32, |seed, byte| (seed ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (1..=count as u32).map(move |i| {
        let mut h = i.wrapping_mul(0x9e37_79b1) ^ seed;
        h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
        h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
        f64::from(h ^ (h >> 16)) / 2f64.powi(31) - 1.0
    })
}

fn tensor(name: &str, shape: &[usize], f: impl Fn(f64) -> f64) -> (String, Tensor) {
    let values: Vec<f32> = noise(name, shape.iter().product()).map(|v| f(v) as f32).collect();
    (name.to_owned(), Tensor::new(&values, shape))
}

/// Every tensor of the network, as [`noise`] has it.
fn by_formula() -> Vec<(String, Tensor)> {
    let matrix = |name: &str, shape: &[usize]| {
        let bound = (6.0 / shape[1..].iter().product::<usize>() as f64).sqrt();
        tensor(name, shape, |v| v * bound)
    };
    let mut all = vec![matrix("fc.weight", &[1008, 2048]), tensor("fc.bias", &[1008], |v| 0.25 * v)];
    for line in LAYERS.lines() {
        let mut words = line.split(' ');
        let name = words.next().unwrap();
        let shape: Vec<usize> = words.map(|w| w.parse().unwrap()).collect();
        all.push(matrix(&format!("{name}.conv.weight"), &shape));
        for (what, base, share) in [
            ("weight", 1.0, 0.5),
            ("bias", 0.0, 0.25),
            ("running_mean", 0.0, 0.25),
            ("running_var", 1.0, 0.5),
        ] {
            all.push(tensor(&format!("{name}.bn.{what}"), &shape[..1], |v| base + share * v));
        }
    }
    all
}

fn saved(folder: &Scratch, name: &str, tensors: &[(String, Tensor)]) -> String {
    checkpoint::save(folder.path(name).as_ref(), tensors, &serde_json::Value::Null).unwrap();
    folder.path(name)
}

static BY_FORMULA: LazyLock<Inception> = LazyLock::new(|| {
    let folder = Scratch::new("inception");
    Inception::load(saved(&folder, "formula.safetensors", &by_formula()).as_ref()).unwrap()
});

fn grey(count: usize, side: usize, pixels: Vec<u8>) -> Images {
    Images { count, channels: 1, rows: side, cols: side, pixels }
}

fn noisy(name: &str, count: usize) -> Vec<u8> {
    noise(name, count).map(|v| (v * 128.0 + 128.0) as u8).collect()
}

/// |a - b| / |b|
fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut a.iter().zip(b).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    difference / norm(&mut b.iter().map(|b| f64::from(*b)))
}

/// What `.ci/inception.py fixture` prints, with PyTorch's convolutions.
#[rustfmt::skip]
const FEATURES: [(usize, f64); 24] = [
    (0, 0.0181848), (89, 3.318415), (178, 10.67639), (267, 12.38599), (356, 5.402872), (445, 7.112766), (534, 0.0),
    (623, 0.3175047), (712, 0.0), (801, 6.380354), (890, 12.3623), (979, 1.49315), (1068, 0.3086328),
    (1157, 10.58041), (1246, 30.22101), (1335, 4.086849), (1424, 0.390462), (1513, 0.9823059), (1602, 0.157056),
    (1691, 16.37841), (1780, 0.4696815), (1869, 11.16444), (1958, 0.8642707), (2047, 0.007324013),
];
const NORM: f64 = 395.2426;
const LOGITS: [(usize, f64); 5] =
    [(0, 6.400475), (251, 13.40207), (502, 7.78355), (753, -0.954613), (1004, -15.80958)];

#[test]
fn a_picture_has_the_features_that_pytorch_finds() {
    let features = BY_FORMULA.features(&grey(1, 28, noisy("picture", 784))).unwrap();
    assert_eq!(features.shape(), [1, 2048]);
    let found = features.to_f64_vec();
    let root_mean_square = NORM / 2048f64.sqrt();
    for (i, expected) in FEATURES {
        assert!((found[i] - expected).abs() < 2e-5 * root_mean_square, "{i}: {} {expected}", found[i]);
    }
    let norm = found.iter().map(|v| v * v).sum::<f64>().sqrt();
    assert!((norm / NORM - 1.0).abs() < 1e-6, "{norm}");
    let logits = BY_FORMULA.logits(&features).unwrap();
    assert_eq!(logits.shape(), [1, 1008]);
    let found = logits.to_f64_vec();
    for (i, expected) in LOGITS {
        assert!((found[i] - expected).abs() < 1e-4, "{i}: {} {expected}", found[i]);
    }
    let bias: Vec<f64> = noise("fc.bias", 1008).map(|v| 0.25 * v).collect();
    let unbiased = BY_FORMULA.unbiased_logits(&features).unwrap().to_f64_vec();
    assert!((0..1008).all(|i| (unbiased[i] + bias[i] - found[i]).abs() < 1e-4));
}

#[test]
fn features_do_not_depend_on_the_other_pictures_or_on_threads() {
    let pixels = noisy("three", 3 * 784);
    let all = ganvil::threads(2, || BY_FORMULA.features(&grey(3, 28, pixels.clone())).unwrap());
    let last = ganvil::threads(1, || BY_FORMULA.features(&grey(1, 28, pixels[2 * 784..].to_vec())).unwrap());
    assert_eq!(all.shape(), [3, 2048]);
    assert_eq!(all.narrow(0, 2, 1).to_vec::<f32>(), last.to_vec::<f32>());
    assert_ne!(all.narrow(0, 0, 1).to_vec::<f32>(), last.to_vec::<f32>());
}

#[test]
fn what_is_no_picture_is_refused() {
    for (images, value) in [
        (grey(0, 28, vec![]), "'0 x 1 x 28 x 28'"),
        (grey(2, 0, vec![]), "'2 x 1 x 0 x 0'"),
        (grey(2, 2, vec![0; 7]), "there are 7 bytes"),
        (Images { channels: 2, ..grey(1, 2, vec![0; 8]) }, "'1 x 2 x 2 x 2'"),
    ] {
        let error = BY_FORMULA.features(&images).unwrap_err().to_string();
        assert!(error.contains(value) && error.contains("1 or 3 channels"), "{error}");
    }
}

/// The message for a file with these tensors.
fn refusal(tensors: &[(String, Tensor)]) -> String {
    // Tests that run side by side ask for one.
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let folder = Scratch::new(&format!("inception-refused-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
    let file = saved(&folder, "weights.safetensors", tensors);
    let error = Inception::load(file.as_ref()).err().expect("the file is refused").to_string();
    assert!(error.starts_with(&file), "{error}");
    error
}

#[test]
fn files_without_the_network_are_refused() {
    let first = |what: &str| format!("Conv2d_1a_3x3.{what}");
    let all: Vec<_> =
        by_formula().into_iter().filter(|(name, _)| name.starts_with("Conv2d_1a_3x3")).collect();
    let changed = |what: &str, t: Tensor| -> Vec<_> {
        all.iter().map(|(n, x)| (n.clone(), if *n == first(what) { t.clone() } else { x.clone() })).collect()
    };
    let full = |shape: &[usize], v| Tensor::full(shape, v, DType::F32, Device::Cpu);
    for (tensors, part) in [
        (vec![], "has no tensor 'Conv2d_1a_3x3.conv.weight' (shape [32, 3, 3, 3])"),
        // The first layer is whole.
        (all.clone(), "has no tensor 'Conv2d_2a_3x3.conv.weight' (shape [32, 32, 3, 3])"),
        (
            changed("conv.weight", full(&[32, 1, 3, 3], 0.0)),
            "is [32, 1, 3, 3] f32, the network wants [32, 3, 3, 3]",
        ),
        (changed("bn.running_mean", full(&[31], 0.0)), "'Conv2d_1a_3x3.bn.running_mean' is [31] f32"),
        (
            changed("bn.running_var", full(&[32], -1.0)),
            "not finite (a value that is not, or a negative variance)",
        ),
        (changed("conv.weight", full(&[32, 3, 3, 3], f64::NAN)), "not finite"),
    ] {
        let error = refusal(&tensors);
        assert!(error.contains(part), "no '{part}' in: {error}");
    }
    let folder = Scratch::new("inception-pickle");
    let file = folder.path("weights.pth");
    std::fs::write(&file, b"PK\x03\x04 and so on").unwrap();
    let error = Inception::load(file.as_ref()).err().unwrap().to_string();
    assert!(
        error.contains("as torch.save writes") && error.contains("safetensors.torch.save_file"),
        "{error}"
    );
}

/// The layer of the logits may be absent; if it is there it is the one of 1008 classes, not torchvision's. Tensors that
/// the network does not have are passed over, and layers may be numbered.
#[test]
fn a_file_may_lack_the_logits_and_have_other_tensors() {
    let numbers: Vec<(&str, String)> = [
        (0, &["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3"][..]),
        (1, &["Conv2d_3b_1x1", "Conv2d_4a_3x3"]),
        (
            2,
            &["Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"],
        ),
        (3, &["Mixed_7a", "Mixed_7b", "Mixed_7c"]),
    ]
    .into_iter()
    .flat_map(|(block, names)| {
        names.iter().enumerate().map(move |(i, name)| (*name, format!("blocks.{block}.{i}")))
    })
    .collect();
    let renamed = |(name, t): (String, Tensor)| {
        let (first, rest) = name.split_once('.').unwrap();
        let number = numbers.iter().find(|(plain, _)| *plain == first);
        number.map(|(_, number)| (format!("{number}.{rest}"), t))
    };
    let mut tensors: Vec<_> = by_formula().into_iter().filter_map(renamed).collect();
    tensors.push(tensor("AuxLogits.fc.weight", &[1000, 768], |v| v));
    let folder = Scratch::new("inception-numbered");
    let inception = Inception::load(saved(&folder, "numbered.safetensors", &tensors).as_ref()).unwrap();
    let picture = grey(1, 28, noisy("picture", 784));
    let features = inception.features(&picture).unwrap();
    assert_eq!(features.to_vec::<f32>(), BY_FORMULA.features(&picture).unwrap().to_vec::<f32>());
    assert!(inception.logits(&features).is_none() && inception.unbiased_logits(&features).is_none());
    assert_eq!(inception.checksum().len(), 64);
    assert_ne!(inception.checksum(), BY_FORMULA.checksum());

    tensors.push(tensor("fc.weight", &[1000, 2048], |v| v));
    let error = refusal(&tensors);
    assert!(error.contains("'fc.weight' is [1000, 2048] f32, the network wants [1008, 2048] f32"), "{error}");
}

/// Random weights and pictures that `.ci/inception.py peer` wrote into $GANVIL_INCEPTION, with what the package's module
/// makes of them in PyTorch. Run by `.ci/nightly inception`, whose line is the last one printed.
#[test]
fn the_package_itself_agrees() {
    let Ok(folder) = std::env::var("GANVIL_INCEPTION") else {
        // Past the test's own output, which nobody sees.
        let why = "GANVIL_INCEPTION does not name the folder of the package's files; see .ci/nightly";
        return writeln!(std::io::stderr(), "SKIPPED: the_package_itself_agrees: {why}").unwrap();
    };
    let path = |name: &str| Path::new(&folder).join(name);
    let cases = checkpoint::load(&path("cases.safetensors")).unwrap().tensors;
    let [plain, numbered] =
        ["weights", "numbered"].map(|name| Inception::load(&path(&format!("{name}.safetensors"))).unwrap());
    let mut names: Vec<_> = cases.keys().filter_map(|name| name.strip_suffix(".pictures")).collect();
    names.sort_unstable();
    let (mut worst, mut pictures) = (0f64, 0);
    for name in names {
        let of = |what: &str| &cases[&format!("{name}.{what}")];
        let &[count, channels, rows, cols] = of("pictures").shape() else {
            panic!("{name} is no batch of pictures")
        };
        let images = Images { count, channels, rows, cols, pixels: of("pictures").to_vec::<u8>() };
        let features = plain.features(&images).unwrap();
        assert_eq!(features.to_vec::<f32>(), numbered.features(&images).unwrap().to_vec::<f32>(), "{name}");
        let logits = plain.logits(&features).unwrap();
        for i in 0..count {
            let error = |a: &Tensor, b: &Tensor| {
                let row = |t: &Tensor| t.narrow(0, i, 1).to_vec::<f32>();
                distance(&row(a), &row(b))
            };
            let errors = [error(&features, of("features")), error(&logits, of("logits"))];
            println!("{name} {i}: features {:.1e}, logits {:.1e}", errors[0], errors[1]);
            worst = errors.into_iter().fold(worst, f64::max);
        }
        pictures += count;
    }
    assert!(pictures >= 10 && worst < 5e-6, "{worst}");
    let images = grey(100, 28, noisy("hundred", 100 * 784));
    let seconds = ganvil::threads(2, || {
        plain.features(&grey(1, 28, vec![0; 784])).unwrap();
        let start = Instant::now();
        plain.features(&images).unwrap();
        start.elapsed().as_secs_f64()
    });
    println!(
        "{pictures} pictures, relative error of features and logits at most {worst:.1e}; {:.1} pictures/s on 2 threads",
        100.0 / seconds
    );
}
