//! Modules side by side.

use super::{Ctx, Kind, Module, Sequential};
use crate::Tensor;
use crate::error::misuse;
use serde::{Deserialize, Serialize};

/// How the results of [`Branches`] become one.
///
/// ```
/// use ganvil::nn::Join;
/// assert_eq!(serde_json::from_str::<Join>("\"sum\"")?, Join::Sum);
/// assert_eq!(serde_json::from_str::<Join>("{ \"cat\": 1 }")?, Join::Cat(1));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    /// Joined along this dimension; negative numbers count from the end.
    Cat(isize),
    /// Added; all of one shape.
    Sum,
}

/// Applies several modules to the same input and joins what they give.
///
/// The i-th module is named `i`, so that state-dict names are `0.weight`, `1.weight`, ... as in PyTorch's ModuleList.
/// A pass panics if what the branches give cannot be joined, naming two of them and the path.
///
/// ```
/// use ganvil::nn::{Branches, Ctx, Join, Module, ReLU, Sigmoid, Tanh};
/// use ganvil::Tensor;
/// let x = Tensor::from([[-1.0f32, 2.0]]);
/// let both = Branches::new(Join::Cat(1)).with(ReLU).with(Tanh);
/// assert_eq!(both.forward(&x, &Ctx::eval()).shape(), [1, 4]);
/// let sum = Branches::new(Join::Sum).with(ReLU).with(ReLU).with(ReLU);
/// assert_eq!(sum.forward(&x, &Ctx::eval()).to_vec::<f32>(), [0.0, 6.0]);
/// ```
#[derive(Clone)]
pub struct Branches {
    modules: Sequential,
    join: Join,
}

impl Branches {
    /// No branch yet.
    pub fn new(join: Join) -> Branches {
        Branches { modules: Sequential::new(), join }
    }

    /// With one more branch.
    pub fn with(mut self, module: impl Module + 'static) -> Branches {
        self.push(Box::new(module));
        self
    }

    /// Adds a branch.
    ///
    /// ```
    /// use ganvil::nn::{Branches, Ctx, Flatten, Join, Module};
    /// let mut both = Branches::new(Join::Cat(-1));
    /// both.push(Box::new(Flatten));
    /// both.push(Box::new(Flatten));
    /// let y = both.forward(&ganvil::Tensor::from([[1.0f32, 2.0]]), &Ctx::eval());
    /// assert_eq!(y.to_vec::<f32>(), [1.0, 2.0, 1.0, 2.0]);
    /// ```
    pub fn push(&mut self, module: Box<dyn Module>) {
        self.modules.push(module);
    }

    /// Panics unless the branches' results can be joined.
    fn check(&self, x: &Tensor, parts: &[Tensor]) {
        let Some(first) = parts.first() else {
            misuse!("branches", "there is no branch to give x {:?} to; add one with `with`", x.shape());
        };
        let along = match self.join {
            Join::Sum => None,
            Join::Cat(dim) => Some(first.dim("branches", dim)),
        };
        for (i, part) in parts.iter().enumerate() {
            let (a, b) = (first.shape(), part.shape());
            if a.len() != b.len() || (0..a.len()).any(|d| a[d] != b[d] && Some(d) != along) {
                misuse!(
                    "branches",
                    "branch 0 makes {a:?} and branch {i} {b:?} of x {:?}; to be joined by {:?} they must {}",
                    x.shape(),
                    self.join,
                    if along.is_some() { "differ in that dimension alone" } else { "have one shape" }
                );
            }
        }
    }
}

impl Module for Branches {
    fn forward(&self, x: &Tensor, ctx: &Ctx) -> Tensor {
        let parts: Vec<Tensor> = self.modules.parts().map(|(name, m)| ctx.apply(name, m, x)).collect();
        self.check(x, &parts);
        match self.join {
            Join::Cat(dim) => Tensor::cat(&parts.iter().collect::<Vec<_>>(), dim),
            Join::Sum => parts.into_iter().reduce(|a, b| a.add(&b)).expect("there is a branch"),
        }
    }

    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Kind, &Tensor)) {
        self.modules.visit(path, f);
    }

    fn visit_mut<'a>(&'a mut self, path: &str, f: &mut dyn FnMut(&str, Kind, &'a mut Tensor)) {
        self.modules.visit_mut(path, f);
    }

    fn is_per_sample(&self) -> bool {
        self.modules.is_per_sample() && self.join != Join::Cat(0)
    }

    fn visit_weights(&self, path: &str, f: &mut dyn FnMut(&str, &Tensor, isize)) {
        self.modules.visit_weights(path, f);
    }
}
