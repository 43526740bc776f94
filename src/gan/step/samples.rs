//! What a step plays with: G's samples, and samples as D sees them.

use super::Gan;
use crate::backend::trace::{self, Part};
use crate::error::misuse;
use crate::gan::draws::{Draws, On, Pass};
use crate::gan::judgement::{Samples, forward};
use crate::gan::probe::Probe;
use crate::gan::regularisers;
use crate::no_grad;
use crate::rng::Stream;

impl Gan {
    /// G's samples for an update; without `keep`, constants.
    pub(super) fn fakes(
        &self,
        keep: bool,
        draws: &mut dyn Draws,
        pass: Pass,
        probe: &mut dyn Probe,
    ) -> Samples {
        let z = {
            let _span = trace::slice(Part::Data, || ("noise".into(), ""));
            Samples { x: draws.noise(pass), labels: draws.fake_labels(pass) }
        };
        probe.note("z", &z.x, "fresh noise; constants");
        probe.phase("drawing noise");
        let generate = || forward(&self.g, &z, draws, pass, On::Fake).out;
        let x = if keep { generate() } else { no_grad(generate) };
        let why = match pass {
            Pass::Discriminator(_) if keep => "keeps G's graph, which G's update will use",
            Pass::Discriminator(_) => "made without a graph: for D, fakes are data like any",
            Pass::Generator(_) => "carries G's graph: the way to G's parameters",
        };
        probe.note("G(z)", &x, why);
        probe.phase("G forward");
        Samples { x, labels: z.labels }
    }

    /// Whether D sees other than what the data and G give.
    pub(super) fn alters(&self) -> bool {
        let noise = self.config.instance_noise.is_some_and(|n| n.at(self.images) > 0.0);
        noise || self.config.augment.is_some() || self.config.pack > 1
    }

    /// Samples as D sees them: altered, under noise, in packs.
    pub(super) fn seen(&self, samples: &Samples, draws: &dyn Draws) -> Samples {
        let mut x = samples.x.clone();
        if let Some(augment) = self.config.augment {
            let random = draws.stream(Stream::Augmentation);
            x = match (x.rank(), self.image) {
                (4, _) => augment.apply(&x, random),
                (_, Some([c, h, w])) => {
                    let shape = x.shape().to_vec();
                    augment.apply(&x.reshape(&[shape[0], c, h, w]), random).reshape(&shape)
                }
                _ => misuse!(
                    "augment",
                    "samples {:?} are no pictures; set Gan::image to their shape",
                    x.shape()
                ),
            };
        }
        let std = self.config.instance_noise.map_or(0.0, |n| n.at(self.images));
        if std > 0.0 {
            let random = draws.stream(Stream::InstanceNoise);
            x = x.add(&random.normal(x.shape(), 0.0, std, x.dtype(), x.device()));
        }
        Samples { x: regularisers::pack(&x, self.config.pack), labels: samples.labels.clone() }
    }
}
