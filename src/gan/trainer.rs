//! The one trainer: a game, the data it is played on and its random streams.

use super::config::TrainConfig;
use super::draws::{Draws, Pass};
use super::network::Network;
use super::prior::Prior;
use super::probe::Probe;
use super::sampler::generate;
use super::state::{self, Calls, Standing, visit};
use super::step::{Gan, NotFinite, StepLosses};
use crate::atomic::write_atomic;
use crate::backend;
use crate::checkpoint::Checkpoint;
use crate::data::{Dataset, Fingerprint, Loader};
use crate::nn::{Ctx, to_device};
use crate::optim::Optimizer;
use crate::rng::Stream;
use crate::{DType, Device, Error, Generator, Result, Tensor};
use rand::RngExt;
use std::path::Path;
use std::sync::Arc;

/// Draws of a live run: shuffled data and fresh random numbers.
struct LiveDraws {
    loader: Loader,
    /// One batch as floats, `[batch, pixels]`.
    scratch: Vec<f32>,
    /// The classes of the last batch.
    batch_labels: Vec<i64>,
    /// What a sample is behind the batch.
    sample: Vec<usize>,
    noise: Generator,
    dropout: Generator,
    penalty: Generator,
    /// Draws classes; None in a game without labels.
    labels: Option<Generator>,
    prior: Prior,
    latent: usize,
    device: Device,
}

impl Draws for LiveDraws {
    fn real(&mut self) -> Tensor {
        let data = self.loader.dataset().clone();
        let indices = self.loader.next_batch(&mut self.scratch);
        if self.labels.is_some() {
            self.batch_labels.clear();
            let labels = data.labels.as_deref().unwrap_or_default();
            self.batch_labels.extend(indices.iter().map(|&i| labels[i as usize] as i64));
        }
        let shape: Vec<usize> = [self.loader.batch()].iter().chain(&self.sample).copied().collect();
        Tensor::new(&self.scratch, &shape).to_device(self.device)
    }

    fn labels(&mut self) -> Option<Tensor> {
        self.labels.as_ref()?;
        Some(Tensor::new(&self.batch_labels, &[self.batch_labels.len()]).to_device(self.device))
    }

    fn noise(&mut self, _: Pass) -> Tensor {
        self.prior.draw(self.loader.batch(), self.latent, &self.noise, self.device)
    }

    /// The labels of pictures drawn at random: classes come as often as they do in the data, or D could tell the fakes
    /// by their labels alone.
    fn fake_labels(&mut self, _: Pass) -> Option<Tensor> {
        let (mut random, of_data) = (self.labels.as_ref()?.host(), self.loader.dataset().labels.as_ref()?);
        let n = self.loader.batch();
        let drawn: Vec<i64> = (0..n).map(|_| of_data[random.random_range(0..of_data.len())] as i64).collect();
        Some(Tensor::new(&drawn, &[n]).to_device(self.device))
    }

    fn interpolation(&mut self, real: &Tensor) -> Tensor {
        let mut shape = vec![1; real.rank()];
        shape[0] = real.shape()[0];
        self.penalty.uniform(&shape, 0.0, 1.0, DType::F32, self.device)
    }

    fn dropout(&self) -> &Generator {
        &self.dropout
    }
}

/// A training run in memory.
pub struct Trainer {
    config: TrainConfig,
    gan: Gan,
    draws: LiveDraws,
    /// Channels, rows and columns of an image.
    shape: [usize; 3],
    classes: usize,
    data: Fingerprint,
    steps: u64,
}

/// What a run's sample grids show: the same all through it.
pub struct Preview {
    /// Latent vectors.
    pub z: Tensor,
    /// The class of each, if G is given classes: every row of the grid has one, every column one latent vector.
    pub labels: Option<Tensor>,
    /// Samples in a row.
    pub columns: usize,
}

/// G and D of these settings, as a run begins with them, for images `[channels, rows, columns]` of this many classes.
///
/// ```
/// use ganvil::gan::{TrainConfig, networks};
/// use ganvil::nn::parameter_count;
/// use ganvil::{Generator, rng::Stream};
/// let config = TrainConfig::default();
/// let (g, d) = networks(&config, [1, 28, 28], 10, &Generator::new(config.seed, Stream::Init))?;
/// assert_eq!((g.name(), d.name()), ("G", "D"));
/// assert_eq!(parameter_count(&d), 784 * 512 + 512 + 512 * 256 + 256 + 256 + 1);
/// # Ok::<(), ganvil::Error>(())
/// ```
///
/// # Errors
/// If there is no such recipe.
pub fn networks(
    config: &TrainConfig,
    image: [usize; 3],
    classes: usize,
    random: &Generator,
) -> Result<(Network, Network)> {
    let a = config.architecture(image, classes)?;
    let g = Network::build("G", &a.generator, &config.init, random);
    Ok((g, Network::build("D", &a.discriminator, &config.init, random)))
}

impl Trainer {
    /// A run at its beginning.
    ///
    /// # Errors
    /// If the settings cannot be trained with, or the batch is larger than the data set.
    pub fn new(config: TrainConfig, data: Arc<Dataset>, device: Device) -> Result<Trainer> {
        config.check()?;
        if device == Device::Meta {
            let remedy = "training needs values; use cpu".into();
            return Err(Error::Argument { what: "device", value: device.to_string(), remedy });
        }
        let (image, classes) = (data.shape(), config.classes(&data)?);
        let fingerprint = data.fingerprint();
        let stream = |s| Generator::new(config.seed, s);
        let (mut g, mut d) = networks(&config, image, classes, &stream(Stream::Init))?;
        let a = config.architecture(image, classes)?;
        // The average starts as G: from the same random numbers.
        let same = || Network::build("G", &a.generator, &config.init, &stream(Stream::Init));
        let mut average = config.step.ema.map(|_| same());
        [&mut g, &mut d].into_iter().chain(&mut average).for_each(|n| to_device(n, device));
        let loader = Loader::new(data, config.batch, config.seed)?;
        let draws = LiveDraws {
            scratch: vec![0.0; loader.len_of_batch()],
            batch_labels: Vec::with_capacity(config.batch),
            sample: a.sample,
            loader,
            noise: stream(Stream::Noise),
            dropout: stream(Stream::Dropout),
            penalty: stream(Stream::Penalty),
            labels: (!config.conditioning.is_none()).then(|| stream(Stream::Labels)),
            prior: config.prior,
            latent: config.latent,
            device,
        };
        let gan = Gan {
            g,
            d,
            opt_g: Optimizer::new(config.optimizer_g),
            opt_d: Optimizer::new(config.optimizer_d),
            average,
            config: config.step,
            images: 0,
        };
        Ok(Trainer { config, gan, draws, shape: image, classes, data: fingerprint, steps: 0 })
    }

    /// The settings.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// The networks and optimisers.
    pub fn gan(&self) -> &Gan {
        &self.gan
    }

    /// Steps done.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Thousands of real images seen.
    pub fn kimg(&self) -> f64 {
        self.gan.images as f64 / 1000.0
    }

    /// Channels, rows and columns of an image.
    pub fn image_shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The classes that G can be asked for; None if it takes no labels.
    pub fn classes(&self) -> Option<usize> {
        (!self.config.conditioning.is_none()).then_some(self.classes)
    }

    /// The instruction set of the device's kernels.
    pub fn tier(&self) -> &'static str {
        backend::of(self.draws.device).tier()
    }

    /// One step, at the learning rates that the schedules have for it.
    ///
    /// # Errors
    /// If a loss is not finite, or a gradient that is to be bounded.
    pub fn step(&mut self, probe: &mut dyn Probe) -> Result<StepLosses, NotFinite> {
        let (c, t) = (&self.config, self.steps);
        self.gan.opt_d.rule = c.optimizer_d.with_lr(c.optimizer_d.lr() * c.schedule_d.factor(t));
        self.gan.opt_g.rule = c.optimizer_g.with_lr(c.optimizer_g.lr() * c.schedule_g.factor(t));
        let losses = self.gan.step(&mut self.draws, probe)?;
        self.steps += 1;
        Ok(losses)
    }

    /// The first `n` images of the data set in [-1, 1].
    pub fn reals(&self, n: usize) -> Vec<f32> {
        let images = &self.draws.loader.dataset().images;
        images.pixels[..n.min(images.count) * images.area()]
            .iter()
            .map(|&v| crate::data::to_unit(v))
            .collect()
    }

    /// `n` latent vectors that are the same all through a run.
    pub fn fixed_noise(&self, n: usize) -> Tensor {
        let random = Generator::new(self.config.seed, Stream::Samples);
        self.config.prior.draw(n, self.config.latent, &random, self.draws.device)
    }

    /// The generator that samples are taken from: the moving average if there is one.
    pub fn sampler(&self) -> &Network {
        self.gan.average.as_ref().unwrap_or(&self.gan.g)
    }

    /// What sample grids show: 64 latent vectors, or ten with each class.
    pub fn preview(&self) -> Preview {
        let Some(classes) = self.classes() else {
            return Preview { z: self.fixed_noise(64), labels: None, columns: 8 };
        };
        let columns = 10;
        let of_each = |f: fn(usize, usize) -> usize| {
            let v: Vec<i64> = (0..classes * columns).map(|i| f(i, columns) as i64).collect();
            Tensor::new(&v, &[v.len()]).to_device(self.draws.device)
        };
        let z = self.fixed_noise(columns).index_select(0, &of_each(|i, columns| i % columns));
        Preview { z, labels: Some(of_each(|i, columns| i / columns)), columns }
    }

    /// Samples in [-1, 1] for latent vectors, and their classes if G takes labels, in evaluation mode.
    pub fn sample(&self, z: &Tensor, labels: Option<&Tensor>) -> Vec<f32> {
        generate(self.sampler(), z, labels, Ctx::eval())
    }

    /// The name of the first tensor of the networks that holds a value that is not finite.
    pub fn first_not_finite(&self) -> Option<String> {
        let mut first = None;
        visit(&self.gan, &mut |name, t| {
            if first.is_none() && t.dtype().is_float() && t.to_f64_vec().iter().any(|v| !v.is_finite()) {
                first = Some(name.to_owned());
            }
        });
        first
    }

    /// Writes everything that decides how the run goes on: weights, buffers, average, optimiser state, random
    /// streams, position in the data. Equal runs write equal bytes: no time, path, host or number of threads.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        write_atomic(path, &self.to_bytes(path)?)
    }

    /// What [`Trainer::save`] writes; the path is for messages.
    pub(super) fn to_bytes(&self, path: &Path) -> Result<Vec<u8>> {
        let d = &self.draws;
        let standing = Standing {
            format: 1,
            step: self.steps,
            images: self.gan.images,
            image_shape: self.shape,
            position: d.loader.position(),
            calls: Calls {
                noise: d.noise.calls(),
                dropout: d.dropout.calls(),
                penalty: d.penalty.calls(),
                labels: d.labels.as_ref().map(Generator::calls),
            },
            classes: self.classes(),
            data: Some(self.data),
            simd: self.tier().into(),
        };
        state::to_bytes(path, &self.gan, &self.config, &standing)
    }

    /// Goes on from a checkpoint of a run with these settings and this data; returns the instruction set that it was
    /// made with. The bits that follow are those of a run that never stopped where that is [`Trainer::tier`].
    ///
    /// ```
    /// use ganvil::data::{Dataset, Images};
    /// use ganvil::gan::{NoProbe, TrainConfig, Trainer};
    /// use ganvil::{Device, checkpoint};
    /// let images = Images { count: 8, channels: 1, rows: 2, cols: 2, pixels: (0..32).collect() };
    /// let data = std::sync::Arc::new(Dataset { images, labels: None, classes: vec![], name: "tiny".into() });
    /// let config = TrainConfig { batch: 4, latent: 2, ..TrainConfig::default() };
    /// let begin = || Trainer::new(config.clone(), data.clone(), Device::Cpu);
    /// let (mut whole, mut resumed) = (begin()?, begin()?);
    /// whole.step(&mut NoProbe).unwrap();
    /// let dir = std::env::temp_dir().join(format!("ganvil-resume-{}", std::process::id()));
    /// std::fs::create_dir(&dir).unwrap();
    /// let file = dir.join("step-1.safetensors");
    /// whole.save(&file)?;
    /// resumed.restore(&checkpoint::load(&file)?, &file)?;
    /// let losses = whole.step(&mut NoProbe).unwrap();
    /// assert_eq!((resumed.step(&mut NoProbe).unwrap(), resumed.steps()), (losses, 2));
    /// # std::fs::remove_dir_all(&dir).unwrap();
    /// # Ok::<(), ganvil::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Format`] if the file is no checkpoint of such networks, after which the trainer is not to be used;
    /// [`Error::Argument`] if the data is other than the checkpoint's.
    pub fn restore(&mut self, file: &Checkpoint, path: &Path) -> Result<String> {
        let s = state::standing(file, path)?;
        if let Some(data) = s.data.filter(|d| *d != self.data) {
            let remedy = format!(
                "the run was trained on other data, {data}; name its folder with --data (or begin a run of its own)"
            );
            return Err(Error::Argument { what: "data", value: self.data.to_string(), remedy });
        }
        if (s.image_shape, s.classes) != (self.shape, self.classes()) {
            let problem = format!(
                "is of images of {:?} and {:?} classes, the data has {:?} and {:?}",
                s.image_shape,
                s.classes,
                self.shape,
                self.classes()
            );
            return Err(Error::format(path, problem));
        }
        state::load(file, path, &mut self.gan)?;
        self.gan.images = s.images;
        self.steps = s.step;
        let at = |stream, calls| Generator::at(self.config.seed, stream, calls);
        let d = &mut self.draws;
        d.noise = at(Stream::Noise, s.calls.noise);
        d.dropout = at(Stream::Dropout, s.calls.dropout);
        d.penalty = at(Stream::Penalty, s.calls.penalty);
        if d.labels.is_some() {
            d.labels = Some(at(Stream::Labels, s.calls.labels.unwrap_or(0)));
        }
        d.loader.seek(s.position).map_err(|e| Error::format(path, e.to_string()))?;
        Ok(s.simd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Images;
    use crate::gan::{Conditioning, zoo};

    /// Pictures that show their class: four fifths of class 0, a tenth each of 1 and 3, none of 2.
    fn telling() -> Arc<Dataset> {
        let labels: Vec<u32> = (0..400).map(|i| [0, 0, 0, 0, 1, 0, 3, 0, 0, 0][i % 10]).collect();
        let pixels = labels.iter().flat_map(|&y| [y as u8 * 50; 4]).collect();
        let images = Images { count: labels.len(), channels: 1, rows: 2, cols: 2, pixels };
        Arc::new(Dataset {
            images,
            labels: Some(labels),
            classes: ["0", "1", "2", "3"].map(String::from).into(),
            name: "telling".into(),
        })
    }

    fn trainer(conditioning: Conditioning) -> Trainer {
        let mut config = TrainConfig { batch: 50, conditioning, ..TrainConfig::default() };
        config.step = (zoo::recipe("mlp-a").unwrap().config)().step;
        Trainer::new(config, telling(), Device::Cpu).unwrap()
    }

    #[test]
    fn a_real_sample_comes_with_its_own_label() {
        let mut draws = trainer(Conditioning::Embed).draws;
        let mut seen = [0; 4];
        for _ in 0..20 {
            let (x, y) = (draws.real(), draws.labels().unwrap());
            assert_eq!((x.shape(), y.shape(), y.dtype()), (&[50, 4][..], &[50][..], DType::I64));
            for (picture, y) in x.to_vec::<f32>().chunks(4).zip(y.to_vec::<i64>()) {
                assert_eq!(picture, [crate::data::to_unit(50 * y as u8); 4]);
                seen[y as usize] += 1;
            }
        }
        // 20 batches are 2.5 passes over the data; the half pass may have more of one or the other.
        assert!(seen[0] > seen[1] && seen[1] > 50 && seen[2] == 0, "{seen:?}");
    }

    #[test]
    fn fakes_are_asked_for_as_often_as_a_class_is_in_the_data() {
        let mut draws = trainer(Conditioning::Embed).draws;
        let mut seen = [0.0; 4];
        let mut last = Vec::new();
        for k in 0..400 {
            let y = draws.fake_labels(Pass::Discriminator(k)).unwrap().to_vec::<i64>();
            y.iter().for_each(|&y| seen[y as usize] += 1.0);
            assert_ne!(y, last, "each update draws anew");
            last = y;
        }
        // Of 20,000 draws; a standard deviation is 42 at a share of a tenth.
        assert!((seen[1] - 2000.0_f64).abs() < 250.0 && (seen[3] - 2000.0_f64).abs() < 250.0, "{seen:?}");
        assert_eq!((seen[2], seen.iter().sum::<f64>()), (0.0, 20_000.0));
    }

    #[test]
    fn without_conditioning_there_are_no_labels() {
        let mut draws = trainer(Conditioning::None).draws;
        draws.real();
        assert!(draws.labels().is_none() && draws.fake_labels(Pass::Generator(0)).is_none());
    }

    #[test]
    fn reals_have_the_shape_that_the_architecture_takes() {
        let mut draws = trainer(Conditioning::None).draws;
        let flat = draws.real();
        draws.sample = vec![1, 2, 2];
        draws.loader.seek(crate::data::Position::default()).unwrap();
        let pictures = draws.real();
        assert_eq!((flat.shape(), pictures.shape()), (&[50, 4][..], &[50, 1, 2, 2][..]));
        assert_eq!(flat.to_vec::<f32>(), pictures.to_vec::<f32>());
    }
}
