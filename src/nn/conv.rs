//! Convolutional layers.

use super::state::visits;
use super::{Ctx, Module, Weighted, init};
use crate::{Activation, ConvOptions, Generator, Tensor};

/// [`Tensor::conv2d`] with a trained weight `[out, in/groups, kh, kw]` and bias `[out]`.
///
/// ```
/// use ganvil::nn::{Conv2d, Ctx, Module};
/// use ganvil::{ConvOptions, DType, Device, Generator, Tensor, rng::Stream};
/// let half = Conv2d::new(1, 64, [4, 4], ConvOptions::new().stride(2).padding(1), false, &Generator::new(0, Stream::Init));
/// let x = Tensor::zeros(&[8, 1, 28, 28], DType::F32, Device::Cpu);
/// assert_eq!(half.forward(&x, &Ctx::eval()).shape(), [8, 64, 14, 14]);
/// ```
#[derive(Clone)]
pub struct Conv2d {
    /// `[out, in/groups, kh, kw]`
    pub weight: Tensor,
    /// `[out]`
    pub bias: Option<Tensor>,
    /// How the window moves.
    pub options: ConvOptions,
}

impl Conv2d {
    /// PyTorch's initialisation: weight and bias uniform in ±1/sqrt(in/groups kh kw).
    ///
    /// ```
    /// use ganvil::{ConvOptions, Generator, nn::Conv2d, rng::Stream};
    /// let f = Conv2d::new(4, 2, [2, 2], ConvOptions::new(), true, &Generator::new(0, Stream::Init));
    /// assert!(f.weight.to_vec::<f32>().iter().all(|w| w.abs() <= 0.25));
    /// ```
    ///
    /// # Panics
    /// If `options.groups` is 0.
    pub fn new(
        inputs: usize,
        outputs: usize,
        kernel: [usize; 2],
        options: ConvOptions,
        bias: bool,
        random: &Generator,
    ) -> Conv2d {
        let weight = [outputs, inputs / options.groups, kernel[0], kernel[1]];
        let (weight, bias) = fresh(weight, bias.then_some(outputs), random);
        Conv2d { weight, bias, options }
    }
}

impl Module for Conv2d {
    fn forward(&self, x: &Tensor, _: &Ctx) -> Tensor {
        x.conv2d(&self.weight, self.bias.as_ref(), &self.options)
    }
    fn takes_activation(&self) -> bool {
        true
    }
    fn forward_act(&self, x: &Tensor, _: &Ctx, act: Activation) -> Tensor {
        x.conv2d_act(&self.weight, self.bias.as_ref(), &self.options, act)
    }
    visits!(Parameter weight, Parameter bias);
    fn visit_weights(&self, path: &str, f: &mut dyn FnMut(&str, &Tensor, isize)) {
        f(&format!("{path}weight"), &self.weight, 0);
    }

    fn is_per_sample(&self) -> bool {
        true
    }
}

impl Weighted for Conv2d {
    fn weight(&self) -> &Tensor {
        &self.weight
    }
    fn with_weight(&self, weight: Tensor) -> Conv2d {
        Conv2d { weight, bias: self.bias.clone(), ..*self }
    }
}

/// [`Tensor::conv_transpose2d`] with a trained weight `[in, out/groups, kh, kw]` and bias `[out]`.
///
/// ```
/// use ganvil::nn::{ConvTranspose2d, Ctx, Module};
/// use ganvil::{ConvOptions, DType, Device, Generator, Tensor, rng::Stream};
/// let random = Generator::new(0, Stream::Init);
/// let double = ConvTranspose2d::new(64, 1, [4, 4], ConvOptions::new().stride(2).padding(1), [0, 0], true, &random);
/// let x = Tensor::zeros(&[8, 64, 14, 14], DType::F32, Device::Cpu);
/// assert_eq!(double.forward(&x, &Ctx::eval()).shape(), [8, 1, 28, 28]);
/// ```
#[derive(Clone)]
pub struct ConvTranspose2d {
    /// `[in, out/groups, kh, kw]`
    pub weight: Tensor,
    /// `[out]`
    pub bias: Option<Tensor>,
    /// The window of the convolution that this is the adjoint of.
    pub options: ConvOptions,
    /// Which of the sizes that such a convolution makes equal the result has.
    pub output_padding: [usize; 2],
}

impl ConvTranspose2d {
    /// PyTorch's initialisation: weight and bias uniform in ±1/sqrt(out/groups kh kw).
    ///
    /// ```
    /// use ganvil::{ConvOptions, Generator, nn::ConvTranspose2d, rng::Stream};
    /// let random = Generator::new(0, Stream::Init);
    /// let f = ConvTranspose2d::new(2, 4, [2, 2], ConvOptions::new(), [0, 0], true, &random);
    /// assert!(f.weight.to_vec::<f32>().iter().all(|w| w.abs() <= 0.25));
    /// ```
    ///
    /// # Panics
    /// If `options.groups` is 0.
    pub fn new(
        inputs: usize,
        outputs: usize,
        kernel: [usize; 2],
        options: ConvOptions,
        output_padding: [usize; 2],
        bias: bool,
        random: &Generator,
    ) -> ConvTranspose2d {
        let weight = [inputs, outputs / options.groups, kernel[0], kernel[1]];
        let (weight, bias) = fresh(weight, bias.then_some(outputs), random);
        ConvTranspose2d { weight, bias, options, output_padding }
    }
}

impl Module for ConvTranspose2d {
    fn forward(&self, x: &Tensor, _: &Ctx) -> Tensor {
        x.conv_transpose2d(&self.weight, self.bias.as_ref(), &self.options, self.output_padding)
    }
    visits!(Parameter weight, Parameter bias);
    fn visit_weights(&self, path: &str, f: &mut dyn FnMut(&str, &Tensor, isize)) {
        f(&format!("{path}weight"), &self.weight, 1);
    }

    fn is_per_sample(&self) -> bool {
        true
    }
}

impl Weighted for ConvTranspose2d {
    fn weight(&self) -> &Tensor {
        &self.weight
    }
    fn with_weight(&self, weight: Tensor) -> ConvTranspose2d {
        ConvTranspose2d { weight, bias: self.bias.clone(), ..*self }
    }
    fn norm_dim(&self) -> isize {
        1
    }
}

/// Weight and bias, uniform within the inverse root of the weight's fan-in as PyTorch counts it: all sizes but the first.
fn fresh(weight: [usize; 4], bias: Option<usize>, random: &Generator) -> (Tensor, Option<Tensor>) {
    let fan_in: usize = weight[1..].iter().product();
    // In f32, as the values are: stored runs depend on the last bit.
    let bound = (1.0 / (fan_in.max(1) as f32).sqrt()) as f64;
    let draw = |shape: &[usize]| init::uniform(shape, bound, random).requires_grad();
    (draw(&weight), bias.map(|n| draw(&[n])))
}
