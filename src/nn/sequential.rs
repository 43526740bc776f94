//! Modules one after the other.

use super::{Ctx, Kind, Module};
use crate::Tensor;
use crate::error::Scope;

/// Applies its modules in order; the i-th is named `i`, as in PyTorch.
#[derive(Default)]
pub struct Sequential {
    modules: Vec<(String, Box<dyn Module>)>,
}

impl Sequential {
    /// No modules: the identity.
    pub fn new() -> Sequential {
        Sequential::default()
    }

    /// With one more module at the end.
    pub fn with(mut self, module: impl Module + 'static) -> Sequential {
        self.push(Box::new(module));
        self
    }

    /// Appends a module.
    pub fn push(&mut self, module: Box<dyn Module>) {
        self.modules.push((self.modules.len().to_string(), module));
    }

    /// Number of modules.
    pub fn len(&self) -> usize {
        self.modules.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.modules.is_empty()
    }
}

impl Module for Sequential {
    fn forward(&self, x: &Tensor, ctx: &Ctx) -> Tensor {
        self.modules.iter().fold(x.clone(), |x, (name, m)| {
            let _scope = Scope::enter(name);
            m.forward(&x, ctx)
        })
    }

    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Kind, &Tensor)) {
        self.modules.iter().for_each(|(name, m)| m.visit(&format!("{path}{name}."), f));
    }

    fn visit_mut<'a>(&'a mut self, path: &str, f: &mut dyn FnMut(&str, Kind, &'a mut Tensor)) {
        self.modules.iter_mut().for_each(|(name, m)| m.visit_mut(&format!("{path}{name}."), f));
    }
}
