//! Networks to PyTorch and back, as safetensors files of a `state_dict`.

use super::conditioning::Conditioning;
use super::config::TrainConfig;
use super::network::Network;
use super::run::Run;
use super::sampler::{classes, image_shape, settings};
use super::step::Gan;
use super::trainer::{Standing, networks, save};
use super::zoo;
use crate::backend;
use crate::checkpoint::{self, Checkpoint};
use crate::data::Position;
use crate::nn::{Module, load_state_dict, state_dict};
use crate::optim::Optimizer;
use crate::rng::Stream;
use crate::{Device, Error, Generator, Result, Tensor};
use serde_json::json;
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
    let mut meta = json!({ "config": file.meta["config"], "image_shape": file.meta["image_shape"] });
    if !config.conditioning.is_none() {
        meta["classes"] = file.meta["classes"].clone();
    }
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
    /// Classes of a conditional network, if not those of the metadata or 10.
    pub classes: Option<usize>,
    /// How it uses labels, if not as the metadata or the recipe says.
    pub conditioning: Option<Conditioning>,
}

/// Settings, networks and the shape of images, checked against the recipe's architecture.
pub struct Imported {
    config: TrainConfig,
    gan: Gan,
    sizes: Sizes,
}

/// What a network's shapes follow from beside the size of its latent vectors.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sizes {
    /// Channels, rows and columns.
    image: [usize; 3],
    classes: usize,
}

/// Latent vectors are not longer, nor are there more classes.
const MOST: usize = 1 << 16;

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
/// let (g, _) = networks(&TrainConfig::default(), [1, 28, 28], 10, &Generator::new(0, Stream::Init))?;
/// checkpoint::save(&file, &state_dict(&g), &serde_json::Value::Null)?;
///
/// let what = Import {
///     recipe: "mlp",
///     generator: &file,
///     discriminator: None,
///     latent: None,
///     size: None,
///     channels: None,
///     classes: None,
///     conditioning: None,
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
    let mut sizes = Sizes { image: [1, 28, 28], classes: 10 };
    if own {
        sizes.image = image_shape(what.generator, &file.meta)?;
        sizes.classes = classes(what.generator, &config, &file.meta)?;
    }
    config.latent = what.latent.unwrap_or(config.latent);
    sizes.classes = what.classes.unwrap_or(sizes.classes);
    for (what, value) in [("--latent", config.latent), ("--classes", sizes.classes)] {
        if value > MOST {
            let remedy = format!("use at most {MOST}");
            return Err(Error::Argument { what, value: value.to_string(), remedy });
        }
    }
    if !config.conditioning.is_none() && sizes.classes == 0 {
        let remedy = "a conditional network has at least 1".into();
        return Err(Error::Argument { what: "--classes", value: "0".into(), remedy });
    }
    config.conditioning = what.conditioning.unwrap_or(config.conditioning);
    config.data.size = what.size.or(config.data.size);
    config.data.channels = what.channels.or(config.data.channels);
    config.check()?;
    if let Some(n) = what.size {
        (sizes.image[1], sizes.image[2]) = (n, n);
    }
    sizes.image[0] = what.channels.unwrap_or(sizes.image[0]);

    let random = Generator::new(config.seed, Stream::Init);
    let (mut g, mut d) = networks(&config, sizes.image, sizes.classes, &random)?;
    load(&mut g, &file, what.generator, &config, sizes)?;
    if let Some(path) = what.discriminator {
        load(&mut d, &checkpoint::load(path)?, path, &config, sizes)?;
    }
    let gan = Gan {
        average: config.step.ema.map(|_| g.clone()),
        g,
        d,
        opt_g: Optimizer::new(config.optimizer_g),
        opt_d: Optimizer::new(config.optimizer_d),
        config: config.step,
        images: 0,
    };
    Ok(Imported { config, gan, sizes })
}

impl Imported {
    /// Makes a run's folder with a checkpoint of no steps; returns its path. `name` stands in the folder's, if `out` does
    /// not name one.
    ///
    /// # Errors
    /// As [`Run::create`]; if the checkpoint cannot be written.
    pub fn into_run(self, out: Option<&Path>, name: &str) -> Result<PathBuf> {
        let run = Run::create(out, name, &self.config)?;
        let standing = Standing {
            steps: 0,
            image: self.sizes.image,
            classes: self.sizes.classes,
            position: Position::default(),
            calls: [0; 3],
            label_calls: 0,
            tier: backend::of(Device::Cpu).tier(),
        };
        let path = run.dir().join("checkpoints/step-00000000.safetensors");
        save(&path, &self.gan, &self.config, &standing)?;
        Ok(run.dir().to_path_buf())
    }
}

fn load(net: &mut Network, file: &Checkpoint, path: &Path, config: &TrainConfig, sizes: Sizes) -> Result<()> {
    let difference = Difference::of(net, file);
    if difference.is_none() {
        return load_state_dict(net, &file.tensors, "", path);
    }
    let role = if net.name() == "G" { "generator" } else { "discriminator" };
    let fits = fitting(file, config, sizes).map_or(String::new(), |hint| format!(". {hint}"));
    Err(Error::format(path, format!("is no {role} of recipe '{}': {difference}{fits}", config.recipe)))
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

/// What to give so that the file fits, if anything would do.
fn fitting(file: &Checkpoint, config: &TrainConfig, wanted: Sizes) -> Option<String> {
    let (latents, all) = candidates(file, config.latent, wanted);
    for recipe in &zoo::RECIPES {
        let with = |latent, sizes: Sizes| {
            let config = TrainConfig { latent, ..(recipe.config)() };
            networks(&config, sizes.image, sizes.classes, &Generator::new(0, Stream::Init)).ok()
        };
        let (g, d) = with(config.latent, wanted)?;
        // Names do not depend on sizes.
        let names = [&g, &d].map(|net| Difference::of(net, file).has_names());
        if names == [false, false] {
            continue;
        }
        for (&latent, &sizes) in latents.iter().flat_map(|l| all.iter().map(move |s| (l, s))) {
            let (g, d) = with(latent, sizes)?;
            let role = match [&g, &d].map(|net| Difference::of(net, file).is_none()) {
                [true, _] => "generator",
                [_, true] => "discriminator",
                _ => continue,
            };
            return Some(hint(role, recipe.name, (config.latent, latent), (wanted, sizes)));
        }
    }
    None
}

/// What a file's matrices may have been made for: sizes of a latent vector, and what else shapes follow from. Nothing is
/// larger than the matrices are.
fn candidates(file: &Checkpoint, latent: usize, wanted: Sizes) -> (Vec<usize>, Vec<Sizes>) {
    let matrices = file.tensors.values().filter(|t| t.rank() >= 2 && t.numel() > 0);
    let mut sides: Vec<usize> = matrices.flat_map(|t| t.shape()[..2].to_vec()).collect();
    sides.sort_unstable();
    sides.dedup();
    let table = |name: &str| match file.tensors.get(name).map(Tensor::shape) {
        Some(&[rows, cols]) if rows <= MOST => Some((rows, cols)),
        _ => None,
    };
    // What stands for a label is joined to the latent vector.
    let joined = table("label_embed.weight").map_or(0, |(_, dim)| dim);
    let latents = sides.iter().filter_map(|n| n.checked_sub(joined)).filter(|n| (1..=MOST).contains(n));
    let latents = [latent].into_iter().chain(latents).collect();
    let tables = ["label_embed.weight", "embed.weight", "classes.weight"];
    let classes = tables.iter().find_map(|name| table(name)).map_or(wanted.classes, |(num, _)| num);
    let square = |c: usize| {
        let side = move |n: &usize| {
            n.is_multiple_of(c).then(|| (n / c).isqrt()).filter(|s| s * s * c == *n && *s > 4)
        };
        sides.iter().filter_map(move |n| Some([c, side(n)?, side(n)?]))
    };
    let images = [wanted.image].into_iter().chain(square(1)).chain(square(3));
    (latents, images.map(|image| Sizes { image, classes }).collect())
}

fn hint(role: &str, recipe: &str, latent: (usize, usize), sizes: (Sizes, Sizes)) -> String {
    let mut flags = format!("--recipe {recipe}");
    if latent.0 != latent.1 && role == "generator" {
        flags += &format!(" --latent {}", latent.1);
    }
    let (wanted, found) = sizes;
    if wanted.image != found.image {
        flags += &format!(" --size {} --channels {}", found.image[1], found.image[0]);
    }
    if wanted.classes != found.classes {
        flags += &format!(" --classes {}", found.classes);
    }
    let place = if role == "discriminator" { "; name the file with --discriminator FILE" } else { "" };
    format!("It fits as the {role} of {flags}{place}")
}
