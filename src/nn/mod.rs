//! Modules: layers that own their parameters, and containers of layers. Written only against [`Tensor`].

mod activation;
mod batch_norm;
mod dropout;
mod embedding;
pub mod init;
mod linear;
mod sequential;
mod spec;
mod state;

pub use activation::{LeakyReLU, ReLU, Sigmoid, Softplus, Tanh};
pub use batch_norm::BatchNorm1d;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use linear::Linear;
pub use sequential::Sequential;
pub use spec::LayerSpec;
pub use state::{
    Buffer, Kind, convert, load_state_dict, parameter_count, parameters, parameters_mut, state_dict,
};

use crate::{Generator, Tensor};

/// A function with parameters.
pub trait Module: Send + Sync {
    /// Applies the module.
    fn forward(&self, x: &Tensor, ctx: &Ctx) -> Tensor;

    /// Calls `f` with the state-dict name, kind and value of every tensor of the module, in PyTorch's order. `path` is
    /// the module's own name with a dot behind it, or empty.
    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Kind, &Tensor));

    /// [`Module::visit`] for changing the tensors.
    fn visit_mut<'a>(&'a mut self, path: &str, f: &mut dyn FnMut(&str, Kind, &'a mut Tensor));
}

/// Where a dropout mask comes from when it is not drawn: a function of the layer's path (`D.net.2`) and the shape of
/// its input, giving 1 where an element is kept. Used to replay recorded training steps.
pub type Masks<'a> = &'a dyn Fn(&str, &[usize]) -> Tensor;

/// How a forward pass is meant.
#[derive(Clone, Copy, Default)]
pub struct Ctx<'a> {
    train: bool,
    frozen: bool,
    random: Option<&'a Generator>,
    masks: Option<Masks<'a>>,
}

impl<'a> Ctx<'a> {
    /// Training: dropout drops, normalisation uses the batch's statistics and updates the running ones.
    pub fn train(random: &'a Generator) -> Ctx<'a> {
        Ctx { train: true, frozen: false, random: Some(random), masks: None }
    }

    /// Evaluation: nothing is random, a sample does not depend on the others, no buffer changes.
    pub fn eval() -> Ctx<'static> {
        Ctx::default()
    }

    /// The same pass without updating buffers.
    pub fn frozen(self) -> Ctx<'a> {
        Ctx { frozen: true, ..self }
    }

    /// The same pass with given dropout masks.
    pub fn with_masks(self, masks: Masks<'a>) -> Ctx<'a> {
        Ctx { masks: Some(masks), ..self }
    }

    /// Whether this is a training pass.
    pub fn is_training(&self) -> bool {
        self.train
    }

    /// Whether running statistics are to be updated.
    pub fn updates_buffers(&self) -> bool {
        self.train && !self.frozen
    }
}
