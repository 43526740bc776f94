//! Order along a dimension: positions of the largest, sorting, running sums.

use super::one;
use crate::backend::{Backend, View, ViewMut};
use crate::error::misuse;
use crate::tensor::node::{Context, NonDifferentiable, Op};
use crate::{DType, Layout, Tensor};

struct Cumsum {
    dim: isize,
}
impl Op for Cumsum {
    fn name(&self) -> &'static str {
        "cumsum"
    }
    /// dx_i = sum of G_j over j >= i: the running sum from the other end
    fn vjp(&self, _: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        one(g.flip(&[self.dim]).cumsum(self.dim).flip(&[self.dim]))
    }
}

impl Tensor {
    /// What a kernel over rows makes of dimension `d`: a result of this shape.
    fn by_rows(&self, d: usize, dtype: DType, kernel: impl FnOnce(&dyn Backend, View, ViewMut)) -> Tensor {
        let last = self.rank() as isize - 1;
        let rows = self.detach().transpose(d as isize, last).contiguous();
        let y = Tensor::build(Layout::contiguous(rows.shape()), dtype, self.device(), |out| {
            kernel(self.backend(), rows.view(), out)
        });
        y.transpose(d as isize, last)
    }

    /// Where along `dim` the largest element is, the first of equal ones: i64. NaN counts as larger than any number.
    /// No derivative. All dtypes.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f32, 9.0, 3.0], [7.0, 5.0, 7.0]]);
    /// assert_eq!(x.argmax(1, false).to_vec::<i64>(), [1, 0]);
    /// ```
    ///
    /// # Panics
    /// If the dimension has no entries.
    #[track_caller]
    pub fn argmax(&self, dim: isize, keepdim: bool) -> Tensor {
        if self.is_scalar_along(dim) {
            return self.unsqueeze(0).argmax(0, false);
        }
        let d = self.dim("argmax", dim);
        if self.shape()[d] == 0 {
            misuse!(
                "argmax",
                "the largest of no elements does not exist (dimension {dim} of shape {:?}); use one that has some",
                self.shape()
            );
        }
        let last = self.rank() as isize - 1;
        let rows = self.detach().transpose(d as isize, last).contiguous();
        let kept = &rows.shape()[..rows.rank() - 1];
        let y = Tensor::build(Layout::contiguous(kept), DType::I64, self.device(), |out| {
            self.backend().argmax(rows.view(), out)
        });
        let y = y.unsqueeze(-1).transpose(d as isize, last);
        let y = if keepdim { y } else { y.squeeze(d as isize) };
        y.record(NonDifferentiable("argmax"), &[self], &[])
    }

    /// The positions along `dim` in ascending or descending order of their elements: i64, of this shape. Equal
    /// elements keep their order; NaN counts as larger than any number. No derivative. All dtypes.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from(&[3.0f32, 1.0, 2.0, 1.0][..]);
    /// assert_eq!(x.argsort(0, false).to_vec::<i64>(), [1, 3, 2, 0]);
    /// assert_eq!(x.gather(0, &x.argsort(0, true)).to_vec::<f32>(), [3.0, 2.0, 1.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// If the dimension does not exist.
    #[track_caller]
    pub fn argsort(&self, dim: isize, descending: bool) -> Tensor {
        if self.is_scalar_along(dim) {
            return self.unsqueeze(0).argsort(0, descending).squeeze(0);
        }
        let d = self.dim("argsort", dim);
        let y = self.by_rows(d, DType::I64, |b, x, out| b.argsort(x, descending, out));
        y.record(NonDifferentiable("argsort"), &[self], &[])
    }

    /// The `k` largest elements along `dim`, largest first, and their positions (i64). The derivative of the values
    /// goes to the elements they were; the positions have none.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let (values, positions) = Tensor::from(&[3.0f32, 1.0, 4.0, 1.0, 5.0][..]).topk(2, 0);
    /// assert_eq!((values.to_vec::<f32>(), positions.to_vec::<i64>()), (vec![5.0, 4.0], vec![4, 2]));
    /// ```
    ///
    /// # Panics
    /// If the dimension has fewer than k entries.
    #[track_caller]
    pub fn topk(&self, k: usize, dim: isize) -> (Tensor, Tensor) {
        if self.is_scalar_along(dim) {
            let (values, positions) = self.unsqueeze(0).topk(k, 0);
            return if k == 1 { (values.squeeze(0), positions.squeeze(0)) } else { (values, positions) };
        }
        let d = self.dim("topk", dim);
        if k > self.shape()[d] {
            misuse!(
                "topk",
                "k = {k} is more than dimension {dim} of shape {:?} has; it has {}",
                self.shape(),
                self.shape()[d]
            );
        }
        let order = self.by_rows(d, DType::I64, |b, x, out| b.argsort(x, true, out));
        let positions = order.narrow(d as isize, 0, k).contiguous();
        let values = self.gather(d as isize, &positions);
        (values, positions.record(NonDifferentiable("topk"), &[self], &[]))
    }

    /// Running sums along `dim`: `y_i = x_0 + .. + x_i`, added in this order. Derivative: the running sum of the
    /// gradient from the other end.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// assert_eq!(x.cumsum(1).to_vec::<f32>(), [1.0, 3.0, 6.0, 4.0, 9.0, 15.0]);
    /// ```
    ///
    /// # Panics
    /// If the dtype is no float.
    #[track_caller]
    pub fn cumsum(&self, dim: isize) -> Tensor {
        self.check_float("cumsum");
        if self.is_scalar_along(dim) {
            return self.clone();
        }
        let d = self.dim("cumsum", dim);
        self.by_rows(d, self.dtype(), |b, x, out| b.cumsum(x, out)).record(
            Cumsum { dim: d as isize },
            &[self],
            &[],
        )
    }
}
