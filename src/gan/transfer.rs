//! Networks to PyTorch and back, as safetensors files of a `state_dict`.

use super::config::TrainConfig;
use super::network::Network;
use super::run::{CHECKPOINTS, KEEP, Run};
use super::sampler::{classes, image_shape, settings};
use super::state::{Calls, Standing, to_bytes};
use super::step::Gan;
use super::trainer::networks;
use super::zoo;
use crate::backend;
use crate::checkpoint::{self, Checkpoint, manifest};
use crate::data::Position;
use crate::nn::{Module, load_state_dict, state_dict};
use crate::optim::Optimizer;
use crate::rng::Stream;
use crate::{Device, Error, Generator, Result, Tensor};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// A network of a checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// The generator that samples are taken from: the moving average if there is one.
    Sampled,
    /// The generator's moving average.
    Average,
    /// The generator as it is trained.
    Raw,
    /// The discriminator.
    Discriminator,
}

/// Writes a network of a checkpoint under the names of its `state_dict` in PyTorch: `net.0.weight`, ... The settings go
/// along as metadata, which PyTorch does not mind and [`import`] reads.
///
/// # Errors
/// If the file is no checkpoint or does not have the network, or `out` cannot be written.
pub fn export(checkpoint: &Path, out: &Path, part: Part) -> Result<()> {
    let file = checkpoint::load(checkpoint)?;
    let config = settings(checkpoint, &file.meta)?;
    let prefix = match part {
        Part::Sampled if config.step.ema.is_none() => "G.",
        Part::Sampled | Part::Average => "G_ema.",
        Part::Raw => "G.",
        Part::Discriminator => "D.",
    };
    let tensors = file.tensors.iter();
    let tensors: Vec<(String, Tensor)> =
        tensors.filter_map(|(name, t)| Some((name.strip_prefix(prefix)?.to_owned(), t.clone()))).collect();
    if tensors.is_empty() {
        let problem = match part {
            Part::Average => "has no moving average of the generator; leave --ema out".into(),
            _ => format!("has no tensor whose name begins with '{prefix}'; is it a checkpoint of a run?"),
        };
        return Err(Error::format(checkpoint, problem));
    }
    let of_run =
        ["config", "image_shape", "classes"].into_iter().filter_map(|key| Some((key, file.meta.get(key)?)));
    let meta: Value = of_run.map(|(key, value)| (key.to_owned(), value.clone())).collect();
    checkpoint::save(out, &tensors, &meta)
}

/// What a network that comes from PyTorch is to be.
pub struct Import<'a> {
    /// The recipe whose architecture it has.
    pub recipe: &'a str,
    /// A `state_dict` of the generator.
    pub generator: &'a Path,
    /// One of the discriminator; else it starts afresh.
    pub discriminator: Option<&'a Path>,
    /// Size of a latent vector, if not that of the file's metadata or the recipe.
    pub latent: Option<usize>,
    /// Rows and columns of an image, if not those of the metadata or 28.
    pub size: Option<usize>,
    /// Channels of an image, if not those of the metadata or 1.
    pub channels: Option<usize>,
}

/// Settings, networks and the shape of images, checked against the recipe's architecture.
pub struct Imported {
    config: TrainConfig,
    gan: Gan,
    shape: [usize; 3],
    classes: usize,
}

/// Latent vectors are not longer, nor are there more classes.
const MOST: usize = super::config::MOST_LATENT;

/// Reads networks that PyTorch trained; [`export`]'s way back.
///
/// ```
/// use ganvil::gan::{Import, Sampler, TrainConfig, import, latest_checkpoint, networks};
/// use ganvil::{Generator, checkpoint, nn::state_dict, rng::Stream};
///
/// // What `safetensors.torch.save_file(net.state_dict(), ...)` leaves.
/// let dir = std::env::temp_dir().join(format!("ganvil-import-{}", std::process::id()));
/// std::fs::create_dir(&dir).unwrap();
/// let file = dir.join("generator.safetensors");
/// let (g, _) = networks(&TrainConfig::default(), [1, 28, 28], 0, &Generator::new(0, Stream::Init))?;
/// checkpoint::save(&file, &state_dict(&g), &serde_json::Value::Null)?;
///
/// let what = Import {
///     recipe: "mlp",
///     generator: &file,
///     discriminator: None,
///     latent: None,
///     size: None,
///     channels: None,
/// };
/// let run = import(&what)?.into_run(Some(&dir.join("run")), "torch")?;
/// assert_eq!(Sampler::load(&latest_checkpoint(&run)?)?.sample(2, 0).len(), 2 * 784);
/// # std::fs::remove_dir_all(&dir).unwrap();
/// # Ok::<(), ganvil::Error>(())
/// ```
///
/// The moving average, if the recipe has one, is the generator of the file as well.
///
/// # Errors
/// If a file cannot be read, or has other names or shapes than the recipe's network: the message lists them, and names
/// the recipe that fits if there is one.
pub fn import(what: &Import) -> Result<Imported> {
    let recipe = zoo::recipe(what.recipe)?;
    let file = checkpoint::load(what.generator)?;
    let own = file.meta["config"]["recipe"] == recipe.name;
    let mut config = if own { settings(what.generator, &file.meta)? } else { (recipe.config)() };
    let mut shape = if own { image_shape(what.generator, &file.meta)? } else { [1, 28, 28] };
    config.latent = what.latent.unwrap_or(config.latent);
    if config.latent > MOST {
        let remedy = format!("use at most {MOST}");
        return Err(Error::Argument { what: "--latent", value: config.latent.to_string(), remedy });
    }
    config.data.size = what.size.or(config.data.size);
    config.data.channels = what.channels.or(config.data.channels);
    config.check()?;
    if let Some(n) = what.size {
        (shape[1], shape[2]) = (n, n);
    }
    shape[0] = what.channels.unwrap_or(shape[0]);

    let random = Generator::new(config.seed, Stream::Init);
    // A file from PyTorch says of how many classes its table is.
    let known = if own { classes(what.generator, &file.meta, &config)? } else { None };
    let classes =
        if config.conditioning.is_none() { 0 } else { known.unwrap_or_else(|| rows_of_table(&file)) };
    let (mut g, mut d) = networks(&config, shape, classes, &random)?;
    let target = Target { config: &config, shape };
    target.load(&mut g, &file, what.generator)?;
    if let Some(path) = what.discriminator {
        target.load(&mut d, &checkpoint::load(path)?, path)?;
    }
    let average = config.step.ema.map(|_| g.clone());
    let [opt_g, opt_d] = [config.optimizer_g, config.optimizer_d].map(Optimizer::new);
    let gan = Gan { average, ..Gan::new(g, d, opt_g, opt_d, config.step) };
    Ok(Imported { config, gan, shape, classes })
}

impl Imported {
    /// Makes a run's folder with a checkpoint of no steps; returns its path. `name` stands in the folder's, if `out` does
    /// not name one.
    ///
    /// # Errors
    /// As [`Run::create`]; if the checkpoint cannot be written.
    pub fn into_run(self, out: Option<&Path>, name: &str) -> Result<PathBuf> {
        let run = Run::create(out, name, &self.config)?;
        let labels = (self.classes > 0).then_some(0);
        let standing = Standing {
            format: 1,
            step: 0,
            images: 0,
            balance: None,
            image_shape: self.shape,
            position: Position::default(),
            calls: Calls { labels, ..Calls::default() },
            classes: labels.map(|_| self.classes),
            data: None,
            simd: backend::of(Device::Cpu).tier().into(),
        };
        let bytes = to_bytes(run.dir(), &self.gan, &self.config, &standing)?;
        manifest::save(&run.dir().join(CHECKPOINTS), 0, &bytes, KEEP)?;
        Ok(run.dir().to_path_buf())
    }
}

/// The classes of a network: the rows of its table of labels or of its conditional normalisations, of the projection or of
/// the classifier; 10 if it has none.
fn rows_of_table(file: &Checkpoint) -> usize {
    let tables = ["label_embed.weight", "embed.weight", "classes.weight"];
    let is_table = |name: &str| tables.contains(&name) || name.ends_with(".gamma");
    let rows = file.tensors.iter().filter(|(name, t)| is_table(name) && t.rank() == 2 && t.numel() > 0);
    rows.map(|(_, t)| t.shape()[0]).find(|&n| n <= MOST).unwrap_or(10)
}

/// What networks are to be.
struct Target<'a> {
    config: &'a TrainConfig,
    shape: [usize; 3],
}

impl Target<'_> {
    fn load(&self, net: &mut Network, file: &Checkpoint, path: &Path) -> Result<()> {
        let difference = Difference::of(net, file);
        if difference.is_none() {
            return load_state_dict(net, &file.tensors, "", path);
        }
        let role = if net.name() == "G" { "generator" } else { "discriminator" };
        let fits = self.fitting(file).map_or(String::new(), |hint| format!(". {hint}"));
        Err(Error::format(
            path,
            format!("is no {role} of recipe '{}': {difference}{fits}", self.config.recipe),
        ))
    }
}

/// How a file's names and shapes differ from a network's.
struct Difference {
    missing: Vec<String>,
    unexpected: Vec<String>,
    shapes: Vec<String>,
}

impl Difference {
    fn of(net: &dyn Module, file: &Checkpoint) -> Difference {
        let wanted: BTreeMap<String, Tensor> = state_dict(net).into_iter().collect();
        let mut unexpected: Vec<String> =
            file.tensors.keys().filter(|name| !wanted.contains_key(*name)).cloned().collect();
        unexpected.sort();
        let missing = wanted.keys().filter(|name| !file.tensors.contains_key(*name)).cloned().collect();
        let shapes = wanted.iter().filter_map(|(name, w)| {
            let found = file.tensors.get(name)?.shape();
            (found != w.shape()).then(|| format!("{name} is {found:?}, wanted {:?}", w.shape()))
        });
        Difference { missing, unexpected, shapes: shapes.collect() }
    }

    fn is_none(&self) -> bool {
        self.has_names() && self.shapes.is_empty()
    }

    fn has_names(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        const SHOWN: usize = 6;
        let lists = [
            ("missing", &self.missing),
            ("unexpected", &self.unexpected),
            ("of another shape", &self.shapes),
        ];
        let mut separator = "";
        for (what, names) in lists.into_iter().filter(|(_, names)| !names.is_empty()) {
            write!(f, "{separator}{what}: {}", names[..names.len().min(SHOWN)].join(", "))?;
            if let Some(more) = names.len().checked_sub(SHOWN + 1) {
                write!(f, " and {} more", more + 1)?;
            }
            separator = "; ";
        }
        Ok(())
    }
}

impl Target<'_> {
    /// What to give so that the file fits, if anything would do.
    fn fitting(&self, file: &Checkpoint) -> Option<String> {
        let Target { config, shape } = *self;
        // Sizes that the file's matrices have; nothing larger than they are is made.
        let matrices = file.tensors.values().filter(|t| t.rank() >= 2 && t.numel() > 0);
        let mut sizes: Vec<usize> = matrices.flat_map(|t| t.shape()[..2].to_vec()).collect();
        sizes.sort_unstable();
        sizes.dedup();
        // What stands for a label is joined to the latent vector.
        let joined =
            file.tensors.get("label_embed.weight").filter(|t| t.rank() == 2).map_or(0, |t| t.shape()[1]);
        let latents = sizes.iter().filter_map(|n| n.checked_sub(joined)).filter(|n| (1..=MOST).contains(n));
        let latents: Vec<usize> = [config.latent].into_iter().chain(latents).collect();
        let square = |c: usize| {
            let side = move |n: &usize| {
                n.is_multiple_of(c).then(|| (n / c).isqrt()).filter(|s| s * s * c == *n && *s > 4)
            };
            sizes.iter().filter_map(move |n| Some([c, side(n)?, side(n)?]))
        };
        let shapes: Vec<[usize; 3]> = [shape].into_iter().chain(square(1)).chain(square(3)).collect();
        for recipe in &zoo::RECIPES {
            let with = |latent, shape: [usize; 3]| {
                let config = TrainConfig { latent, ..(recipe.config)() };
                let classes = if config.conditioning.is_none() { 0 } else { rows_of_table(file) };
                networks(&config, shape, classes, &Generator::new(0, Stream::Init)).ok()
            };
            let Some((g, d)) = with(config.latent, shape) else { continue };
            // Names do not depend on sizes.
            let names = [&g, &d].map(|net| Difference::of(net, file).has_names());
            if names == [false, false] {
                continue;
            }
            for (&latent, &other) in latents.iter().flat_map(|l| shapes.iter().map(move |s| (l, s))) {
                let Some((g, d)) = with(latent, other) else { continue };
                let role = match [&g, &d].map(|net| Difference::of(net, file).is_none()) {
                    [true, _] => "generator",
                    [_, true] => "discriminator",
                    _ => continue,
                };
                return Some(hint(role, recipe.name, (config.latent, latent), (shape, other)));
            }
        }
        None
    }
}

fn hint(role: &str, recipe: &str, latent: (usize, usize), shape: ([usize; 3], [usize; 3])) -> String {
    let mut flags = format!("--recipe {recipe}");
    if latent.0 != latent.1 && role == "generator" {
        flags += &format!(" --latent {}", latent.1);
    }
    if shape.0 != shape.1 {
        flags += &format!(" --size {} --channels {}", shape.1[1], shape.1[0]);
    }
    let place = if role == "discriminator" { "; name the file with --discriminator FILE" } else { "" };
    format!("It fits as the {role} of {flags}{place}")
}
