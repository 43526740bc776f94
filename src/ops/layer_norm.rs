//! Normalisation within a sample: layer norm (Ba et al., 2016, arXiv:1607.06450), group norm (Wu and He, 2018,
//! arXiv:1803.08494) and instance norm (Ulyanov et al., 2016, arXiv:1607.08022). They differ only in which elements
//! share a mean and a variance; none of them looks at another sample.

use crate::backend::{GroupNormGrads, Groups, View, ViewMut};
use crate::error::misuse;
use crate::tensor::is_recording;
use crate::tensor::node::{Context, Op, Save};
use crate::{Dims, Layout, Tensor};
use std::sync::Arc;

/// How a norm cuts its operand.
#[derive(Clone)]
struct Cut {
    op: &'static str,
    /// The operand's shape with groups as dimensions of their own.
    grouped: Dims,
    /// Dimensions of `grouped` that share a mean and a variance.
    dims: Dims<isize>,
    /// Weight's shape, and what it is beside `grouped`.
    affine: Dims,
    spread: Dims,
    /// The order in memory that the kernels walk, and the groups in it.
    layout: Layout,
    groups: Groups,
    /// The dimensions of weight in that order.
    order: Dims,
    eps: f64,
}

/// y = (x - mean) / sqrt(var + eps) weight + bias with the mean and the biased variance of each group.
struct SampleNorm {
    cut: Cut,
    /// Whether there are a weight and a bias.
    affine: [bool; 2],
}
impl Op for SampleNorm {
    fn name(&self) -> &'static str {
        self.cut.op
    }
    /// With x^ = (x - mean) rstd: dx = rstd (G w - mean(G w) - x^ mean(G w x^)), means over the group, dw = sum G x^ and
    /// db = sum G over the batch. Fused kernels when nothing is recorded; with recording on, mean and variance are
    /// recomputed from x so that their own derivatives are in the graph.
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let weight = self.affine[0].then(|| c.saved(2));
        let [weighted, biased] = self.affine;
        let needs = [c.needs(0), weighted && c.needs(1), biased && c.needs(1 + weighted as usize)];
        let [dx, dw, db] =
            if is_recording() { self.composed(c, weight, g, needs) } else { self.fused(c, weight, g, needs) };
        [Some(dx), weighted.then_some(dw), biased.then_some(db)].into_iter().flatten().collect()
    }
}

impl SampleNorm {
    fn composed(
        &self,
        c: &Context,
        weight: Option<&Tensor>,
        g: &Tensor,
        needs: [bool; 3],
    ) -> [Option<Tensor>; 3] {
        let Cut { grouped, dims, affine, spread, eps, .. } = &self.cut;
        let (own, x, g) = (c.saved(0).shape(), c.saved(0).reshape(grouped), g.reshape(grouped));
        let centred = x.sub(&x.mean(dims, true));
        let rstd = centred.square().mean(dims, true).add_scalar(*eps).pow(-0.5);
        let normed = centred.mul(&rstd);
        let dx = || {
            let gw = weight.map_or_else(|| g.clone(), |w| g.mul(&w.reshape(spread)));
            let along = gw.mul(&normed).mean(dims, true);
            gw.sub(&gw.mean(dims, true)).sub(&normed.mul(&along)).mul(&rstd).reshape(own)
        };
        [
            needs[0].then(dx),
            needs[1].then(|| g.mul(&normed).sum_to(spread).reshape(affine)),
            needs[2].then(|| g.sum_to(spread).reshape(affine)),
        ]
    }

    fn fused(
        &self,
        c: &Context,
        weight: Option<&Tensor>,
        g: &Tensor,
        needs: [bool; 3],
    ) -> [Option<Tensor>; 3] {
        let (layout, stats, b) = (self.cut.layout, c.saved(1), g.backend());
        let x = c.saved(0).detach().in_layout(layout);
        // The kernel walks g and x together.
        let g = g.detach().in_layout(layout);
        let weight = weight.map(|w| self.cut.in_memory(w));
        let channels = Layout::contiguous(&[self.cut.groups.groups * self.cut.groups.members]);
        let mut sums = (needs[1] || needs[2]).then(|| [0; 2].map(|_| b.alloc(x.dtype(), channels.numel())));
        let dx = Tensor::build(layout, x.dtype(), x.device(), |dx| {
            let sums =
                sums.as_mut().map(|s| s.each_mut().map(|storage| ViewMut { storage, layout: &channels }));
            let (weight, out) = (weight.as_ref().map(Tensor::view), GroupNormGrads { x: dx, affine: sums });
            b.group_norm_grad(self.cut.groups, g.view(), x.view(), stats.view(), weight, out);
        });
        let [dw, db] = match sums {
            Some(sums) => sums.map(|s| Some(self.cut.logical(Tensor::from_parts(Arc::new(s), channels)))),
            None => [None, None],
        };
        let [of_x, of_weight, of_bias] = needs;
        [Some(dx).filter(|_| of_x), dw.filter(|_| of_weight), db.filter(|_| of_bias)]
    }
}

impl Cut {
    /// Weight or bias as the kernel reads it.
    fn in_memory(&self, w: &Tensor) -> Tensor {
        let order: Vec<isize> = self.order.iter().map(|&d| d as isize).collect();
        w.detach().permute(&order).contiguous()
    }

    /// The opposite of [`Cut::in_memory`], from a vector.
    fn logical(&self, w: Tensor) -> Tensor {
        let sizes: Dims = self.order.iter().map(|&d| self.affine[d]).collect();
        let back: Vec<isize> = (0..self.order.len())
            .map(|d| {
                self.order.iter().position(|&o| o == d).expect("an order names every dimension") as isize
            })
            .collect();
        w.reshape(&sizes).permute(&back)
    }
}

/// Whether what the dimensions from `lead` on hold lies side by side in this layout, in whatever order.
fn is_rows(layout: &Layout, lead: usize) -> bool {
    let order = layout.memory_order();
    let mut sides = order.iter().filter(|&&d| layout.shape()[d] != 1).map(|&d| d >= lead);
    sides.by_ref().skip_while(|inside| !inside).all(|inside| inside)
}

impl Tensor {
    /// The normalised tensor; weight and bias fit.
    fn in_groups(&self, cut: Cut, weight: Option<&Tensor>, bias: Option<&Tensor>) -> Tensor {
        let (x, b) = (self.detach().in_layout(cut.layout), self.backend());
        let layout = Layout::contiguous(&[cut.groups.samples, cut.groups.groups, 2]);
        let mut stats = b.alloc(self.dtype(), layout.numel());
        let affine = [weight, bias].map(|t| t.map(|t| cut.in_memory(t)));
        let y = Tensor::build(cut.layout, self.dtype(), self.device(), |out| {
            let views: [Option<View>; 2] = affine.each_ref().map(|t| t.as_ref().map(Tensor::view));
            let stats = ViewMut { storage: &mut stats, layout: &layout };
            b.group_norm(cut.groups, cut.eps, x.view(), views, out, stats);
        });
        let stats = Tensor::from_parts(Arc::new(stats), layout);
        let mut saves = vec![Save::Value(self), Save::Value(&stats)];
        saves.extend(weight.map(Save::Value));
        let inputs: Vec<&Tensor> = [Some(self), weight, bias].into_iter().flatten().collect();
        let op = SampleNorm { cut, affine: [weight.is_some(), bias.is_some()] };
        y.record(op, &inputs, &saves)
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
        if self.numel() == 0 {
            return self.affine_by(normalized_shape, weight, bias);
        }
        let (lead, members) = (self.rank() - normalized_shape.len(), normalized_shape.iter().product());
        // Samples in row-major order do, and so do their images with channels last.
        // Gaps decide nothing: one sample lies as it does in a batch.
        let own = self.layout().like();
        let layout = if is_rows(&own, lead) { own } else { Layout::contiguous(self.shape()) };
        let order = layout.memory_order().iter().filter(|&&d| d >= lead).map(|d| d - lead).collect();
        let samples = self.numel() / members;
        let cut = Cut {
            op: "layer_norm",
            grouped: Dims::from_slice(self.shape()),
            dims: (lead..self.rank()).map(|d| d as isize).collect(),
            affine: Dims::from_slice(normalized_shape),
            spread: Dims::from_slice(normalized_shape),
            layout,
            groups: Groups { samples, positions: 1, groups: 1, members, inner: 1 },
            order,
            eps,
        };
        self.in_groups(cut, weight, bias)
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
        grouped.splice(1..2, [num_groups, channels / num_groups]);
        super::check_shape("group_norm", &grouped);
        self.by_groups("group_norm", num_groups, weight, bias, eps)
    }

    /// Group norm with checked arguments.
    #[track_caller]
    fn by_groups(
        &self,
        op: &'static str,
        groups: usize,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        eps: f64,
    ) -> Tensor {
        if self.numel() == 0 {
            return self.affine_by(&self.along_channels(), weight, bias);
        }
        let (samples, members) = (self.shape()[0], self.shape()[1] / groups);
        let mut grouped = self.shape().to_vec();
        let mut spread = self.along_channels();
        // A group of one channel is a dimension already, unless it has one element.
        if members > 1 || self.rank() == 2 {
            grouped[1] = members;
            grouped.insert(1, groups);
            spread = Dims::filled(grouped.len(), 1);
            (spread[1], spread[2]) = (groups, members);
        }
        let pixels: usize = self.shape()[2..].iter().product();
        // Gaps decide nothing: one sample lies as it does in a batch.
        let own = self.layout().like();
        let last: Dims = std::iter::once(0).chain(2..self.rank()).chain([1]).collect();
        let planes = own.is_contiguous() || !own.permuted(&last).is_contiguous();
        let (positions, inner) = if planes { (1, pixels) } else { (pixels, 1) };
        let cut = Cut {
            op,
            dims: (2..grouped.len() as isize).collect(),
            grouped: Dims::from_slice(&grouped),
            affine: Dims::filled(1, groups * members),
            spread,
            layout: if planes { Layout::contiguous(self.shape()) } else { own },
            groups: Groups { samples, positions, groups, members, inner },
            order: Dims::filled(1, 0),
            eps,
        };
        self.in_groups(cut, weight, bias)
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
        self.by_groups("instance_norm", channels, weight, bias, eps)
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
