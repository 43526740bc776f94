//! What a run changes about its recipe's networks.

use super::conditioning::NetworkSpec;
use super::zoo::Architecture;
use crate::names::unknown;
use crate::nn::{LayerSpec as L, MinibatchStdDev};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// Changes of the networks, each independent of the architecture. What is absent in a file is as the recipe has it.
///
/// ```
/// use ganvil::gan::{TrainConfig, networks};
/// use ganvil::nn::state_dict;
/// use ganvil::{Generator, rng::Stream};
/// let mut config = TrainConfig { recipe: "dcgan28".into(), ..TrainConfig::default() };
/// config.set("networks.spectral_norm=d")?;
/// config.set("networks.norm_d=off")?;
/// let (_, d) = networks(&config, [1, 28, 28], 10, &Generator::new(0, Stream::Init))?;
/// let names: Vec<String> = state_dict(&d).into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names[1], "net.0.weight_orig");
/// assert!(!names.iter().any(|name| name.ends_with("running_mean")));
/// # Ok::<(), ganvil::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alterations {
    /// Which networks are under spectral normalisation (Miyato et al., 2018, arXiv:1802.05957), every weight of them.
    #[serde(skip_serializing_if = "is_default")]
    pub spectral_norm: SpectralNormOf,
    /// What stands in place of batch normalisation in D.
    #[serde(skip_serializing_if = "is_default")]
    pub norm_d: NormOfD,
    /// Samples in a group whose standard deviation D is shown before its last layer (Karras et al., 2017,
    /// arXiv:1710.10196, section 3); 4 is usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minibatch_stddev: Option<usize>,
    /// Features of minibatch discrimination (Salimans et al., 2016, arXiv:1606.03498, section 3.2) that D is given before its
    /// last layer, from 8 comparisons each; 16 is usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minibatch_discrimination: Option<usize>,
}

/// Which networks are under spectral normalisation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpectralNormOf {
    /// Those that the recipe has so.
    #[default]
    Recipe,
    /// D.
    D,
    /// Both.
    Both,
}

/// What stands in place of batch normalisation in D.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormOfD {
    /// Batch normalisation itself, if the recipe has it.
    #[default]
    Recipe,
    /// Nothing; a convolution before it gets a bias.
    Off,
    /// Normalisation of each sample over all its features, with a gain and bias for each channel.
    Layer,
    /// Normalisation of each sample's channels; of its features where they have no extent.
    Instance,
}

/// `FromStr` by the names in files.
macro_rules! by_name {
    ($type:ty, $what:literal, $($name:literal => $value:expr),*) => {
        impl std::str::FromStr for $type {
            type Err = Error;
            fn from_str(s: &str) -> Result<$type> {
                match s {
                    $($name => Ok($value),)*
                    _ => Err(unknown($what, s, &[$($name),*])),
                }
            }
        }
    };
}
by_name!(SpectralNormOf, "spectral norm", "recipe" => SpectralNormOf::Recipe, "d" => SpectralNormOf::D, "both" => SpectralNormOf::Both);
by_name!(NormOfD, "norm", "recipe" => NormOfD::Recipe, "off" => NormOfD::Off, "layer" => NormOfD::Layer, "instance" => NormOfD::Instance);

fn is_default<T: Default + PartialEq>(v: &T) -> bool {
    *v == T::default()
}

/// Comparisons for each feature of minibatch discrimination.
const COMPARISONS: usize = 8;

impl Alterations {
    /// Whether nothing is changed.
    pub fn is_none(&self) -> bool {
        is_default(self)
    }

    /// Changes the networks.
    pub(super) fn apply(&self, a: &mut Architecture) {
        let d = &mut a.discriminator;
        if self.norm_d != NormOfD::Recipe {
            replace_batch_norm(&mut d.layers, self.norm_d);
        }
        if let Some(group) = self.minibatch_stddev {
            show_deviation(d, group);
        }
        if let Some(features) = self.minibatch_discrimination {
            show_likeness(d, features);
        }
        match self.spectral_norm {
            SpectralNormOf::Recipe => {}
            SpectralNormOf::D => normalise(&mut d.layers),
            SpectralNormOf::Both => {
                normalise(&mut d.layers);
                normalise(&mut a.generator.layers);
            }
        }
    }
}

/// Every layer with a weight under spectral normalisation.
fn normalise(layers: &mut [L]) {
    for layer in layers {
        match layer {
            L::Linear { spectral_norm, .. }
            | L::Conv2d { spectral_norm, .. }
            | L::ConvTranspose2d { spectral_norm, .. }
            | L::SelfAttention { spectral_norm, .. } => *spectral_norm = true,
            L::Residual { body, shortcut, .. } => [body, shortcut].into_iter().for_each(|l| normalise(l)),
            L::Branches { branches, .. } => branches.iter_mut().for_each(|b| normalise(b)),
            _ => {}
        }
    }
}

fn replace_batch_norm(layers: &mut Vec<L>, by: NormOfD) {
    let mut new: Vec<L> = Vec::with_capacity(layers.len());
    for layer in layers.drain(..) {
        let flat = |n: usize| L::layer_norm(&[n]);
        let grouped =
            |groups, n| L::GroupNorm { num_groups: groups, num_channels: n, eps: 1e-5, affine: true };
        let norm = match (&layer, by) {
            (L::BatchNorm1d { .. } | L::BatchNorm2d { .. }, NormOfD::Off) => {
                // The bias that the norm's made unnecessary.
                if let Some(L::Conv2d { bias, .. } | L::Linear { bias, .. }) = new.last_mut() {
                    *bias = true;
                }
                continue;
            }
            (&L::BatchNorm1d { num_features: n, .. }, _) => flat(n),
            (&L::BatchNorm2d { num_features: n, .. }, NormOfD::Layer) => grouped(1, n),
            (&L::BatchNorm2d { num_features: n, .. }, _) => grouped(n, n),
            _ => layer,
        };
        new.push(norm);
    }
    for layer in &mut new {
        match layer {
            L::Residual { body, shortcut, .. } => {
                [body, shortcut].into_iter().for_each(|l| replace_batch_norm(l, by));
            }
            L::Branches { branches, .. } => branches.iter_mut().for_each(|b| replace_batch_norm(b, by)),
            _ => {}
        }
    }
    *layers = new;
}

/// The deviation over groups of samples as one more input of the last layer.
fn show_deviation(d: &mut NetworkSpec, group: usize) {
    let Some(last) = d.last_weighted() else { return };
    let layer = L::MinibatchStdDev(MinibatchStdDev { group_size: Some(group), num_channels: 1, eps: 1e-8 });
    let before = match &mut d.layers[last] {
        L::Linear { inputs, .. } => {
            // Features without extent are pictures of one pixel.
            let pixel = L::Unflatten { shape: vec![*inputs, 1, 1] };
            *inputs += 1;
            vec![pixel, layer, L::Flatten]
        }
        L::Conv2d { inputs, .. } | L::ConvTranspose2d { inputs, .. } => {
            *inputs += 1;
            vec![layer]
        }
        _ => unreachable!("a layer with a weight"),
    };
    d.layers.splice(last..last, before);
}

/// Minibatch discrimination before the last layer, which takes flat features: one that covers the whole of small
/// pictures, as DCGAN's does, is a linear layer in other words.
fn show_likeness(d: &mut NetworkSpec, features: usize) {
    let Some(last) = d.last_weighted() else { return };
    let mut before = Vec::new();
    let (flat, spectral) = match d.layers[last] {
        L::Linear { inputs, spectral_norm, .. } => (inputs, spectral_norm),
        L::Conv2d { inputs, kernel: [h, w], spectral_norm, .. } => {
            before.push(L::Flatten);
            (inputs * h * w, spectral_norm)
        }
        _ => return,
    };
    before.push(L::MinibatchDiscrimination { inputs: flat, kernels: features, kernel_dims: COMPARISONS });
    let linear = L::linear(flat + features, 1);
    d.layers[last] = if spectral { linear.spectral() } else { linear };
    d.layers.splice(last..last, before);
}
