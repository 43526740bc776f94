//! Parameters and buffers by name.

use super::Module;
use crate::{DType, Error, Result, Tensor};
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

/// What a module's tensor is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Trained: a leaf of the graph.
    Parameter,
    /// State that forward passes update: running statistics, counters.
    Buffer,
}

/// A tensor that forward passes replace. It is replaced as a whole, so that graphs built earlier keep their value.
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
pub fn state_dict(module: &dyn Module) -> Vec<(String, Tensor)> {
    let mut all = Vec::new();
    module.visit("", &mut |name, _, t| all.push((name.to_owned(), t.detach())));
    all
}

/// Handles of the parameters, as [`crate::autograd::grad`] takes them. Drop them before an optimiser step, or it has
/// to copy.
pub fn parameters(module: &dyn Module) -> Vec<Tensor> {
    let mut all = Vec::new();
    module.visit("", &mut |_, kind, t| {
        if kind == Kind::Parameter {
            all.push(t.clone());
        }
    });
    all
}

/// The parameters for writing, in the order of [`parameters`].
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
pub fn parameter_count(module: &dyn Module) -> usize {
    parameters(module).iter().map(Tensor::numel).sum()
}

/// Replaces every tensor of a module by the one of its name in `tensors`; `prefix` is put before the module's own
/// names, `file` is for messages.
///
/// # Errors
/// If a tensor is missing or has another shape. Nothing is changed then. Float types are converted to the module's.
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
        *t = if kind == Kind::Parameter { value.requires_grad() } else { value.detach() };
    });
    Ok(())
}

/// Converts every float tensor of a module to another float type.
pub fn convert(module: &mut dyn Module, dtype: DType) {
    module.visit_mut("", &mut |_, kind, t| {
        if t.dtype().is_float() {
            let value = t.detach().to_dtype(dtype);
            *t = if kind == Kind::Parameter { value.requires_grad() } else { value };
        }
    });
}
