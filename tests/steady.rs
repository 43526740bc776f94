//! What must not grow while training goes on: live graph nodes, and requests to the system for memory. One test per
//! process looks at process-wide counters, so this program has only one.

use ganvil::data::{Dataset, Images, Split};
use ganvil::gan::{Event, NoProbe, Run, Trainer, Watch, run_training, zoo};
use ganvil::{Device, backend, live_nodes, threads};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

fn misses() -> u64 {
    backend::of(Device::Cpu).pool_stats().misses
}

fn main() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/mnist");
    let data = Arc::new(Dataset::load(data, Split::Test).unwrap());
    // Before anything else, as the pool remembers the largest request of the process.
    threads(2, largest_buffer_of_dcgan64);
    // More, and wider networks, on request.
    let asked =
        std::env::var("GANVIL_STEADY_STEPS").ok().map(|v| v.parse::<usize>().expect("a number of steps"));
    let wide = if asked.is_some() { &["dcgan28", "dcgan64"][..] } else { &[] };
    for &recipe in ["mlp", "mlp-a", "dcgan28-small"].iter().chain(wide) {
        let few = if recipe.starts_with("dcgan") { 25 } else { 60 };
        for n in if asked.is_some() { 2..=2 } else { 1..=2 } {
            threads(n, || steps(recipe, &data, asked.unwrap_or(few)));
        }
        if !recipe.starts_with("dcgan") {
            threads(2, || whole_run(recipe, &data));
        }
    }
    println!("test result: ok. 1 passed; 0 failed");
}

/// A step of dcgan64 on 3 x 64 x 64 pictures holds nothing larger than its largest activation: 64 channels of half the
/// picture's size for each of 64 samples. A matrix of columns would be 16 times that.
fn largest_buffer_of_dcgan64() {
    let (data, side) = (grey(3, 64), 64);
    let count = data.images.count;
    let mut config = (zoo::recipe("dcgan64").unwrap().config)();
    (config.batch, config.step.ema) = (count, None);
    Trainer::new(config, data, Device::Cpu).unwrap().step(&mut NoProbe).unwrap();
    let largest = backend::of(Device::Cpu).pool_stats().largest;
    assert_eq!(
        largest,
        count * 64 * (side / 2) * (side / 2) * size_of::<f32>(),
        "bytes of the largest buffer"
    );
}

/// 64 pictures of one grey.
fn grey(channels: usize, side: usize) -> Arc<Dataset> {
    let count = 64;
    let images =
        Images { count, channels, rows: side, cols: side, pixels: vec![77; count * channels * side * side] };
    Arc::new(Dataset { images, labels: None, classes: vec![], name: "grey".into() })
}

/// What `bench step` runs.
fn steps(recipe: &str, data: &Arc<Dataset>, most: usize) {
    // Nothing that an earlier part has cached may help.
    backend::of(Device::Cpu).trim();
    let mut config = (zoo::recipe(recipe).unwrap().config)();
    config.step.ema = None;
    // dcgan64 takes powers of two: 16 pixels a side, as a thousand steps are to be done within minutes.
    let data = if recipe == "dcgan64" { grey(1, 16) } else { data.clone() };
    let mut trainer = Trainer::new(config, data, Device::Cpu).unwrap();
    let mut after_10 = 0;
    for step in 1..=most {
        trainer.step(&mut NoProbe).unwrap();
        assert_eq!(live_nodes(), 0, "{recipe}: nodes alive after step {step}");
        if step == 10 {
            after_10 = misses();
        }
    }
    assert_eq!(misses(), after_10, "{recipe}: the pool went to the system after step 10");
}

/// What `train` runs, with logs, grids and checkpoints.
fn whole_run(recipe: &str, data: &Arc<Dataset>) {
    backend::of(Device::Cpu).trim();
    let mut config = (zoo::recipe(recipe).unwrap().config)();
    (config.steps, config.log_every, config.sample_every, config.checkpoint_every) = (60, 3, 10, 20);
    let mut trainer = Trainer::new(config, data.clone(), Device::Cpu).unwrap();
    let dir = std::env::temp_dir().join(format!("ganvil-steady-{}-{recipe}", std::process::id()));
    let run = Run::create(Some(&dir), "mnist", trainer.config()).unwrap();
    let mut at_checkpoints = Vec::new();
    run_training(&mut trainer, &run, Watch::default(), &AtomicBool::new(false), &mut |event| match event {
        Event::Wrote(path) if path.extension().is_some_and(|e| e == "safetensors") => {
            at_checkpoints.push(misses());
        }
        _ => {}
    })
    .unwrap();
    // The page about the run comes behind the last one.
    assert!(
        at_checkpoints.len() == 3 && at_checkpoints.windows(2).all(|w| w[0] == w[1]),
        "{recipe}: the pool went to the system after the first checkpoint: {at_checkpoints:?}"
    );
    assert_eq!(live_nodes(), 0);
    std::fs::remove_dir_all(dir).unwrap();
}
