//! A generator or discriminator.

use super::conditioning::{Head, NetworkSpec};
use crate::backend::trace::{self, Part};
use crate::error::{Scope, misuse};
use crate::nn::{Ctx, Embedding, Init, Kind, LayerSpec, Linear, Module, Sequential, init};
use crate::{DType, Generator, Tensor};

/// What a network makes of a batch.
pub struct Verdict {
    /// Its output: samples, or D's judgement `[batch, 1]`.
    pub out: Tensor,
    /// Class logits `[batch, classes]` of a discriminator with an auxiliary classifier.
    pub classes: Option<Tensor>,
}

/// A named sequence of layers. Its tensors are named `net.0.weight`, ... as in the usual PyTorch listings; a network
/// that takes labels has `label_embed.weight` or `embed.weight` as well, one that finds them `classes.weight`.
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
    label_embed: Option<Embedding>,
    /// See [`NetworkSpec::input`].
    input: Vec<usize>,
    net: Sequential,
    /// See [`Network::last`].
    last: String,
    end: End,
}

/// What follows a network's sequence.
#[derive(Clone)]
enum End {
    Nothing,
    Projection { psi: Last, embed: Embedding },
    AuxiliaryClassifier { source: Last, classes: Linear },
}

/// The last layer, with the name that it has as part of the sequence.
#[derive(Clone)]
struct Last {
    name: String,
    layer: Box<dyn Module>,
}

impl Network {
    /// Fresh parameters for these layers; `name` (`G` or `D`) appears in messages.
    pub fn new(name: &'static str, layers: &[LayerSpec], random: &Generator) -> Network {
        Network::build(name, &layers.into(), &Init::Default, random)
    }

    /// Fresh parameters drawn by `init`, where a layer has none of its own.
    ///
    /// ```
    /// use ganvil::gan::{Head, Network, NetworkSpec};
    /// use ganvil::nn::{Ctx, Init, LayerSpec, Module, state_dict};
    /// use ganvil::{Generator, Tensor, rng::Stream};
    /// let layers = vec![LayerSpec::linear(2, 2), LayerSpec::linear(2, 1)];
    /// let spec = NetworkSpec { layers, head: Some(Head::Projection { num: 3 }), ..NetworkSpec::default() };
    /// let init = Init::Constant { value: 1.0 };
    /// let d = Network::build("D", &spec, &init, &Generator::new(0, Stream::Init));
    /// let names: Vec<String> = state_dict(&d).into_iter().map(|(name, _)| name).collect();
    /// assert_eq!(names, ["net.0.weight", "net.0.bias", "net.1.weight", "net.1.bias", "embed.weight"]);
    /// let label = Tensor::from(&[2i64][..]);
    /// let y = d.forward(&Tensor::from([[1.0f32, 2.0]]), &Ctx::eval().with_condition(&label));
    /// assert_eq!(y.to_vec::<f32>(), [6.0 + 6.0]); // phi = (3, 3), psi and V sum it up
    /// ```
    ///
    /// # Panics
    /// If there is a head and the last layer is not Linear.
    #[track_caller]
    pub fn build(name: &'static str, spec: &NetworkSpec, init: &Init, random: &Generator) -> Network {
        // As PyTorch draws it, whatever the layers' initial values: labels are to weigh as much as the noise beside them.
        let label_embed = spec.label_embed.map(|e| Embedding::new(e.num, e.dim, random));
        let last = format!("net.{}", spec.last_weighted().unwrap_or(0));
        let Some(head) = spec.head else {
            let net = LayerSpec::sequential_with(&spec.layers, init, random);
            return Network { name, label_embed, input: spec.input.clone(), net, last, end: End::Nothing };
        };
        let (features, final_spec, width) = spec.split_last();
        let net = LayerSpec::sequential_with(features, init, random);
        let final_layer =
            Last { name: format!("net.{}", features.len()), layer: final_spec.build_with(init, random) };
        let linear = |num, bias| {
            let mut layer = Linear::new(width, num, bias, random);
            init::apply(&mut layer, init, random);
            layer
        };
        let end = match head {
            // The rows of V act on features as psi's weight does, so they start as that does.
            Head::Projection { num } => {
                End::Projection { psi: final_layer, embed: Embedding { weight: linear(num, false).weight } }
            }
            Head::AuxiliaryClassifier { num } => {
                End::AuxiliaryClassifier { source: final_layer, classes: linear(num, true) }
            }
        };
        Network { name, label_embed, input: spec.input.clone(), net, last, end }
    }

    /// Rows as the first layer wants them.
    fn shaped(&self, x: &Tensor) -> Tensor {
        if self.input.is_empty() || x.rank() != 2 {
            return x.clone();
        }
        let shape: Vec<usize> = [x.shape()[0]].iter().chain(&self.input).copied().collect();
        x.reshape(&shape)
    }

    /// The path of the last layer with a weight, `net.6`: its input is the network's features.
    pub fn last(&self) -> &str {
        &self.last
    }

    /// The name given.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Applies the network. One that takes labels finds them in the pass's condition.
    ///
    /// ```
    /// use ganvil::gan::{Head, Network, NetworkSpec};
    /// use ganvil::nn::{Ctx, Init, LayerSpec};
    /// use ganvil::{Generator, Tensor, rng::Stream};
    /// let head = Some(Head::AuxiliaryClassifier { num: 10 });
    /// let spec = NetworkSpec { layers: vec![LayerSpec::linear(2, 1)], head, ..NetworkSpec::default() };
    /// let d = Network::build("D", &spec, &Init::Default, &Generator::new(0, Stream::Init));
    /// let verdict = d.verdict(&Tensor::from([[1.0f32, 2.0]; 3]), &Ctx::eval());
    /// assert_eq!((verdict.out.shape(), verdict.classes.unwrap().shape()), (&[3, 1][..], &[3, 10][..]));
    /// ```
    ///
    /// # Panics
    /// If labels are missing, not i64, not one per sample, or out of range; if the layers do not fit the input.
    #[track_caller]
    pub fn verdict(&self, x: &Tensor, ctx: &Ctx) -> Verdict {
        let _name = Scope::enter(self.name);
        let _span = trace::slice(Part::Forward, || (self.name.into(), "Network"));
        let y = match &self.label_embed {
            None => ctx.apply("net", &self.net, &self.shaped(x)),
            Some(table) => {
                let rows = ctx.apply("label_embed", table, labels(x, ctx));
                ctx.apply("net", &self.net, &self.shaped(&joined(x, &rows)))
            }
        };
        match &self.end {
            End::Nothing => Verdict { out: y, classes: None },
            End::Projection { psi, embed } => {
                let rows = ctx.apply("embed", embed, labels(x, ctx));
                let out = ctx.apply(&psi.name, &psi.layer, &y);
                Verdict { out: out.add(&rows.mul(&y).sum(&[1], true)), classes: None }
            }
            End::AuxiliaryClassifier { source, classes } => Verdict {
                out: ctx.apply(&source.name, &source.layer, &y),
                classes: Some(ctx.apply("classes", classes, &y)),
            },
        }
    }
}

/// The classes of a batch.
#[track_caller]
fn labels<'a>(x: &Tensor, ctx: &Ctx<'a>) -> &'a Tensor {
    let n = x.shape().first().copied().unwrap_or(0);
    match ctx.condition() {
        None => misuse!(
            "labels",
            "the network needs the class of each sample (i64 [{n}] for x {:?}) and got none; give them with Ctx::with_condition",
            x.shape()
        ),
        Some(y) if y.dtype() != DType::I64 || y.shape() != [n] => misuse!(
            "labels",
            "for x {:?} the classes must be i64 [{n}], got {} {:?}",
            x.shape(),
            y.dtype(),
            y.shape()
        ),
        Some(y) => y,
    }
}

/// Each sample with its label's row behind its features; in pictures, as feature maps that are constant.
#[track_caller]
fn joined(x: &Tensor, rows: &Tensor) -> Tensor {
    if x.rank() <= 2 {
        return Tensor::cat(&[x, rows], 1);
    }
    let mut shape = [rows.shape(), &vec![1; x.rank() - 2]].concat();
    let column = rows.reshape(&shape);
    shape[2..].copy_from_slice(&x.shape()[2..]);
    Tensor::cat(&[x, &column.expand(&shape)], 1)
}

impl End {
    /// Its modules with their names.
    fn parts(&self) -> Vec<(&str, &dyn Module)> {
        match self {
            End::Nothing => vec![],
            End::Projection { psi, embed } => vec![(&psi.name, &*psi.layer), ("embed", embed)],
            End::AuxiliaryClassifier { source, classes } => {
                vec![(&source.name, &*source.layer), ("classes", classes)]
            }
        }
    }

    /// [`End::parts`] for changing them.
    fn parts_mut(&mut self) -> Vec<(&str, &mut dyn Module)> {
        match self {
            End::Nothing => vec![],
            End::Projection { psi, embed } => vec![(&psi.name, &mut *psi.layer), ("embed", embed)],
            End::AuxiliaryClassifier { source, classes } => {
                vec![(&source.name, &mut *source.layer), ("classes", classes)]
            }
        }
    }
}

impl Module for Network {
    fn forward(&self, x: &Tensor, ctx: &Ctx) -> Tensor {
        self.verdict(x, ctx).out
    }

    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Kind, &Tensor)) {
        self.label_embed.iter().for_each(|e| e.visit(&format!("{path}label_embed."), f));
        self.net.visit(&format!("{path}net."), f);
        self.end.parts().into_iter().for_each(|(name, m)| m.visit(&format!("{path}{name}."), f));
    }

    fn visit_mut<'a>(&'a mut self, path: &str, f: &mut dyn FnMut(&str, Kind, &'a mut Tensor)) {
        self.label_embed.iter_mut().for_each(|e| e.visit_mut(&format!("{path}label_embed."), f));
        self.net.visit_mut(&format!("{path}net."), f);
        self.end.parts_mut().into_iter().for_each(|(name, m)| m.visit_mut(&format!("{path}{name}."), f));
    }

    fn is_per_sample(&self) -> bool {
        self.net.is_per_sample() && self.end.parts().into_iter().all(|(_, m)| m.is_per_sample())
    }

    fn visit_weights(&self, path: &str, f: &mut dyn FnMut(&str, &Tensor, isize)) {
        self.net.visit_weights(&format!("{path}net."), f);
        self.end.parts().into_iter().for_each(|(name, m)| m.visit_weights(&format!("{path}{name}."), f));
    }
}
