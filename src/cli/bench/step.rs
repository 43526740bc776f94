//! `ganvil bench step`: whole training steps.

use super::super::device::DeviceArg;
use crate::backend::cpu::ConvMode;
use crate::data::{Dataset, Images, Split, locate};
use crate::gan::{NoProbe, NotFinite, StepConfig, StepLosses, TrainConfig, Trainer, zoo};
use crate::nn::with_fusion;
use crate::report::{peak_memory_mb, process_age};
use crate::rng::Stream;
use crate::{Error, Generator, Result};
use rand::Rng;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
#[command(
    after_help = "Prints one line:\n  WORKLOAD THREADS ganvil-TIER STEPS_PER_S IMAGES_PER_S PEAK_RSS_MB\n\
    steps/s is 1 / the median step time after warm-up. A step is an update of D and one of G, both by Adam, with the noise drawn inside.\n\
    With --first:\n  WORKLOAD THREADS ganvil-TIER first_step_done_s SECONDS peak_rss_mb PEAK_RSS_MB\n\
    seconds since the system started the process, to a hundredth, or since the program began where the system does not tell.\n\n\
    Examples:\n  \
    ganvil bench step mlp0-64\n  \
    ganvil bench step dcgan28-64 --threads 2 --seconds 10\n  \
    ganvil bench step mlp0-64 --unfused\n  \
    ganvil bench step mlp0-64 --first"
)]
pub struct Args {
    /// mlp0-BATCH (recipe mlp-a), mlp2-BATCH (mlp), dcgan28-BATCH, dcgan64-BATCH (on noise of 3 x 64 x 64), or
    /// wgangp28-BATCH (an update of WGAN-GP's critic: dcgan28's networks, D without normalisation); all without moving
    /// average, and all but mlp2 with one batch of fakes for both networks
    workload: String,
    /// Kernel threads
    #[arg(long, default_value_t = 1, value_name = "N")]
    threads: usize,
    #[command(flatten)]
    device: DeviceArg,
    /// Convolutions: fast or exact
    #[arg(long, value_name = "WAY", default_value = "fast")]
    conv: ConvMode,
    /// Each layer by itself: no activation is applied as the results of the layer before it are written, and images are copied to
    /// be flattened
    #[arg(long)]
    unfused: bool,
    /// How long to measure
    #[arg(long, default_value_t = 5.0, allow_negative_numbers = true, value_name = "S")]
    seconds: f64,
    /// Stop after the first step and print how long that took from the start of the process, reading the data included
    #[arg(long, conflicts_with = "seconds")]
    first: bool,
    /// Folder with the MNIST files [default: $GANVIL_DATA, then data/mnist]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Steps before the clock starts.
const WARM_UP: usize = 10;

/// The settings of a workload such as `mlp0-64`, and whether its steps are updates of D alone.
fn workload(name: &str) -> Result<(TrainConfig, bool)> {
    let wrong = || {
        Error::Argument {
        what: "workload",
        value: name.into(),
        remedy: "use mlp0-BATCH, mlp2-BATCH, dcgan28-BATCH, dcgan64-BATCH or wgangp28-BATCH, for example dcgan28-64"
            .into(),
    }
    };
    let (kind, batch) = name.rsplit_once('-').ok_or_else(wrong)?;
    let recipe = match kind {
        "mlp0" => "mlp-a",
        "mlp2" => "mlp",
        "dcgan28" | "wgangp28" => "dcgan28",
        "dcgan64" => "dcgan64",
        _ => return Err(wrong()),
    };
    let mut config = (zoo::recipe(recipe)?.config)();
    config.batch = batch.parse().map_err(|_| wrong())?;
    config.step.ema = None;
    // Both networks learn from one batch of fakes, as in PyTorch's example of a DCGAN; `mlp` draws twice by its definition.
    config.step.reuse_fakes = kind != "mlp2";
    let critic_alone = kind == "wgangp28";
    if critic_alone {
        let paper = (zoo::recipe("wgan-gp")?.config)();
        let (loss, gradient_penalty) = (paper.step.loss, paper.step.gradient_penalty);
        config.step = StepConfig { loss, gradient_penalty, ..config.step };
        (config.optimizer_d, config.networks) = (paper.optimizer_d, paper.networks);
    }
    config.check()?;
    Ok((config, critic_alone))
}

/// Pictures for networks that want larger ones than MNIST's: 1024 of uniform noise, 3 x 64 x 64.
fn noise() -> Dataset {
    let (count, channels, side) = (1024, 3, 64);
    let mut pixels = vec![0; count * channels * side * side];
    Generator::new(0, Stream::General).host().fill_bytes(&mut pixels);
    let images = Images { count, channels, rows: side, cols: side, pixels };
    Dataset { images, labels: None, classes: Vec::new(), name: "noise".into() }
}

pub fn run(args: Args) -> Result<()> {
    let began = Instant::now();
    let (mut config, critic_alone) = workload(&args.workload)?;
    config.conv = args.conv;
    let threads = super::super::threads(Some(args.threads))?;
    if !(args.seconds > 0.0 && args.seconds < 1e6) {
        let remedy = "a positive number of seconds".into();
        return Err(Error::Argument { what: "--seconds", value: args.seconds.to_string(), remedy });
    }
    let data = Arc::new(match config.recipe.as_str() {
        "dcgan64" => noise(),
        _ => Dataset::load(locate(args.data.as_deref())?, Split::Train)?,
    });
    let batch = config.batch;
    let mut trainer = Trainer::new(config, data, args.device.open()?)?;
    let mut step =
        || {
            with_fusion(!args.unfused, || {
                if critic_alone { trainer.update_d() } else { trainer.step(&mut NoProbe) }
            })
        };
    if args.first {
        crate::threads(threads, || step().map(drop).map_err(diverged))?;
        let seconds = process_age().unwrap_or_else(|| began.elapsed().as_secs_f64());
        return super::super::print(&format!(
            "{} {threads} ganvil-{} first_step_done_s {seconds:.2} peak_rss_mb {:.0}\n",
            args.workload,
            trainer.tier(),
            peak_rss_mb()
        ));
    }
    let median = crate::threads(threads, || median_step(&mut step, Duration::from_secs_f64(args.seconds)))?;
    let rate = 1.0 / median;
    super::super::print(&format!(
        "{} {threads} ganvil-{} {rate:.2} {:.0} {:.0}\n",
        args.workload,
        trainer.tier(),
        rate * batch as f64,
        peak_rss_mb()
    ))
}

fn diverged(e: NotFinite) -> Error {
    let remedy = "a benchmark's training should not diverge; please report it".into();
    Error::NonFinite { what: e.what, step: 0, tensor: e.tensor, remedy }
}

/// The median time of a step in seconds.
fn median_step(
    step: &mut (dyn FnMut() -> std::result::Result<StepLosses, NotFinite> + Send),
    long: Duration,
) -> Result<f64> {
    let mut timed = || {
        let start = Instant::now();
        step().map(|_| start.elapsed().as_secs_f64()).map_err(diverged)
    };
    for _ in 0..WARM_UP {
        timed()?;
    }
    let (start, mut times) = (Instant::now(), Vec::new());
    while start.elapsed() < long || times.len() < 3 {
        times.push(timed()?);
    }
    times.sort_by(f64::total_cmp);
    let mid = times.len() / 2;
    Ok(if times.len() % 2 == 1 { times[mid] } else { (times[mid - 1] + times[mid]) / 2.0 })
}

/// The most memory the process has held, where the system tells it; else 0.
fn peak_rss_mb() -> f64 {
    peak_memory_mb().unwrap_or_else(|| {
        note!("this system does not tell the peak memory; 0 is printed");
        0.0
    })
}
