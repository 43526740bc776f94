//! Initial values. Drawn on the host through rand_distr, element by element in row-major order.

use crate::{DType, Device, Generator, Tensor};
use rand_distr::{Distribution, Normal, Uniform};

/// Independent samples of a distribution.
fn sample(shape: &[usize], d: impl Distribution<f32>, random: &Generator) -> Tensor {
    let n = shape.iter().product();
    let values: Vec<f32> = d.sample_iter(random.host()).take(n).collect();
    Tensor::new(&values, shape)
}

/// U(-bound, bound); zeros for bound 0.
pub fn uniform(shape: &[usize], bound: f32, random: &Generator) -> Tensor {
    match Uniform::new_inclusive(-bound, bound) {
        Ok(d) if bound > 0.0 => sample(shape, d, random),
        _ => Tensor::zeros(shape, DType::F32, Device::Cpu),
    }
}

/// N(mean, std^2).
///
/// # Panics
/// If std is negative or not finite.
pub fn normal(shape: &[usize], mean: f32, std: f32, random: &Generator) -> Tensor {
    sample(shape, Normal::new(mean, std).expect("a standard deviation is finite and not negative"), random)
}

/// Inputs of one output of a weight `[out, in, ..]`, and outputs of one input.
fn fans(shape: &[usize]) -> (usize, usize) {
    let field: usize = shape.iter().skip(2).product();
    (shape.get(1).copied().unwrap_or(1) * field, shape.first().copied().unwrap_or(1) * field)
}

/// U(-b, b) with b = 1/sqrt(fan_in): the default of PyTorch's Linear, for its weight. It is He et al.'s uniform
/// initialisation (2015, arXiv:1502.01852) with a leaky slope of sqrt(5).
pub fn kaiming_uniform(shape: &[usize], random: &Generator) -> Tensor {
    uniform(shape, 1.0 / (fans(shape).0.max(1) as f32).sqrt(), random)
}

/// U(-b, b) with b = gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010).
pub fn xavier_uniform(shape: &[usize], gain: f32, random: &Generator) -> Tensor {
    let (fan_in, fan_out) = fans(shape);
    uniform(shape, gain * (6.0 / (fan_in + fan_out).max(1) as f32).sqrt(), random)
}
