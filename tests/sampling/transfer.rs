//! To PyTorch and back.

use crate::common::{Scratch, fails, run, text};
use crate::{assert_says, checkpoint, config, pictures};
use ganvil::checkpoint as files;
use ganvil::gan::{NoProbe, Part, Prior, Sampler, TrainConfig, Trainer, export, latest_checkpoint, networks};
use ganvil::nn::state_dict;
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

fn succeeds(args: &[&str]) {
    let out = run(args);
    assert!(out.status.success(), "{args:?}: {}", text(&out.stderr));
}

/// Values by name, as PyTorch's `load_file` gives them.
fn values(path: &Path) -> BTreeMap<String, (Vec<usize>, Vec<f64>)> {
    let tensors = files::load(path).unwrap().tensors;
    tensors.into_iter().map(|(n, t)| (n, (t.shape().to_vec(), t.to_f64_vec()))).collect()
}

#[test]
fn what_is_exported_is_the_state_dict() {
    let tmp = Scratch::new("export");
    let mut trainer = Trainer::new(config("mlp", Prior::Normal), pictures(), Device::Cpu).unwrap();
    for _ in 0..3 {
        trainer.step(&mut NoProbe).unwrap();
    }
    let (file, out) = (tmp.0.join("c.safetensors"), tmp.0.join("out.safetensors"));
    trainer.save(&file).unwrap();
    let gan = trainer.gan();
    let average = gan.average.as_ref().unwrap();
    let parts = [
        (Part::Sampled, average),
        (Part::Average, average),
        (Part::Raw, &gan.g),
        (Part::Discriminator, &gan.d),
    ];
    for (part, net) in parts {
        export(&file, &out, part).unwrap();
        let want = state_dict(net).into_iter().map(|(n, t)| (n, (t.shape().to_vec(), t.to_f64_vec())));
        assert_eq!(values(&out), want.collect(), "{part:?}");
    }
    assert_ne!(state_dict(average)[0].1.to_f64_vec(), state_dict(&gan.g)[0].1.to_f64_vec());
    let mut without = config("mlp", Prior::Normal);
    without.step.ema = None;
    Trainer::new(without, pictures(), Device::Cpu).unwrap().save(&file).unwrap();
    assert_says(
        &export(&file, &out, Part::Average).unwrap_err().to_string(),
        &["no moving average", "--ema"],
    );
    export(&file, &out, Part::Sampled).unwrap();
    assert_eq!(values(&out).keys().next().unwrap(), "net.0.bias");
}

#[test]
fn export_and_import_give_the_same_samples() {
    for (recipe, prior) in [("mlp", Prior::Normal), ("mlp", Prior::Sphere), ("cgan", Prior::Normal)] {
        let tmp = Scratch::new(&format!("round-trip-{recipe}-{}", prior.name()));
        let file = checkpoint(&tmp, recipe, prior);
        let (file, p) = (file.to_str().unwrap(), |name: &str| tmp.path(name));
        succeeds(&["export", file, "--out", &p("g.safetensors")]);
        succeeds(&["export", file, "--discriminator", "--out", &p("d.safetensors")]);
        let (g, d, dir) = (p("g.safetensors"), p("d.safetensors"), p("run"));
        succeeds(&["import", &g, "--recipe", recipe, "--discriminator", &d, "--out", &dir]);
        succeeds(&["sample", file, "--out", &p("before.png")]);
        succeeds(&["sample", &dir, "--out", &p("after.png")]);
        assert!(std::fs::read(p("before.png")).unwrap() == std::fs::read(p("after.png")).unwrap());
        let imported = latest_checkpoint(Path::new(&dir)).unwrap();
        let [before, after] = [Path::new(file), &imported].map(|f| Sampler::load(f).unwrap().sample(20, 3));
        assert_eq!(before, after);
        succeeds(&["export", &dir, "--discriminator"]);
        assert_eq!(values(Path::new(&d)), values(&Path::new(&dir).join("discriminator.safetensors")));
        let text = std::fs::read_to_string(format!("{dir}/config.toml")).unwrap();
        let config: TrainConfig = toml::from_str(&text).unwrap();
        assert_eq!((config.prior, config.latent), (prior, 12));
        assert_eq!(
            fails(&["import", &g, "--recipe", recipe, "--out", &dir]).0,
            2,
            "a run is never written over"
        );
    }
}

/// What PyTorch writes: tensors, and no word of ganvil.
fn from_torch(tmp: &Scratch, name: &str, recipe: &str, latent: usize, image: [usize; 3]) -> [String; 2] {
    let config = TrainConfig { latent, ..config(recipe, Prior::Normal) };
    let (g, d) = networks(&config, image, 7, &Generator::new(9, Stream::Init)).unwrap();
    [("g", g), ("d", d)].map(|(part, net)| {
        let path = tmp.path(&format!("{name}-{part}.safetensors"));
        files::save(path.as_ref(), &state_dict(&net), &serde_json::Value::Null).unwrap();
        path
    })
}

#[test]
fn another_architecture_is_refused_and_the_one_that_fits_named() {
    let tmp = Scratch::new("import");
    let out = tmp.path("run");
    let refused = |args: &[&str]| {
        let (code, err) = fails(&[&["import"], args, &["--out", &out]].concat());
        assert_eq!(code, 1, "{err}");
        assert!(!Path::new(&out).exists(), "{args:?}");
        err
    };
    let [g, d] = from_torch(&tmp, "plain", "mlp", 100, [1, 28, 28]);
    assert_says(
        &refused(&[&g, "--recipe", "mlp-a"]),
        &[
            &g,
            "is no generator of recipe 'mlp-a'",
            "missing: net.3.num_batches_tracked",
            "unexpected: net.2.num_batches_tracked",
            "net.0.weight is [256, 100], wanted [128, 100]",
            "It fits as the generator of --recipe mlp",
        ],
    );
    assert_says(
        &refused(&[&d, "--recipe", "mlp"]),
        &["fits as the discriminator of --recipe mlp", "--discriminator"],
    );
    assert_says(
        &refused(&[&g, "--recipe", "mlp", "--discriminator", &g]),
        &["is no discriminator of recipe 'mlp'"],
    );
    let [other, _] = from_torch(&tmp, "other", "mlp-a", 60, [3, 32, 32]);
    let err = refused(&[&other, "--recipe", "mlp-a"]);
    assert_says(
        &err,
        &[
            "net.0.weight is [128, 60], wanted [128, 100]",
            "fits as the generator of --recipe mlp-a --latent 60 --size 32 --channels 3",
        ],
    );
    assert!(!err.contains("missing") && !err.contains("unexpected"), "{err}");
    let [labelled, labelled_d] = from_torch(&tmp, "labelled", "cgan", 60, [1, 28, 28]);
    let fits = "fits as the generator of --recipe cgan --latent 60";
    assert_says(&refused(&[&labelled, "--recipe", "mlp"]), &["label_embed.weight", fits]);
    assert_says(&refused(&[&labelled_d, "--recipe", "mlp"]), &["fits as the discriminator of --recipe cgan"]);
    let odd = tmp.path("odd.safetensors");
    // A table of rows without elements is of no size.
    let empty = [("label_embed.weight".to_string(), Tensor::zeros(&[1 << 40, 0], DType::F32, Device::Cpu))];
    files::save(odd.as_ref(), &empty, &serde_json::Value::Null).unwrap();
    assert_says(&refused(&[&odd, "--recipe", "cgan"]), &["label_embed.weight is [1099511627776, 0]"]);
    let odd_tensors = [("conv.weight".to_string(), Tensor::new(&[0.0f32; 6], &[2, 3]))];
    files::save(odd.as_ref(), &odd_tensors, &serde_json::Value::Null).unwrap();
    let err = refused(&[&odd, "--recipe", "mlp"]);
    assert_says(&err, &["unexpected: conv.weight", "and "]);
    assert!(!err.contains("It fits"), "{err}");
    assert_says(&fails(&["import", &g, "--recipe", "mpl"]).1, &["did you mean 'mlp'?"]);
    assert_says(
        &fails(&["import", &g, "--recipe", "mlp", "--latent", "70000"]).1,
        &["invalid --latent '70000'"],
    );

    // What was said to fit does.
    let classes = tmp.path("classes");
    let args = ["--recipe", "cgan", "--latent", "60", "--discriminator", &labelled_d, "--out", &classes];
    succeeds(&[&["import", &labelled], &args[..]].concat());
    assert_eq!(Sampler::load(&latest_checkpoint(classes.as_ref()).unwrap()).unwrap().classes, Some(7));
    succeeds(&[
        "import",
        &other,
        "--recipe",
        "mlp-a",
        "--latent",
        "60",
        "--size",
        "32",
        "--channels",
        "3",
        "--out",
        &out,
    ]);
    succeeds(&["sample", &out, "--n", "2"]);
    assert_eq!(image::open(format!("{out}/samples.png")).unwrap().width(), 2 * 66 + 2);
}

#[test]
fn pickles_are_refused_with_the_way_to_convert_them() {
    let tmp = Scratch::new("pickle");
    // The first bytes of what torch.save writes, now and before PyTorch 1.6; told by them, whatever the name.
    let cases: [(&str, &[u8], &str); 3] = [
        ("g.pt", b"PK\x03\x04\0\0\x08\x08\0\0\0\0\0\0", "a zip archive"),
        ("g.pth", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "a pickle stream"),
        ("named.safetensors", b"\x80\x04\x95\x10\0\0\0\0\0\0\0}", "a pickle stream"),
    ];
    for (name, bytes, kind) in cases {
        let path = tmp.path(name);
        std::fs::write(&path, bytes).unwrap();
        for args in [&["import", &path, "--recipe", "mlp"][..], &["sample", &path], &["export", &path]] {
            let (code, err) = fails(args);
            assert_eq!(code, 1);
            assert_says(&err, &[&path, kind, "not read", "\n    import torch, safetensors.torch\n"]);
            let load = format!("torch.load({path:?}, map_location=\"cpu\", weights_only=True), ");
            assert_says(&err, &[&load, ".safetensors\")"]);
        }
    }
    // A header of 0x280 bytes begins like a pickle and is none.
    let header = format!("{{{:636}}}", "");
    assert_eq!(header.len(), 638);
    let header = format!("{header}  ");
    let path = tmp.path("long.safetensors");
    std::fs::write(&path, [&0x280u64.to_le_bytes()[..], header.as_bytes()].concat()).unwrap();
    assert!(files::load(path.as_ref()).unwrap().tensors.is_empty());
    std::fs::write(tmp.path("text.pt"), b"hello, I am no network").unwrap();
    assert_says(&fails(&["sample", &tmp.path("text.pt")]).1, &["not a readable safetensors file"]);
}
