//! Initial values. Drawn on the host through rand_distr, element by element in row-major order; f32 on the CPU.
//!
//! | who | what |
//! |---|---|
//! | PyTorch's layers | [`Init::Default`]: U(±1/sqrt(fan_in)), embeddings N(0, 1) |
//! | DCGAN, CycleGAN, pix2pix | [`Init::Normal`] with 0.02, also for the gains of normalisations |
//! | WGAN-GP, SNGAN | [`Init::KaimingNormal`] or [`Init::XavierUniform`] |
//! | BigGAN | [`Init::Orthogonal`] |
//!
//! Weights are `[out, in, ..]`; what is behind is the field of a convolution. As in PyTorch, fans are read off the
//! shape alone, so that those of a transposed convolution, `[in, out, ..]`, are exchanged.

mod apply;
mod orthogonal;

pub use apply::{Init, apply};
pub use orthogonal::orthogonal;

use crate::error::misuse;
use crate::{DType, Device, Generator, Tensor};
use rand_distr::{Distribution, Normal, Uniform};
use serde::{Deserialize, Serialize};

/// Independent samples of a distribution.
fn sample(shape: &[usize], d: impl Distribution<f32>, random: &Generator) -> Tensor {
    let n = shape.iter().product();
    let values: Vec<f32> = d.sample_iter(random.host()).take(n).collect();
    Tensor::new(&values, shape)
}

/// U(-bound, bound); zeros for bound 0.
///
/// ```
/// use ganvil::{Generator, nn::init, rng::Stream};
/// let w = init::uniform(&[100, 100], 0.5, &Generator::new(0, Stream::Init)).to_vec::<f32>();
/// assert!(w.iter().all(|v| v.abs() <= 0.5) && w.iter().any(|v| v.abs() > 0.49));
/// ```
///
/// # Panics
/// If the bound is negative or not finite.
#[track_caller]
pub fn uniform(shape: &[usize], bound: f64, random: &Generator) -> Tensor {
    let bound = bound as f32;
    match Uniform::new_inclusive(-bound, bound) {
        Ok(d) if bound > 0.0 => sample(shape, d, random),
        _ if bound == 0.0 => constant(shape, 0.0),
        _ => misuse!("uniform", "the bound must be finite and 0 or more, got {bound} (shape {shape:?})"),
    }
}

/// N(mean, std^2).
///
/// ```
/// use ganvil::{Generator, nn::init, rng::Stream};
/// let w = init::normal(&[100, 100], 1.0, 0.02, &Generator::new(0, Stream::Init));
/// assert!((w.mean_all().item() - 1.0).abs() < 0.001);
/// ```
///
/// # Panics
/// If std is negative or not finite.
#[track_caller]
pub fn normal(shape: &[usize], mean: f64, std: f64, random: &Generator) -> Tensor {
    match Normal::new(mean as f32, std as f32) {
        Ok(d) if std >= 0.0 => sample(shape, d, random),
        _ => misuse!(
            "normal",
            "the standard deviation must be finite and 0 or more, got {std} (shape {shape:?})"
        ),
    }
}

/// Every element the same.
///
/// ```
/// assert_eq!(ganvil::nn::init::constant(&[2], 0.5).to_vec::<f32>(), [0.5, 0.5]);
/// ```
pub fn constant(shape: &[usize], value: f64) -> Tensor {
    Tensor::full(shape, value, DType::F32, Device::Cpu)
}

/// Which of a weight's two sizes decides its standard deviation.
///
/// ```
/// use ganvil::nn::init::{FanMode, Nonlinearity, kaiming_uniform};
/// use ganvil::{Generator, rng::Stream};
/// let random = Generator::new(0, Stream::Init);
/// let largest = |mode| {
///     let w = kaiming_uniform(&[300, 3], Nonlinearity::Linear, mode, &random);
///     w.to_vec::<f32>().into_iter().fold(0.0, f32::max)
/// };
/// assert!(largest(FanMode::FanIn) > 9.0 * largest(FanMode::FanOut)); // sqrt(300 / 3) = 10
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FanMode {
    /// Activations keep their variance on the way forward.
    #[default]
    FanIn,
    /// Gradients keep it on the way back.
    FanOut,
}

/// What follows a weight: it decides the gain that makes up for the variance lost there.
///
/// ```
/// use ganvil::nn::init::Nonlinearity;
/// let after: Nonlinearity = serde_json::from_str(r#"{ "leaky_relu": 0.2 }"#)?;
/// assert_eq!(after, Nonlinearity::LeakyRelu(0.2));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nonlinearity {
    /// Nothing; gain 1.
    Linear,
    /// Gain 1.
    Sigmoid,
    /// Gain 5/3.
    Tanh,
    /// Gain sqrt(2).
    #[default]
    Relu,
    /// With this slope a on the negative side; gain sqrt(2 / (1 + a^2)).
    LeakyRelu(f64),
}

impl Nonlinearity {
    /// The factor of the standard deviation; PyTorch's values.
    ///
    /// ```
    /// use ganvil::nn::init::Nonlinearity;
    /// assert_eq!(Nonlinearity::Relu.gain(), 2f64.sqrt());
    /// assert_eq!(Nonlinearity::LeakyRelu(1.0).gain(), Nonlinearity::Linear.gain());
    /// ```
    pub fn gain(self) -> f64 {
        match self {
            Nonlinearity::Linear | Nonlinearity::Sigmoid => 1.0,
            Nonlinearity::Tanh => 5.0 / 3.0,
            Nonlinearity::Relu => 2f64.sqrt(),
            Nonlinearity::LeakyRelu(slope) => (2.0 / (1.0 + slope * slope)).sqrt(),
        }
    }
}

/// Inputs of one output of a weight `[out, in, ..]`, and outputs of one input; at least 1, so that a weight without
/// elements has a standard deviation as well.
#[track_caller]
fn fans(op: &str, shape: &[usize]) -> (f64, f64) {
    let [outputs, inputs, field @ ..] = shape else {
        misuse!(op, "needs the shape of a weight, [out, in, ..], got {shape:?}");
    };
    let field: usize = field.iter().product();
    ((inputs * field).max(1) as f64, (outputs * field).max(1) as f64)
}

#[track_caller]
fn xavier_std(op: &str, shape: &[usize], gain: f64) -> f64 {
    let (fan_in, fan_out) = fans(op, shape);
    gain * (2.0 / (fan_in + fan_out)).sqrt()
}

#[track_caller]
fn kaiming_std(op: &str, shape: &[usize], nonlinearity: Nonlinearity, mode: FanMode) -> f64 {
    let (fan_in, fan_out) = fans(op, shape);
    let fan = if mode == FanMode::FanIn { fan_in } else { fan_out };
    nonlinearity.gain() / fan.sqrt()
}

/// The bound of a uniform distribution with this standard deviation.
fn bound(std: f64) -> f64 {
    3f64.sqrt() * std
}

/// Uniform with standard deviation gain sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio, AISTATS 2010).
///
/// ```
/// use ganvil::{Generator, nn::init, rng::Stream};
/// let w = init::xavier_uniform(&[30, 20], 1.0, &Generator::new(0, Stream::Init)).to_vec::<f32>();
/// let bound = (6f32 / 50.0).sqrt();
/// assert!(w.iter().all(|v| v.abs() <= bound) && w.iter().any(|v| v.abs() > 0.95 * bound));
/// ```
///
/// # Panics
/// If the shape has fewer than two dimensions.
#[track_caller]
pub fn xavier_uniform(shape: &[usize], gain: f64, random: &Generator) -> Tensor {
    uniform(shape, bound(xavier_std("xavier_uniform", shape, gain)), random)
}

/// Normal with standard deviation gain sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio, AISTATS 2010).
///
/// ```
/// use ganvil::{Generator, nn::init, rng::Stream};
/// let w = init::xavier_normal(&[300, 100], 1.0, &Generator::new(0, Stream::Init));
/// assert!((w.var(&[], true, false).item() * 200.0 - 1.0).abs() < 0.05);
/// ```
///
/// # Panics
/// If the shape has fewer than two dimensions.
#[track_caller]
pub fn xavier_normal(shape: &[usize], gain: f64, random: &Generator) -> Tensor {
    normal(shape, 0.0, xavier_std("xavier_normal", shape, gain), random)
}

/// Uniform with standard deviation gain / sqrt(fan) (He et al., 2015, arXiv:1502.01852).
///
/// ```
/// use ganvil::nn::init::{FanMode, Nonlinearity, kaiming_uniform};
/// use ganvil::{Generator, rng::Stream};
/// let random = Generator::new(0, Stream::Init);
/// // 16 inputs and a slope of sqrt(5): the default of PyTorch's Linear, U(±1/4).
/// let w = kaiming_uniform(&[64, 16], Nonlinearity::LeakyRelu(5f64.sqrt()), FanMode::FanIn, &random);
/// let w = w.to_vec::<f32>();
/// assert!(w.iter().all(|v| v.abs() <= 0.250001) && w.iter().any(|v| v.abs() > 0.245));
/// ```
///
/// # Panics
/// If the shape has fewer than two dimensions.
#[track_caller]
pub fn kaiming_uniform(
    shape: &[usize],
    nonlinearity: Nonlinearity,
    mode: FanMode,
    random: &Generator,
) -> Tensor {
    uniform(shape, bound(kaiming_std("kaiming_uniform", shape, nonlinearity, mode)), random)
}

/// Normal with standard deviation gain / sqrt(fan) (He et al., 2015, arXiv:1502.01852).
///
/// ```
/// use ganvil::nn::init::{FanMode, Nonlinearity, kaiming_normal};
/// use ganvil::{Generator, rng::Stream};
/// let random = Generator::new(0, Stream::Init);
/// let w = kaiming_normal(&[100, 300], Nonlinearity::Relu, FanMode::FanIn, &random);
/// assert!((w.var(&[], true, false).item() * 150.0 - 1.0).abs() < 0.05);
/// ```
///
/// # Panics
/// If the shape has fewer than two dimensions.
#[track_caller]
pub fn kaiming_normal(
    shape: &[usize],
    nonlinearity: Nonlinearity,
    mode: FanMode,
    random: &Generator,
) -> Tensor {
    normal(shape, 0.0, kaiming_std("kaiming_normal", shape, nonlinearity, mode), random)
}
