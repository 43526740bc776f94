//! Activations as modules without parameters.

use super::state::visits;
use super::{Ctx, Module};
use crate::{Activation, Tensor};

/// x where x > 0, else slope x.
///
/// ```
/// use ganvil::nn::{Ctx, LeakyReLU, Module};
/// use ganvil::Tensor;
/// let y = LeakyReLU { negative_slope: 0.2 }.forward(&Tensor::from(&[-5.0f32, 5.0][..]), &Ctx::eval());
/// assert_eq!(y.to_vec::<f32>(), [-1.0, 5.0]);
/// ```
#[derive(Clone)]
pub struct LeakyReLU {
    /// Slope on the negative side.
    pub negative_slope: f64,
}

impl Module for LeakyReLU {
    fn forward(&self, x: &Tensor, _: &Ctx) -> Tensor {
        x.leaky_relu(self.negative_slope)
    }
    fn forward_owned(&self, x: Tensor, _: &Ctx) -> Tensor {
        x.into_leaky_relu(self.negative_slope)
    }
    fn activation(&self) -> Option<Activation> {
        Some(Activation::LeakyRelu(self.negative_slope))
    }
    visits!();

    fn is_per_sample(&self) -> bool {
        true
    }
}

macro_rules! activations {
    ($($(#[$doc:meta])* $name:ident |$x:ident| $y:expr $(, in place $in_place:expr, fused as $fused:expr)?;)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone)]
            pub struct $name;
            impl Module for $name {
                fn forward(&self, $x: &Tensor, _: &Ctx) -> Tensor {
                    $y
                }
                $(fn forward_owned(&self, $x: Tensor, _: &Ctx) -> Tensor {
                    $in_place
                }
                fn activation(&self) -> Option<Activation> {
                    Some($fused)
                })?
                fn is_per_sample(&self) -> bool {
                    true
                }
                visits!();
            }
        )*
    };
}
activations! {
    /// max(x, 0).
    ///
    /// ```
    /// use ganvil::{Tensor, nn::{Ctx, Module, ReLU}};
    /// assert_eq!(ReLU.forward(&Tensor::from(&[-1.0f32, 2.0][..]), &Ctx::eval()).to_vec::<f32>(), [0.0, 2.0]);
    /// ```
    ReLU |x| x.relu(), in place x.into_relu(), fused as Activation::Relu;
    /// Hyperbolic tangent.
    ///
    /// ```
    /// use ganvil::{Tensor, nn::{Ctx, Module, Tanh}};
    /// assert_eq!(Tanh.forward(&Tensor::from(&[0.0f32, 40.0][..]), &Ctx::eval()).to_vec::<f32>(), [0.0, 1.0]);
    /// ```
    Tanh |x| x.tanh();
    /// 1 / (1 + e^-x).
    ///
    /// ```
    /// use ganvil::{Tensor, nn::{Ctx, Module, Sigmoid}};
    /// assert_eq!(Sigmoid.forward(&Tensor::from(&[0.0f32][..]), &Ctx::eval()).to_vec::<f32>(), [0.5]);
    /// ```
    Sigmoid |x| x.sigmoid();
    /// ln(1 + e^x), linear above 20.
    ///
    /// ```
    /// use ganvil::{Tensor, nn::{Ctx, Module, Softplus}};
    /// let y = Softplus.forward(&Tensor::from(&[0.0f64, 30.0][..]), &Ctx::eval()).to_vec::<f64>();
    /// assert!((y[0] - 2f64.ln()).abs() < 1e-15 && y[1] == 30.0);
    /// ```
    Softplus |x| x.softplus(1.0, 20.0);
}
