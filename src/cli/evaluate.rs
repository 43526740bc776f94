//! `ganvil evaluate`.

mod table;

use super::device::DeviceArg;
use super::recorded::folder_name;
use crate::data::{Dataset, Fingerprint, ImageOptions, Split};
use crate::gan::{RealImages, Sampler, feature_net, latest_checkpoint, note_evaluation, read_config};
use crate::metrics::{
    Classifier, ClassifierNet, Evaluation, Evaluator, FeatureNet, Inception, Metric, Source, Wanted,
};
use crate::names::unknown;
use crate::{Error, Result};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::str::FromStr;

#[derive(clap::Args)]
#[command(
    after_help = "Compares samples, as they would be in PNG files, with as many real images, and prints beside each number \
    what other real images have (the floor). Numbers compare only where features, their checksum, N and the split are \
    the same. Of several runs the mean and deviation are printed as well. docs/metrics.md says what each metric means \
    and when it lies.\n\n\
    Metrics: fid, fid-infinity, kid, precision, recall, density, coverage, score, confidence, entropy, smallest-share, \
    class-jsd, agreement, copies, feature-copies, strays, path-length, gan-train.\n\n\
    Examples:\n  \
    ganvil evaluate runs/00000-mnist-mlp\n  \
    ganvil evaluate seed-0 seed-1 seed-2 --metrics fid,precision,recall\n  \
    ganvil evaluate pictures --features pixels --data photos --n 500\n  \
    ganvil evaluate my-run --n 10000 --seed 1 --json"
)]
pub struct Args {
    /// Folders of runs, checkpoint files, or folders of pictures
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// The real images to compare with: test or train [default: test, if there are any]
    #[arg(long, value_name = "SPLIT")]
    against: Option<SplitArg>,
    /// What to measure, separated by commas [default: all but gan-train, which trains a network]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    metrics: Option<Vec<Metric>>,
    /// What pictures are compared by: classifier or pixels [default: the digit classifier for digits, else pixels]
    #[arg(long, value_name = "NAME")]
    features: Option<FeaturesArg>,
    /// Weights of a classifier that `ganvil train classifier --data DIR` made, for other pictures of 28 x 28
    #[arg(long, value_name = "FILE", conflicts_with = "features")]
    classifier: Option<PathBuf>,
    /// Weights of Inception-v3, as pytorch-fid has them, as safetensors: the FID of the literature, at 20 pictures a second
    #[arg(long, value_name = "FILE", conflicts_with_all = ["features", "classifier"])]
    inception: Option<PathBuf>,
    /// Samples, and real images of either side; of a conditional run, the classes in turn
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    n: usize,
    /// Seed of the noise and of all draws; the samples are those of `ganvil sample`
    #[arg(long, default_value_t = 0, value_name = "N")]
    seed: u64,
    /// Print one JSON object; of several runs, a list
    #[arg(long)]
    json: bool,
    /// Folder with the real images [default: the run's, then $GANVIL_DATA, then data/mnist]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    device: DeviceArg,
    /// Kernel threads; results do not depend on them [default: one per processor]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

/// The most samples that are looked at.
const MOST: usize = 100_000;

#[derive(Clone, Copy)]
struct SplitArg(Split);

impl FromStr for SplitArg {
    type Err = Error;
    fn from_str(s: &str) -> Result<SplitArg> {
        match s {
            "test" => Ok(SplitArg(Split::Test)),
            "train" => Ok(SplitArg(Split::Train)),
            _ => Err(unknown("split", s, &["test", "train"])),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum FeaturesArg {
    Classifier,
    Pixels,
}

impl FromStr for FeaturesArg {
    type Err = Error;
    fn from_str(s: &str) -> Result<FeaturesArg> {
        match s {
            "classifier" => Ok(FeaturesArg::Classifier),
            "pixels" => Ok(FeaturesArg::Pixels),
            _ => Err(unknown("features", s, &["classifier", "pixels"])),
        }
    }
}

/// Where samples come from.
enum Samples {
    Generator { path: PathBuf, sampler: Box<Sampler> },
    Pictures { path: PathBuf, data: Box<Dataset> },
}

impl Samples {
    fn path(&self) -> &Path {
        match self {
            Samples::Generator { path, .. } | Samples::Pictures { path, .. } => path,
        }
    }

    /// What the pictures were made into.
    fn options(&self) -> ImageOptions {
        match self {
            Samples::Generator { sampler, .. } => sampler.config().data,
            Samples::Pictures { .. } => ImageOptions::default(),
        }
    }

    fn open(path: &Path, args: &Args) -> Result<Samples> {
        let path = path.to_path_buf();
        let pictures =
            path.is_dir() && !path.join("config.toml").exists() && !path.join("checkpoints").exists();
        if pictures && std::fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_some()) {
            let data = Box::new(Dataset::load(&path, Split::Train)?);
            return Ok(Samples::Pictures { path, data });
        }
        let checkpoint = if path.is_file() { path.clone() } else { latest_checkpoint(&path)? };
        let sampler = Box::new(Sampler::load(&checkpoint)?.to_device(args.device.open()?));
        Ok(Samples::Generator { path, sampler })
    }

    fn source(&self) -> Source {
        match self {
            Samples::Pictures { .. } => Source::Pictures,
            Samples::Generator { sampler, .. } if sampler.classes.is_some() => Source::Conditional,
            Samples::Generator { .. } => Source::Generator,
        }
    }

    fn trained_on(&self) -> Option<Fingerprint> {
        match self {
            Samples::Generator { sampler, .. } => sampler.trained_on,
            Samples::Pictures { .. } => None,
        }
    }

    /// A run that cannot be measured is refused before the work, not after it.
    fn check(&self, net: &FeatureNet, n: usize) -> Result<()> {
        let sampler = match self {
            Samples::Generator { sampler, .. } => sampler,
            Samples::Pictures { data, .. } => return Evaluator::check_count(data.images.count, n),
        };
        net.images(&[], sampler.shape, sampler.config().data.pad)?;
        match (sampler.classes, net.classifier()) {
            (Some(n), Some(_)) if n != ClassifierNet::CLASSES => {
                let remedy = format!(
                    "the classifier knows the {} digits, so a conditional run must have them as its classes; train it \
                     on MNIST, or use --features pixels",
                    ClassifierNet::CLASSES
                );
                Err(Error::Argument { what: "number of classes", value: n.to_string(), remedy })
            }
            _ => Ok(()),
        }
    }

    fn evaluate(&self, evaluator: &Evaluator) -> Result<Evaluation> {
        match self {
            Samples::Generator { sampler, .. } => sampler.evaluate(evaluator),
            Samples::Pictures { data, .. } => evaluator.evaluate(&data.images, None),
        }
    }
}

pub fn run(args: Args) -> Result<()> {
    if !(1..=MOST).contains(&args.n) {
        let remedy = format!("use 1 to {MOST}");
        return Err(Error::Argument { what: "--n", value: args.n.to_string(), remedy });
    }
    let all = args.runs.iter().map(|path| Samples::open(path, &args)).collect::<Result<Vec<_>>>()?;
    let options = all[0].options();
    if let Some(other) = all.iter().find(|s| s.options() != options) {
        let remedy = "its pictures were made of the data in another way; measure it by itself".into();
        return Err(Error::Argument { what: "RUN", value: other.path().display().to_string(), remedy });
    }
    let threads = super::threads(args.threads)?;
    let (found, own) = crate::threads(threads, || {
        let (evaluator, own) = evaluator(&args, &all, options)?;
        let found = all.iter().map(|samples| samples.evaluate(&evaluator)).collect::<Result<Vec<_>>>()?;
        Ok((found, own))
    })?;
    for ((samples, evaluation), own) in all.iter().zip(&found).zip(own) {
        let Samples::Generator { path, sampler } = samples else { continue };
        if !path.is_dir() {
            continue;
        }
        if !own {
            note!("note: {} was trained on other data; the result is not kept in the run", path.display());
        } else if let Err(e) = note_evaluation(path, sampler, evaluation) {
            note!("note: {e}; the result is not kept in the run");
        }
    }
    let named: Vec<(&Samples, Evaluation)> = all.iter().zip(found).collect();
    if args.json {
        let mut objects: Vec<Value> = named.iter().map(|(s, e)| object(s, e)).collect();
        let out = if objects.len() == 1 { objects.remove(0) } else { Value::Array(objects) };
        return super::print(&format!("{out}\n"));
    }
    super::print(&text(&named))
}

/// The real images, prepared, with the network asked for or the one that fits; and whether they are those that each run was
/// trained on.
fn evaluator(args: &Args, all: &[Samples], options: ImageOptions) -> Result<(Evaluator, Vec<bool>)> {
    let dir = args.data.clone().or_else(|| dataset_of(all[0].path()));
    let dir = dir.as_deref();
    let bare = ImageOptions { pad: None, ..options };
    let mut reals = RealImages::open(dir, &bare)?;
    if let Some(file) = &args.inception {
        let reals = if options.pad.is_some() { RealImages::open(dir, &options)? } else { reals };
        return finish(
            args,
            all,
            (dir, options),
            reals,
            FeatureNet::Inception(Box::new(Inception::load(file)?)),
        );
    }
    let net = match (&args.classifier, args.features) {
        (Some(file), _) => FeatureNet::Classifier(folder_name(file), Box::new(Classifier::load(file, None)?)),
        (None, Some(FeaturesArg::Classifier)) => FeatureNet::mnist()?,
        (None, Some(FeaturesArg::Pixels)) => FeatureNet::Pixels,
        (None, None) => feature_net(&reals)?,
    };
    if matches!(net, FeatureNet::Pixels) {
        if args.features.is_none() {
            note!("note: no classifier knows these pictures, so pixels are compared; see --classifier");
        }
        if options.pad.is_some() {
            reals = RealImages::open(dir, &options)?;
        }
    }
    finish(args, all, (dir, options), reals, net)
}

/// The folder of data that the run's settings name, for its folder or a checkpoint in it.
fn dataset_of(path: &Path) -> Option<PathBuf> {
    let configs = path.ancestors().take(4).map(|dir| dir.join("config.toml"));
    let config = configs.into_iter().find(|file| file.is_file())?;
    read_config(&config).ok()?.dataset.filter(|dir| dir.is_dir())
}

/// Settles what is measured by this network.
fn finish(
    args: &Args,
    all: &[Samples],
    (dir, options): (Option<&Path>, ImageOptions),
    reals: RealImages,
    net: FeatureNet,
) -> Result<(Evaluator, Vec<bool>)> {
    all.iter().try_for_each(|samples| samples.check(&net, args.n))?;
    // A run's images are known by what they were made into before it saw them.
    let as_seen = if options.pad.is_some() { &RealImages::open(dir, &options)? } else { &reals };
    let mut own = Vec::new();
    for samples in all {
        match as_seen.check(samples.trained_on()) {
            Err(e) if args.data.is_none() => return Err(e),
            checked => own.push(checked.is_ok()),
        }
    }
    // What was asked for by name is not left out without a word, and refused before the work.
    for samples in all {
        let path = samples.path().display();
        let of = |e| match e {
            Error::Argument { value, remedy, .. } => Error::Argument {
                what: "--metrics",
                value,
                remedy: format!("of {path} it cannot be measured: {remedy}"),
            },
            e => e,
        };
        args.metrics.iter().flatten().try_for_each(|m| m.check_source(samples.source())).map_err(of)?;
    }
    let against = args.against.map_or(reals.against(), |s| s.0);
    let usual = |m: &Metric| m.is_usual() && m.possible(&net, args.n, &reals.reals()).is_ok();
    let metrics = match &args.metrics {
        Some(metrics) => metrics.iter().copied().collect(),
        None => Metric::ALL.into_iter().filter(usual).collect(),
    };
    let wanted = Wanted { metrics, against, n: args.n, seed: args.seed };
    wanted.check(&net, &reals.reals())?;
    if args.metrics.is_none() && args.n < Metric::FEWEST {
        note!(
            "note: distances and neighbours need {} samples or more; only classes are counted",
            Metric::FEWEST
        );
    }
    Ok((Evaluator::new(net, &reals.reals(), wanted)?, own))
}

/// The result with what it is of.
fn object(samples: &Samples, e: &Evaluation) -> Value {
    let mut out = json!(e);
    out["run"] = json!(samples.path().display().to_string());
    if let Samples::Generator { sampler, .. } = samples {
        out["recipe"] = json!(sampler.config().recipe);
        out["steps"] = json!(sampler.steps);
    }
    out
}

fn text(all: &[(&Samples, Evaluation)]) -> String {
    let (_, first) = &all[0];
    let mut out = table::protocol(first);
    for (samples, e) in all {
        let steps = match samples {
            Samples::Generator { sampler, .. } => format!(", {} steps", sampler.steps),
            Samples::Pictures { .. } => String::new(),
        };
        out += &format!("\n{}{steps}\n", samples.path().display());
        out += &table::metrics(e);
        if all.len() == 1 {
            out += &table::classes(e);
        }
        out += &table::findings(e);
    }
    if all.len() > 1 {
        let evaluations: Vec<&Evaluation> = all.iter().map(|(_, e)| e).collect();
        out += &table::mean(&evaluations);
    }
    out
}
