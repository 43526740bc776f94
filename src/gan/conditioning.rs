//! How labels reach a network.
//!
//! A label is a class, i64 `[batch]`, and comes with the pass: [`crate::nn::Ctx::with_condition`]. Layers inside of a
//! network may read it there, as conditional batch normalisation does; what a [`NetworkSpec`] adds works on any layers:
//!
//! - **Embedding** (Mirza and Osindero, 2014, arXiv:1411.1784, in the form of the common PyTorch listings): the label's
//!   row of a table is concatenated to the input, `net(cat([x, label_embed[y]], 1))`; for pictures as constant feature
//!   maps. Pitfall: D never sees a real sample with a wrong label, so it may learn to ignore the label.
//! - **Projection** (Miyato and Koyama, 2018, arXiv:1802.05637, equation 3): `psi(phi(x)) + <V_y, phi(x)>`, the form of
//!   the log ratio of two class-conditional densities. phi is all layers but the last, psi the last, V is `embed.weight`.
//! - **Auxiliary classifier** (Odena et al., 2017, arXiv:1610.09585, section 4): D is not told the label but finds it:
//!   beside the last layer, which gives the source, a second one gives class logits, whose cross-entropy is added to
//!   both losses. Pitfall: G is rewarded for samples that are easy to classify, at the cost of their variety.

use crate::error::misuse;
use crate::names::unknown;
use crate::nn::LayerSpec;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// How a run uses labels. In all but the first, G is given the class to draw.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Conditioning {
    /// Not at all.
    #[default]
    None,
    /// D is given the label with its input.
    Embed,
    /// D has a projection head.
    Projection,
    /// D has a second head that classifies.
    AuxiliaryClassifier,
}

impl Conditioning {
    /// Every way.
    pub const ALL: [Conditioning; 4] = [
        Conditioning::None,
        Conditioning::Embed,
        Conditioning::Projection,
        Conditioning::AuxiliaryClassifier,
    ];

    /// The name in configuration files and flags.
    pub fn name(self) -> &'static str {
        match self {
            Conditioning::None => "none",
            Conditioning::Embed => "embed",
            Conditioning::Projection => "projection",
            Conditioning::AuxiliaryClassifier => "auxiliary-classifier",
        }
    }

    /// Whether labels are not used.
    pub fn is_none(&self) -> bool {
        *self == Conditioning::None
    }

    /// The head that a discriminator has for `num` classes.
    pub fn head(self, num: usize) -> Option<Head> {
        match self {
            Conditioning::None | Conditioning::Embed => None,
            Conditioning::Projection => Some(Head::Projection { num }),
            Conditioning::AuxiliaryClassifier => Some(Head::AuxiliaryClassifier { num }),
        }
    }
}

impl std::str::FromStr for Conditioning {
    type Err = Error;
    fn from_str(s: &str) -> Result<Conditioning> {
        let names = Conditioning::ALL.map(Conditioning::name);
        let found = Conditioning::ALL.into_iter().find(|c| c.name() == s);
        found.ok_or_else(|| unknown("conditioning", s, &names))
    }
}

/// A table of labels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelEmbed {
    /// Classes.
    pub num: usize,
    /// Numbers that stand for a class.
    pub dim: usize,
}

/// What stands at the end of a discriminator beside its last layer, which must be Linear.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Head {
    /// The inner product of the label's row with the last layer's input, added to its output.
    Projection {
        /// Classes.
        num: usize,
    },
    /// A second last layer, for class logits.
    AuxiliaryClassifier {
        /// Classes.
        num: usize,
    },
}

/// A network as data.
///
/// ```
/// use ganvil::gan::{LabelEmbed, NetworkSpec};
/// use ganvil::nn::LayerSpec;
/// let text = r#"{ "label_embed": { "num": 10, "dim": 4 }, "layers": [{ "type": "Linear", "in": 14, "out": 2 }] }"#;
/// let spec: NetworkSpec = serde_json::from_str(text)?;
/// assert_eq!(spec.label_embed, Some(LabelEmbed { num: 10, dim: 4 }));
/// assert_eq!(spec.layers, [LayerSpec::linear(14, 2)]);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// One after the other.
    pub layers: Vec<LayerSpec>,
    /// The table whose row for a sample's label is concatenated to the sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_embed: Option<LabelEmbed>,
    /// What stands beside the last layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Head>,
    /// What a row of an input `[batch, n]` is to the first layer: `[n, 1, 1]` makes a latent vector an image of one pixel.
    /// Nothing for the row itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input: Vec<usize>,
}

impl NetworkSpec {
    /// Whether a sample's result depends on the other samples of a training batch.
    pub fn mixes_samples(&self) -> bool {
        self.mixer().is_some()
    }

    /// The type of the first layer to blame for it.
    pub(super) fn mixer(&self) -> Option<&'static str> {
        self.layers.iter().find_map(LayerSpec::mixer)
    }

    /// The number of the last layer with a weight: behind it are activations and changes of shape.
    pub(super) fn last_weighted(&self) -> Option<usize> {
        let weighted = |l: &LayerSpec| {
            matches!(
                l,
                LayerSpec::Linear { .. } | LayerSpec::Conv2d { .. } | LayerSpec::ConvTranspose2d { .. }
            )
        };
        self.layers.iter().rposition(weighted)
    }

    /// The layers before the last, and the size of the last one's input.
    #[track_caller]
    pub(super) fn split_last(&self) -> (&[LayerSpec], &LayerSpec, usize) {
        match self.layers.split_last() {
            Some((last @ &LayerSpec::Linear { inputs, .. }, features)) => (features, last, inputs),
            other => misuse!(
                "network",
                "a {:?} stands beside a Linear layer at the end, got {:?}; end the discriminator in one, without a sigmoid",
                self.head,
                other.map(|(last, _)| last)
            ),
        }
    }
}

impl From<&[LayerSpec]> for NetworkSpec {
    fn from(layers: &[LayerSpec]) -> NetworkSpec {
        NetworkSpec { layers: layers.to_vec(), ..NetworkSpec::default() }
    }
}
