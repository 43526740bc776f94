//! The tensor: a cheap-to-clone, immutable value.

mod convert;
mod create;
mod display;
pub(crate) mod node;
mod random;

pub(crate) use create::Unwritten;
pub(crate) use node::{Node, with_recording};
pub use node::{is_recording, live_nodes, no_grad};
pub use random::Generator;

use crate::backend::{self, Backend, Storage, View};
use crate::{DType, Device, Layout};
use std::sync::Arc;

/// An n-dimensional array with a run-time shape, dtype and device, and, if anything it was computed from requires
/// a gradient, the node of the graph that it came from.
///
/// A tensor is a value: no op writes to its inputs, and clones share memory safely. Cloning copies two pointers
/// and a layout. Methods are named as in PyTorch; `+ - * /` broadcast.
///
/// Using a tensor wrongly (shapes that do not fit, mixed dtypes or devices) is a bug in the calling code and
/// panics with a message that names the op, the shapes and the rule.
///
/// ```
/// use ganvil::Tensor;
/// let x = Tensor::new(&[1.0f32, 2.0, 3.0, 4.0], &[2, 2]).requires_grad();
/// let y = (&x * &x).sum_all();
/// y.backward();
/// assert_eq!(x.grad().unwrap().to_vec::<f32>(), [2.0, 4.0, 6.0, 8.0]);
/// ```
#[derive(Clone)]
pub struct Tensor {
    storage: Arc<Storage>,
    layout: Layout,
    node: Option<Arc<Node>>,
}

impl Tensor {
    /// A value without a graph.
    pub(crate) fn from_parts(storage: Arc<Storage>, layout: Layout) -> Tensor {
        Tensor { storage, layout, node: None }
    }

    pub(crate) fn with_node(self, node: Option<Arc<Node>>) -> Tensor {
        Tensor { node, ..self }
    }

    /// The node of the graph that this tensor came from; a leaf's own node if it requires a gradient.
    pub(crate) fn node(&self) -> Option<&Arc<Node>> {
        self.node.as_ref()
    }

    /// The size of each dimension; `[]` for a scalar.
    pub fn shape(&self) -> &[usize] {
        self.layout.shape()
    }

    /// The size of one dimension; negative numbers count from the end.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// assert_eq!(Tensor::from([[1.0f32, 2.0]]).size(-1), 2);
    /// ```
    #[track_caller]
    pub fn size(&self, dim: isize) -> usize {
        self.shape()[self.dim("size", dim)]
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.layout.rank()
    }

    /// Number of elements.
    pub fn numel(&self) -> usize {
        self.layout.numel()
    }

    /// The type of the elements.
    pub fn dtype(&self) -> DType {
        self.storage.dtype()
    }

    /// Where the elements live.
    pub fn device(&self) -> Device {
        self.storage.device()
    }

    /// How the elements lie in memory.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The storage and layout, as backends take them.
    pub(crate) fn view(&self) -> View<'_> {
        View { storage: &self.storage, layout: &self.layout }
    }

    /// The kernels of this tensor's device.
    pub(crate) fn backend(&self) -> &'static dyn Backend {
        backend::of(self.device())
    }

    /// The storage for writing, if this handle is its only owner: no view, no clone, no graph holds it.
    pub(crate) fn storage_mut(&mut self) -> Option<(&mut Storage, &Layout)> {
        Arc::get_mut(&mut self.storage).map(|s| (s, &self.layout))
    }

    /// The same elements read in another way, without a graph.
    pub(crate) fn viewed(&self, layout: Layout) -> Tensor {
        Tensor::from_parts(self.storage.clone(), layout)
    }

    /// Whether gradients flow to or through this tensor.
    pub fn is_tracked(&self) -> bool {
        self.node.is_some()
    }

    /// This value as a leaf of the graph: [`Tensor::backward`] will give it a gradient. Any history is left behind.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from(&[3.0f32][..]).requires_grad();
    /// x.square().sum_all().backward();
    /// assert_eq!(x.grad().unwrap().item(), 6.0);
    /// ```
    ///
    /// # Panics
    /// If the dtype is not a float.
    #[track_caller]
    pub fn requires_grad(self) -> Tensor {
        if !self.dtype().is_float() {
            crate::error::misuse!(
                "requires_grad",
                "a tensor of dtype {} cannot have a gradient; convert it to a float with to_dtype first",
                self.dtype()
            );
        }
        let node = Node::leaf(&self);
        Tensor { node: Some(node), ..self }
    }

    /// The same value without its history: a constant to whatever is computed from it.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from(&[3.0f32][..]).requires_grad();
    /// assert!(x.square().is_tracked() && !x.square().detach().is_tracked());
    /// ```
    pub fn detach(&self) -> Tensor {
        self.viewed(self.layout)
    }

    /// The gradient that [`Tensor::backward`] has accumulated in this leaf, if any.
    pub fn grad(&self) -> Option<Tensor> {
        self.node.as_ref().and_then(|n| n.grad())
    }

    /// Removes and returns the accumulated gradient.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from(&[3.0f32][..]).requires_grad();
    /// x.square().sum_all().backward();
    /// assert!(x.take_grad().is_some() && x.grad().is_none());
    /// ```
    pub fn take_grad(&self) -> Option<Tensor> {
        self.node.as_ref().and_then(|n| n.take_grad())
    }

    /// The storage for updating in place, row-major from offset 0. If anything else holds it (a graph that is still
    /// alive, another handle), this handle moves to a copy first and the others keep the old value; either way a
    /// leaf stays the same leaf.
    pub(crate) fn make_unique(&mut self) -> &mut Storage {
        let covers = self.layout.offset() == 0 && self.storage.len() == self.numel();
        if !covers || !self.layout.is_contiguous() || Arc::get_mut(&mut self.storage).is_none() {
            let copy = self.detach().copied_to(Layout::contiguous(self.shape()));
            self.storage = copy.storage;
            self.layout = copy.layout;
        }
        Arc::get_mut(&mut self.storage).expect("a fresh copy has one owner")
    }
}
