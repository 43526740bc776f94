//! Modules one after the other.

use super::{Ctx, Kind, Module};
use crate::Tensor;

/// Applies its modules in order; the i-th is named `i`, as in PyTorch.
///
/// ```
/// use ganvil::nn::{Ctx, LeakyReLU, Linear, Module, ReLU, Sequential, state_dict};
/// use ganvil::{Generator, Tensor, rng::Stream};
/// let random = Generator::new(0, Stream::Init);
/// let net = Sequential::new()
///     .with(Linear::new(2, 4, true, &random))
///     .with(LeakyReLU { negative_slope: 0.2 })
///     .with(Linear::new(4, 1, false, &random));
/// let names: Vec<String> = state_dict(&net).into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["0.weight", "0.bias", "2.weight"]);
/// assert_eq!(net.forward(&Tensor::from([[1.0f32, 2.0]; 3]), &Ctx::eval()).shape(), [3, 1]);
/// ```
#[derive(Clone, Default)]
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
    ///
    /// ```
    /// use ganvil::nn::{ReLU, Sequential, Tanh};
    /// let mut net = Sequential::new();
    /// assert!(net.is_empty());
    /// net.push(Box::new(ReLU));
    /// net.push(Box::new(Tanh));
    /// assert_eq!(net.len(), 2);
    /// ```
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

    /// The modules with their names.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&str, &dyn Module)> {
        self.modules.iter().map(|(name, m)| (name.as_str(), &**m))
    }
}

impl Module for Sequential {
    fn forward(&self, x: &Tensor, ctx: &Ctx) -> Tensor {
        let (mut parts, mut x) = (self.parts().peekable(), x.clone());
        while let Some(part) = parts.next() {
            let both = parts.peek().and_then(|&next| ctx.apply_both([part, next], &x));
            x = match both {
                Some(y) => {
                    parts.next();
                    y
                }
                None => ctx.apply_owned(part.0, part.1, x),
            };
        }
        x
    }

    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Kind, &Tensor)) {
        self.parts().for_each(|(name, m)| m.visit(&format!("{path}{name}."), f));
    }

    fn visit_mut<'a>(&'a mut self, path: &str, f: &mut dyn FnMut(&str, Kind, &'a mut Tensor)) {
        self.modules.iter_mut().for_each(|(name, m)| m.visit_mut(&format!("{path}{name}."), f));
    }

    fn visit_weights(&self, path: &str, f: &mut dyn FnMut(&str, &Tensor, isize)) {
        self.parts().for_each(|(name, m)| m.visit_weights(&format!("{path}{name}."), f));
    }

    fn is_per_sample(&self) -> bool {
        self.parts().all(|(_, m)| m.is_per_sample())
    }
}
