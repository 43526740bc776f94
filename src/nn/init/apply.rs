//! Initial values for whole modules.

use super::*;
use crate::names::unknown;
use crate::nn::{Kind, Module};
use crate::{Error, Result};
use std::collections::HashMap;

/// How the weights of a module are drawn; see [`apply()`].
///
/// ```
/// use ganvil::nn::Init;
/// let init: Init = serde_json::from_str(r#"{ "type": "orthogonal" }"#)?;
/// assert_eq!(init, Init::Orthogonal { gain: 1.0 });
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Init {
    /// PyTorch's default of each layer: what a fresh module has.
    #[default]
    Default,
    /// DCGAN's (Radford et al., 2016, arXiv:1511.06434): N(0, std^2), and N(1, std^2) for gains.
    Normal {
        /// Standard deviation; the paper's is 0.02.
        #[serde(default = "dcgan")]
        std: f64,
    },
    /// See [`xavier_uniform`].
    XavierUniform {
        /// Factor of the standard deviation.
        #[serde(default = "one")]
        gain: f64,
    },
    /// See [`xavier_normal`].
    XavierNormal {
        /// Factor of the standard deviation.
        #[serde(default = "one")]
        gain: f64,
    },
    /// See [`kaiming_uniform`].
    KaimingUniform {
        /// What follows the weights.
        #[serde(default)]
        nonlinearity: Nonlinearity,
        /// Which fan.
        #[serde(default)]
        mode: FanMode,
    },
    /// See [`kaiming_normal`].
    KaimingNormal {
        /// What follows the weights.
        #[serde(default)]
        nonlinearity: Nonlinearity,
        /// Which fan.
        #[serde(default)]
        mode: FanMode,
    },
    /// See [`orthogonal()`].
    Orthogonal {
        /// Factor of the matrix.
        #[serde(default = "one")]
        gain: f64,
    },
    /// The same value everywhere: with 0, a last layer that starts silent.
    Constant {
        /// The value.
        value: f64,
    },
}

fn dcgan() -> f64 {
    0.02
}
fn one() -> f64 {
    1.0
}

impl Init {
    /// The kinds that a network can start from, with their usual settings, by name: what `ganvil train --init` takes.
    ///
    /// ```
    /// use ganvil::nn::Init;
    /// assert_eq!("normal".parse::<Init>()?, Init::Normal { std: 0.02 });
    /// assert!("gauss".parse::<Init>().unwrap_err().to_string().contains("xavier-uniform"));
    /// # Ok::<(), ganvil::Error>(())
    /// ```
    pub const NAMED: [(&'static str, Init); 7] = {
        let (nonlinearity, mode) = (Nonlinearity::Relu, FanMode::FanIn);
        [
            ("default", Init::Default),
            ("normal", Init::Normal { std: 0.02 }),
            ("xavier-uniform", Init::XavierUniform { gain: 1.0 }),
            ("xavier-normal", Init::XavierNormal { gain: 1.0 }),
            ("kaiming-uniform", Init::KaimingUniform { nonlinearity, mode }),
            ("kaiming-normal", Init::KaimingNormal { nonlinearity, mode }),
            ("orthogonal", Init::Orthogonal { gain: 1.0 }),
        ]
    };

    /// Whether nothing is drawn anew.
    ///
    /// ```
    /// use ganvil::nn::Init;
    /// assert!(Init::default().is_default() && !Init::Constant { value: 0.0 }.is_default());
    /// ```
    pub fn is_default(&self) -> bool {
        *self == Init::Default
    }

    /// Refuses settings that nothing can be drawn with.
    ///
    /// ```
    /// use ganvil::nn::Init;
    /// assert!(Init::Orthogonal { gain: 1.4 }.check().is_ok());
    /// assert!(Init::Normal { std: -0.02 }.check().unwrap_err().to_string().contains("invalid init.std '-0.02'"));
    /// ```
    ///
    /// # Errors
    /// Names the setting, its value and what it may be.
    pub fn check(&self) -> Result<()> {
        let (what, value, least) = match *self {
            Init::Default => return Ok(()),
            Init::Normal { std } => ("init.std", std, 0.0),
            Init::XavierUniform { gain } | Init::XavierNormal { gain } | Init::Orthogonal { gain } => {
                ("init.gain", gain, 0.0)
            }
            Init::KaimingUniform { nonlinearity, .. } | Init::KaimingNormal { nonlinearity, .. } => {
                ("init.nonlinearity", nonlinearity.gain(), 0.0)
            }
            Init::Constant { value } => ("init.value", value, f64::MIN),
        };
        if value.is_finite() && value >= least {
            return Ok(());
        }
        let remedy = if least == 0.0 { "it must be finite and 0 or more" } else { "it must be finite" };
        Err(Error::Argument { what, value: value.to_string(), remedy: remedy.into() })
    }

    /// A weight of this shape; None for the default, which only the layer knows.
    fn weight(&self, shape: &[usize], random: &Generator) -> Option<Tensor> {
        Some(match *self {
            Init::Default => return None,
            Init::Normal { std } => normal(shape, 0.0, std, random),
            Init::XavierUniform { gain } => xavier_uniform(shape, gain, random),
            Init::XavierNormal { gain } => xavier_normal(shape, gain, random),
            Init::KaimingUniform { nonlinearity, mode } => kaiming_uniform(shape, nonlinearity, mode, random),
            Init::KaimingNormal { nonlinearity, mode } => kaiming_normal(shape, nonlinearity, mode, random),
            Init::Orthogonal { gain } => orthogonal(shape, gain, random),
            Init::Constant { value } => constant(shape, value),
        })
    }

    /// A gain of this shape.
    fn gain(&self, shape: &[usize], random: &Generator) -> Tensor {
        match *self {
            Init::Normal { std } => normal(shape, 1.0, std, random),
            _ => constant(shape, 1.0),
        }
    }
}

impl std::str::FromStr for Init {
    type Err = Error;
    fn from_str(s: &str) -> Result<Init> {
        let found = Init::NAMED.into_iter().find(|(name, _)| *name == s);
        found.map(|(_, init)| init).ok_or_else(|| unknown("init", s, &Init::NAMED.map(|(name, _)| name)))
    }
}

/// Draws the parameters of a module anew, in the order of its state dict. By name and shape, a `bias` starts at 0; a
/// `weight` that is a vector, or has the shape of the bias beside it, is the gain of a normalisation and starts at 1;
/// any other parameter of two or more dimensions is a weight, but for the tables `gamma` and `beta` of a conditional
/// normalisation. The rest stays, and so do buffers. The default changes nothing and draws nothing.
///
/// ```
/// use ganvil::nn::{BatchNorm1d, Init, Linear, Sequential, init, state_dict};
/// use ganvil::{Generator, rng::Stream};
/// let random = Generator::new(0, Stream::Init);
/// let mut net =
///     Sequential::new().with(Linear::new(8, 4, true, &random)).with(BatchNorm1d::new(4, 1e-5, 0.1));
/// init::apply(&mut net, &Init::Normal { std: 0.02 }, &random);
/// let all = state_dict(&net);
/// assert!(all[0].1.to_vec::<f32>().iter().all(|w| w.abs() < 0.1)); // 5 standard deviations
/// assert_eq!(all[1].1.to_vec::<f32>(), [0.0; 4]);
/// assert!(all[2].1.to_vec::<f32>().iter().all(|g| (g - 1.0).abs() < 0.1));
/// ```
pub fn apply(module: &mut dyn Module, init: &Init, random: &Generator) {
    if init.is_default() {
        return;
    }
    // Of each layer: LayerNorm's gain may have as many dimensions as a weight.
    let mut biases: HashMap<String, Vec<usize>> = HashMap::new();
    module.visit("", &mut |name, _, t| {
        if let (layer, "bias") = split(name) {
            biases.insert(layer.to_owned(), t.shape().to_vec());
        }
    });
    module.visit_mut("", &mut |name, kind, t| {
        let (layer, own) = split(name);
        let like_bias = biases.get(layer).is_some_and(|shape| shape == t.shape());
        let new = match (own, t.rank()) {
            _ if kind == Kind::Buffer => None,
            ("gamma" | "beta", _) => None,
            ("bias", _) => Some(constant(t.shape(), 0.0)),
            ("weight", rank) if rank == 1 || like_bias => Some(init.gain(t.shape(), random)),
            (_, 2..) => init.weight(t.shape(), random),
            _ => None,
        };
        if let Some(new) = new {
            *t = new.to_dtype(t.dtype()).to_device(t.device()).requires_grad();
        }
    });
}

/// A state-dict name as the layer's and the tensor's own.
fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or(("", name))
}
