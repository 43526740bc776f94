//! Normalisation within a sample: layer norm (Ba et al., 2016, arXiv:1607.06450), group norm (Wu and He, 2018,
//! arXiv:1803.08494) and instance norm (Ulyanov et al., 2016, arXiv:1607.08022). They differ only in which elements
//! share a mean and a variance; none of them looks at another sample.

use super::one;
use crate::error::misuse;
use crate::tensor::is_recording;
use crate::tensor::node::{Context, Op, Save};
use crate::{Dims, Tensor};

/// y = (x - mean) / sqrt(var + eps) with the mean and the biased variance over `dims`.
struct Standardize {
    dims: Dims<isize>,
    eps: f64,
}
impl Op for Standardize {
    fn name(&self) -> &'static str {
        "standardize"
    }
    /// dx = rstd (G - mean(G) - y mean(G y)), means over `dims`. With recording on, rstd is computed anew from x, so
    /// that its own derivative is in the graph.
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let (x, y) = (c.saved(0), c.saved(1));
        let rstd = if is_recording() {
            x.var(&self.dims, false, true).add_scalar(self.eps).pow(-0.5)
        } else {
            c.saved(2).clone()
        };
        let along = g.mul(y).mean(&self.dims, true);
        one(g.sub(&g.mean(&self.dims, true)).sub(&y.mul(&along)).mul(&rstd))
    }
}

impl Tensor {
    fn standardize(&self, dims: Dims<isize>, eps: f64) -> Tensor {
        let x = self.detach();
        let centred = x.sub(&x.mean(&dims, true));
        let rstd = centred.square().mean(&dims, true).add_scalar(eps).pow(-0.5);
        let y = centred.mul(&rstd);
        y.record(Standardize { dims, eps }, &[self], &[Save::Value(self), Save::Output, Save::Value(&rstd)])
    }

    /// Panics unless weight and bias, where given, are beside x and of this shape.
    #[track_caller]
    fn check_affine(&self, op: &str, shape: &[usize], weight: Option<&Tensor>, bias: Option<&Tensor>) {
        for (name, t) in [("weight", weight), ("bias", bias)] {
            let Some(t) = t else { continue };
            self.check_with(op, t);
            if t.shape() != shape {
                misuse!(op, "{name} must be {shape:?} for x {:?}, got {:?}", self.shape(), t.shape());
            }
        }
    }

    /// `self * weight + bias`, both read in the shape `spread`.
    fn affine_by(&self, spread: &[usize], weight: Option<&Tensor>, bias: Option<&Tensor>) -> Tensor {
        let y = weight.map_or_else(|| self.clone(), |w| self.mul(&w.reshape(spread)));
        bias.map_or_else(|| y.clone(), |b| y.add(&b.reshape(spread)))
    }

    /// Layer normalisation: over the trailing dimensions `normalized_shape`, within each sample,
    /// `y = (x - mean) / sqrt(var + eps) * weight + bias` with the biased variance; weight and bias are of
    /// `normalized_shape`. f32 and f64; any order of derivative.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f64, 3.0], [10.0, 30.0]]);
    /// let y = x.layer_norm(&[2], None, None, 0.0);
    /// assert_eq!(y.to_vec::<f64>(), [-1.0, 1.0, -1.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// If `normalized_shape` is empty or not the end of this shape, or weight or bias have another shape.
    #[track_caller]
    pub fn layer_norm(
        &self,
        normalized_shape: &[usize],
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        eps: f64,
    ) -> Tensor {
        self.check_full("layer_norm");
        if normalized_shape.is_empty() || !self.shape().ends_with(normalized_shape) {
            misuse!(
                "layer_norm",
                "normalized_shape {normalized_shape:?} must be the last dimensions (at least one) of x {:?}",
                self.shape()
            );
        }
        self.check_affine("layer_norm", normalized_shape, weight, bias);
        let dims = (self.rank() - normalized_shape.len()..self.rank()).map(|d| d as isize).collect();
        self.standardize(dims, eps).affine_by(normalized_shape, weight, bias)
    }

    /// Group normalisation: channels (dimension 1) are cut into `num_groups` groups of neighbours, and each group of
    /// each sample is normalised over its channels and all positions; weight and bias are `[channels]`. f32 and f64;
    /// any order of derivative.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::new(&[1.0f64, 3.0, 10.0, 30.0], &[1, 4]);
    /// let y = x.group_norm(2, None, None, 0.0);
    /// assert_eq!(y.to_vec::<f64>(), [-1.0, 1.0, -1.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// If `num_groups` does not divide the number of channels, or weight or bias have another shape.
    #[track_caller]
    pub fn group_norm(
        &self,
        num_groups: usize,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        eps: f64,
    ) -> Tensor {
        let channels = self.check_channels_first("group_norm");
        if num_groups == 0 || !channels.is_multiple_of(num_groups) {
            misuse!(
                "group_norm",
                "{num_groups} groups do not divide the {channels} channels of x {:?}; use a divisor",
                self.shape()
            );
        }
        self.check_affine("group_norm", &[channels], weight, bias);
        let mut grouped = self.shape().to_vec();
        grouped[1] = channels / num_groups;
        grouped.insert(1, num_groups);
        super::check_shape("group_norm", &grouped);
        let dims = (2..grouped.len() as isize).collect();
        let y = self.reshape(&grouped).standardize(dims, eps).reshape(self.shape());
        y.affine_by(&self.along_channels(), weight, bias)
    }

    /// Instance normalisation: each channel of each sample is normalised over its positions, in training and in
    /// evaluation alike; weight and bias are `[channels]`. f32 and f64; any order of derivative.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::new(&[1.0f64, 3.0, 10.0, 30.0], &[1, 2, 2]);
    /// let y = x.instance_norm(None, None, 0.0);
    /// assert_eq!(y.to_vec::<f64>(), [-1.0, 1.0, -1.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// If a channel has a single position (it would always become 0), or weight or bias have another shape.
    #[track_caller]
    pub fn instance_norm(&self, weight: Option<&Tensor>, bias: Option<&Tensor>, eps: f64) -> Tensor {
        let channels = self.check_channels_first("instance_norm");
        self.check_affine("instance_norm", &[channels], weight, bias);
        if self.shape()[2..].iter().product::<usize>() == 1 {
            misuse!(
                "instance_norm",
                "x {:?} has one position in each channel, which would become 0; use layer_norm, or a larger image",
                self.shape()
            );
        }
        let y = self.standardize((2..self.rank() as isize).collect(), eps);
        y.affine_by(&self.along_channels(), weight, bias)
    }

    /// The shape `[channels]` spread over this tensor's dimension 1.
    fn along_channels(&self) -> Dims {
        (0..self.rank()).map(|d| if d == 1 { self.shape()[1] } else { 1 }).collect()
    }

    /// The number of channels of a float tensor `[batch, channels, ..]`.
    #[track_caller]
    fn check_channels_first(&self, op: &str) -> usize {
        self.check_full(op);
        if self.rank() < 2 {
            misuse!(op, "needs x [batch, channels, ..], got shape {:?}", self.shape());
        }
        self.shape()[1]
    }
}
