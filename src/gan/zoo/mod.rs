//! Architectures and the recipes that train them.

mod mlp;

use super::config::TrainConfig;
use crate::nn::LayerSpec;
use crate::{Error, Result};

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
        let near = closest(name, &names).map_or(String::new(), |n| format!("did you mean '{n}'? "));
        Error::Argument {
            what: "recipe",
            value: name.into(),
            remedy: format!("{near}the recipes are {}", names.join(", ")),
        }
    })
}

/// The candidate that a mistyped word is nearest to, if it is near.
pub(crate) fn closest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let near = candidates.iter().map(|c| (edit_distance(word, c), *c)).min()?;
    (near.0 <= near.1.len().max(4) / 2).then_some(near.1)
}

/// Insertions, deletions and substitutions that turn one word into the other (Levenshtein, 1966).
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + (ca != *cb) as usize;
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistyped_names_are_recognised() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(closest("mpl", &["mlp", "dcgan28"]), Some("mlp"));
        assert_eq!(closest("transformer", &["mlp", "mlp-a"]), None);
    }
}
