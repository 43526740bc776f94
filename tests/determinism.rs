//! Equal runs give equal bytes, on any number of threads.

use ganvil::data::{Dataset, Split};
use ganvil::gan::{NoProbe, Sampler, TrainConfig, Trainer, zoo};
use ganvil::{Device, threads};
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
    for (recipe, steps) in [("mlp", 200), ("mlp-a", 50)] {
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
        trainer.sample(&trainer.fixed_noise(9)),
        sampler.sample(9, 0),
        "a stored generator is the trained one"
    );
}
