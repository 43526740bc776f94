//! Weights by the names that they have in a file.

use super::blocks::FEATURES;
use crate::nn::{BatchNorm2d, Conv2d, Linear, ReLU, Sequential, load_state_dict};
use crate::{ConvOptions, DType, Device, Error, Result, Tensor, no_grad};
use std::collections::HashMap;
use std::path::Path;

/// Classes that the network was trained to tell apart, the 1000 of ImageNet and some that were left free.
const CLASSES: usize = 1008;

/// Added to variances.
const EPS: f64 = 1e-3;

/// Layers and blocks in the order of the network, and their names in the state dict of pytorch-fid's `InceptionV3`,
/// which numbers them.
#[rustfmt::skip]
const NUMBERED: [(&str, &str); 16] = [
    ("Conv2d_1a_3x3", "blocks.0.0"), ("Conv2d_2a_3x3", "blocks.0.1"), ("Conv2d_2b_3x3", "blocks.0.2"),
    ("Conv2d_3b_1x1", "blocks.1.0"), ("Conv2d_4a_3x3", "blocks.1.1"),
    ("Mixed_5b", "blocks.2.0"), ("Mixed_5c", "blocks.2.1"), ("Mixed_5d", "blocks.2.2"), ("Mixed_6a", "blocks.2.3"),
    ("Mixed_6b", "blocks.2.4"), ("Mixed_6c", "blocks.2.5"), ("Mixed_6d", "blocks.2.6"), ("Mixed_6e", "blocks.2.7"),
    ("Mixed_7a", "blocks.3.0"), ("Mixed_7b", "blocks.3.1"), ("Mixed_7c", "blocks.3.2"),
];

/// How a kernel moves over an image.
#[derive(Clone, Copy)]
pub(super) enum Fit {
    /// Over every pixel, with zeros around the image.
    Same,
    /// Within the image, so many pixels on each time.
    Inside(usize),
}

/// A file's tensors.
pub(super) struct Weights<'f> {
    tensors: HashMap<String, Tensor>,
    file: &'f Path,
    /// Whether layers have the names of [`NUMBERED`].
    numbered: bool,
}

impl<'f> Weights<'f> {
    pub(super) fn new(mut tensors: HashMap<String, Tensor>, file: &'f Path) -> Weights<'f> {
        // Files made of older weights lack the counts of training passes, which play no part here.
        let norms = tensors.keys().filter_map(|name| name.strip_suffix(".bn.weight"));
        let counts: Vec<String> = norms.map(|norm| format!("{norm}.bn.num_batches_tracked")).collect();
        for count in counts {
            tensors.entry(count).or_insert_with(|| Tensor::scalar(0.0, DType::I64, Device::Cpu));
        }
        let numbered = tensors.keys().any(|name| name.starts_with("blocks."));
        Weights { tensors, file, numbered }
    }

    /// A convolution, its batch normalisation and ReLU, `channels` being those of the input and of the result. With
    /// running statistics, batch normalisation multiplies and shifts channels by constants, which become part of the
    /// convolution: y = (w * x - mean) s + bias with s = weight / sqrt(var + eps) is (w s) * x + (bias - mean s).
    ///
    /// # Errors
    /// If a tensor is missing, of another shape or not finite.
    pub(super) fn conv(
        &self,
        name: &str,
        [inputs, outputs]: [usize; 2],
        kernel: [usize; 2],
        fit: Fit,
    ) -> Result<Sequential> {
        let options = match fit {
            Fit::Same => ConvOptions { padding: kernel.map(|k| k / 2), ..ConvOptions::new() },
            Fit::Inside(stride) => ConvOptions::new().stride(stride),
        };
        let name = self.name(name);
        let shape = [outputs, inputs, kernel[0], kernel[1]];
        let weight = Tensor::zeros(&shape, DType::F32, Device::Cpu);
        let mut conv = Conv2d { weight, bias: None, options };
        let mut norm = BatchNorm2d::new(outputs, EPS, 0.0);
        load_state_dict(&mut conv, &self.tensors, &format!("{name}.conv."), self.file)?;
        load_state_dict(&mut norm, &self.tensors, &format!("{name}.bn."), self.file)?;
        let conv = no_grad(|| folded(&conv, &norm));
        let finite = |t: &Tensor| t.sum_all().item().is_finite();
        if !(finite(&conv.weight) && conv.bias.as_ref().is_some_and(finite)) {
            let problem = format!(
                "the tensors of '{name}' give weights that are not finite (a value that is not, or a negative variance); \
                 was the file damaged?"
            );
            return Err(Error::format(self.file, problem));
        }
        Ok(Sequential::new().with(conv).with(ReLU))
    }

    /// The layer behind the features, if the file has it.
    ///
    /// # Errors
    /// If only a part of it is there, or of another shape.
    pub(super) fn head(&self) -> Result<Option<Linear>> {
        if !self.tensors.keys().any(|name| name.starts_with("fc.")) {
            return Ok(None);
        }
        let zeros = |shape: &[usize]| Tensor::zeros(shape, DType::F32, Device::Cpu);
        let mut head = Linear { weight: zeros(&[CLASSES, FEATURES]), bias: Some(zeros(&[CLASSES])) };
        load_state_dict(&mut head, &self.tensors, "fc.", self.file)?;
        Ok(Some(head))
    }

    /// The name that a layer has in the file.
    fn name(&self, name: &str) -> String {
        let (first, rest) = name.split_at(name.find('.').unwrap_or(name.len()));
        let number = NUMBERED.iter().find(|(plain, _)| self.numbered && *plain == first);
        number.map_or(name.to_owned(), |(_, number)| format!("{number}{rest}"))
    }
}

/// A convolution and what evaluation does to its channels as one; rounded once, from f64.
fn folded(conv: &Conv2d, norm: &BatchNorm2d) -> Conv2d {
    let wide = |t: &Tensor| t.detach().to_dtype(DType::F64);
    let scale = wide(&norm.running_var.get()).add_scalar(norm.eps).pow(-0.5).mul(&wide(&norm.weight));
    let shift = wide(&norm.bias).sub(&wide(&norm.running_mean.get()).mul(&scale));
    let weight = wide(&conv.weight).mul(&scale.reshape(&[scale.numel(), 1, 1, 1]));
    let narrow = |t: Tensor| t.to_dtype(DType::F32);
    Conv2d { weight: narrow(weight), bias: Some(narrow(shift)), options: conv.options }
}
