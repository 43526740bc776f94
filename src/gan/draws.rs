//! What a step is given.

use crate::error::misuse;
use crate::rng::Stream;
use crate::{Generator, Tensor};

/// Which update of a step something belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pass {
    /// The k-th update of D.
    Discriminator(usize),
    /// The k-th update of G.
    Generator(usize),
}

/// Which samples D looks at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum On {
    /// Data.
    Real,
    /// G's samples.
    Fake,
    /// Points between them, for the gradient penalty.
    Between,
}

/// Everything a step does not compute: data and random numbers. Training draws them; a recorded run replays them.
pub trait Draws {
    /// The next batch of real samples.
    fn real(&mut self) -> Tensor;
    /// The classes, i64 `[batch]`, of the samples that [`Draws::real`] gave last; None in a game without labels.
    fn labels(&mut self) -> Option<Tensor> {
        None
    }
    /// Latent vectors for an update.
    fn noise(&mut self, pass: Pass) -> Tensor;
    /// The classes that G is to draw in an update, one per latent vector; None in a game without labels.
    fn fake_labels(&mut self, _pass: Pass) -> Option<Tensor> {
        None
    }
    /// Interpolation coefficients for the gradient penalty, shaped to broadcast over a batch.
    fn interpolation(&mut self, real: &Tensor) -> Tensor;
    /// The random stream of dropout.
    fn dropout(&self) -> &Generator;
    /// The random stream of a technique that few games use: [`Stream::Penalty`] for DRAGAN's noise,
    /// [`Stream::InstanceNoise`], [`Stream::LabelFlips`], [`Stream::Augmentation`].
    ///
    /// # Panics
    /// If there is none, as in draws that do not say otherwise.
    fn stream(&self, of: Stream) -> &Generator {
        misuse!("draws", "these draws have no stream {of:?}; implement Draws::stream for games that need it")
    }
    /// A given dropout mask (1 = kept) for the layer at `path`, if masks are replayed and not drawn.
    fn mask(&self, _pass: Pass, _on: On, _path: &str) -> Option<Tensor> {
        None
    }
    /// Whether [`Draws::mask`] gives every mask.
    fn replays_masks(&self) -> bool {
        false
    }
}
