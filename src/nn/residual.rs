//! Residual connections (He et al., 2016, arXiv:1512.03385).

use super::{Ctx, Kind, Module};
use crate::Tensor;
use crate::error::misuse;

/// y = shortcut(x) + scale body(x). Without a shortcut of its own x itself is added.
///
/// State-dict names are `body.` and `shortcut.` followed by the names inside; the identity has none. The scale is a
/// constant (ESRGAN takes 0.2), not a parameter. A pass panics if body and shortcut differ in shape, naming both and the
/// path: nothing is broadcast.
///
/// ```
/// use ganvil::nn::{Ctx, Linear, Module, ReLU, Residual, Sequential, state_dict};
/// use ganvil::{Generator, Tensor, rng::Stream};
///
/// let y = Residual::new(ReLU).scaled(0.5).forward(&Tensor::from(&[-4.0f32, 4.0][..]), &Ctx::eval());
/// assert_eq!(y.to_vec::<f32>(), [-4.0, 6.0]);
///
/// let random = Generator::new(0, Stream::Init);
/// let body = Sequential::new().with(ReLU).with(Linear::new(3, 5, true, &random));
/// let net = Residual::new(body).with_shortcut(Linear::new(3, 5, false, &random));
/// let names: Vec<String> = state_dict(&net).into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["body.1.weight", "body.1.bias", "shortcut.weight"]);
/// ```
#[derive(Clone)]
pub struct Residual {
    body: Box<dyn Module>,
    shortcut: Option<Box<dyn Module>>,
    scale: f64,
}

impl Residual {
    /// x + body(x).
    pub fn new(body: impl Module + 'static) -> Residual {
        Residual { body: Box::new(body), shortcut: None, scale: 1.0 }
    }

    /// With a module in place of the identity: where the body changes the shape.
    ///
    /// ```
    /// use ganvil::nn::{Ctx, Module, ReLU, Residual, Tanh};
    /// let block = Residual::new(Tanh).with_shortcut(ReLU);
    /// assert_eq!(block.forward(&ganvil::Tensor::from(&[0.0f32, -30.0][..]), &Ctx::eval()).to_vec::<f32>(), [0.0, -1.0]);
    /// ```
    pub fn with_shortcut(self, shortcut: impl Module + 'static) -> Residual {
        Residual { shortcut: Some(Box::new(shortcut)), ..self }
    }

    /// With the body's result multiplied by a constant.
    ///
    /// ```
    /// use ganvil::nn::{Ctx, Module, ReLU, Residual};
    /// let block = Residual::new(ReLU).scaled(0.25);
    /// assert_eq!(block.forward(&ganvil::Tensor::from(&[4.0f32][..]), &Ctx::eval()).item(), 5.0);
    /// ```
    pub fn scaled(self, scale: f64) -> Residual {
        Residual { scale, ..self }
    }
}

impl Module for Residual {
    fn forward(&self, x: &Tensor, ctx: &Ctx) -> Tensor {
        let body = ctx.apply("body", &*self.body, x);
        let shortcut = self.shortcut.as_ref().map_or_else(|| x.clone(), |s| ctx.apply("shortcut", &**s, x));
        // An addition would broadcast.
        if body.shape() != shortcut.shape() {
            misuse!(
                "residual",
                "the body makes {:?} and the shortcut {:?} of x {:?}; they must have one shape: change the body, or \
                 give a shortcut that follows it",
                body.shape(),
                shortcut.shape(),
                x.shape()
            );
        }
        shortcut.add(&if self.scale == 1.0 { body } else { body.mul_scalar(self.scale) })
    }

    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Kind, &Tensor)) {
        self.body.visit(&format!("{path}body."), f);
        self.shortcut.iter().for_each(|s| s.visit(&format!("{path}shortcut."), f));
    }

    fn visit_mut<'a>(&'a mut self, path: &str, f: &mut dyn FnMut(&str, Kind, &'a mut Tensor)) {
        self.body.visit_mut(&format!("{path}body."), f);
        self.shortcut.iter_mut().for_each(|s| s.visit_mut(&format!("{path}shortcut."), f));
    }

    fn is_per_sample(&self) -> bool {
        self.body.is_per_sample() && self.shortcut.as_ref().is_none_or(|s| s.is_per_sample())
    }

    fn visit_weights(&self, path: &str, f: &mut dyn FnMut(&str, &Tensor, isize)) {
        self.body.visit_weights(&format!("{path}body."), f);
        self.shortcut.iter().for_each(|s| s.visit_weights(&format!("{path}shortcut."), f));
    }
}
