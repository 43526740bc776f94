//! Architectures and the recipes that train them.

mod best;
mod dcgan;
mod mlp;
mod resnet;
mod techniques;

use super::conditioning::{Conditioning, NetworkSpec};
use super::config::TrainConfig;
use crate::Result;
use crate::names::unknown;

/// What networks are made for.
///
/// ```
/// use ganvil::gan::{Conditioning, zoo};
/// let conditioning = Conditioning::Embed;
/// let shape = zoo::Shape { latent: 100, image: [1, 28, 28], classes: 10, logits: true, conditioning };
/// let a = (zoo::recipe("mlp")?.architecture)(&shape);
/// assert_eq!((shape.pixels(), a.sample), (784, vec![784]));
/// assert_eq!(a.discriminator.label_embed.unwrap().dim, 10);
/// # Ok::<(), ganvil::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Size of a latent vector.
    pub latent: usize,
    /// Channels, rows and columns of a picture.
    pub image: [usize; 3],
    /// Classes of the data.
    pub classes: usize,
    /// Whether D ends in a raw number; else in a probability.
    pub logits: bool,
    /// How labels are used.
    pub conditioning: Conditioning,
}

impl Shape {
    /// Values in a picture.
    pub fn pixels(&self) -> usize {
        self.image.iter().product()
    }
}

/// Both networks.
pub struct Architecture {
    /// From `[batch, latent]` to samples in [-1, 1].
    pub generator: NetworkSpec,
    /// From samples to `[batch, 1]`: a probability, or a raw number if the loss takes one.
    pub discriminator: NetworkSpec,
    /// What a sample is behind the batch, for both: `[c * h * w]` where the networks are fully connected, `[c, h, w]`
    /// where they are convolutional.
    pub sample: Vec<usize>,
}

/// What there is to know of a recipe beside its settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct About {
    /// What it is about, in a few sentences.
    pub idea: &'static str,
    /// The losses and what is added to them; x is real, G(z) fake, a(x) D's logit or score, sp(t) = ln(1 + e^t).
    pub equation: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// What it costs more, or less, than the default recipe.
    pub cost: &'static str,
    /// What to look at while it trains.
    pub watch: &'static str,
}

/// A named way of training: an architecture with settings that are known to work.
pub struct Recipe {
    /// What `ganvil train` is given.
    pub name: &'static str,
    /// One line about it.
    pub summary: &'static str,
    /// What it is about.
    pub about: About,
    /// The settings.
    pub config: fn() -> TrainConfig,
    /// The networks.
    pub architecture: fn(&Shape) -> Architecture,
    /// Refuses pictures `[channels, rows, columns]` of a size that the networks cannot have, with the remedy.
    pub check: fn(image: [usize; 3]) -> Result<()>,
    /// The ways of using labels that the architecture has.
    pub conditionings: &'static [Conditioning],
}

/// Every recipe, the default first.
pub const RECIPES: [Recipe; 20] = [
    dcgan::DCGAN28_SMALL,
    best::BEST_MNIST,
    best::BEST_FASHION,
    mlp::MLP,
    mlp::MLP_A,
    mlp::CGAN,
    dcgan::DCGAN28,
    dcgan::INFOGAN28,
    dcgan::DCGAN64,
    dcgan::CDCGAN,
    dcgan::ACGAN,
    resnet::SNGAN_RESNET32,
    techniques::WGAN,
    techniques::WGAN_GP,
    techniques::SNGAN,
    techniques::LSGAN,
    techniques::HINGE,
    techniques::R3GAN,
    techniques::DRAGAN,
    techniques::UNROLLED,
];

/// The recipe of this name.
///
/// # Errors
/// If there is none: the message lists all, and the one that was probably meant.
pub fn recipe(name: &str) -> Result<&'static Recipe> {
    RECIPES.iter().find(|r| r.name == name).ok_or_else(|| {
        let names: Vec<&str> = RECIPES.iter().map(|r| r.name).collect();
        unknown("recipe", name, &names)
    })
}
