//! Batch normalisation (Ioffe and Szegedy, 2015, arXiv:1502.03167).

use crate::backend::{BatchNormGrads, BatchNormStats, ViewMut};
use crate::error::misuse;
use crate::tensor::is_recording;
use crate::tensor::node::{Context, Op, Save};
use crate::{Dims, Layout, Tensor};
use std::sync::Arc;

/// The result of [`Tensor::batch_norm`] in training.
pub struct BatchNorm {
    /// The normalised tensor.
    pub y: Tensor,
    /// Mean over the batch, per channel; no gradient.
    pub mean: Tensor,
    /// Biased variance over the batch, per channel; no gradient.
    pub var: Tensor,
}

struct BatchNormOp {
    eps: f64,
}
impl Op for BatchNormOp {
    fn name(&self) -> &'static str {
        "batch_norm"
    }
    /// With x^ = (x - mean) rstd and n elements per channel: db = sum G, dw = sum G x^,
    /// dx = w rstd (G - db/n - x^ dw/n). A fused kernel when nothing is recorded; with recording on, mean and
    /// variance are recomputed from x so that their own derivatives are in the graph.
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let (x, w) = (c.saved(0), c.saved(1));
        let grads = if is_recording() { self.composed(x, w, g) } else { fused(c, g) };
        grads.into_iter().enumerate().map(|(i, t)| c.needs(i).then_some(t)).collect()
    }
}

impl BatchNormOp {
    fn composed(&self, x: &Tensor, w: &Tensor, g: &Tensor) -> [Tensor; 3] {
        let dims = batch_dims(x.rank());
        let n = dims.iter().map(|&d| x.shape()[d as usize]).product::<usize>() as f64;
        let centred = x.sub(&x.mean(&dims, true));
        let rstd = centred.mul(&centred).mean(&dims, true).add_scalar(self.eps).pow(-0.5);
        let normed = centred.mul(&rstd);
        let db = g.sum(&dims, true);
        let dw = g.mul(&normed).sum(&dims, true);
        let inner = g.sub(&db.mul_scalar(1.0 / n)).sub(&normed.mul(&dw.mul_scalar(1.0 / n)));
        let dx = w.reshape(rstd.shape()).mul(&rstd).mul(&inner);
        [dx, dw.reshape(w.shape()), db.reshape(w.shape())]
    }
}

fn fused(c: &Context, g: &Tensor) -> [Tensor; 3] {
    let (x, w, mean, rstd) = (c.saved(0), c.saved(1), c.saved(2), c.saved(3));
    let b = x.backend();
    // The kernel walks g and x together.
    let g = if g.layout() == &x.layout().like() { g.clone() } else { g.copied_to(x.layout().like()) };
    let layouts = [x.layout().like(), *mean.layout(), *mean.layout()];
    let mut storages = layouts.map(|l| b.alloc(x.dtype(), l.numel()));
    let [dx, dw, db] = &mut storages;
    b.batch_norm_grad(
        g.view(),
        x.view(),
        BatchNormStats { mean: mean.view(), rstd: rstd.view(), weight: w.view() },
        BatchNormGrads {
            x: ViewMut { storage: dx, layout: &layouts[0] },
            weight: ViewMut { storage: dw, layout: &layouts[1] },
            bias: ViewMut { storage: db, layout: &layouts[2] },
        },
    );
    let mut layouts = layouts.into_iter();
    storages.map(|s| Tensor::from_parts(Arc::new(s), layouts.next().expect("one layout each")))
}

/// All dimensions but the channels', which is dimension 1.
fn batch_dims(rank: usize) -> Dims<isize> {
    (0..rank as isize).filter(|&d| d != 1).collect()
}

impl Tensor {
    /// Whether this lies in one of the two orders that the kernels walk: row-major, or channels fastest.
    fn is_rows_or_planes(&self) -> bool {
        let channels_last: Dims = std::iter::once(0).chain(2..self.rank()).chain([1]).collect();
        self.layout().is_contiguous() || self.layout().permuted(&channels_last).is_contiguous()
    }

    #[track_caller]
    fn check_channels(&self, op: &str, per_channel: &[(&str, &Tensor)]) {
        self.check_full(op);
        if self.rank() < 2 {
            misuse!(op, "needs x [batch, channels, ..], got shape {:?}", self.shape());
        }
        for (name, t) in per_channel {
            self.check_with(op, t);
            if t.shape() != [self.shape()[1]] {
                misuse!(
                    op,
                    "{name} must be [channels] = [{}] for x {:?}, got {:?}",
                    self.shape()[1],
                    self.shape(),
                    t.shape()
                );
            }
        }
    }

    /// Batch normalisation with the batch's own statistics: per channel (dimension 1),
    /// `y = (x - mean) / sqrt(var + eps) * weight + bias` with the biased variance. f32 and f64; any order of
    /// derivative.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f64], [3.0]]);
    /// let (weight, bias) = (Tensor::from(&[2.0f64][..]), Tensor::from(&[0.5f64][..]));
    /// let normed = x.batch_norm(&weight, &bias, 0.0);
    /// assert_eq!(normed.y.to_vec::<f64>(), [-1.5, 2.5]);
    /// assert_eq!((normed.mean.item(), normed.var.item()), (2.0, 1.0));
    /// ```
    ///
    /// # Panics
    /// If shapes do not fit, or a channel has fewer than two elements (its variance would be 0).
    #[track_caller]
    pub fn batch_norm(&self, weight: &Tensor, bias: &Tensor, eps: f64) -> BatchNorm {
        self.check_channels("batch_norm", &[("weight", weight), ("bias", bias)]);
        let channels = self.shape()[1];
        if channels > 0 && self.numel() / channels < 2 {
            misuse!(
                "batch_norm",
                "training needs more than one value per channel, got shape {:?}; use a larger batch or eval mode",
                self.shape()
            );
        }
        // Channels side by side are vectors, and what convolutions want; a plane of 7 x 7 fills none.
        let x = match self.rank() {
            4 => self.to_channels_last(),
            _ if self.is_rows_or_planes() => self.clone(),
            _ => self.contiguous(),
        };
        let per_channel = Layout::contiguous(&[channels]);
        let b = x.backend();
        let (mut mean, mut var) = (b.alloc(x.dtype(), channels), b.alloc(x.dtype(), channels));
        b.batch_norm_stats(
            x.view(),
            ViewMut { storage: &mut mean, layout: &per_channel },
            ViewMut { storage: &mut var, layout: &per_channel },
        );
        let [mean, var] = [mean, var].map(|s| Tensor::from_parts(Arc::new(s), per_channel));
        let rstd = var.add_scalar(eps).pow(-0.5);
        let y = Tensor::build(x.layout().like(), x.dtype(), x.device(), |out| {
            b.batch_norm_apply(x.view(), mean.view(), rstd.view(), weight.view(), bias.view(), out)
        });
        let saves = [Save::Value(&x), Save::Value(weight), Save::Value(&mean), Save::Value(&rstd)];
        let y = y.record(BatchNormOp { eps }, &[&x, weight, bias], &saves);
        BatchNorm { y, mean, var }
    }

    /// Batch normalisation with given statistics, as in evaluation: `(x - mean) / sqrt(var + eps) * weight + bias`.
    /// A sample's result does not depend on the others.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let (x, one, zero) = (Tensor::from([[1.0f64], [3.0]]), Tensor::from(&[1.0f64][..]), Tensor::from(&[0.0f64][..]));
    /// let y = x.batch_norm_eval(&one, &zero, &Tensor::from(&[1.0f64][..]), &Tensor::from(&[4.0f64][..]), 0.0);
    /// assert_eq!(y.to_vec::<f64>(), [0.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// If shapes do not fit.
    #[track_caller]
    pub fn batch_norm_eval(
        &self,
        weight: &Tensor,
        bias: &Tensor,
        mean: &Tensor,
        var: &Tensor,
        eps: f64,
    ) -> Tensor {
        self.check_channels(
            "batch_norm_eval",
            &[("weight", weight), ("bias", bias), ("mean", mean), ("var", var)],
        );
        let mut shape: Dims = Dims::filled(self.rank(), 1);
        shape[1] = self.shape()[1];
        let scale = var.add_scalar(eps).pow(-0.5).mul(weight).reshape(&shape);
        self.sub(&mean.reshape(&shape)).mul(&scale).add(&bias.reshape(&shape))
    }
}
