//! Every recipe: what it is made of, that it trains however it uses labels, and which pictures it refuses.

mod common;

use common::{Scratch, fails, program, run, text};
use ganvil::data::{Dataset, Images, Split};
use ganvil::gan::{
    Conditioning, Loss, Network, NoProbe, Sampler, TrainConfig, Trainer, latest_checkpoint, networks, zoo,
};
use ganvil::nn::{parameter_count, state_dict, summary};
use ganvil::report::save_pictures;
use ganvil::rng::Stream;
use ganvil::{Device, Generator};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn config(recipe: &str) -> TrainConfig {
    (zoo::recipe(recipe).unwrap().config)()
}

/// G and D for ten classes of pictures of this shape.
fn built(config: &TrainConfig, image: [usize; 3]) -> (Network, Network) {
    networks(config, image, 10, &Generator::new(0, Stream::Init)).unwrap()
}

/// MNIST's test pictures as the recipe has them.
fn mnist(config: &TrainConfig) -> Arc<Dataset> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mnist");
    Arc::new(Dataset::open(dir, Split::Test, &config.data).unwrap())
}

/// Pictures without sense, in three classes.
fn noise([channels, rows, cols]: [usize; 3]) -> Arc<Dataset> {
    let len = 16 * channels * rows * cols;
    let pixels = (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let images = Images { count: 16, channels, rows, cols, pixels };
    let classes = ["a", "b", "c"].map(String::from).into();
    Arc::new(Dataset {
        images,
        labels: Some((0..16).map(|i| i % 3).collect()),
        classes,
        name: "noise".into(),
    })
}

/// Parameters of G and of D, counted by hand from the architecture's description: a matrix or window, its biases, and
/// two numbers for each normalised channel (for each class, where normalisation depends on it).
#[test]
fn recipes_have_the_networks_that_they_describe() {
    // Two levels of 4 x 4 windows between 7 x 7 and 28 x 28, without the layer before them and the one after.
    let up = |n: usize| 4 * n + 2 * n * n * 16 + 2 * n + n * 16 + 1;
    let down = |n: usize| n * 16 + n + n * 2 * n * 16 + 4 * n;
    let pair = |n: usize| (101 * 2 * n * 49 + up(n), down(n) + 2 * n * 49 + 1);
    let by_class = |tables: usize| 10 * tables;
    let block = 2 * (64 * 64 * 9 + 64);
    let shortcut = 64 * 64 + 64;
    let (small, plain) = (pair(32), pair(64));
    // By class: tables of gains and biases in G, a row for each class and 2 n biases in D where the others normalise.
    let projected = |own: (usize, usize), n: usize| {
        (own.0 + (by_class(2) - 2) * 3 * n, own.1 - 2 * n + by_class(2 * n * 49))
    };
    let (of_small, of_plain) = (projected(small, 32), projected(plain, 64));
    let counted = [
        ("dcgan28-small", small.0, small.1),
        ("best-mnist", of_small.0, of_small.1),
        ("best-fashion", of_small.0, of_small.1),
        ("mlp", 101 * 256 + 512 + 257 * 512 + 1024 + 513 * 784, 785 * 512 + 513 * 256 + 257),
        ("mlp-a", 101 * 128 + 129 * 256 + 512 + 257 * 784, 785 * 256 + 257 * 128 + 129),
        (
            "cgan",
            by_class(10) + 111 * 256 + 512 + 257 * 512 + 1024 + 513 * 784,
            by_class(10) + 795 * 512 + 513 * 256 + 257,
        ),
        ("dcgan28", plain.0, plain.1),
        (
            "infogan28",
            // The channels that `up` normalises first are vectors of all their pixels here.
            65 * 1024 + 2 * 1024 + 1025 * 128 * 49 + 2 * 128 * 49 + up(64) - 2 * 128,
            down(64) + (128 * 49 + 1) * 1024 + 2 * 1024 + 1025,
        ),
        (
            "dcgan64",
            (100 * 256 + 256 * 128 + 128 * 64 + 64) * 16 + 2 * (256 + 128 + 64),
            (64 + 64 * 128 + 128 * 256 + 256) * 16 + 2 * (128 + 256),
        ),
        ("cdcgan", of_plain.0, of_plain.1),
        // 128 biases in D here too.
        (
            "acgan",
            plain.0 + by_class(10) + by_class(128 * 49),
            plain.1 - 2 * 128 + 128 + by_class(128 * 49 + 1),
        ),
        (
            "sngan-resnet32",
            129 * 64 * 16 + 3 * (2 * 128 + block + shortcut) + 128 + 64 * 9 + 1,
            (9 + 1) * 64 + block / 2 + 2 * 64 + (block + shortcut) + 2 * block + 65,
        ),
        // On the small networks; 64 biases in D where they normalise.
        ("wgan", small.0, small.1),
        ("wgan-gp", small.0, small.1 - 64),
        ("sngan", small.0, small.1 - 64),
        ("lsgan", small.0, small.1),
        ("hinge", small.0, small.1 - 64),
        ("r3gan", small.0, small.1 - 64),
        ("dragan", small.0, small.1 - 64),
        ("unrolled", 101 * 128 + 129 * 256 + 512 + 257 * 784, 785 * 256 + 257 * 128 + 129),
    ];
    assert_eq!(counted.map(|(name, ..)| name), zoo::RECIPES.map(|r| r.name));
    for (name, of_g, of_d) in counted {
        let config = config(name);
        config.check().unwrap();
        let side = config.data.pad.unwrap_or(28);
        let (g, d) = built(&config, [1, side, side]);
        assert_eq!((parameter_count(&g), parameter_count(&d)), (of_g, of_d), "{name}");
        // A pass without values, of the shapes that training has.
        let made = summary(&g, &[5, config.latent]);
        let flat = matches!(name, "mlp" | "mlp-a" | "cgan" | "unrolled");
        let sample = if flat { vec![5, side * side] } else { vec![5, 1, side, side] };
        assert_eq!(made.output, sample, "{name}");
        let judged = summary(&d, &made.output);
        assert_eq!(judged.output, [5, 1], "{name}");
        assert_eq!((made.parameters, judged.parameters), (of_g, of_d), "{name}");
    }
}

/// The networks of the DCGAN tutorial that PyTorch publishes, by name, shape and number.
#[test]
fn dcgan64_is_the_common_listing() {
    let (g, d) = built(&config("dcgan64"), [3, 64, 64]);
    assert_eq!((parameter_count(&g), parameter_count(&d)), (3_576_704, 2_765_568));
    let listed = |net: &Network| -> Vec<(String, Vec<usize>)> {
        state_dict(net).into_iter().map(|(name, t)| (name, t.shape().to_vec())).collect()
    };
    let expected = |windows: &[(usize, [usize; 2])], norms: &[(usize, usize)]| {
        let mut all: Vec<(usize, String, Vec<usize>)> = Vec::new();
        for &(i, [first, second]) in windows {
            all.push((i, format!("net.{i}.weight"), vec![first, second, 4, 4]));
        }
        for &(i, channels) in norms {
            for name in ["weight", "bias", "running_mean", "running_var"] {
                all.push((i, format!("net.{i}.{name}"), vec![channels]));
            }
            all.push((i, format!("net.{i}.num_batches_tracked"), vec![]));
        }
        all.sort_by_key(|(i, ..)| *i);
        all.into_iter().map(|(_, name, shape)| (name, shape)).collect::<Vec<_>>()
    };
    let windows = [(0, [100, 512]), (3, [512, 256]), (6, [256, 128]), (9, [128, 64]), (12, [64, 3])];
    assert_eq!(listed(&g), expected(&windows, &[(1, 512), (4, 256), (7, 128), (10, 64)]));
    let windows = [(0, [64, 3]), (2, [128, 64]), (5, [256, 128]), (8, [512, 256]), (11, [1, 512])];
    assert_eq!(listed(&d), expected(&windows, &[(3, 128), (6, 256), (9, 512)]));
}

#[test]
fn dcgan64_and_sngan_resnet32_grow_with_the_picture() {
    for (recipe, sides) in [("dcgan64", [16, 32, 64, 128]), ("sngan-resnet32", [8, 16, 32, 64])] {
        let config = config(recipe);
        for side in sides {
            for channels in [1, 3] {
                let (g, d) = built(&config, [channels, side, side]);
                let made = summary(&g, &[2, config.latent]);
                assert_eq!(made.output, [2, channels, side, side], "{recipe}");
                assert_eq!(summary(&d, &made.output).output, [2, 1], "{recipe} at {side}");
            }
        }
    }
}

/// Two steps with each way of using labels; all weights take part.
#[test]
fn every_recipe_trains_with_every_conditioning_that_it_has() {
    for recipe in &zoo::RECIPES {
        for &conditioning in recipe.conditionings {
            let mut config = TrainConfig { batch: 8, conditioning, ..(recipe.config)() };
            if conditioning.head(1).is_some() && config.step.loss == Loss::Bce {
                config.step.loss = Loss::NonSaturating;
            }
            let of = format!("{} with {}", recipe.name, conditioning.name());
            let data = mnist(&config);
            let mut trainer = Trainer::new(config, data, Device::Cpu).unwrap();
            let weights = |trainer: &Trainer| {
                let all = [&trainer.gan().g, &trainer.gan().d].map(|net| state_dict(net));
                let all = all.into_iter().flatten().filter(|(name, _)| name.ends_with("weight"));
                all.map(|(name, t)| (name, t.to_vec::<f32>())).collect::<Vec<_>>()
            };
            let before = weights(&trainer);
            for _ in 0..2 {
                let losses = trainer.step(&mut NoProbe).unwrap();
                assert!(losses.d.is_finite() && losses.g.is_finite(), "{of}: {losses:?}");
            }
            for ((name, before), (_, after)) in before.into_iter().zip(weights(&trainer)) {
                assert!(before != after, "{of}: {name} has not moved");
                assert!(after.iter().all(|w| w.is_finite()), "{of}: {name}");
            }
            let preview = trainer.preview();
            let samples = trainer.sample(&preview.z, preview.labels.as_ref());
            assert!(samples.iter().all(|x| (-1.0..=1.0).contains(x)), "{of}");
        }
    }
}

#[test]
fn a_conditioning_that_a_recipe_lacks_is_refused() {
    for recipe in &zoo::RECIPES {
        for conditioning in Conditioning::ALL {
            let mut config = TrainConfig { conditioning, ..(recipe.config)() };
            config.step.loss = Loss::Hinge;
            let result = config.check();
            assert_eq!(result.is_ok(), recipe.conditionings.contains(&conditioning), "{}", recipe.name);
            if let Err(e) = result {
                let text = e.to_string();
                let listed = format!("recipe {} has {}", recipe.name, recipe.conditionings[0].name());
                assert!(text.contains(conditioning.name()) && text.contains(&listed), "{text}");
            }
        }
    }
}

const MULTIPLES: &str = "its networks take pictures whose sides are multiples of 4; resize them with --size";
const POWERS: &str =
    "its networks take square pictures of 16, 32, 64, ... pixels; resize them with --size, or use --pad 32";
const FROM_8: &str =
    "its networks take square pictures of 8, 16, 32, ... pixels; resize them with --size, or use --pad 32";

#[test]
fn pictures_of_a_wrong_size_are_refused_with_the_remedy() {
    let cases = [
        ("dcgan28", MULTIPLES, [[30, 30], [28, 30], [0, 28]], [[28, 28], [32, 64], [4, 4]]),
        ("infogan28", MULTIPLES, [[27, 28], [2, 2], [28, 0]], [[28, 28], [32, 64], [4, 4]]),
        ("cdcgan", MULTIPLES, [[29, 28], [1, 4], [6, 6]], [[28, 28], [8, 4], [64, 64]]),
        ("dcgan64", POWERS, [[28, 28], [32, 64], [8, 8]], [[16, 16], [32, 32], [64, 64]]),
        ("sngan-resnet32", FROM_8, [[28, 28], [4, 4], [64, 32]], [[8, 8], [32, 32], [64, 64]]),
    ];
    for (recipe, remedy, wrong, right) in cases {
        for [h, w] in wrong {
            let refused = networks(&config(recipe), [1, h, w], 10, &Generator::new(0, Stream::Init));
            let Err(e) = refused else { panic!("{recipe} took {h} x {w}") };
            assert_eq!(e.to_string(), format!("invalid image size '{h} x {w}': {remedy}"), "{recipe}");
        }
        for [h, w] in right {
            (zoo::recipe(recipe).unwrap().check)([1, h, w]).unwrap();
        }
    }
}

#[test]
fn a_refused_size_is_a_usage_error_and_leaves_no_folder() {
    let tmp = Scratch::new("sizes");
    let photos = tmp.path("photos");
    save_pictures(&photos, &[0.5; 4 * 30 * 30], [4, 1, 30, 30]).unwrap();
    for (recipe, more, size, remedy) in [
        ("dcgan28", &[][..], 30, MULTIPLES),
        ("acgan", &["--conditioning", "none", "--size", "18"], 18, MULTIPLES),
        ("dcgan64", &["--size", "48"], 48, POWERS),
        ("dcgan64", &["--pad", "40"], 40, POWERS),
        ("sngan-resnet32", &["--size", "20"], 20, FROM_8),
    ] {
        let out = tmp.path("run");
        let args = [&["train", recipe, "--batch", "2", "--data", &photos], more].concat();
        let wanted = format!("invalid image size '{size} x {size}': {remedy}");
        // acgan has no way without labels: that is said before sizes are looked at.
        let wanted = if recipe == "acgan" { "recipe acgan has auxiliary-classifier".into() } else { wanted };
        let (code, err) = fails(&[&args[..], &["--out", &out]].concat());
        assert!(code == 2 && err.contains(&wanted), "{args:?}: exit code {code}, {err}");
        assert!(!Path::new(&out).exists(), "{args:?}");
        let result = program(&args).current_dir(&tmp.0).output().unwrap();
        assert_eq!(result.status.code(), Some(2), "{}", text(&result.stderr));
        assert!(!tmp.0.join("runs").exists(), "{args:?}");
    }
    // The first remedy, taken.
    let out = tmp.path("run");
    let args = ["train", "dcgan28-small", "--size", "28", "--batch", "2", "--steps", "1", "--data", &photos];
    let result = run(&[&args[..], &["--out", &out]].concat());
    assert!(result.status.success(), "{}", text(&result.stderr));
}

#[test]
fn convolutional_networks_go_to_pytorch_and_back() {
    for recipe in ["dcgan28-small", "cdcgan"] {
        let tmp = Scratch::new(recipe);
        let file: PathBuf = tmp.0.join("some.safetensors");
        let config = TrainConfig { batch: 4, latent: 12, ..config(recipe) };
        let mut trainer = Trainer::new(config, noise([3, 8, 12]), Device::Cpu).unwrap();
        for _ in 0..3 {
            trainer.step(&mut NoProbe).unwrap();
        }
        trainer.save(&file).unwrap();
        let (file, p) = (file.to_str().unwrap(), |name: &str| tmp.path(name));
        let (g, d, dir) = (p("g.safetensors"), p("d.safetensors"), p("run"));
        for args in [
            &["export", file, "--out", &g][..],
            &["export", file, "--discriminator", "--out", &d],
            &["import", &g, "--recipe", recipe, "--discriminator", &d, "--out", &dir],
            &["sample", file, "--out", &p("before.png")],
            &["sample", &dir, "--out", &p("after.png")],
        ] {
            let out = run(args);
            assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
        }
        assert!(std::fs::read(p("before.png")).unwrap() == std::fs::read(p("after.png")).unwrap());
        let imported = latest_checkpoint(Path::new(&dir)).unwrap();
        let [before, after] = [Path::new(file), &imported].map(|f| Sampler::load(f).unwrap());
        assert_eq!((after.shape, after.classes), ([3, 8, 12], (recipe == "cdcgan").then_some(3)));
        assert_eq!(before.sample(7, 3), after.sample(7, 3));
        // What was trained is what is drawn from.
        let preview = trainer.preview();
        let picture = trainer.sample(&preview.z, preview.labels.as_ref());
        assert!(picture.iter().any(|&x| x != picture[0]));
    }
}

/// `ganvil recipes` lists all; with a name it tells idea, equation, source, cost and settings.
#[test]
fn recipes_are_listed_and_explained() {
    let list = text(&run(&["recipes"]).stdout);
    for recipe in &zoo::RECIPES {
        let line = list.lines().find(|l| l.split_whitespace().next() == Some(recipe.name));
        assert!(line.is_some_and(|l| l.ends_with(recipe.summary)), "{}:\n{list}", recipe.name);
        let one = text(&run(&["recipes", recipe.name]).stdout);
        assert!(one.starts_with(&format!("{}: {}", recipe.name, recipe.summary)), "{one}");
        for part in ["idea ", "equation ", "source ", "cost ", "watch ", "  [step]"] {
            assert!(one.lines().any(|l| l.starts_with(part)), "{}: {part}:\n{one}", recipe.name);
        }
        assert!(one.contains("arXiv:"), "{one}");
        // The explanation's words are not cut; its settings are the recipe's.
        let flowing = one.split_whitespace().collect::<Vec<_>>().join(" ");
        let about = recipe.about;
        for words in [about.idea, about.equation, about.source, about.cost, about.watch] {
            let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(flowing.contains(&words), "{words}\n{one}");
        }
        let explained = one.lines().take_while(|l| !l.starts_with("Settings"));
        assert!(explained.clone().skip(1).all(|l| l.chars().count() <= 96), "{one}");
        let settings = one.split("have what they mean):").last().map(|_| one.split_once("\n\n  ").unwrap().1);
        let settings: TrainConfig = toml::from_str(settings.unwrap()).unwrap();
        assert_eq!(settings, (recipe.config)());
        let json: serde_json::Value =
            serde_json::from_slice(&run(&["recipes", recipe.name, "--json"]).stdout).unwrap();
        let (g, d) =
            built(&config(recipe.name), config(recipe.name).data.pad.map_or([1, 28, 28], |n| [1, n, n]));
        assert_eq!(json["parameters"]["g"], parameter_count(&g));
        assert_eq!(json["parameters"]["d"], parameter_count(&d));
    }
    let (code, err) = fails(&["recipes", "wgangp"]);
    assert!(code == 2 && err.contains("did you mean 'wgan-gp'?"), "{err}");
    let (code, err) = fails(&["recipes", "classifier"]);
    assert!(code == 2 && err.contains("no GAN"), "{err}");
}

/// Each flag sets its entry, and what cannot be is refused in words.
#[test]
fn every_technique_has_a_flag() {
    let scratch = Scratch::new("technique-flags");
    let out = scratch.path("run");
    let flags = "train r3gan --steps 1 --batch 8 --loss hinge --d-loss-scale 0.5 --g-loss-scale 2 --flip-labels 0.05 \
        --feature-matching 1 --unroll 1 --gradient-penalty 10 --dragan 5 --one-sided --r1 0.1 --r2 0.2 --lazy 4 \
        --drift 1e-3 --weight-clip 0.5 --orthogonal 1e-4 --orthogonal-form full --spectral-norm both --norm-d instance \
        --pack 2 --augment color,translation,cutout --instance-noise 0.1:20 --n-d 2 --n-g 2 --balance accuracy \
        --reuse-fakes true --ema 5 --out";
    let args: Vec<&str> = flags.split_whitespace().chain([out.as_str()]).collect();
    let done = run(&args);
    assert!(done.status.success(), "{}", text(&done.stderr));
    let written = std::fs::read_to_string(scratch.0.join("run/config.toml")).unwrap();
    let c = TrainConfig::from_toml(&written).unwrap();
    let s = c.step;
    assert_eq!((s.loss, s.d_loss_scale, s.g_loss_scale, s.flip_labels), (Loss::Hinge, 0.5, 2.0, Some(0.05)));
    assert_eq!(
        (s.feature_matching, s.unroll, s.gradient_penalty, s.dragan),
        (Some(1.0), 1, Some(10.0), Some(5.0))
    );
    assert_eq!((s.one_sided, s.r1, s.r2, s.lazy, s.drift), (true, Some(0.1), Some(0.2), 4, Some(1e-3)));
    assert_eq!((s.weight_clip, s.orthogonal, s.pack, s.n_d, s.n_g), (Some(0.5), Some(1e-4), 2, 2, 2));
    assert!(s.reuse_fakes && s.ema.unwrap().half_life_kimg == 5.0);
    for line in [
        "orthogonal_form = \"full\"",
        "balance = \"accuracy\"",
        "spectral_norm = \"both\"",
        "norm_d = \"instance\"",
        "cutout = true",
        "kimg = 20.0",
    ] {
        assert!(written.contains(line), "{line}:\n{written}");
    }
    let (code, err) = fails(&["train", "--minibatch-stddev", "4", "--norm-d", "off", "--r1", "1"]);
    assert!(
        code == 2 && err.contains("MinibatchStdDev") && err.contains("without minibatch layers"),
        "{err}"
    );
    let (code, err) = fails(&["train", "--gradient-penalty", "10"]);
    assert!(code == 2 && err.contains("BatchNorm2d") && err.contains("--norm-d layer"), "{err}");
    for (flags, words) in [
        (&["--pack", "3"][..], "packs divide the batch"),
        (&["--conditioning", "embed", "--pack", "2"], "of one class"),
        (&["--minibatch-stddev", "5"], "that divide the 64"),
        (&["--minibatch-discrimination", "0"], "1 to 4096"),
        (&["--lazy", "4"], "R1 or R2, which there must be"),
        (&["--unroll", "1000"], "at most 100"),
        (&["--loss", "wasserstein", "--balance", "loss-ratio"], "D's loss is 0"),
        (&["--loss", "relativistic-pairing", "--real-label", "0.9"], "has no target"),
        (&["--flip-labels", "0.5"], "below 0.5"),
        (&["--instance-noise", "0.1:x"], "KIMG 'x'"),
        (&["--instance-noise", "-1"], "above 0"),
        (&["--augment", "cutuot"], "did you mean 'cutout'?"),
        (&["--weight-clip", "0"], "above 0"),
        (&["--d-loss-scale", "0"], "above 0"),
        (&["--drift", "-1"], "0 or more"),
        (&["--balance", "acuracy"], "did you mean 'accuracy'?"),
        (&["--norm-d", "none"], "use one of recipe, off, layer, instance"),
        (&["--spectral-norm", "g"], "use one of recipe, d, both"),
    ] {
        let (code, err) = fails(&[&["train"], flags].concat());
        assert!(code == 2 && err.contains(words), "{flags:?}: {err}");
    }
}
