//! A generator or discriminator.

use crate::error::Scope;
use crate::nn::{Ctx, Init, Kind, LayerSpec, Module, Sequential};
use crate::{Generator, Tensor};

/// A named sequence of layers. Its tensors are named `net.0.weight`, ... as in the usual PyTorch listings.
///
/// ```
/// use ganvil::gan::Network;
/// use ganvil::nn::{LayerSpec, state_dict, summary};
/// use ganvil::{Generator, rng::Stream};
/// let layers = [LayerSpec::linear(100, 784), LayerSpec::Tanh];
/// let g = Network::new("G", &layers, &Generator::new(0, Stream::Init));
/// assert_eq!(state_dict(&g)[0].0, "net.0.weight");
/// assert_eq!(summary(&g, &[1, 100]).rows[0].name, "G.net.0");
/// ```
#[derive(Clone)]
pub struct Network {
    name: &'static str,
    net: Sequential,
}

impl Network {
    /// Fresh parameters for these layers; `name` (`G` or `D`) appears in messages.
    pub fn new(name: &'static str, layers: &[LayerSpec], random: &Generator) -> Network {
        Network::with_init(name, layers, &Init::Default, random)
    }

    /// Fresh parameters drawn by `init`, where a layer has none of its own.
    ///
    /// ```
    /// use ganvil::gan::Network;
    /// use ganvil::nn::{Init, LayerSpec, state_dict};
    /// use ganvil::{Generator, rng::Stream};
    /// let random = Generator::new(0, Stream::Init);
    /// let d = Network::with_init("D", &[LayerSpec::linear(9, 1)], &Init::Normal { std: 0.02 }, &random);
    /// assert!(state_dict(&d)[0].1.to_vec::<f32>().iter().all(|w| w.abs() < 0.1));
    /// ```
    pub fn with_init(name: &'static str, layers: &[LayerSpec], init: &Init, random: &Generator) -> Network {
        Network { name, net: LayerSpec::sequential_with(layers, init, random) }
    }

    /// The name given.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl Module for Network {
    fn forward(&self, x: &Tensor, ctx: &Ctx) -> Tensor {
        let _name = Scope::enter(self.name);
        ctx.apply("net", &self.net, x)
    }

    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Kind, &Tensor)) {
        self.net.visit(&format!("{path}net."), f)
    }

    fn visit_mut<'a>(&'a mut self, path: &str, f: &mut dyn FnMut(&str, Kind, &'a mut Tensor)) {
        self.net.visit_mut(&format!("{path}net."), f)
    }
}
