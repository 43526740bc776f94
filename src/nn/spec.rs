//! Layers as data: what a network is made of, in configuration files and recorded traces.

use super::*;
use serde::{Deserialize, Serialize};

/// One layer, named and parametrised as in PyTorch.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
#[allow(missing_docs)]
pub enum LayerSpec {
    Linear {
        #[serde(rename = "in")]
        inputs: usize,
        #[serde(rename = "out")]
        outputs: usize,
        #[serde(default = "yes")]
        bias: bool,
    },
    BatchNorm1d {
        num_features: usize,
        #[serde(default = "batch_norm_eps")]
        eps: f64,
        #[serde(default = "batch_norm_momentum")]
        momentum: f64,
    },
    LeakyReLU {
        negative_slope: f64,
    },
    ReLU,
    Tanh,
    Sigmoid,
    Softplus,
    Dropout {
        p: f64,
    },
}

fn yes() -> bool {
    true
}
fn batch_norm_eps() -> f64 {
    1e-5
}
fn batch_norm_momentum() -> f64 {
    0.1
}

impl LayerSpec {
    /// A Linear layer with bias.
    pub fn linear(inputs: usize, outputs: usize) -> LayerSpec {
        LayerSpec::Linear { inputs, outputs, bias: true }
    }

    /// A BatchNorm1d layer with PyTorch's eps and momentum.
    pub fn batch_norm1d(num_features: usize) -> LayerSpec {
        LayerSpec::BatchNorm1d { num_features, eps: batch_norm_eps(), momentum: batch_norm_momentum() }
    }

    /// A LeakyReLU layer.
    pub fn leaky_relu(negative_slope: f64) -> LayerSpec {
        LayerSpec::LeakyReLU { negative_slope }
    }

    /// The layer with fresh parameters.
    pub fn build(&self, random: &Generator) -> Box<dyn Module> {
        match *self {
            LayerSpec::Linear { inputs, outputs, bias } => {
                Box::new(Linear::new(inputs, outputs, bias, random))
            }
            LayerSpec::BatchNorm1d { num_features, eps, momentum } => {
                Box::new(BatchNorm1d::new(num_features, eps, momentum))
            }
            LayerSpec::LeakyReLU { negative_slope } => Box::new(LeakyReLU { negative_slope }),
            LayerSpec::ReLU => Box::new(ReLU),
            LayerSpec::Tanh => Box::new(Tanh),
            LayerSpec::Sigmoid => Box::new(Sigmoid),
            LayerSpec::Softplus => Box::new(Softplus),
            LayerSpec::Dropout { p } => Box::new(Dropout { p }),
        }
    }

    /// A sequence of layers with fresh parameters.
    pub fn sequential(specs: &[LayerSpec], random: &Generator) -> Sequential {
        let mut s = Sequential::new();
        specs.iter().for_each(|l| s.push(l.build(random)));
        s
    }
}
