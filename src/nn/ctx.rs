//! How a forward pass is meant.

use super::{Flatten, Linear, Module};
use crate::backend::trace::{self, Part};
use crate::error::Scope;
use crate::local::{self, UNFUSED};
use crate::{Activation, Generator, Tensor};
use std::any::Any;

/// Where a dropout mask comes from when it is not drawn: a function of the layer's path (`D.net.2`) and the shape of
/// its input, giving 1 where an element is kept. Used to replay recorded training steps.
///
/// ```
/// use ganvil::nn::{Ctx, Dropout, Module};
/// use ganvil::{Generator, Tensor, rng::Stream};
/// let mask = |_: &str, _: &[usize]| Tensor::from(&[1.0f32, 0.0, 1.0][..]);
/// let random = Generator::new(0, Stream::Dropout);
/// let x = Tensor::from(&[1.0f32, 2.0, 3.0][..]);
/// let y = Dropout { p: 0.5 }.forward(&x, &Ctx::train(&random).with_masks(&mask));
/// assert_eq!(y.to_vec::<f32>(), [2.0, 0.0, 6.0]);
/// ```
pub type Masks<'a> = &'a dyn Fn(&str, &[usize]) -> Tensor;

/// Who is told of every module that a pass has applied, the inner ones first; see [`Ctx::watched`].
pub type Watch<'a> = &'a dyn Fn(&Applied);

/// A module that a pass has just applied.
///
/// ```
/// use ganvil::nn::{Applied, Ctx, Linear, Module, Sequential};
/// use ganvil::{DType, Device, Generator, Tensor, rng::Stream};
/// let random = Generator::new(0, Stream::Init);
/// let net = Sequential::new().with(Linear::new(4, 2, true, &random));
/// let check = |a: &Applied| {
///     assert_eq!((a.path, a.module.type_name()), ("0", "Linear"));
///     assert_eq!((a.input.shape(), a.output.shape()), (&[3, 4][..], &[3, 2][..]));
/// };
/// net.forward(&Tensor::ones(&[3, 4], DType::F32, Device::Cpu), &Ctx::eval().watched(&check));
/// ```
pub struct Applied<'a> {
    /// The module's path, as in messages: `D.net.3`.
    pub path: &'a str,
    /// The module.
    pub module: &'a dyn Module,
    /// What it was applied to.
    pub input: &'a Tensor,
    /// What it made of it.
    pub output: &'a Tensor,
}

/// Runs `f` with layers of this thread's computation taking in their neighbours or, for comparison, each by itself. A layer takes in its activation
/// ([`Module::forward_act`]), and one of few outputs the `Flatten` before it; the former changes no bit, the latter the order
/// of sums.
///
/// ```
/// use ganvil::nn::{Conv2d, Ctx, LeakyReLU, Module, Sequential, with_fusion};
/// use ganvil::{ConvOptions, DType, Device, Generator, rng::Stream};
/// let random = Generator::new(0, Stream::Init);
/// let conv = Conv2d::new(3, 40, [3, 3], ConvOptions::new(), true, &random);
/// let net = Sequential::new().with(conv).with(LeakyReLU { negative_slope: 0.2 });
/// let x = random.normal(&[2, 3, 8, 8], 0.0, 1.0, DType::F32, Device::Cpu);
/// let pass = |fused| with_fusion(fused, || net.forward(&x, &Ctx::eval())).to_vec::<f32>();
/// assert_eq!(pass(true), pass(false));
/// ```
pub fn with_fusion<R>(on: bool, f: impl FnOnce() -> R) -> R {
    local::with(&UNFUSED, !on, f)
}

/// How a forward pass is meant.
///
/// ```
/// use ganvil::nn::{BatchNorm1d, Ctx, Module};
/// use ganvil::{Generator, Tensor, rng::Stream};
/// let norm = BatchNorm1d::new(1, 0.0, 0.1);
/// let x = Tensor::from([[1.0f32], [3.0]]);
/// assert_eq!(norm.forward(&x, &Ctx::eval()).to_vec::<f32>(), [1.0, 3.0]); // running mean 0, variance 1
/// let random = Generator::new(0, Stream::Dropout);
/// let train = Ctx::train(&random);
/// assert_eq!(norm.forward(&x, &train.frozen()).to_vec::<f32>(), [-1.0, 1.0]); // the batch's mean 2, variance 1
/// assert_eq!(norm.running_mean.get().item(), 0.0);
/// norm.forward(&x, &train);
/// assert!((norm.running_mean.get().item() - 0.2).abs() < 1e-7);
/// ```
#[derive(Clone, Copy, Default)]
pub struct Ctx<'a> {
    frozen: bool,
    /// In training.
    pub(super) random: Option<&'a Generator>,
    pub(super) masks: Option<Masks<'a>>,
    watch: Option<Watch<'a>>,
    condition: Option<&'a Tensor>,
}

impl<'a> Ctx<'a> {
    /// Training: dropout drops, normalisation uses the batch's statistics and updates the running ones.
    pub fn train(random: &'a Generator) -> Ctx<'a> {
        Ctx { random: Some(random), ..Ctx::default() }
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

    /// The same pass given a condition: what a conditional layer makes its result depend on besides its input. For a
    /// class-conditional network it is the samples' classes, i64 `[batch]`. Layers without use for it ignore it.
    ///
    /// ```
    /// use ganvil::{Tensor, nn::Ctx};
    /// let classes = Tensor::from(&[3i64, 1][..]);
    /// let ctx = Ctx::eval().with_condition(&classes).frozen();
    /// assert_eq!(ctx.condition().unwrap().to_vec::<i64>(), [3, 1]);
    /// assert!(Ctx::eval().condition().is_none());
    /// ```
    pub fn with_condition(self, condition: &'a Tensor) -> Ctx<'a> {
        Ctx { condition: Some(condition), ..self }
    }

    /// The same pass, looked at: `watch` is told of every module inside of the one that the pass is asked of. This is
    /// how features of a layer in the middle are had. Such a pass makes every value, also where another takes two layers in
    /// one.
    ///
    /// ```
    /// use ganvil::nn::{Applied, Ctx, Module, ReLU, Sequential, Tanh};
    /// use ganvil::Tensor;
    /// use std::cell::RefCell;
    ///
    /// let net = Sequential::new().with(ReLU).with(Tanh);
    /// let seen = RefCell::new(Vec::new());
    /// let watch = |a: &Applied| seen.borrow_mut().push((a.path.to_owned(), a.output.sum_all().item()));
    /// net.forward(&Tensor::from(&[-1.0f32, 2.0][..]), &Ctx::eval().watched(&watch));
    /// assert_eq!(seen.into_inner()[0], ("0".to_owned(), 2.0));
    /// ```
    pub fn watched(self, watch: Watch<'a>) -> Ctx<'a> {
        Ctx { watch: Some(watch), ..self }
    }

    /// Whether this is a training pass.
    ///
    /// ```
    /// use ganvil::{Generator, nn::Ctx, rng::Stream};
    /// let random = Generator::new(0, Stream::Dropout);
    /// assert!(Ctx::train(&random).frozen().is_training() && !Ctx::eval().is_training());
    /// ```
    pub fn is_training(&self) -> bool {
        self.random.is_some()
    }

    /// The pass's condition, if it was given one; see [`Ctx::with_condition`].
    pub fn condition(&self) -> Option<&'a Tensor> {
        self.condition
    }

    /// Whether running statistics are to be updated.
    ///
    /// ```
    /// use ganvil::{Generator, nn::Ctx, rng::Stream};
    /// let random = Generator::new(0, Stream::Dropout);
    /// let train = Ctx::train(&random);
    /// assert!(train.updates_buffers() && !train.frozen().updates_buffers() && !Ctx::eval().updates_buffers());
    /// ```
    pub fn updates_buffers(&self) -> bool {
        self.is_training() && !self.frozen
    }

    /// Applies a module that is part of another under the name it has there. Containers call this and not
    /// [`Module::forward`], so that messages name the path and watchers see the part.
    ///
    /// ```should_panic
    /// use ganvil::nn::{Ctx, Linear};
    /// use ganvil::{Generator, Tensor, rng::Stream};
    /// let f = Linear::new(3, 1, true, &Generator::new(0, Stream::Init));
    /// Ctx::eval().apply("head", &f, &Tensor::from([[1.0f32, 2.0]])); // linear (in head): needs x [.., in] ...
    /// ```
    #[track_caller]
    pub fn apply(&self, name: &str, module: &dyn Module, x: &Tensor) -> Tensor {
        Self::within(name, module, || {
            let output = module.forward(x, self);
            if let Some(watch) = self.watch {
                watch(&Applied { path: &Scope::path(), module, input: x, output: &output });
            }
            output
        })
    }

    /// [`Ctx::apply`] to a value that is not needed any more.
    #[track_caller]
    pub fn apply_owned(&self, name: &str, module: &dyn Module, x: Tensor) -> Tensor {
        // A watcher is shown what went in beside what came out.
        if self.watch.is_some() {
            return self.apply(name, module, &x);
        }
        Self::within(name, module, || module.forward_owned(x, self))
    }

    /// Both modules in one, where that spares a copy or a pass and nobody watches the value between: `Flatten` and a layer of
    /// few outputs, or a layer and its activation. Messages name the layer.
    #[track_caller]
    pub(super) fn apply_both(&self, [first, next]: [(&str, &dyn Module); 2], x: &Tensor) -> Option<Tensor> {
        if self.watch.is_some() || UNFUSED.with_borrow(|off| *off) {
            return None;
        }
        let fuses = |act: &Activation| first.1.takes_activation() && act.in_epilogue_of(x).is_some();
        if let Some(act) = next.1.activation().filter(fuses) {
            return Some(Self::within(first.0, first.1, || first.1.forward_act(x, self, act)));
        }
        let is_flatten = (first.1 as &dyn Any).is::<Flatten>();
        let linear = (next.1 as &dyn Any).downcast_ref::<Linear>().filter(|_| is_flatten)?;
        linear.takes_images(x).then(|| Self::within(next.0, next.1, || linear.forward_images(x)))
    }

    /// What `f` does as a part of that name.
    #[track_caller]
    fn within(name: &str, module: &dyn Module, f: impl FnOnce() -> Tensor) -> Tensor {
        let _scope = Scope::enter(name);
        let _span = trace::slice(Part::Forward, || (Scope::path().into(), module.type_name()));
        f()
    }
}
