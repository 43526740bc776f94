//! Reverse mode: the walk.

use crate::backend::trace::{self, Open, Part};
use crate::error::misuse;
use crate::tensor::{Node, with_recording};
use crate::{Tensor, backend};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// How [`grad_with`] walks.
#[derive(Clone, Default)]
pub struct GradOptions<'a> {
    /// The gradient of each output (the vector of the vector-Jacobian product). Empty: ones, for outputs of one
    /// element.
    pub grad_outputs: &'a [Tensor],
    /// Build a graph of the gradients, so that they can be differentiated again. Implies `retain_graph`.
    pub create_graph: bool,
    /// Keep the saved values, so that the graph can be walked again.
    pub retain_graph: bool,
}

/// The gradients of the sum of `outputs` (weighted with `grad_outputs`, if any are given) with respect to `inputs`,
/// in their order; None for an input that the outputs do not depend on.
///
/// Only nodes on a path from an output to an input are visited, and of those only the gradients that lie on such a
/// path are computed. With `create_graph` the results can be differentiated again.
///
/// # Panics
/// If an input does not require a gradient, an output is not a scalar and has no gradient given, shapes do not
/// fit, or the graph was walked before.
///
/// ```
/// use ganvil::{Tensor, autograd::grad};
/// let x = Tensor::new(&[3.0f64], &[1]).requires_grad();
/// let y = x.pow(3.0);
/// let dy = grad(&[&y], &[&x], &[], true)[0].clone().unwrap();
/// let d2y = grad(&[&dy], &[&x], &[], false)[0].clone().unwrap();
/// assert_eq!((dy.item(), d2y.item()), (27.0, 18.0));
/// ```
#[track_caller]
pub fn grad(
    outputs: &[&Tensor],
    inputs: &[&Tensor],
    grad_outputs: &[Tensor],
    create_graph: bool,
) -> Vec<Option<Tensor>> {
    grad_with(outputs, inputs, &GradOptions { grad_outputs, create_graph, retain_graph: create_graph })
}

/// [`grad`] with every option.
///
/// ```
/// use ganvil::{Tensor, autograd::{GradOptions, grad_with}};
/// let x = Tensor::from(&[1.0f64, 2.0][..]).requires_grad();
/// let y = x.square();
/// let upstream = [Tensor::from(&[1.0f64, 10.0][..])];
/// let options = GradOptions { grad_outputs: &upstream, retain_graph: true, ..GradOptions::default() };
/// for _ in 0..2 {
///     let g = grad_with(&[&y], &[&x], &options)[0].clone().unwrap();
///     assert_eq!(g.to_vec::<f64>(), [2.0, 40.0]);
/// }
/// ```
#[track_caller]
pub fn grad_with(outputs: &[&Tensor], inputs: &[&Tensor], options: &GradOptions) -> Vec<Option<Tensor>> {
    let mut targets = Vec::with_capacity(inputs.len());
    for (i, t) in inputs.iter().enumerate() {
        match t.node() {
            Some(n) => targets.push(n.id()),
            None => misuse!(
                "grad",
                "input {i} (shape {:?}) does not require a gradient; make it with requires_grad",
                t.shape()
            ),
        }
    }
    let mut wanted: HashMap<u64, Option<Tensor>> = targets.iter().map(|&id| (id, None)).collect();
    let walk = Walk::plan(outputs, |n| wanted.contains_key(&n.id()));
    walk.run(seeds(outputs, options), options, |node, g| {
        if let Some(slot) = wanted.get_mut(&node.id()) {
            *slot = Some(g.clone());
        }
    });
    targets.iter().map(|id| wanted[id].clone()).collect()
}

impl Tensor {
    /// Adds the gradient of this scalar to every leaf it was computed from; see [`Tensor::grad`]. The graph's saved
    /// values are released on the way.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from(&[1.0f32, 2.0][..]).requires_grad();
    /// x.square().sum_all().backward();
    /// x.sum_all().backward();
    /// assert_eq!(x.grad().unwrap().to_vec::<f32>(), [3.0, 5.0]);
    /// ```
    ///
    /// # Panics
    /// If this is not one element, requires no gradient, or its graph was walked before.
    #[track_caller]
    pub fn backward(&self) {
        self.backward_with(&GradOptions::default());
    }

    /// [`Tensor::backward`] with a given upstream gradient, or for a graph that is walked again.
    ///
    /// ```
    /// use ganvil::{Tensor, autograd::GradOptions};
    /// let x = Tensor::from(&[1.0f32, 2.0][..]).requires_grad();
    /// let upstream = [Tensor::from(&[1.0f32, 10.0][..])];
    /// x.square().backward_with(&GradOptions { grad_outputs: &upstream, ..GradOptions::default() });
    /// assert_eq!(x.grad().unwrap().to_vec::<f32>(), [2.0, 40.0]);
    /// ```
    #[track_caller]
    pub fn backward_with(&self, options: &GradOptions) {
        if !self.is_tracked() {
            misuse!(
                "backward",
                "the tensor (shape {:?}) does not require a gradient; nothing it was computed from is made with requires_grad",
                self.shape()
            );
        }
        let outputs = [self];
        let walk = Walk::plan(&outputs, |n| n.op().is_none());
        walk.run(seeds(&outputs, options), options, |node, g| {
            if node.op().is_none() {
                let total = match node.take_grad() {
                    None => g.clone(),
                    Some(old) => with_recording(options.create_graph, || {
                        accumulate(old, g.clone(), !options.create_graph)
                    }),
                };
                node.set_grad(total);
            }
        });
    }
}

/// The gradient each output starts with.
#[track_caller]
fn seeds(outputs: &[&Tensor], options: &GradOptions) -> Vec<(Arc<Node>, Tensor)> {
    let given = options.grad_outputs;
    if !given.is_empty() && given.len() != outputs.len() {
        misuse!("grad", "{} outputs need as many grad_outputs or none, got {}", outputs.len(), given.len());
    }
    let mut seeds = Vec::new();
    for (i, y) in outputs.iter().enumerate() {
        let Some(node) = y.node() else { continue };
        let g = match given.get(i) {
            Some(g) if g.shape() == y.shape() && g.dtype() == y.dtype() && g.device() == y.device() => {
                g.clone()
            }
            Some(g) => misuse!(
                "grad",
                "the gradient given for output {i} is {:?} {} on {}, the output is {:?} {} on {}",
                g.shape(),
                g.dtype(),
                g.device(),
                y.shape(),
                y.dtype(),
                y.device()
            ),
            None if y.numel() == 1 => y.ones_like(),
            None => misuse!(
                "grad",
                "output {i} has shape {:?}; only a scalar starts with gradient 1, give grad_outputs or reduce it",
                y.shape()
            ),
        };
        seeds.push((node.clone(), g));
    }
    seeds
}

/// The nodes to visit, from outputs to inputs.
struct Walk {
    /// In descending order of creation: consumers before what they consumed.
    nodes: Vec<Arc<Node>>,
    /// Position of a node in `nodes`, for those on a path to a target.
    at: HashMap<u64, usize>,
}

impl Walk {
    /// Finds the nodes on a path from an output to a target.
    fn plan(outputs: &[&Tensor], is_target: impl Fn(&Node) -> bool) -> Walk {
        let mut reachable: HashMap<u64, Arc<Node>> = HashMap::new();
        let mut stack: Vec<Arc<Node>> = outputs.iter().filter_map(|t| t.node().cloned()).collect();
        while let Some(node) = stack.pop() {
            if let Entry::Vacant(unseen) = reachable.entry(node.id()) {
                stack.extend(node.inputs().iter().flatten().cloned());
                unseen.insert(node);
            }
        }
        let mut nodes: Vec<Arc<Node>> = reachable.into_values().collect();
        // Inputs are older than what is made of them: ascending order sees them first.
        nodes.sort_unstable_by_key(|n| n.id());
        let mut on_path: HashMap<u64, usize> = HashMap::new();
        nodes.retain(|n| {
            let needed = is_target(n) || n.inputs().iter().flatten().any(|i| on_path.contains_key(&i.id()));
            if needed {
                on_path.insert(n.id(), 0);
            }
            needed
        });
        nodes.reverse();
        let at = nodes.iter().enumerate().map(|(i, n)| (n.id(), i)).collect();
        Walk { nodes, at }
    }

    /// Visits the nodes, newest first, calling `visit` with each node's complete gradient and its rule for those of
    /// its inputs that are on a path.
    #[track_caller]
    fn run(
        self,
        seeds: Vec<(Arc<Node>, Tensor)>,
        options: &GradOptions,
        mut visit: impl FnMut(&Node, &Tensor),
    ) {
        if let Some(op) = self.nodes.iter().filter_map(|n| n.op()).find(|op| !op.is_differentiable()) {
            misuse!(
                op.name(),
                "has no derivative, but a gradient was asked for through it; detach its input, or do not ask"
            );
        }
        let (create, retain) = (options.create_graph, options.create_graph || options.retain_graph);
        let mut grads: Vec<Option<Tensor>> = vec![None; self.nodes.len()];
        with_recording(create, || {
            for (node, g) in seeds {
                if let Some(&i) = self.at.get(&node.id()) {
                    add_to(&mut grads[i], g, !create);
                }
            }
            let mut timed = Timed::default();
            for (i, node) in self.nodes.iter().enumerate() {
                timed.comes_to(node);
                let Some(g) = grads[i].take() else { continue };
                visit(node, &g);
                let Some(op) = node.op() else { continue };
                let needs: Vec<bool> = node
                    .inputs()
                    .iter()
                    .map(|n| n.as_ref().is_some_and(|n| self.at.contains_key(&n.id())))
                    .collect();
                if !needs.contains(&true) {
                    continue;
                }
                let Some(context) = node.context(&needs, retain) else {
                    misuse!(
                        op.name(),
                        "this part of the graph was walked before and its saved values are gone; set retain_graph on the first walk"
                    )
                };
                let input_grads = op.vjp_owned(&context, g);
                debug_assert_eq!(input_grads.len(), needs.len(), "{}: one gradient per input", op.name());
                drop(context);
                for (input, grad) in node.inputs().iter().zip(input_grads) {
                    let (Some(input), Some(grad)) = (input, grad) else { continue };
                    let Some(&j) = self.at.get(&input.id()) else { continue };
                    debug_assert_eq!(
                        grad.shape(),
                        input.shape(),
                        "{}: a gradient has its input's shape",
                        op.name()
                    );
                    debug_assert_eq!(
                        (grad.dtype(), grad.device()),
                        (input.dtype(), input.device()),
                        "{}: a gradient has its input's dtype and device",
                        op.name()
                    );
                    add_to(&mut grads[j], grad, !create);
                }
            }
        });
    }
}

/// The span of the module whose part of the graph is being walked, if spans are timed.
#[derive(Default)]
struct Timed(Option<(Option<Arc<str>>, Open)>);

impl Timed {
    /// Neighbours of one module share a span.
    fn comes_to(&mut self, node: &Node) {
        if !trace::is_timed() || self.0.as_ref().is_some_and(|(layer, _)| layer.as_ref() == node.layer()) {
            return;
        }
        self.0 = None;
        let name = || (node.layer().cloned().unwrap_or_default(), "");
        self.0 = Some((node.layer().cloned(), trace::slice(Part::Backward, name)));
    }
}

/// The first gradient is moved in, later ones are added.
fn add_to(slot: &mut Option<Tensor>, g: Tensor, in_place: bool) {
    *slot = Some(match slot.take() {
        None => g,
        Some(sum) => accumulate(sum, g, in_place),
    });
}

/// sum + g, in sum's own memory if nothing else holds it.
fn accumulate(mut sum: Tensor, g: Tensor, in_place: bool) -> Tensor {
    if in_place && !sum.is_tracked() && sum.layout().is_dense() {
        let device = sum.device();
        if let Some((storage, layout)) = sum.storage_mut() {
            backend::of(device).accumulate(g.view(), backend::ViewMut { storage, layout });
            return sum;
        }
    }
    sum.add(&g)
}
