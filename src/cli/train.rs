//! `ganvil train`.

use super::classifier;
use super::device::DeviceArg;
use super::measure::EvaluateArgs;
use super::profile::ProfileArg;
use super::progress::Progress;
use super::signals;
use super::technique::TechniqueArgs;
use crate::backend::cpu::ConvMode;
use crate::data::{Dataset, ImageOptions, Split, locate};
use crate::gan::{
    Conditioning, Event, Prior, Run, TrainConfig, Trainer, Watch, check_measuring, read_config, run_training,
    zoo,
};
use crate::metrics::ClassifierConfig;
use crate::nn::Init;
use crate::{Error, Result};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

#[derive(clap::Args)]
pub struct Args {
    /// What to train; the recipes are listed below
    recipe: Option<String>,
    /// Take all settings from a run's config.toml, or one written by hand
    #[arg(long, value_name = "FILE", help_heading = "Settings")]
    config: Option<PathBuf>,
    /// Change a setting by its name in config.toml: `optimizer_g.lr=1e-4`; may be repeated
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Settings")]
    set: Vec<String>,
    /// Folder with MNIST's files (or Fashion-MNIST's), or with PNG or JPEG pictures, in a folder for each class or all
    /// in one [default: $GANVIL_DATA, then data/mnist]
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    data: Option<PathBuf>,
    /// Cut each image to a square and scale it to N x N pixels
    #[arg(long, value_name = "N", help_heading = "Data")]
    size: Option<usize>,
    /// 1 for grey, 3 for colours [default: what the images have]
    #[arg(long, value_name = "N", help_heading = "Data")]
    channels: Option<usize>,
    /// Put background around the images, up to N x N pixels
    #[arg(long, value_name = "N", help_heading = "Data")]
    pad: Option<usize>,
    /// Folder of the run; must not hold anything yet [default: runs/NNNNN-DATA-RECIPE]
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    out: Option<PathBuf>,
    /// What the folder's name ends in: runs/NNNNN-DATA-RECIPE-NAME
    #[arg(long, value_name = "NAME", conflicts_with = "out", help_heading = "Run")]
    name: Option<String>,
    #[command(flatten, next_help_heading = "Run")]
    device: DeviceArg,
    /// Kernel threads; results do not depend on them [default: one per processor]
    #[arg(long, value_name = "N", help_heading = "Run")]
    threads: Option<usize>,
    /// Convolutions on the CPU: fast (fewer multiplications, up to 2.9 times the rounding error) or exact [default: fast]
    #[arg(long, value_name = "WAY", help_heading = "Run")]
    conv: Option<ConvMode>,
    /// Seed of every random stream [default: 0]
    #[arg(long, value_name = "N", help_heading = "Run")]
    seed: Option<u64>,
    /// Training steps; a schedule that ends with the run ends with it still [default: the recipe's]
    #[arg(long, value_name = "N", conflicts_with = "epochs", help_heading = "Length")]
    steps: Option<u64>,
    /// Passes over the data, in place of --steps
    #[arg(long, allow_negative_numbers = true, value_name = "N", help_heading = "Length")]
    epochs: Option<f64>,
    /// Real images per step [default: 64]
    #[arg(long, value_name = "N", help_heading = "Training")]
    batch: Option<usize>,
    /// Learning rate of the discriminator [default: 2e-4]
    #[arg(long, allow_negative_numbers = true, value_name = "RATE", help_heading = "Training")]
    lr_d: Option<f64>,
    /// Learning rate of the generator [default: 2e-4]
    #[arg(long, allow_negative_numbers = true, value_name = "RATE", help_heading = "Training")]
    lr_g: Option<f64>,
    /// Distribution of the noise: normal, uniform or sphere [default: normal]
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    prior: Option<Prior>,
    /// Initial weights: default, normal (DCGAN's), xavier-uniform, xavier-normal, kaiming-uniform, kaiming-normal or
    /// orthogonal [default: default, PyTorch's]
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    init: Option<Init>,
    /// Labels: none, embed, projection or auxiliary-classifier [default: the recipe's]
    #[arg(long, value_name = "NAME", help_heading = "Training")]
    conditioning: Option<Conditioning>,
    /// Weight of the auxiliary classifier's cross-entropy [default: 1]
    #[arg(long, allow_negative_numbers = true, value_name = "W", help_heading = "Training")]
    class_weight: Option<f64>,
    #[command(flatten)]
    technique: TechniqueArgs,
    /// Steps between log lines [default: 100]
    #[arg(long, value_name = "N", help_heading = "Reports")]
    log_every: Option<u64>,
    /// Steps between sample grids [default: the recipe's]
    #[arg(long, value_name = "N", help_heading = "Reports")]
    sample_every: Option<u64>,
    /// Steps between checkpoints [default: 5000]
    #[arg(long, value_name = "N", help_heading = "Reports")]
    checkpoint_every: Option<u64>,
    #[command(flatten, next_help_heading = "Reports")]
    evaluate: EvaluateArgs,
    /// Write TensorBoard's event files as well
    #[arg(long, help_heading = "Reports")]
    tensorboard: bool,
    /// Print step N in full when it is made: tensors, losses, gradients, times
    #[arg(long, value_name = "N", help_heading = "Reports")]
    explain_step: Option<u64>,
    #[command(flatten, next_help_heading = "Reports")]
    profile: ProfileArg,
}

/// The end of `ganvil train --help`.
pub fn recipes_and_example() -> String {
    let recipes = super::recipes("  ");
    let default = zoo::RECIPES[0].name;
    format!(
        "Recipes (default {default}):\n{recipes}\nExamples:\n  ganvil train mlp --epochs 10 --seed 7 --out my-run\n  \
        ganvil train --config my-run/config.toml --set optimizer_g.lr=1e-4\n  \
        ganvil train --data photos --size 32 --channels 3\n  \
        ganvil train classifier --threads 2 --out classifier"
    )
}

impl Args {
    /// The recipe's settings, or those of the file.
    fn base(&self) -> Result<TrainConfig> {
        let Some(path) = &self.config else {
            return Ok((zoo::recipe(self.recipe.as_deref().unwrap_or(zoo::RECIPES[0].name))?.config)());
        };
        let config = read_config(path)?;
        match &self.recipe {
            Some(recipe) if *recipe != config.recipe => {
                let remedy = format!("{} is of recipe {}; leave it out", path.display(), config.recipe);
                Err(Error::Argument { what: "recipe", value: recipe.clone(), remedy })
            }
            _ => Ok(config),
        }
    }

    /// What pictures are made into. A recipe's own padding is for pictures that come as they are.
    fn image_options(&self, own: ImageOptions) -> ImageOptions {
        let pad = if self.size.is_some() { self.pad } else { self.pad.or(own.pad) };
        ImageOptions { size: self.size.or(own.size), channels: self.channels.or(own.channels), pad }
    }

    /// The settings with the flags given, before the data is known.
    fn config(&self) -> Result<TrainConfig> {
        let mut c = self.base()?;
        fn set<T: Copy>(to: &mut T, flag: Option<T>) {
            if let Some(v) = flag {
                *to = v;
            }
        }
        c.data = self.image_options(c.data);
        c.name = self.name.clone().or(c.name);
        c.dataset = self.data.clone().or(c.dataset);
        c.tensorboard |= self.tensorboard;
        set(&mut c.seed, self.seed);
        set(&mut c.batch, self.batch);
        if let Some(steps) = self.steps {
            c.set_steps(steps);
        }
        set(&mut c.conv, self.conv);
        set(&mut c.prior, self.prior);
        set(&mut c.init, self.init);
        set(&mut c.log_every, self.log_every);
        set(&mut c.sample_every, self.sample_every);
        set(&mut c.checkpoint_every, self.checkpoint_every);
        set(&mut c.conditioning, self.conditioning);
        set(&mut c.step.class_weight, self.class_weight);
        c.optimizer_d = c.optimizer_d.with_lr(self.lr_d.unwrap_or(c.optimizer_d.lr()));
        c.optimizer_g = c.optimizer_g.with_lr(self.lr_g.unwrap_or(c.optimizer_g.lr()));
        self.technique.apply(&mut c)?;
        self.evaluate.apply(&mut c);
        if let Some(twice) = self.set.iter().find(|s| self.epochs.is_some() && s.starts_with("steps")) {
            let remedy = "the steps follow from --epochs; leave one of the two out".into();
            return Err(Error::Argument { what: "--set", value: twice.clone(), remedy });
        }
        c.set_all(&self.set)?;
        c.check()?;
        Ok(c)
    }

    /// The steps of the passes over the data that were asked for.
    fn steps(&self, epochs: f64, c: &TrainConfig, images: usize) -> Result<u64> {
        // D's updates of one step take a batch each; what fills no batch is dropped.
        let batches = images / c.batch.max(1);
        let steps = (epochs * batches as f64 / c.step.n_d.max(1) as f64).round();
        if !(1.0..1e12).contains(&steps) {
            let remedy = "a positive number of passes over the data, long enough for one step".into();
            let value = format!("{epochs:?}").trim_end_matches(".0").into();
            return Err(Error::Argument { what: "--epochs", value, remedy });
        }
        Ok(steps as u64)
    }
}

/// `given`: the flags that stand on the command line.
pub fn run(args: Args, given: &[String]) -> Result<()> {
    if args.recipe.as_deref() == Some(ClassifierConfig::RECIPE) {
        classifier::check_flags(given)?;
        let threads = super::threads(args.threads)?;
        let device = args.device.open()?;
        let Args { data, out, seed, epochs, batch, .. } = args;
        return classifier::run(classifier::Args { data, out, threads, seed, epochs, batch, device });
    }
    let threads = super::threads(args.threads)?;
    let mut config = args.config()?;
    let data = open_data(&mut config)?;
    if let Some(epochs) = args.epochs {
        config.set_steps(args.steps(epochs, &config, data.images.count)?);
        // A horizon that was asked for stays, even where it was the recipe's length.
        config.set_all(&args.set)?;
    }
    let watch = Watch { explain: args.explain_step, profile: args.profile.profile };
    watch.check(0, config.steps)?;
    let mut trainer = Trainer::new(config, data.clone(), args.device.open()?)?;
    crate::threads(threads, || {
        check_measuring(&trainer)?;
        // Before, there is nothing to save.
        let stop = signals::watch(signals::RUN);
        let run = Run::create(args.out.as_deref(), &data.name, trainer.config())?;
        go_on(&mut trainer, &run, watch, &stop)
    })
}

/// Reads the data that the settings name, or where they name none that of the usual places, and notes where it was.
pub(super) fn open_data(config: &mut TrainConfig) -> Result<Arc<Dataset>> {
    let dir = locate(config.dataset.as_deref())?;
    let data = Dataset::open(&dir, Split::Train, &config.data)?;
    config.dataset = Some(std::path::absolute(&dir).map_err(Error::io("find", &dir))?);
    Ok(Arc::new(data))
}

/// Trains to the end, or until a signal asks to stop, in the present pool of threads.
pub(super) fn go_on(trainer: &mut Trainer, run: &Run, watch: Watch, stop: &AtomicBool) -> Result<()> {
    let mut progress = Progress::start(trainer, run);
    let train = || run_training(trainer, run, watch, stop, &mut |event: Event| progress.on(event));
    let result = crate::try_run(train).and_then(|r| r);
    progress.finish(result.is_ok());
    result
}
