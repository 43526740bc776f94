//! The draws of a live game: data and fresh random numbers.

use super::draws::{Draws, Pass};
use super::prior::Prior;
use super::source::{Pictures, Source};
use super::state::Calls;
use crate::rng::Stream;
use crate::{DType, Device, Generator, Tensor};
use rand::RngExt;

/// The random streams of a game, each for one purpose.
struct Streams {
    noise: Generator,
    dropout: Generator,
    penalty: Generator,
    instance_noise: Generator,
    label_flips: Generator,
    augmentation: Generator,
    /// Draws classes; None in a game without labels.
    labels: Option<Generator>,
}

/// Draws of a live run.
pub(super) struct LiveDraws {
    pub source: Source,
    streams: Streams,
    batch: usize,
    prior: Prior,
    latent: usize,
    pub device: Device,
}

impl LiveDraws {
    /// Draws of a seed from their beginning, with classes if the game is `labelled`.
    pub(super) fn new(
        source: Source,
        seed: u64,
        batch: usize,
        (prior, latent): (Prior, usize),
        labelled: bool,
        device: Device,
    ) -> LiveDraws {
        let calls = Calls { labels: labelled.then_some(0), ..Calls::default() };
        LiveDraws { source, streams: Streams::at(seed, &calls), batch, prior, latent, device }
    }

    /// The pictures.
    ///
    /// # Panics
    /// If samples come from elsewhere.
    pub(super) fn pictures(&self) -> &Pictures {
        match &self.source {
            Source::Pictures(p) => p,
            Source::Plane(_) => unreachable!("a trainer's samples are pictures"),
        }
    }

    /// How many draws were made from each stream.
    pub(super) fn calls(&self) -> Calls {
        let s = &self.streams;
        Calls {
            noise: s.noise.calls(),
            dropout: s.dropout.calls(),
            penalty: s.penalty.calls(),
            labels: s.labels.as_ref().map(Generator::calls),
            instance_noise: s.instance_noise.calls(),
            label_flips: s.label_flips.calls(),
            augmentation: s.augmentation.calls(),
        }
    }

    /// Goes on behind so many draws of a seed.
    pub(super) fn seek(&mut self, seed: u64, calls: &Calls) {
        let labelled = self.streams.labels.is_some();
        let calls = Calls { labels: labelled.then(|| calls.labels.unwrap_or(0)), ..*calls };
        self.streams = Streams::at(seed, &calls);
    }
}

impl Streams {
    fn at(seed: u64, calls: &Calls) -> Streams {
        let at = |stream, calls| Generator::at(seed, stream, calls);
        Streams {
            noise: at(Stream::Noise, calls.noise),
            dropout: at(Stream::Dropout, calls.dropout),
            penalty: at(Stream::Penalty, calls.penalty),
            instance_noise: at(Stream::InstanceNoise, calls.instance_noise),
            label_flips: at(Stream::LabelFlips, calls.label_flips),
            augmentation: at(Stream::Augmentation, calls.augmentation),
            labels: calls.labels.map(|n| at(Stream::Labels, n)),
        }
    }
}

impl Draws for LiveDraws {
    fn real(&mut self) -> Tensor {
        match &mut self.source {
            Source::Pictures(p) => p.next(),
            Source::Plane(points) => points.next(),
        }
        .to_device(self.device)
    }

    fn labels(&mut self) -> Option<Tensor> {
        self.streams.labels.as_ref()?;
        let labels = self.pictures().labels();
        Some(Tensor::new(labels, &[labels.len()]).to_device(self.device))
    }

    fn noise(&mut self, _: Pass) -> Tensor {
        self.prior.draw(self.batch, self.latent, &self.streams.noise, self.device)
    }

    /// The labels of pictures drawn at random: classes come as often as they do in the data, or D could tell the fakes
    /// by their labels alone.
    fn fake_labels(&mut self, _: Pass) -> Option<Tensor> {
        let mut random = self.streams.labels.as_ref()?.host();
        let of_data = self.pictures().dataset().labels.as_ref()?;
        let drawn: Vec<i64> =
            (0..self.batch).map(|_| of_data[random.random_range(0..of_data.len())] as i64).collect();
        Some(Tensor::new(&drawn, &[drawn.len()]).to_device(self.device))
    }

    fn interpolation(&mut self, real: &Tensor) -> Tensor {
        let mut shape = vec![1; real.rank()];
        shape[0] = real.shape()[0];
        self.streams.penalty.uniform(&shape, 0.0, 1.0, DType::F32, self.device)
    }

    fn dropout(&self) -> &Generator {
        &self.streams.dropout
    }

    fn stream(&self, of: Stream) -> &Generator {
        match of {
            Stream::InstanceNoise => &self.streams.instance_noise,
            Stream::LabelFlips => &self.streams.label_flips,
            Stream::Augmentation => &self.streams.augmentation,
            Stream::Penalty => &self.streams.penalty,
            Stream::Dropout => &self.streams.dropout,
            Stream::Noise => &self.streams.noise,
            other => crate::error::misuse!("draws", "a live game has no stream {other:?} for a technique"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Dataset, Images, Position};
    use crate::gan::{Conditioning, TrainConfig, Trainer, zoo};
    use std::sync::Arc;

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

    fn draws(conditioning: Conditioning) -> LiveDraws {
        let mut config = TrainConfig { batch: 50, conditioning, ..TrainConfig::default() };
        config.step = (zoo::recipe("mlp-a").unwrap().config)().step;
        Trainer::new(config, telling(), Device::Cpu).unwrap().into_draws()
    }

    #[test]
    fn a_real_sample_comes_with_its_own_label() {
        let mut draws = draws(Conditioning::Embed);
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
        let mut draws = draws(Conditioning::Embed);
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

    /// Where a run is taken up is behind the last batch that it got, also while the next one is drawn.
    #[test]
    fn a_position_is_that_of_the_last_batch() {
        for n in [1, 2] {
            let mut draws = draws(Conditioning::Embed);
            crate::threads(n, || {
                let batches: Vec<(Position, Vec<f32>)> =
                    (0..17).map(|_| (draws.pictures().position(), draws.real().to_vec::<f32>())).collect();
                assert_eq!(
                    batches[9].0,
                    Position { epoch: 1, index: 50 },
                    "{n} threads: eight batches an epoch"
                );
                for i in [3, 16, 8, 0] {
                    let Source::Pictures(pictures) = &mut draws.source else { unreachable!() };
                    pictures.seek(batches[i].0).unwrap();
                    assert!(pictures.seek(Position { epoch: 0, index: 401 }).is_err());
                    assert_eq!(draws.pictures().position(), batches[i].0);
                    assert_eq!(draws.real().to_vec::<f32>(), batches[i].1, "batch {i} on {n} threads");
                }
            });
        }
    }

    #[test]
    fn without_conditioning_there_are_no_labels() {
        let mut draws = draws(Conditioning::None);
        draws.real();
        assert!(draws.labels().is_none() && draws.fake_labels(Pass::Generator(0)).is_none());
    }

    #[test]
    fn reals_have_the_shape_that_the_architecture_takes() {
        let mut draws = draws(Conditioning::None);
        let flat = draws.real();
        let Source::Pictures(pictures) = &mut draws.source else { unreachable!() };
        pictures.with_sample(&[1, 2, 2]);
        pictures.seek(Position::default()).unwrap();
        let pictures = draws.real();
        assert_eq!((flat.shape(), pictures.shape()), (&[50, 4][..], &[50, 1, 2, 2][..]));
        assert_eq!(flat.to_vec::<f32>(), pictures.to_vec::<f32>());
    }
}
