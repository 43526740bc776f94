//! What a module is.

use super::{Ctx, Kind};
use crate::error::misuse;
use crate::{Activation, Tensor};
use std::any::Any;

/// A function with parameters.
///
/// A module of one's own derives `Clone` and writes three methods. What it is made of is visited with state-dict names
/// and applied through [`Ctx::apply`], so that messages, summaries and checkpoints know it:
///
/// ```
/// use ganvil::nn::{Ctx, Kind, Linear, Module, state_dict};
/// use ganvil::{DType, Device, Generator, Tensor, rng::Stream};
///
/// /// y = strength f(x), with a trained strength.
/// #[derive(Clone)]
/// struct Scaled {
///     strength: Tensor,
///     f: Linear,
/// }
///
/// impl Module for Scaled {
///     fn forward(&self, x: &Tensor, ctx: &Ctx) -> Tensor {
///         ctx.apply("f", &self.f, x).mul(&self.strength)
///     }
///     fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Kind, &Tensor)) {
///         f(&format!("{path}strength"), Kind::Parameter, &self.strength);
///         self.f.visit(&format!("{path}f."), f);
///     }
///     fn visit_mut<'a>(&'a mut self, path: &str, f: &mut dyn FnMut(&str, Kind, &'a mut Tensor)) {
///         f(&format!("{path}strength"), Kind::Parameter, &mut self.strength);
///         self.f.visit_mut(&format!("{path}f."), f);
///     }
/// }
///
/// let f = Linear::new(3, 2, true, &Generator::new(0, Stream::Init));
/// let strength = Tensor::zeros(&[], DType::F32, Device::Cpu).requires_grad();
/// let net = Scaled { strength, f };
/// assert_eq!(net.forward(&Tensor::from([[1.0f32, 2.0, 3.0]]), &Ctx::eval()).to_vec::<f32>(), [0.0, 0.0]);
/// let names: Vec<String> = state_dict(&net).into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["strength", "f.weight", "f.bias"]);
/// ```
pub trait Module: Any + Boxed + Send + Sync {
    /// Shows every matrix that multiplies features, with its name and the dimension that counts outputs: weights of linear
    /// and convolutional layers as they are trained; no biases, gains or tables. A module of one's own that has none, and
    /// holds no modules that have, need not say so.
    ///
    /// ```
    /// use ganvil::nn::{BatchNorm1d, Linear, Module, Sequential};
    /// use ganvil::{Generator, rng::Stream};
    /// let f = Linear::new(3, 2, true, &Generator::new(0, Stream::Init));
    /// let net = Sequential::new().with(f).with(BatchNorm1d::new(2, 1e-5, 0.1));
    /// let mut seen = Vec::new();
    /// net.visit_weights("", &mut |name, w, outputs| seen.push((name.to_owned(), w.shape().to_vec(), outputs)));
    /// assert_eq!(seen, [("0.weight".to_owned(), vec![2, 3], 0)]);
    /// ```
    fn visit_weights(&self, _path: &str, _f: &mut dyn FnMut(&str, &Tensor, isize)) {}

    /// Applies the module.
    fn forward(&self, x: &Tensor, ctx: &Ctx) -> Tensor;

    /// Applies the module to a value that is not needed any more: an activation may write its result there.
    fn forward_owned(&self, x: Tensor, ctx: &Ctx) -> Tensor {
        self.forward(&x, ctx)
    }

    /// The activation that this module is, if it is one that the layer before it may apply to its own results.
    fn activation(&self) -> Option<Activation> {
        None
    }

    /// Whether [`Module::forward_act`] spares a pass over the result.
    fn takes_activation(&self) -> bool {
        false
    }

    /// The activation of what [`Module::forward`] makes of x: as one op, if the module has such.
    ///
    /// ```
    /// use ganvil::nn::{Ctx, Linear, Module, ReLU};
    /// use ganvil::{Activation, Generator, Tensor, rng::Stream};
    /// let f = Linear::new(2, 3, true, &Generator::new(0, Stream::Init));
    /// let (x, ctx) = (Tensor::from([[1.0f32, -2.0]]), Ctx::eval());
    /// let y = f.forward_act(&x, &ctx, Activation::Relu);
    /// assert_eq!(y.to_vec::<f32>(), f.forward(&x, &ctx).relu().to_vec::<f32>());
    /// assert!(f.takes_activation() && !ReLU.takes_activation());
    /// ```
    fn forward_act(&self, x: &Tensor, ctx: &Ctx, act: Activation) -> Tensor {
        act.of(self.forward(x, ctx))
    }

    /// Calls `f` with the state-dict name, kind and value of every tensor of the module, in PyTorch's order. `path` is
    /// the module's own name with a dot behind it, or empty.
    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Kind, &Tensor));

    /// [`Module::visit`] for changing the tensors.
    fn visit_mut<'a>(&'a mut self, path: &str, f: &mut dyn FnMut(&str, Kind, &'a mut Tensor));

    /// Whether a training pass makes of each sample what it would in any other batch, and leaves no trace in the module: then
    /// one pass over two batches does for two passes. Not so with statistics over the batch, or with an estimate that each
    /// pass goes on with; a module that says nothing is taken for one of these.
    ///
    /// ```
    /// use ganvil::nn::{BatchNorm1d, Linear, Module, Sequential, Tanh};
    /// use ganvil::{Generator, rng::Stream};
    /// let net = Sequential::new().with(Linear::new(2, 4, true, &Generator::new(0, Stream::Init))).with(Tanh);
    /// assert!(net.is_per_sample());
    /// assert!(!net.with(BatchNorm1d::new(4, 1e-5, 0.1)).is_per_sample());
    /// ```
    fn is_per_sample(&self) -> bool {
        false
    }

    /// The name of the type, as in summaries: `Linear`.
    fn type_name(&self) -> &'static str {
        let full = std::any::type_name::<Self>();
        let plain = full.split('<').next().unwrap_or(full);
        plain.rsplit("::").next().unwrap_or(plain)
    }

    /// A copy in which every tensor is what `f` makes of it: `f` gets name, kind and value as [`Module::visit`] gives
    /// them.
    ///
    /// A substitute need not be a leaf. With parameters that are functions of other tensors, a pass of the copy is a
    /// function of those tensors, and gradients flow to them: this is how an unrolled GAN's generator sees what its
    /// update will make of the discriminator (Metz et al., 2016, arXiv:1611.02163). Buffers are the copy's own: its
    /// passes leave the original's running statistics alone.
    ///
    /// ```
    /// use ganvil::nn::{Ctx, Kind, Linear, Module};
    /// use ganvil::{Generator, Tensor, autograd::grad, rng::Stream};
    ///
    /// let net = Linear::new(2, 1, false, &Generator::new(0, Stream::Init));
    /// let x = Tensor::from([[3.0f32, 4.0]]);
    /// let rate = Tensor::from(&[0.5f32][..]).requires_grad();
    /// // One step of gradient descent on y(x) = w x, whose gradient is x, as a function of its learning rate.
    /// let stepped = net.map(|_, kind, w| match kind {
    ///     Kind::Parameter => w.sub(&rate.mul(&x)),
    ///     Kind::Buffer => w.clone(),
    /// });
    /// let y = stepped.forward(&x, &Ctx::eval());
    /// let slope = grad(&[&y], &[&rate], &[], false)[0].clone().unwrap();
    /// assert_eq!(slope.item(), -25.0); // -|x|^2
    /// ```
    ///
    /// # Panics
    /// If a substitute has another shape than what it replaces.
    fn map(&self, mut f: impl FnMut(&str, Kind, &Tensor) -> Tensor) -> Self
    where
        Self: Clone + Sized,
    {
        let mut copy = self.clone();
        copy.visit_mut("", &mut |name, kind, t| {
            let new = f(name, kind, t);
            if new.shape() != t.shape() {
                misuse!(
                    "map",
                    "'{name}' is {:?} and its substitute {:?}; a substitute must have the same shape",
                    t.shape(),
                    new.shape()
                );
            }
            *t = new;
        });
        copy
    }
}

/// Copying a module whose type is not known. Every module that is `Clone` has it.
///
/// ```
/// use ganvil::nn::{Boxed, Module, Tanh};
/// let known: &dyn Module = &Tanh;
/// assert_eq!(known.boxed().type_name(), "Tanh");
/// ```
pub trait Boxed {
    /// A copy behind a box: parameters are the same leaves, buffers are the copy's own.
    fn boxed(&self) -> Box<dyn Module>;
}

impl<M: Module + Clone + 'static> Boxed for M {
    fn boxed(&self) -> Box<dyn Module> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Module> {
    fn clone(&self) -> Box<dyn Module> {
        (**self).boxed()
    }
}

impl Module for Box<dyn Module> {
    fn forward(&self, x: &Tensor, ctx: &Ctx) -> Tensor {
        (**self).forward(x, ctx)
    }
    fn forward_owned(&self, x: Tensor, ctx: &Ctx) -> Tensor {
        (**self).forward_owned(x, ctx)
    }
    fn activation(&self) -> Option<Activation> {
        (**self).activation()
    }
    fn takes_activation(&self) -> bool {
        (**self).takes_activation()
    }
    fn forward_act(&self, x: &Tensor, ctx: &Ctx, act: Activation) -> Tensor {
        (**self).forward_act(x, ctx, act)
    }
    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Kind, &Tensor)) {
        (**self).visit(path, f)
    }
    fn visit_mut<'a>(&'a mut self, path: &str, f: &mut dyn FnMut(&str, Kind, &'a mut Tensor)) {
        (**self).visit_mut(path, f)
    }
    fn visit_weights(&self, path: &str, f: &mut dyn FnMut(&str, &Tensor, isize)) {
        (**self).visit_weights(path, f)
    }
    fn is_per_sample(&self) -> bool {
        (**self).is_per_sample()
    }
    fn type_name(&self) -> &'static str {
        (**self).type_name()
    }
}
