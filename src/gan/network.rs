//! A generator or discriminator.

use crate::error::Scope;
use crate::nn::{Ctx, Kind, LayerSpec, Module, Sequential};
use crate::{Generator, Tensor};

/// A named sequence of layers. Its tensors are named `net.0.weight`, ... as in the usual PyTorch listings.
pub struct Network {
    name: &'static str,
    net: Sequential,
}

impl Network {
    /// Fresh parameters for these layers; `name` (`G` or `D`) appears in messages.
    pub fn new(name: &'static str, layers: &[LayerSpec], random: &Generator) -> Network {
        Network { name, net: LayerSpec::sequential(layers, random) }
    }

    /// The name given.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl Module for Network {
    fn forward(&self, x: &Tensor, ctx: &Ctx) -> Tensor {
        let _name = Scope::enter(self.name);
        let _net = Scope::enter("net");
        self.net.forward(x, ctx)
    }

    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Kind, &Tensor)) {
        self.net.visit(&format!("{path}net."), f)
    }

    fn visit_mut<'a>(&'a mut self, path: &str, f: &mut dyn FnMut(&str, Kind, &'a mut Tensor)) {
        self.net.visit_mut(&format!("{path}net."), f)
    }
}
