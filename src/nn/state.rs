//! Parameters and buffers by name.

use super::Module;
use crate::autograd::grad;
use crate::{DType, Device, Error, Result, Tensor};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

/// What a module's tensor is for.
///
/// ```
/// use ganvil::nn::{BatchNorm1d, Kind, Module};
/// let mut buffers = Vec::new();
/// BatchNorm1d::new(3, 1e-5, 0.1).visit("D.net.1.", &mut |name, kind, _| {
///     if kind == Kind::Buffer {
///         buffers.push(name.to_owned());
///     }
/// });
/// assert_eq!(buffers[0], "D.net.1.running_mean");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Trained: a leaf of the graph.
    Parameter,
    /// State that forward passes update: running statistics, counters.
    Buffer,
}

/// A tensor that forward passes replace. It is replaced as a whole, so that graphs built earlier keep their value. A
/// clone is a buffer of its own.
///
/// ```
/// use ganvil::nn::Buffer;
/// use ganvil::{DType, Device, Tensor};
/// let scalar = |v| Tensor::scalar(v, DType::F32, Device::Cpu);
/// let buffer = Buffer::new(scalar(1.0));
/// let (seen, copy) = (buffer.get(), buffer.clone());
/// buffer.set(scalar(2.0));
/// assert_eq!((seen.item(), copy.get().item(), buffer.get().item()), (1.0, 1.0, 2.0));
/// ```
pub struct Buffer(Mutex<Tensor>);

impl Buffer {
    /// A buffer with a first value.
    pub fn new(t: Tensor) -> Buffer {
        Buffer(Mutex::new(t))
    }

    fn lock(&self) -> MutexGuard<'_, Tensor> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// The present value.
    pub fn get(&self) -> Tensor {
        self.lock().clone()
    }

    /// Replaces the value.
    pub fn set(&self, t: Tensor) {
        *self.lock() = t;
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Buffer {
        Buffer::new(self.get())
    }
}

/// A field of a module that holds a tensor.
pub(super) trait Slot {
    fn each(&self, f: &mut dyn FnMut(&Tensor));
    fn each_mut<'a>(&'a mut self, f: &mut dyn FnMut(&'a mut Tensor));
}

impl Slot for Tensor {
    fn each(&self, f: &mut dyn FnMut(&Tensor)) {
        f(self)
    }
    fn each_mut<'a>(&'a mut self, f: &mut dyn FnMut(&'a mut Tensor)) {
        f(self)
    }
}

impl<S: Slot> Slot for Option<S> {
    fn each(&self, f: &mut dyn FnMut(&Tensor)) {
        self.iter().for_each(|s| s.each(f))
    }
    fn each_mut<'a>(&'a mut self, f: &mut dyn FnMut(&'a mut Tensor)) {
        self.iter_mut().for_each(|s| s.each_mut(f))
    }
}

impl Slot for Buffer {
    fn each(&self, f: &mut dyn FnMut(&Tensor)) {
        f(&self.lock())
    }
    fn each_mut<'a>(&'a mut self, f: &mut dyn FnMut(&'a mut Tensor)) {
        f(self.0.get_mut().unwrap_or_else(|e| e.into_inner()))
    }
}

/// The visitors of a module whose tensors are fields with their state-dict names.
macro_rules! visits {
    ($($kind:ident $field:ident),*) => {
        fn visit(&self, path: &str, f: &mut dyn FnMut(&str, $crate::nn::Kind, &$crate::Tensor)) {
            $($crate::nn::state::Slot::each(&self.$field, &mut |t| {
                f(&format!("{path}{}", stringify!($field)), $crate::nn::Kind::$kind, t)
            });)*
            let _ = (path, f);
        }
        fn visit_mut<'a>(&'a mut self, path: &str, f: &mut dyn FnMut(&str, $crate::nn::Kind, &'a mut $crate::Tensor)) {
            $($crate::nn::state::Slot::each_mut(&mut self.$field, &mut |t| {
                f(&format!("{path}{}", stringify!($field)), $crate::nn::Kind::$kind, t)
            });)*
            let _ = (path, f);
        }
    };
}
pub(super) use visits;

/// Every tensor with its name, in PyTorch's order. The values are detached.
///
/// ```
/// use ganvil::nn::{Linear, state_dict};
/// use ganvil::{Generator, rng::Stream};
/// let f = Linear::new(3, 2, true, &Generator::new(0, Stream::Init));
/// let shapes: Vec<_> = state_dict(&f).into_iter().map(|(name, t)| (name, t.shape().to_vec())).collect();
/// assert_eq!(shapes, [("weight".to_owned(), vec![2, 3]), ("bias".to_owned(), vec![2])]);
/// ```
pub fn state_dict(module: &dyn Module) -> Vec<(String, Tensor)> {
    let mut all = Vec::new();
    module.visit("", &mut |name, _, t| all.push((name.to_owned(), t.detach())));
    all
}

/// Handles of the parameters, as [`crate::autograd::grad`] takes them. Drop them before an optimiser step, or it has
/// to copy.
///
/// ```
/// use ganvil::nn::{BatchNorm1d, parameters};
/// assert_eq!(parameters(&BatchNorm1d::new(3, 1e-5, 0.1)).len(), 2); // weight and bias, no buffers
/// ```
pub fn parameters(module: &dyn Module) -> Vec<Tensor> {
    let mut all = Vec::new();
    module.visit("", &mut |_, kind, t| {
        if kind == Kind::Parameter {
            all.push(t.clone());
        }
    });
    all
}

/// The gradients of a scalar with respect to a module's parameters, and to nothing else, in the order of [`parameters`];
/// None for those that it does not depend on. The graph is used up.
///
/// ```
/// use ganvil::nn::{Linear, Module, Ctx, gradients};
/// use ganvil::{Generator, Tensor, rng::Stream};
/// let f = Linear::new(2, 1, true, &Generator::new(0, Stream::Init));
/// let y = f.forward(&Tensor::from([[3.0f32, 4.0]]), &Ctx::eval()).sum_all();
/// let grads: Vec<Vec<f32>> = gradients(&y, &f).into_iter().map(|g| g.unwrap().to_vec()).collect();
/// assert_eq!(grads, [vec![3.0, 4.0], vec![1.0]]); // by weight and bias
/// ```
///
/// # Panics
/// As [`grad`].
#[track_caller]
pub fn gradients(scalar: &Tensor, module: &dyn Module) -> Vec<Option<Tensor>> {
    grad(&[scalar], &parameters(module).iter().collect::<Vec<_>>(), &[], false)
}

/// The parameters for writing, in the order of [`parameters`].
///
/// ```
/// use ganvil::nn::{Linear, parameters_mut};
/// use ganvil::optim::{Optimizer, Sgd};
/// use ganvil::{Generator, rng::Stream};
/// let mut f = Linear::new(1, 1, false, &Generator::new(0, Stream::Init));
/// let before = f.weight.item();
/// let slope = f.weight.ones_like().detach();
/// let mut sgd = Optimizer::new(Sgd { lr: 0.5, ..Sgd::default() });
/// sgd.step(parameters_mut(&mut f), vec![Some(slope)]);
/// assert_eq!(f.weight.item(), before - 0.5);
/// ```
pub fn parameters_mut(module: &mut dyn Module) -> Vec<&mut Tensor> {
    let mut all = Vec::new();
    module.visit_mut("", &mut |_, kind, t| {
        if kind == Kind::Parameter {
            all.push(t);
        }
    });
    all
}

/// Number of trained values.
///
/// ```
/// use ganvil::nn::{Linear, parameter_count};
/// use ganvil::{Generator, rng::Stream};
/// assert_eq!(parameter_count(&Linear::new(784, 10, true, &Generator::new(0, Stream::Init))), 7850);
/// ```
pub fn parameter_count(module: &dyn Module) -> usize {
    parameters(module).iter().map(Tensor::numel).sum()
}

/// Replaces every tensor of a module by the one of its name in `tensors`; `prefix` is put before the module's own
/// names, `file` is for messages.
///
/// # Errors
/// If a tensor is missing or has another shape. Nothing is changed then. Float types are converted to the module's.
///
/// ```
/// use ganvil::nn::{Linear, load_state_dict, state_dict};
/// use ganvil::{Generator, rng::Stream};
/// let fresh = |seed, width| Linear::new(width, 2, true, &Generator::new(seed, Stream::Init));
/// let (saved, mut f) = (fresh(0, 3), fresh(1, 3));
/// load_state_dict(&mut f, &state_dict(&saved).into_iter().collect(), "", "saved.safetensors".as_ref())?;
/// assert_eq!(f.weight.to_vec::<f32>(), saved.weight.to_vec::<f32>());
/// let other = state_dict(&fresh(0, 4)).into_iter().collect();
/// let error = load_state_dict(&mut f, &other, "", "other.safetensors".as_ref()).unwrap_err();
/// assert!(error.to_string().contains("tensor 'weight' is [2, 4] f32, the network wants [2, 3] f32"));
/// # Ok::<(), ganvil::Error>(())
/// ```
pub fn load_state_dict(
    module: &mut dyn Module,
    tensors: &HashMap<String, Tensor>,
    prefix: &str,
    file: &Path,
) -> Result<()> {
    let mut problem = None;
    module.visit(prefix, &mut |name, _, t| {
        let found = tensors.get(name);
        let fits = found.is_some_and(|x| x.shape() == t.shape() && x.dtype().is_float() == t.dtype().is_float());
        if !fits && problem.is_none() {
            problem = Some(match found {
                None => format!("has no tensor '{name}' (shape {:?})", t.shape()),
                Some(x) => format!(
                    "tensor '{name}' is {:?} {}, the network wants {:?} {}; was it saved from another architecture?",
                    x.shape(),
                    x.dtype(),
                    t.shape(),
                    t.dtype()
                ),
            });
        }
    });
    if let Some(problem) = problem {
        return Err(Error::format(file, problem));
    }
    module.visit_mut(prefix, &mut |name, kind, t| {
        let value = tensors[name].to_dtype(t.dtype()).to_device(t.device()).contiguous();
        *t = fresh(kind, value);
    });
    Ok(())
}

/// A value as a tensor of a module: a leaf of its own if it is trained.
fn fresh(kind: Kind, value: Tensor) -> Tensor {
    if kind == Kind::Parameter { value.detach().requires_grad() } else { value.detach() }
}

/// Converts every float tensor of a module to another float type. The parameters are new leaves.
///
/// ```
/// use ganvil::nn::{BatchNorm1d, to_dtype};
/// use ganvil::DType;
/// let mut norm = BatchNorm1d::new(3, 1e-5, 0.1);
/// to_dtype(&mut norm, DType::F64);
/// assert_eq!(norm.weight.dtype(), DType::F64);
/// assert_eq!(norm.num_batches_tracked.get().dtype(), DType::I64); // a counter stays one
/// ```
pub fn to_dtype(module: &mut dyn Module, dtype: DType) {
    module.visit_mut("", &mut |_, kind, t| {
        if t.dtype().is_float() {
            *t = fresh(kind, t.to_dtype(dtype));
        }
    });
}

/// Moves every tensor of a module to a device. The parameters are new leaves.
///
/// ```
/// use ganvil::nn::{Linear, to_device};
/// use ganvil::{Device, Generator, rng::Stream};
/// let mut f = Linear::new(3, 2, true, &Generator::new(0, Stream::Init));
/// to_device(&mut f, Device::Meta);
/// assert_eq!(f.weight.device(), Device::Meta);
/// ```
pub fn to_device(module: &mut dyn Module, device: Device) {
    module.visit_mut("", &mut |_, kind, t| *t = fresh(kind, t.to_device(device)));
}
