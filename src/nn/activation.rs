//! Activations as modules without parameters.

use super::state::visits;
use super::{Ctx, Module};
use crate::Tensor;

/// x where x > 0, else slope x.
pub struct LeakyReLU {
    /// Slope on the negative side.
    pub negative_slope: f64,
}

impl Module for LeakyReLU {
    fn forward(&self, x: &Tensor, _: &Ctx) -> Tensor {
        x.leaky_relu(self.negative_slope)
    }
    visits!();
}

macro_rules! activations {
    ($($(#[$doc:meta])* $name:ident |$x:ident| $y:expr;)*) => {
        $(
            $(#[$doc])*
            pub struct $name;
            impl Module for $name {
                fn forward(&self, $x: &Tensor, _: &Ctx) -> Tensor {
                    $y
                }
                visits!();
            }
        )*
    };
}
activations! {
    /// max(x, 0).
    ReLU |x| x.relu();
    /// Hyperbolic tangent.
    Tanh |x| x.tanh();
    /// 1 / (1 + e^-x).
    Sigmoid |x| x.sigmoid();
    /// ln(1 + e^x), linear above 20.
    Softplus |x| x.softplus(1.0, 20.0);
}
