//! Reductions over any set of dimensions. An empty list of dimensions means all of them.

use super::{constant, one};
use crate::backend::Reduce;
use crate::error::misuse;
use crate::tensor::node::{Context, Op, Save};
use crate::{DType, Dims, Layout, Tensor};

impl Tensor {
    /// The value of a reduction, and the shape with the reduced dimensions kept at size 1.
    #[track_caller]
    fn reduce_value(&self, op: &str, f: Reduce, dims: &[isize], keepdim: bool) -> (Tensor, Dims) {
        self.check_float(op);
        let over = self.dim_mask(op, dims);
        let kept = self.reduced_shape(&over);
        let squeezed: Dims = (0..self.rank()).filter(|&d| !over[d]).map(|d| kept[d]).collect();
        if f == Reduce::Max && self.numel() == 0 && squeezed.iter().product::<usize>() > 0 {
            misuse!(
                op,
                "the largest of no elements does not exist (shape {:?}, dims {dims:?}); reduce only dimensions that have some",
                self.shape()
            );
        }
        let y = Tensor::build(Layout::contiguous(&squeezed), self.dtype(), self.device(), |out| {
            self.backend().reduce(f, self.view(), &over, out)
        });
        let y = if keepdim { y.viewed(Layout::contiguous(&kept)) } else { y };
        (y, kept)
    }

    /// Number of elements that a reduction over `dims` combines into one.
    #[track_caller]
    fn reduced_count(&self, op: &str, dims: &[isize]) -> usize {
        let over = self.dim_mask(op, dims);
        self.shape().iter().zip(over.iter()).filter(|(_, r)| **r).map(|(n, _)| n).product()
    }
}

struct Sum {
    /// The input's shape, and the same with reduced dimensions at size 1.
    shape: Dims,
    kept: Dims,
}
impl Op for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }
    /// Each summand gets the sum's gradient.
    fn vjp(&self, _: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        one(g.reshape(&self.kept).expand_to(&self.shape))
    }
}

struct Var {
    dims: Dims<isize>,
    kept: Dims,
    /// n - 1 or n.
    divisor: f64,
}
impl Op for Var {
    fn name(&self) -> &'static str {
        "var"
    }
    /// dy/dx = 2 (x - mean) / divisor
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let x = c.saved(0);
        let centred = x.sub(&x.mean(&self.dims, true));
        one(g.reshape(&self.kept).mul(&centred).mul_scalar(2.0 / self.divisor))
    }
}

struct Max {
    dims: Dims<isize>,
    kept: Dims,
}
impl Op for Max {
    fn name(&self) -> &'static str {
        "max"
    }
    /// The gradient goes to the largest element, in equal parts to several that tie.
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let (x, y) = (c.saved(0).detach(), c.saved(1).detach().reshape(&self.kept));
        let chosen = x.eq(&y).to_dtype(x.dtype());
        let share = chosen.div(&chosen.sum(&self.dims, true));
        one(g.reshape(&self.kept).mul(&share))
    }
}

struct Norm {
    /// The input's shape with reduced dimensions at size 1.
    kept: Dims,
}
impl Op for Norm {
    fn name(&self) -> &'static str {
        "norm"
    }
    /// dy/dx = x / y, and 0 where y is 0
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let (x, y) = (c.saved(0), c.saved(1).reshape(&self.kept));
        // Dividing by 1 there keeps NaN out of this and of every higher derivative.
        let (zero, nowhere) = (constant(g, 0.0), y.detach().eq_scalar(0.0));
        let scale = g.reshape(&self.kept).div(&nowhere.where_(&constant(g, 1.0), &y));
        one(x.mul(&nowhere.where_(&zero, &scale)))
    }
}

impl Tensor {
    /// Sum over `dims` (all if none are listed); `keepdim` leaves them at size 1. The sum of nothing is 0.
    ///
    /// Elements are added in a fixed order that does not depend on threads or, for sums within a sample, on the
    /// batch.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f64, 2.0, 3.0], [4.0, 5.0, 9.0]]);
    /// assert_eq!(x.sum(&[1], false).to_vec::<f64>(), [6.0, 18.0]);
    /// assert_eq!(x.sum(&[-1], true).shape(), [2, 1]);
    /// assert_eq!(x.sum(&[], false).item(), 24.0);
    /// ```
    ///
    /// # Panics
    /// If the dtype is no float, or a dimension does not exist or is listed twice.
    #[track_caller]
    pub fn sum(&self, dims: &[isize], keepdim: bool) -> Tensor {
        let (y, kept) = self.reduce_value("sum", Reduce::Sum, dims, keepdim);
        y.record(Sum { shape: Dims::from_slice(self.shape()), kept }, &[self], &[])
    }

    /// Sum of all elements, shape `[]`.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// assert_eq!(Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]).sum_all().item(), 10.0);
    /// ```
    ///
    /// # Panics
    /// If the dtype is no float.
    #[track_caller]
    pub fn sum_all(&self) -> Tensor {
        self.sum(&[], false)
    }

    /// Mean over `dims` (all if none are listed). The mean of nothing is NaN.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f64, 2.0, 3.0], [4.0, 5.0, 9.0]]);
    /// assert_eq!(x.mean(&[0], false).to_vec::<f64>(), [2.5, 3.5, 6.0]);
    /// ```
    ///
    /// # Panics
    /// If the dtype is no float, or a dimension does not exist or is listed twice.
    #[track_caller]
    pub fn mean(&self, dims: &[isize], keepdim: bool) -> Tensor {
        self.check_float("mean");
        if let Some(x) = self.widened() {
            return x.mean(dims, keepdim).to_dtype(self.dtype());
        }
        let n = self.reduced_count("mean", dims);
        self.sum(dims, keepdim).mul_scalar(1.0 / n as f64)
    }

    /// Mean of all elements, shape `[]`.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// assert_eq!(Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]).mean_all().item(), 2.5);
    /// ```
    ///
    /// # Panics
    /// If the dtype is no float.
    #[track_caller]
    pub fn mean_all(&self) -> Tensor {
        self.mean(&[], false)
    }

    /// Variance over `dims` (all if none are listed): the mean squared deviation from the mean, in two passes;
    /// `unbiased` divides by n - 1 in place of n. NaN where the divisor is 0.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from(&[1.0f64, 3.0][..]);
    /// assert_eq!(x.var(&[0], false, false).item(), 1.0);
    /// assert_eq!(x.var(&[0], true, false).item(), 2.0);
    /// ```
    ///
    /// # Panics
    /// If the dtype is no float, or a dimension does not exist or is listed twice.
    #[track_caller]
    pub fn var(&self, dims: &[isize], unbiased: bool, keepdim: bool) -> Tensor {
        self.check_float("var");
        if let Some(x) = self.widened() {
            return x.var(dims, unbiased, keepdim).to_dtype(self.dtype());
        }
        let n = self.reduced_count("var", dims);
        let divisor = if unbiased { n.saturating_sub(1) } else { n } as f64;
        let x = self.detach();
        let centred = x.sub(&x.mean(dims, true));
        let y = centred.mul(&centred).sum(dims, keepdim).mul_scalar(1.0 / divisor);
        let kept = self.reduced_shape(&self.dim_mask("var", dims));
        y.record(Var { dims: Dims::from_slice(dims), kept, divisor }, &[self], &[Save::Value(self)])
    }

    /// Largest element over `dims` (all if none are listed); NaN if there is one. Where several tie, each gets an
    /// equal part of the gradient.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f64, 2.0, 3.0], [4.0, 5.0, 9.0]]);
    /// assert_eq!(x.max(&[1], false).to_vec::<f64>(), [3.0, 9.0]);
    /// ```
    ///
    /// # Panics
    /// Over no elements.
    #[track_caller]
    pub fn max(&self, dims: &[isize], keepdim: bool) -> Tensor {
        let (y, kept) = self.reduce_value("max", Reduce::Max, dims, keepdim);
        y.record(Max { dims: Dims::from_slice(dims), kept }, &[self], &[Save::Value(self), Save::Output])
    }

    /// Euclidean norm over `dims` (all if none are listed): `sqrt(sum x^2)`. Derivative x / norm, and 0 where the norm
    /// is 0.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[3.0f64, 4.0], [0.0, -2.0]]);
    /// assert_eq!(x.norm(&[1], false).to_vec::<f64>(), [5.0, 2.0]);
    /// ```
    ///
    /// # Panics
    /// If the dtype is no float, or a dimension does not exist or is listed twice.
    #[track_caller]
    pub fn norm(&self, dims: &[isize], keepdim: bool) -> Tensor {
        self.check_float("norm");
        if let Some(x) = self.widened() {
            return x.norm(dims, keepdim).to_dtype(self.dtype());
        }
        let kept = self.reduced_shape(&self.dim_mask("norm", dims));
        let y = self.detach().square().sum(dims, keepdim).sqrt();
        y.record(Norm { kept }, &[self], &[Save::Value(self), Save::Output])
    }

    /// An f16 or bf16 tensor in f32: sums that are divided afterwards must not overflow or be rounded before.
    fn widened(&self) -> Option<Tensor> {
        matches!(self.dtype(), DType::F16 | DType::BF16).then(|| self.to_dtype(DType::F32))
    }

    /// The shape with the reduced dimensions at size 1.
    fn reduced_shape(&self, over: &[bool]) -> Dims {
        self.shape().iter().zip(over.iter()).map(|(&n, &r)| if r { 1 } else { n }).collect()
    }
}
