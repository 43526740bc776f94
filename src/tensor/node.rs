//! The graph: what a tensor remembers of how it was computed.

use super::Tensor;
use crate::backend::{Storage, trace};
use crate::local::{self, RECORDING};
use crate::{DType, Device, Dims, Layout};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// An operation's derivative rule.
///
/// The rule is written in terms of tensor operations, so that running it with recording on gives a graph of the
/// gradient, and second and higher derivatives come for free.
pub trait Op: Send + Sync {
    /// The op's name in messages.
    fn name(&self) -> &'static str;

    /// Whether there is a rule; false for [`NonDifferentiable`] only.
    fn is_differentiable(&self) -> bool {
        true
    }

    /// The vector-Jacobian product: from the gradient of the result to one gradient for each input that needs one
    /// ([`Context::needs`]), of that input's shape; None for the others.
    fn vjp(&self, c: &Context, grad: &Tensor) -> Vec<Option<Tensor>>;

    /// The same from a gradient that nobody asks for afterwards, in whose memory the result may be written.
    fn vjp_owned(&self, c: &Context, grad: Tensor) -> Vec<Option<Tensor>> {
        self.vjp(c, &grad)
    }
}

/// Marks the result of an op without a derivative (comparisons, rounding casts): asking for a gradient through it
/// panics instead of giving zeros.
pub struct NonDifferentiable(pub &'static str);

impl Op for NonDifferentiable {
    fn name(&self) -> &'static str {
        self.0
    }
    fn is_differentiable(&self) -> bool {
        false
    }
    fn vjp(&self, _: &Context, _: &Tensor) -> Vec<Option<Tensor>> {
        unreachable!("a walk refuses to begin where it would pass {}", self.0)
    }
}

/// What a rule sees: the values that the forward pass saved, and which inputs need a gradient.
pub struct Context<'a> {
    saved: Vec<Option<Tensor>>,
    needs: &'a [bool],
}

impl Context<'_> {
    /// The i-th value that was saved.
    pub fn saved(&self, i: usize) -> &Tensor {
        self.saved[i]
            .as_ref()
            .expect("a rule asked for a value that its op saved only for another input's sake")
    }

    /// Whether input `i` needs a gradient.
    pub fn needs(&self, i: usize) -> bool {
        self.needs[i]
    }
}

/// What an op wants kept for its rule.
pub(crate) enum Save<'a> {
    /// A value: an input, or something computed on the way.
    Value(&'a Tensor),
    /// A value that is used only if the condition holds.
    If(bool, &'a Tensor),
    /// The op's own result.
    Output,
}

/// A kept value. The op's own result is kept without its node, or node and value would own each other.
#[derive(Clone)]
enum Saved {
    Value(Tensor),
    Output(Arc<Storage>, Layout),
    Nothing,
}

enum Saves {
    Here(Vec<Saved>),
    Taken,
}

/// A node of the graph: the op that made a tensor, or a leaf.
pub(crate) struct Node {
    /// Grows with creation, so that a node's inputs have smaller numbers than the node.
    id: u64,
    /// None for a leaf.
    op: Option<Box<dyn Op>>,
    /// The nodes of the inputs; None for inputs that need no gradient.
    inputs: Vec<Option<Arc<Node>>>,
    saves: Mutex<Saves>,
    grad: Mutex<Option<Tensor>>,
    shape: Dims,
    dtype: DType,
    device: Device,
    /// The module that computed it, if that was timed.
    layer: Option<Arc<str>>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// The number of op nodes alive in the process (leaves not counted). Zero after a training step, or something
/// holds on to a graph.
///
/// ```
/// use ganvil::{Tensor, live_nodes};
/// let x = Tensor::from(&[3.0f32][..]).requires_grad();
/// let y = x.exp();
/// assert!(live_nodes() >= 1, "y's own, and those of other threads");
/// ```
pub fn live_nodes() -> usize {
    LIVE.load(Ordering::Relaxed)
}

/// Whether ops on this thread build a graph.
pub fn is_recording() -> bool {
    RECORDING.with_borrow(|on| *on)
}

/// Runs `f` with recording set to `on`, and restores it whatever happens.
pub(crate) fn with_recording<R>(on: bool, f: impl FnOnce() -> R) -> R {
    local::with(&RECORDING, on, f)
}

/// Runs `f` without building a graph: results inside do not require gradients.
///
/// ```
/// use ganvil::{DType, Device, Tensor, no_grad};
/// let x = Tensor::ones(&[2], DType::F32, Device::Cpu).requires_grad();
/// assert!(!no_grad(|| &x + &x).is_tracked());
/// ```
pub fn no_grad<R>(f: impl FnOnce() -> R) -> R {
    with_recording(false, f)
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(|e| e.into_inner())
}

impl Node {
    fn new(
        op: Option<Box<dyn Op>>,
        inputs: Vec<Option<Arc<Node>>>,
        saves: Vec<Saved>,
        of: &Tensor,
    ) -> Arc<Node> {
        if op.is_some() {
            LIVE.fetch_add(1, Ordering::Relaxed);
        }
        Arc::new(Node {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            op,
            inputs,
            saves: Mutex::new(Saves::Here(saves)),
            grad: Mutex::new(None),
            shape: Dims::from_slice(of.shape()),
            dtype: of.dtype(),
            device: of.device(),
            layer: trace::layer(),
        })
    }

    pub(crate) fn leaf(of: &Tensor) -> Arc<Node> {
        Node::new(None, Vec::new(), Vec::new(), of)
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// None for a leaf.
    pub(crate) fn op(&self) -> Option<&dyn Op> {
        self.op.as_deref()
    }

    pub(crate) fn inputs(&self) -> &[Option<Arc<Node>>] {
        &self.inputs
    }

    pub(crate) fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub(crate) fn dtype(&self) -> DType {
        self.dtype
    }

    pub(crate) fn device(&self) -> Device {
        self.device
    }

    pub(crate) fn layer(&self) -> Option<&Arc<str>> {
        self.layer.as_ref()
    }

    pub(crate) fn grad(&self) -> Option<Tensor> {
        lock(&self.grad).clone()
    }

    pub(crate) fn take_grad(&self) -> Option<Tensor> {
        lock(&self.grad).take()
    }

    pub(crate) fn set_grad(&self, g: Tensor) {
        *lock(&self.grad) = Some(g);
    }

    /// The saved values for this node's rule; taken out of the node unless they are to be retained. None if an
    /// earlier walk took them.
    pub(crate) fn context<'a>(self: &Arc<Node>, needs: &'a [bool], retain: bool) -> Option<Context<'a>> {
        let mut guard = lock(&self.saves);
        let saves = match (&mut *guard, retain) {
            (Saves::Taken, _) => return None,
            (Saves::Here(s), true) => s.clone(),
            (here, false) => match std::mem::replace(here, Saves::Taken) {
                Saves::Here(s) => s,
                Saves::Taken => return None,
            },
        };
        drop(guard);
        let saved = saves
            .into_iter()
            .map(|s| match s {
                Saved::Value(t) => Some(t),
                Saved::Output(storage, layout) => {
                    Some(Tensor::from_parts(storage, layout).with_node(Some(self.clone())))
                }
                Saved::Nothing => None,
            })
            .collect();
        Some(Context { saved, needs })
    }

    /// Moves everything this node owns of the graph to a list, so that long chains are dropped by a loop and not
    /// by recursion.
    fn dismantle(&mut self, rest: &mut Vec<Arc<Node>>) {
        rest.extend(self.inputs.drain(..).flatten());
        let saves = self.saves.get_mut().unwrap_or_else(|e| e.into_inner());
        if let Saves::Here(saves) = std::mem::replace(saves, Saves::Taken) {
            rest.extend(saves.into_iter().filter_map(|s| match s {
                Saved::Value(mut t) => t.node.take(),
                _ => None,
            }));
        }
        if let Some(mut g) = self.grad.get_mut().unwrap_or_else(|e| e.into_inner()).take() {
            rest.extend(g.node.take());
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.op.is_some() {
            LIVE.fetch_sub(1, Ordering::Relaxed);
        }
        let mut rest = Vec::new();
        self.dismantle(&mut rest);
        while let Some(node) = rest.pop() {
            if let Some(mut node) = Arc::into_inner(node) {
                node.dismantle(&mut rest);
            }
        }
    }
}

impl Tensor {
    /// Attaches the graph to an op's result: a node if recording is on and any input is tracked, else nothing.
    /// `inputs` are the tensors the rule returns gradients for, in order.
    pub(crate) fn record(self, op: impl Op + 'static, inputs: &[&Tensor], saves: &[Save]) -> Tensor {
        debug_assert!(self.node().is_none(), "record is for fresh values");
        if !is_recording() || !inputs.iter().any(|t| t.is_tracked()) {
            return self;
        }
        let saves = saves
            .iter()
            .map(|s| match *s {
                Save::Value(t) | Save::If(true, t) => Saved::Value(t.clone()),
                Save::If(false, _) => Saved::Nothing,
                Save::Output => Saved::Output(self.storage.clone(), self.layout),
            })
            .collect();
        let inputs = inputs.iter().map(|t| t.node().cloned()).collect();
        let node = Node::new(Some(Box::new(op)), inputs, saves, &self);
        self.with_node(Some(node))
    }
}
