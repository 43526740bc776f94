//! Spectral normalisation of a layer's weight (Miyato et al., 2018, arXiv:1802.05957).

use super::state::{Buffer, Slot};
use super::{Ctx, Kind, Linear, Module};
use crate::{Activation, DType, Device, Generator, SpectralOrder, Tensor, no_grad};

/// A layer with a weight that another may stand in for.
///
/// ```
/// use ganvil::nn::{Linear, Weighted};
/// use ganvil::{Generator, Tensor, rng::Stream};
/// let f = Linear::new(3, 2, true, &Generator::new(0, Stream::Init));
/// let silent = f.with_weight(f.weight().zeros_like());
/// assert_eq!((silent.weight.sum_all().item(), silent.norm_dim()), (0.0, 0));
/// ```
pub trait Weighted: Module + Clone {
    /// The weight: the parameter that [`Module::visit`] names `weight`.
    fn weight(&self) -> &Tensor;

    /// The layer with another weight, which need not be a leaf; everything else is the same.
    fn with_weight(&self, weight: Tensor) -> Self;

    /// The dimension of the weight that counts outputs: 0, but 1 for transposed convolutions.
    fn norm_dim(&self) -> isize {
        0
    }
}

impl Weighted for Linear {
    fn weight(&self) -> &Tensor {
        &self.weight
    }
    fn with_weight(&self, weight: Tensor) -> Linear {
        Linear { weight, bias: self.bias.clone() }
    }
}

/// Power iterations at construction, so that the estimate is of use before any training.
const FIRST: usize = 15;

/// A layer whose weight is divided by its largest singular value: see [`Tensor::spectral_norm`].
///
/// Each training pass makes one step of the power iteration that estimates it and keeps its vectors; evaluation and
/// frozen passes use those that are there. They are replaced, not overwritten: a graph of an earlier pass keeps its own.
///
/// In the state dict the weight is `weight_orig` and the vectors `weight_u` and `weight_v`, as with PyTorch's
/// `torch.nn.utils.spectral_norm`; with [`SpectralOrder::UFirst`] they are `parametrizations.weight.original`,
/// `parametrizations.weight.0._u` and `._v`, as with `torch.nn.utils.parametrizations.spectral_norm`.
///
/// ```
/// use ganvil::nn::{Ctx, Linear, Module, SpectralNorm};
/// use ganvil::{Generator, Tensor, rng::Stream};
/// let random = Generator::new(0, Stream::Init);
/// let mut f = Linear::new(2, 2, false, &random);
/// f.weight = Tensor::from([[3.0f32, 0.0], [0.0, 1.0]]).requires_grad();
/// let y = SpectralNorm::new(f, &random).forward(&Tensor::from([[1.0f32, 3.0]]), &Ctx::eval());
/// assert!(y.to_vec::<f32>().iter().all(|y| (y - 1.0).abs() < 1e-4)); // divided by 3
/// ```
#[derive(Clone)]
pub struct SpectralNorm<M> {
    /// The layer, with the weight as it is trained.
    pub module: M,
    /// The left singular vector that the iteration is at, of norm 1.
    pub u: Buffer,
    /// The right one.
    pub v: Buffer,
    /// Which of them is renewed first.
    pub order: SpectralOrder,
    /// The least norm that a vector is divided by; 1e-12.
    pub eps: f64,
}

impl<M: Weighted> SpectralNorm<M> {
    /// The paper's normalisation: v first.
    pub fn new(module: M, random: &Generator) -> SpectralNorm<M> {
        SpectralNorm::with_order(module, SpectralOrder::VFirst, random)
    }

    /// Random vectors, after 15 iterations.
    ///
    /// ```
    /// use ganvil::nn::{Linear, SpectralNorm, state_dict};
    /// use ganvil::{Generator, SpectralOrder, rng::Stream};
    /// let random = Generator::new(0, Stream::Init);
    /// let f = SpectralNorm::with_order(Linear::new(3, 2, false, &random), SpectralOrder::UFirst, &random);
    /// assert_eq!(state_dict(&f)[1].0, "parametrizations.weight.0._u");
    /// ```
    pub fn with_order(module: M, order: SpectralOrder, random: &Generator) -> SpectralNorm<M> {
        let (w, eps) = (module.weight(), 1e-12);
        let rows = w.size(module.norm_dim());
        let columns = w.numel() / rows.max(1);
        let unit = |n: usize| {
            let x = random.normal(&[n], 0.0, 1.0, DType::F32, Device::Cpu);
            x.div(&x.norm(&[], false).clamp(eps, None)).to_dtype(w.dtype()).to_device(w.device())
        };
        let start = (unit(rows), unit(columns));
        let (u, v) = no_grad(|| {
            (0..FIRST).fold(start, |(u, v), _| {
                let next = w.spectral_norm(&u, &v, module.norm_dim(), order, eps);
                (next.u, next.v)
            })
        });
        SpectralNorm { u: Buffer::new(u), v: Buffer::new(v), order, eps, module }
    }

    /// The weight divided by the present estimate of its largest singular value, which a training pass first improves.
    #[track_caller]
    pub(super) fn normalised(&self, ctx: &Ctx) -> Tensor {
        let (w, dim) = (self.module.weight(), self.module.norm_dim());
        let (u, v) = (self.u.get(), self.v.get());
        if !ctx.updates_buffers() {
            return w.spectral_norm_eval(&u, &v, dim);
        }
        let next = w.spectral_norm(&u, &v, dim, self.order, self.eps);
        self.u.set(next.u);
        self.v.set(next.v);
        next.weight
    }

    /// The names of weight, u and v.
    fn names(&self, path: &str) -> [String; 3] {
        let names = match self.order {
            SpectralOrder::VFirst => ["weight_orig", "weight_u", "weight_v"],
            SpectralOrder::UFirst => [
                "parametrizations.weight.original",
                "parametrizations.weight.0._u",
                "parametrizations.weight.0._v",
            ],
        };
        names.map(|name| format!("{path}{name}"))
    }
}

impl<M: Weighted + 'static> Module for SpectralNorm<M> {
    fn forward(&self, x: &Tensor, ctx: &Ctx) -> Tensor {
        self.module.with_weight(self.normalised(ctx)).forward(x, ctx)
    }

    fn takes_activation(&self) -> bool {
        self.module.takes_activation()
    }

    fn forward_act(&self, x: &Tensor, ctx: &Ctx, act: Activation) -> Tensor {
        self.module.with_weight(self.normalised(ctx)).forward_act(x, ctx, act)
    }

    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Kind, &Tensor)) {
        let (own, [w, u, v]) = (format!("{path}weight"), self.names(path));
        self.module.visit(path, &mut |name, kind, t| {
            if name != own {
                f(name, kind, t);
            }
        });
        f(&w, Kind::Parameter, self.module.weight());
        self.u.each(&mut |t| f(&u, Kind::Buffer, t));
        self.v.each(&mut |t| f(&v, Kind::Buffer, t));
    }

    fn visit_mut<'a>(&'a mut self, path: &str, f: &mut dyn FnMut(&str, Kind, &'a mut Tensor)) {
        let (own, [w, u, v]) = (format!("{path}weight"), self.names(path));
        let mut weight = None;
        self.module.visit_mut(path, &mut |name, kind, t| {
            if name == own {
                weight = Some(t);
            } else {
                f(name, kind, t);
            }
        });
        f(&w, Kind::Parameter, weight.expect("a weighted module names its weight so"));
        self.u.each_mut(&mut |t| f(&u, Kind::Buffer, t));
        self.v.each_mut(&mut |t| f(&v, Kind::Buffer, t));
    }

    fn visit_weights(&self, path: &str, f: &mut dyn FnMut(&str, &Tensor, isize)) {
        f(&self.names(path)[0], self.module.weight(), self.module.norm_dim());
    }
}
