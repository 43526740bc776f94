//! Equal runs give equal bytes, on any number of threads.

use ganvil::autograd::grad;
use ganvil::data::{Dataset, Split};
use ganvil::gan::{Conditioning, Loss, NoProbe, Sampler, TrainConfig, Trainer, zoo};
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, PadMode, Reduction, Tensor, threads};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn mnist() -> Arc<Dataset> {
    Arc::new(Dataset::load(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mnist"), Split::Test).unwrap())
}

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("ganvil-determinism-{}-{name}", std::process::id()))
}

fn checkpoint(config: &TrainConfig, data: &Arc<Dataset>, n: usize, steps: u64) -> Vec<u8> {
    let path = scratch(&format!("{}-{n}.safetensors", config.recipe));
    threads(n, || {
        let mut trainer = Trainer::new(config.clone(), data.clone(), Device::Cpu).unwrap();
        for _ in 0..steps {
            trainer.step(&mut NoProbe).unwrap();
        }
        trainer.save(&path).unwrap();
    });
    let bytes = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    bytes
}

#[test]
fn checkpoints_do_not_depend_on_threads_or_on_the_run() {
    let data = mnist();
    for (recipe, steps) in [("mlp", 200), ("mlp-a", 50), ("cgan", 50)] {
        let config = (zoo::recipe(recipe).unwrap().config)();
        let first = checkpoint(&config, &data, 1, steps);
        for n in [1, 2, 3] {
            assert!(checkpoint(&config, &data, n, steps) == first, "{recipe} on {n} threads");
        }
        let other = TrainConfig { seed: 1, ..config };
        assert!(
            checkpoint(&other, &data, 1, 2)
                != checkpoint(&TrainConfig { seed: 2, ..other.clone() }, &data, 1, 2)
        );
    }
}

/// Convolutions, residual blocks and spectral norms, and classes inside of normalisations.
#[test]
fn convolutional_checkpoints_do_not_depend_on_threads() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mnist");
    for (recipe, steps) in [("dcgan28-small", 3), ("cdcgan", 3), ("acgan", 3), ("sngan-resnet32", 2)] {
        let config = TrainConfig { batch: 8, ..(zoo::recipe(recipe).unwrap().config)() };
        let data = Arc::new(Dataset::open(&dir, Split::Test, &config.data).unwrap());
        let first = checkpoint(&config, &data, 1, steps);
        assert!(checkpoint(&config, &data, 2, steps) == first, "{recipe}");
        let other = TrainConfig { seed: 1, ..config };
        assert!(checkpoint(&other, &data, 2, steps) != first, "{recipe} with another seed");
    }
}

/// With heads on classes and penalties, which draw and differentiate more.
#[test]
fn labels_and_penalties_do_not_depend_on_threads() {
    let data = mnist();
    for conditioning in [Conditioning::Embed, Conditioning::Projection, Conditioning::AuxiliaryClassifier] {
        let mut config = (zoo::recipe("mlp-a").unwrap().config)();
        (config.conditioning, config.step.loss) = (conditioning, Loss::Hinge);
        (config.step.r1, config.step.gradient_penalty) = (Some(0.1), Some(1.0));
        let first = checkpoint(&config, &data, 1, 10);
        for n in [2, 3] {
            assert!(checkpoint(&config, &data, n, 10) == first, "{conditioning:?} on {n} threads");
        }
    }
}

/// Images in the order channels-last, whole, in part, and joined from single ones.
#[test]
fn a_normalised_sample_does_not_depend_on_its_batch_mates() {
    let random = Generator::new(3, Stream::General);
    let x = random.normal(&[3, 33, 7, 64], 0.0, 1.0, DType::F32, Device::Cpu).permute(&[0, 3, 1, 2]);
    let joined = Tensor::cat(&x.split(1, 0).iter().collect::<Vec<_>>(), 0);
    assert_eq!(joined.layout().strides(), x.layout().strides());
    assert_eq!(
        Tensor::stack(&[&x.narrow(0, 0, 1).squeeze(0); 2], 0).layout().strides(),
        x.layout().strides()
    );
    let inputs = [x.clone(), x.narrow(2, 3, 20), x.slice(3, 0, 7, 2), joined, x.contiguous(), x.flip(&[2])];
    type Function = fn(&Tensor) -> Tensor;
    let functions: [(&str, Function); 7] = [
        ("instance_norm", |x| x.instance_norm(None, None, 1e-5)),
        ("group_norm", |x| x.group_norm(4, None, None, 1e-5)),
        ("layer_norm", |x| x.layer_norm(&x.shape()[1..], None, None, 1e-5)),
        ("sum", |x| x.sum(&[2, 3], false)),
        ("var", |x| x.var(&[1, 2, 3], true, false)),
        ("softmax", |x| x.softmax(1)),
        ("norm of a reflection", |x| x.pad(&[1, 1, 2, 2], PadMode::Reflect).norm(&[1, 2, 3], false)),
    ];
    for (i, x) in inputs.iter().enumerate() {
        for (name, f) in functions {
            let all = f(x).split(1, 0);
            for (n, together) in all.iter().enumerate() {
                let alone = f(&x.narrow(0, n, 1));
                assert!(
                    alone.to_vec::<f32>() == together.to_vec::<f32>(),
                    "{name} of sample {n} of input {i}"
                );
            }
        }
    }
}

/// Where the batch is not the slowest dimension, a single sample has another order in memory than the whole.
#[test]
fn a_sample_among_neighbours_in_memory_does_not_depend_on_them() {
    let random = Generator::new(4, Stream::General);
    let normal = |shape: &[usize]| random.normal(shape, 0.0, 1.0, DType::F32, Device::Cpu);
    let inputs = [
        normal(&[100, 2]).t(),
        normal(&[1000, 3]).t(),
        normal(&[64, 33, 3]).permute(&[2, 1, 0]),
        normal(&[64, 33, 3]).permute(&[2, 0, 1]),
        normal(&[8, 17, 9, 3]).permute(&[3, 0, 1, 2]),
        normal(&[17, 9, 8, 3]).permute(&[3, 2, 0, 1]),
        normal(&[17, 3, 9, 8]).permute(&[1, 3, 0, 2]),
        normal(&[8, 3, 17, 9]).permute(&[1, 0, 2, 3]),
        normal(&[17, 1, 8, 3]).permute(&[3, 2, 0, 1]).expand(&[3, 8, 17, 9]),
    ];
    type Function = fn(&Tensor) -> Tensor;
    let functions: [(&str, Function); 7] = [
        ("group_norm", |x| x.group_norm(1, None, None, 1e-5)),
        ("layer_norm", |x| x.layer_norm(&x.shape()[1..], None, None, 1e-5)),
        ("layer_norm of the last", |x| x.layer_norm(&[x.size(-1)], None, None, 1e-5)),
        ("softmax", |x| x.softmax(1)),
        ("matmul by one column", |x| {
            let x = x.reshape(&[x.size(0), x.numel() / x.size(0)]);
            x.matmul(&Tensor::full(&[x.size(1), 1], 0.7, DType::F32, Device::Cpu))
        }),
        ("log_softmax", |x| x.log_softmax(-1)),
        ("cross_entropy", |x| {
            let class = Tensor::zeros(&[&x.shape()[..1], &x.shape()[2..]].concat(), DType::I64, Device::Cpu);
            x.cross_entropy(&class, Reduction::None)
        }),
    ];
    for (i, x) in inputs.iter().enumerate() {
        for (name, f) in functions {
            let gradient = |x: &Tensor| {
                let x = x.detach().requires_grad();
                grad(&[&f(&x).square().sum_all()], &[&x], &[], false)[0].clone().unwrap()
            };
            let (all, slopes) = (f(x), gradient(x));
            for n in 0..x.size(0) {
                let own = x.narrow(0, n, 1);
                for (what, whole, alone) in [("value", &all, f(&own)), ("gradient", &slopes, gradient(&own))]
                {
                    let together = whole.narrow(0, n, 1);
                    let same = alone.to_vec::<f32>() == together.to_vec::<f32>();
                    assert!(same, "{what} of {name} of sample {n} of input {i}");
                }
            }
        }
    }
}

#[test]
fn what_moves_pixels_keeps_channels_last() {
    let x = Tensor::zeros(&[2, 5, 6, 3], DType::F32, Device::Cpu).permute(&[0, 3, 1, 2]);
    for y in [
        x.flip(&[3]),
        x.pad(&[1, 1], PadMode::Reflect),
        x.pad(&[1, 1], PadMode::Constant(1.0)),
        x.narrow(0, 0, 1).pad(&[0, 0, 0, 1], PadMode::Constant(1.0)),
        x.index_select(0, &Tensor::new(&[1i64, 1, 0], &[3])),
        Tensor::cat(&[&x, &x], 1),
        x.narrow(2, 1, 2).neg(),
    ] {
        let rows = y.permute(&[0, 2, 3, 1]);
        assert!(rows.layout().is_contiguous() && !y.layout().is_contiguous(), "{:?}", y.layout());
    }
}

#[test]
fn a_sample_does_not_depend_on_its_batch_mates() {
    let config = (zoo::recipe("mlp").unwrap().config)();
    let mut trainer = Trainer::new(config, mnist(), Device::Cpu).unwrap();
    for _ in 0..20 {
        trainer.step(&mut NoProbe).unwrap();
    }
    let path = scratch("sampler.safetensors");
    trainer.save(&path).unwrap();
    let sampler = Sampler::load(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let all = sampler.sample(300, 5);
    for n in [1, 2, 3, 7, 64, 65, 129] {
        assert!(sampler.sample(n, 5) == all[..n * 784], "the first of {n} samples");
    }
    assert_eq!(
        trainer.sample(&trainer.fixed_noise(9), None),
        sampler.sample(9, 0),
        "a stored generator is the trained one"
    );
}
