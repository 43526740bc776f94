//! The Inception network that FID is measured with.
//!
//! FID (Heusel et al., 2017, arXiv:1706.08500) compares two sets of pictures by the means and covariances of 2048
//! numbers that one network says of each picture: the last average pool of Inception-v3 (Szegedy et al., 2015,
//! arXiv:1512.00567), trained on ImageNet. Figures compare only where network, weights and the way in which pictures are
//! made to fit are the same. Here they are those of the Python package `pytorch-fid`, whose weights are TensorFlow's of
//! 2015-12-05:
//!
//! ```text
//! v / 255, bilinear to 299 x 299, 2 x - 1        [n,   3, 299, 299]
//! 3x3/2 32, 3x3 32, 3x3 64 padded, max 3x3/2     [n,  64,  73,  73]
//! 1x1 80, 3x3 192, max 3x3/2                     [n, 192,  35,  35]
//! A, A, A            Mixed_5b, 5c, 5d            [n, 288,  35,  35]
//! B, C, C, C, C      Mixed_6a .. 6e              [n, 768,  17,  17]
//! D, E, E            Mixed_7a, 7b, 7c            [n, 2048,  8,   8]
//! mean of the pixels: the features               [n, 2048]
//! linear: the logits                             [n, 1008]
//! ```
//!
//! Every convolution is followed by batch normalisation (eps 0.001) and ReLU. The letters are those of torchvision's
//! blocks. What differs from the Inception-v3 that torchvision has:
//!
//! - average pools within blocks divide by the number of pixels that lie in the image, not by 9;
//! - the last block has a maximum of 3 x 3 pixels in place of its average pool, which the package's authors take for an
//!   error of the network that the weights come from; figures in the literature are made with it;
//! - there are 1008 logits, not 1000; inputs are not scaled by ImageNet's statistics; there is no auxiliary classifier.
//!
//! Pictures that are made smaller are not made smooth before (no antialiasing), as in the package. The original program
//! in TensorFlow interpolates in another way, so that its figures differ a little (the package's README says by how much).
//!
//! # Where weights come from
//!
//! The file is made in Python, once:
//!
//! ```text
//! from pytorch_fid.inception import fid_inception_v3
//! from safetensors.torch import save_file
//! save_file(fid_inception_v3().state_dict(), "inception.safetensors")
//! ```

mod blocks;
mod picture;
mod pool;
#[cfg(test)]
mod tests;
mod weights;

use crate::checkpoint::parse;
use crate::data::Images;
use crate::error::misuse;
use crate::nn::{Ctx, Linear, Sequential};
use crate::sha256::sha256;
use crate::{Error, Result, Tensor, no_grad};
use std::path::Path;
use weights::Weights;

/// Pictures seen at a time, which bounds the memory that activations take.
const CHUNK: usize = 16;

/// Inception-v3 with the weights of a file, as the package `pytorch-fid` has it, and the checksum by which it is known.
///
/// ```no_run
/// use ganvil::data::Images;
/// use ganvil::metrics::Inception;
/// let inception = Inception::load("inception.safetensors".as_ref())?;
/// let grey = Images { count: 2, channels: 1, rows: 28, cols: 28, pixels: vec![0; 2 * 28 * 28] };
/// let features = inception.features(&grey)?;
/// assert_eq!(features.shape(), [2, Inception::FEATURES]);
/// # Ok::<(), ganvil::Error>(())
/// ```
#[derive(Clone)]
pub struct Inception {
    /// Up to the features.
    body: Sequential,
    head: Option<Linear>,
    checksum: String,
}

impl Inception {
    /// Numbers that describe a picture.
    pub const FEATURES: usize = blocks::FEATURES;

    /// The network with the weights of a safetensors file: the state dict of `pytorch_fid.inception.fid_inception_v3()`
    /// (`Conv2d_1a_3x3.conv.weight`, ...) or of `InceptionV3([3])` (`blocks.0.0.conv.weight`, ...), which lacks the layer
    /// of the logits. Counters of batches may be missing; tensors that the network does not have are passed over.
    ///
    /// ```
    /// use ganvil::metrics::Inception;
    /// let error = Inception::load("nowhere/inception.safetensors".as_ref()).err().unwrap();
    /// assert!(error.to_string().starts_with("cannot read nowhere/inception.safetensors"));
    /// ```
    ///
    /// # Errors
    /// If the file cannot be read or is no safetensors file, or if a tensor is missing, of another shape or not finite.
    pub fn load(path: &Path) -> Result<Inception> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let checksum = sha256(&bytes);
        let weights = Weights::new(parse(&bytes, path)?.tensors, path);
        drop(bytes);
        Ok(Inception { body: blocks::body(&weights)?, head: weights.head()?, checksum })
    }

    /// SHA-256 of the file that the weights came in, in hexadecimal.
    pub fn checksum(&self) -> &str {
        &self.checksum
    }

    /// The 2048 numbers that the network says of each picture, none below 0: `[count, 2048]`, f32, without a graph.
    /// Pictures are grey or red, green and blue, of any size. A picture's features do not depend on the others, nor on the
    /// number of threads.
    ///
    /// # Errors
    /// If there are no pictures, or they have no pixels or neither 1 nor 3 channels.
    pub fn features(&self, images: &Images) -> Result<Tensor> {
        picture::check(images)?;
        Ok(no_grad(|| {
            let chunk = |first: usize| {
                let last = images.count.min(first + CHUNK);
                let pictures: Vec<Tensor> = (first..last).map(|i| picture::prepared(images, i)).collect();
                Ctx::eval().apply("inception", &self.body, &joined(&pictures))
            };
            joined(&(0..images.count).step_by(CHUNK).map(chunk).collect::<Vec<_>>())
        }))
    }

    /// The logits of 1008 classes, `features W^T + b`: `[n, 2048]` to `[n, 1008]`, without a graph. None if the file of
    /// the weights does not have that layer.
    ///
    /// The Inception Score (Salimans et al., 2016, arXiv:1606.03498) is a function of their softmax. The program of that
    /// paper leaves out b; see [`Inception::unbiased_logits`].
    ///
    /// # Panics
    /// If the features are not `[n, 2048]`.
    #[track_caller]
    pub fn logits(&self, features: &Tensor) -> Option<Tensor> {
        self.classified("logits", features, |head| head.bias.as_ref())
    }

    /// [`Inception::logits`] without b, as the figures of the Inception Score in the literature are made.
    ///
    /// # Panics
    /// If the features are not `[n, 2048]`.
    #[track_caller]
    pub fn unbiased_logits(&self, features: &Tensor) -> Option<Tensor> {
        self.classified("unbiased_logits", features, |_| None)
    }

    #[track_caller]
    fn classified(
        &self,
        what: &str,
        features: &Tensor,
        bias: impl Fn(&Linear) -> Option<&Tensor>,
    ) -> Option<Tensor> {
        if !matches!(features.shape(), [_, Self::FEATURES]) {
            misuse!(what, "needs features [n, {}], got {:?}", Self::FEATURES, features.shape());
        }
        self.head.as_ref().map(|head| no_grad(|| features.linear(&head.weight, bias(head))))
    }
}

/// Parts of a batch as one.
fn joined(parts: &[Tensor]) -> Tensor {
    Tensor::cat(&parts.iter().collect::<Vec<_>>(), 0)
}
