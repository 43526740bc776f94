//! Architectures and the recipes that train them.

mod mlp;

use super::config::TrainConfig;
use crate::Result;
use crate::names::unknown;
use crate::nn::LayerSpec;

/// The layers of both networks.
pub struct Architecture {
    /// From `[batch, latent]` to samples in [-1, 1].
    pub generator: Vec<LayerSpec>,
    /// From samples to `[batch, 1]`: a probability, or a logit if the loss takes logits.
    pub discriminator: Vec<LayerSpec>,
}

/// A named way of training: an architecture with settings that are known to work.
pub struct Recipe {
    /// What `ganvil train` is given.
    pub name: &'static str,
    /// One line about it.
    pub summary: &'static str,
    /// The settings.
    pub config: fn() -> TrainConfig,
    /// The networks: latent size, pixels of an image, and whether D ends in a logit.
    pub architecture: fn(latent: usize, pixels: usize, logits: bool) -> Architecture,
}

/// Every recipe, the default first.
pub const RECIPES: [Recipe; 2] = [mlp::MLP, mlp::MLP_A];

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
