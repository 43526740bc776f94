//! The digit classifier that measures digits.
//!
//! One network with fixed weights looks at every picture, real or drawn: how sure it is of its class, which class it
//! takes it for, and the 128 features before its last layer. Figures from it compare only where the weights are the
//! same, so they are known by the SHA-256 of their file, which stands beside every result.

mod train;

pub use train::{ClassifierConfig, ClassifierTrainer};

use super::digits;
use crate::backend::cpu::{ConvMode, with_conv_mode};
use crate::checkpoint::parse;
use crate::data::{Dataset, Images};
use crate::error::misuse;
use crate::nn::{Conv2d, Ctx, Flatten, Kind, Linear, MaxPool2d, Module, ReLU, Sequential, load_state_dict};
use crate::rng::Stream;
use crate::sha256::sha256;
use crate::{ConvOptions, Error, Generator, Result, Tensor, no_grad};
use std::path::Path;

/// Images seen at a time, which bounds the memory that activations take.
const CHUNK: usize = 256;
/// Images of a data set made floats at a time.
const PART: usize = 16 * CHUNK;

/// Two convolutions and two linear layers, from `[n, 1, 28, 28]` in [-1, 1] to the logits of ten classes:
/// conv 5x5 to 32 channels, ReLU, max-pool 2; conv 5x5 to 64 channels, ReLU, max-pool 2; linear to 128 and ReLU, which
/// are the features; linear to 10. Its tensors are named as those of a `Sequential` called `net`.
///
/// ```
/// use ganvil::metrics::ClassifierNet;
/// use ganvil::nn::{parameter_count, state_dict};
/// use ganvil::{Generator, rng::Stream};
/// let net = ClassifierNet::new(&Generator::new(0, Stream::Init));
/// assert_eq!(state_dict(&net)[0].0, "net.0.weight");
/// assert_eq!(parameter_count(&net), 454_922);
/// ```
#[derive(Clone)]
pub struct ClassifierNet {
    /// Up to the features.
    body: Sequential,
    head: Linear,
}

impl ClassifierNet {
    /// Classes told apart.
    pub const CLASSES: usize = 10;
    /// Numbers that describe a picture.
    pub const FEATURES: usize = 128;
    /// Rows, and columns, of a picture.
    pub const SIDE: usize = 28;

    /// PyTorch's initial weights.
    pub fn new(random: &Generator) -> ClassifierNet {
        let conv = |inputs, outputs| {
            Conv2d::new(inputs, outputs, [5, 5], ConvOptions::new().padding(2), true, random)
        };
        let body = Sequential::new()
            .with(conv(1, 32))
            .with(ReLU)
            .with(MaxPool2d::new(2))
            .with(conv(32, 64))
            .with(ReLU)
            .with(MaxPool2d::new(2))
            .with(Flatten)
            .with(Linear::new(64 * 7 * 7, Self::FEATURES, true, random))
            .with(ReLU);
        ClassifierNet { body, head: Linear::new(Self::FEATURES, Self::CLASSES, true, random) }
    }

    /// The name of the last layer, which follows those of the body.
    fn head_name(&self) -> String {
        format!("net.{}", self.body.len())
    }

    fn features(&self, images: &Tensor) -> Tensor {
        self.chunked("features", images, |x| Ctx::eval().apply("net", &self.body, x))
    }

    fn logits(&self, images: &Tensor) -> Tensor {
        self.chunked("logits", images, |x| self.forward(x, &Ctx::eval()))
    }

    /// The share of pictures whose label has the largest logit.
    ///
    /// # Errors
    /// If they are not labelled grey pictures of 28 x 28 in at most ten classes.
    pub fn accuracy(&self, data: &Dataset) -> Result<f64> {
        let (labels, found) = (digits::labels(data)?, self.classes(&data.images)?);
        let right = found.iter().zip(labels).filter(|(found, label)| found == label).count();
        Ok(right as f64 / found.len() as f64)
    }

    /// The class of the largest logit for each picture. Of a large data set a part at a time are numbers, not bytes.
    ///
    /// # Errors
    /// If they are not grey pictures of 28 x 28.
    pub fn classes(&self, images: &Images) -> Result<Vec<u32>> {
        digits::check(images)?;
        let mut found = Vec::with_capacity(images.count);
        for pixels in images.pixels.chunks(PART * images.area()) {
            let part = Images { count: pixels.len() / images.area(), pixels: pixels.to_vec(), ..*images };
            let largest = self.logits(&digits::tensor(&part)?).argmax(1, false);
            found.extend(largest.to_vec::<i64>().into_iter().map(|class| class as u32));
        }
        Ok(found)
    }

    /// A pass over images without a graph, some of them at a time, where the weights are.
    #[track_caller]
    fn chunked(&self, what: &'static str, images: &Tensor, pass: impl Fn(&Tensor) -> Tensor) -> Tensor {
        let side = Self::SIDE;
        let n = match *images.shape() {
            [n, 1, rows, cols] if n > 0 && rows == side && cols == side => n,
            ref other => misuse!(what, "the classifier sees images [n, 1, 28, 28] with n > 0, got {other:?}"),
        };
        let device = self.head.weight.device();
        // What measures is not to move with the way of convolving.
        let exactly = |x: &Tensor| with_conv_mode(ConvMode::Exact, || pass(x));
        no_grad(|| {
            let starts = (0..n).step_by(CHUNK);
            let part = |i| images.narrow(0, i, CHUNK.min(n - i)).to_device(device);
            let parts: Vec<Tensor> = starts.map(|i| exactly(&part(i))).collect();
            Tensor::cat(&parts.iter().collect::<Vec<_>>(), 0)
        })
    }
}

impl Module for ClassifierNet {
    fn forward(&self, x: &Tensor, ctx: &Ctx) -> Tensor {
        ctx.apply(&self.head_name(), &self.head, &ctx.apply("net", &self.body, x))
    }

    fn visit(&self, path: &str, f: &mut dyn FnMut(&str, Kind, &Tensor)) {
        self.body.visit(&format!("{path}net."), f);
        self.head.visit(&format!("{path}{}.", self.head_name()), f);
    }

    fn visit_mut<'a>(&'a mut self, path: &str, f: &mut dyn FnMut(&str, Kind, &'a mut Tensor)) {
        let head = self.head_name();
        self.body.visit_mut(&format!("{path}net."), f);
        self.head.visit_mut(&format!("{path}{head}."), f);
    }
}

/// A trained [`ClassifierNet`] that stays as it is, and the checksum by which it is known.
///
/// ```
/// use ganvil::metrics::Classifier;
/// use ganvil::{DType, Device, Tensor};
/// let classifier = Classifier::mnist()?;
/// assert_eq!(classifier.checksum(), Classifier::MNIST_SHA256);
/// let black = Tensor::full(&[3, 1, 28, 28], -1.0, DType::F32, Device::Cpu);
/// assert_eq!(classifier.features(&black).shape(), [3, 128]);
/// # Ok::<(), ganvil::Error>(())
/// ```
#[derive(Clone)]
pub struct Classifier {
    net: ClassifierNet,
    checksum: String,
}

impl Classifier {
    /// SHA-256 of the file with the weights for MNIST's digits.
    pub const MNIST_SHA256: &str = "651f0dc29ee38b31a171715284b3b97f0bdcd75fe52120a1a52212c61efc0c47";

    /// The weights for MNIST's digits that come with the program: `data/classifier/mnist.safetensors`.
    ///
    /// # Errors
    /// If they are not those of [`Classifier::MNIST_SHA256`]: the program was built from a changed file.
    pub fn mnist() -> Result<Classifier> {
        let bytes = include_bytes!("../../../data/classifier/mnist.safetensors");
        let path = Path::new("data/classifier/mnist.safetensors");
        Classifier::from_bytes(bytes, path, Some(Self::MNIST_SHA256))
    }

    /// Weights that `ganvil train classifier` wrote. With a checksum, only the file that it is of.
    ///
    /// # Errors
    /// If the file cannot be read, is another one, or does not have the network's tensors.
    pub fn load(path: &Path, sha256: Option<&str>) -> Result<Classifier> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        Classifier::from_bytes(&bytes, path, sha256)
    }

    fn from_bytes(bytes: &[u8], path: &Path, expected: Option<&str>) -> Result<Classifier> {
        let checksum = sha256(bytes);
        if let Some(expected) = expected.filter(|e| *e != checksum) {
            let problem = format!(
                "has the SHA-256 {checksum}, not {expected}: figures from other weights do not compare; \
                 restore the file"
            );
            return Err(Error::format(path, problem));
        }
        let mut net = ClassifierNet::new(&Generator::new(0, Stream::Init));
        load_state_dict(&mut net, &parse(bytes, path)?.tensors, "", path)?;
        Ok(Classifier { net, checksum })
    }

    /// SHA-256 of the file that the weights came in, in hexadecimal.
    pub fn checksum(&self) -> &str {
        &self.checksum
    }

    /// The network.
    pub fn net(&self) -> &ClassifierNet {
        &self.net
    }

    /// The 128 numbers before the last layer, none below 0: `[n, 1, 28, 28]` in [-1, 1] to `[n, 128]`, without a graph.
    /// A picture's features do not depend on the others.
    ///
    /// # Panics
    /// If the images have another shape, or there are none.
    #[track_caller]
    pub fn features(&self, images: &Tensor) -> Tensor {
        self.net.features(images)
    }

    /// Logits of the classes for [features](Classifier::features), without a graph.
    ///
    /// # Panics
    /// If they are not `[n, 128]`.
    #[track_caller]
    pub fn logits_of_features(&self, features: &Tensor) -> Tensor {
        no_grad(|| self.net.head.forward(features, &Ctx::eval()))
    }

    /// Logits of the classes: `[n, 1, 28, 28]` in [-1, 1] to `[n, 10]`, without a graph.
    ///
    /// ```
    /// use ganvil::metrics::Classifier;
    /// use ganvil::{DType, Device, Tensor};
    /// let black = Tensor::full(&[2, 1, 28, 28], -1.0, DType::F32, Device::Cpu);
    /// assert_eq!(Classifier::mnist()?.logits(&black).shape(), [2, 10]);
    /// # Ok::<(), ganvil::Error>(())
    /// ```
    ///
    /// # Panics
    /// If the images have another shape, or there are none.
    #[track_caller]
    pub fn logits(&self, images: &Tensor) -> Tensor {
        self.net.logits(images)
    }
}
