//! Gradients against finite differences.

use super::grad;
use crate::rng::Stream;
use crate::{DType, Device, Generator, Tensor, no_grad};

/// Step and tolerances of a check, PyTorch's by default.
#[derive(Clone, Copy, Debug)]
pub struct CheckOptions {
    /// Half the distance of the two points of a central difference.
    pub eps: f64,
    /// Absolute tolerance.
    pub atol: f64,
    /// Relative tolerance.
    pub rtol: f64,
    /// Seed of the random projections.
    pub seed: u64,
}

impl Default for CheckOptions {
    fn default() -> Self {
        CheckOptions { eps: 1e-6, atol: 1e-5, rtol: 1e-3, seed: 0 }
    }
}

/// The vector that a Jacobian is projected on.
fn direction(shape: &[usize], random: &Generator) -> Tensor {
    random.normal(shape, 0.0, 1.0, DType::F64, Device::Cpu)
}

/// The inputs with element `j` (in row-major order) of input `i` moved by `by`.
fn moved(inputs: &[Tensor], i: usize, j: usize, by: f64) -> Vec<Tensor> {
    let mut delta = vec![0.0; inputs[i].numel()];
    delta[j] = by;
    let mut moved: Vec<Tensor> = inputs.iter().map(Tensor::detach).collect();
    moved[i] = moved[i].add(&Tensor::new(&delta, inputs[i].shape()));
    moved
}

/// Compares the gradients of `f` with central differences: for a random v, every element of the gradient of
/// `sum(f(x) v)` with respect to every input.
///
/// `f` must be a function of its inputs (no random numbers, no state), differentiable where it is checked: keep
/// inputs away from kinks. Inputs are f64; all of them are checked.
///
/// ```
/// use ganvil::Tensor;
/// use ganvil::autograd::{CheckOptions, gradcheck};
/// let x = Tensor::from(&[0.5f64, -1.5][..]);
/// let f = |x: &[Tensor]| x[0].tanh().square();
/// assert_eq!(gradcheck(f, &[x], &CheckOptions::default()), Ok(()));
/// ```
///
/// # Errors
/// Names the input, the element and both values where they differ by more than `atol + rtol |numeric|`.
///
/// # Panics
/// If an input is not f64.
#[track_caller]
pub fn gradcheck(
    f: impl Fn(&[Tensor]) -> Tensor,
    inputs: &[Tensor],
    options: &CheckOptions,
) -> Result<(), String> {
    for (i, x) in inputs.iter().enumerate() {
        assert_eq!(x.dtype(), DType::F64, "gradcheck: input {i} must be f64");
    }
    let random = Generator::new(options.seed, Stream::General);
    let leaves: Vec<Tensor> = inputs.iter().map(|x| x.detach().requires_grad()).collect();
    let y = f(&leaves);
    let v = direction(y.shape(), &random);
    let objective = |xs: &[Tensor]| no_grad(|| f(xs).mul(&v).sum_all().item());
    let analytic: Vec<Option<Tensor>> = if y.is_tracked() {
        grad(&[&y], &leaves.iter().collect::<Vec<_>>(), std::slice::from_ref(&v), false)
    } else {
        vec![None; leaves.len()]
    };
    for (i, x) in inputs.iter().enumerate() {
        let got = match &analytic[i] {
            Some(g) if g.shape() != x.shape() => {
                return Err(format!(
                    "the gradient of input {i} has shape {:?}, not {:?}",
                    g.shape(),
                    x.shape()
                ));
            }
            Some(g) => g.to_vec::<f64>(),
            None => vec![0.0; x.numel()],
        };
        for (j, &a) in got.iter().enumerate() {
            let n = (objective(&moved(inputs, i, j, options.eps))
                - objective(&moved(inputs, i, j, -options.eps)))
                / (2.0 * options.eps);
            let near = (a - n).abs() <= options.atol + options.rtol * n.abs();
            if !near {
                return Err(format!(
                    "input {i} (shape {:?}), element {j}: the rule gives {a}, finite differences {n}",
                    x.shape()
                ));
            }
        }
    }
    Ok(())
}

/// Compares second derivatives with central differences: [`gradcheck`] of the function that maps inputs and upstream
/// gradient to the gradients, which are joined into one vector.
///
/// ```
/// use ganvil::Tensor;
/// use ganvil::autograd::{CheckOptions, gradgradcheck};
/// let x = Tensor::from(&[0.5f64, -1.5][..]);
/// let f = |x: &[Tensor]| x[0].tanh().square();
/// assert_eq!(gradgradcheck(f, &[x], &CheckOptions::default()), Ok(()));
/// ```
///
/// # Errors
/// As [`gradcheck`]; the last input it may name is the upstream gradient.
///
/// # Panics
/// If an input is not f64.
#[track_caller]
pub fn gradgradcheck(
    f: impl Fn(&[Tensor]) -> Tensor,
    inputs: &[Tensor],
    options: &CheckOptions,
) -> Result<(), String> {
    let random = Generator::new(options.seed + 1, Stream::General);
    let shape = no_grad(|| f(inputs)).shape().to_vec();
    let mut extended = inputs.to_vec();
    extended.push(direction(&shape, &random));
    gradcheck(
        |xs| {
            let (v, inputs) = xs.split_last().expect("the upstream gradient was appended");
            // A second walk needs leaves of its own when the caller records nothing.
            crate::tensor::with_recording(true, || {
                let leaves: Vec<Tensor> = inputs
                    .iter()
                    .map(|x| if x.is_tracked() { x.clone() } else { x.clone().requires_grad() })
                    .collect();
                let y = f(&leaves);
                let grads = if y.is_tracked() {
                    grad(&[&y], &leaves.iter().collect::<Vec<_>>(), std::slice::from_ref(v), true)
                } else {
                    vec![None; leaves.len()]
                };
                let flat: Vec<Tensor> = grads
                    .into_iter()
                    .zip(&leaves)
                    .map(|(g, x)| g.unwrap_or_else(|| x.zeros_like()).reshape(&[x.numel()]))
                    .collect();
                Tensor::cat(&flat.iter().collect::<Vec<_>>(), 0)
            })
        },
        &extended,
        options,
    )
}
