//! Reading and adding at indices. Index tensors are i64 and have no derivative.

use super::{check_devices, check_shape, one, zeros_beside};
use crate::backend::{BadIndex, View, ViewMut};
use crate::error::misuse;
use crate::tensor::node::{Context, Op, Save};
use crate::{DType, Dims, Layout, Tensor};

#[track_caller]
pub(super) fn check_index(op: &str, x: &Tensor, index: &Tensor) {
    check_devices(op, x, index);
    if index.dtype() != DType::I64 {
        misuse!(
            op,
            "the index must be i64, got {} (shape {:?}); convert it with to_dtype(DType::I64)",
            index.dtype(),
            index.shape()
        );
    }
}

#[track_caller]
pub(super) fn check_range(op: &str, shape: &[usize], dim: usize, result: Result<(), BadIndex>) {
    if let Err(BadIndex { index, size }) = result {
        if size == 0 {
            misuse!(op, "index {index} is out of range: dimension {dim} of shape {shape:?} is empty");
        }
        misuse!(
            op,
            "index {index} is out of range for dimension {dim} of shape {shape:?}; valid are 0 to {}",
            size as i64 - 1
        );
    }
}

struct IndexSelect {
    dim: isize,
    shape: Dims,
}
impl Op for IndexSelect {
    fn name(&self) -> &'static str {
        "index_select"
    }
    /// Entries taken several times get the sum.
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        one(zeros_beside(g, &self.shape).index_add(self.dim, c.saved(0), g))
    }
}

struct IndexAdd {
    dim: isize,
}
impl Op for IndexAdd {
    fn name(&self) -> &'static str {
        "index_add"
    }
    /// dx = G, dsrc = the entries of G that were added to
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        vec![c.needs(0).then(|| g.clone()), c.needs(1).then(|| g.index_select(self.dim, c.saved(0)))]
    }
}

struct Gather {
    dim: isize,
    shape: Dims,
}
impl Op for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }
    /// Elements taken several times get the sum.
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        one(zeros_beside(g, &self.shape).scatter_add(self.dim, c.saved(0), g))
    }
}

struct ScatterAdd {
    dim: isize,
}
impl Op for ScatterAdd {
    fn name(&self) -> &'static str {
        "scatter_add"
    }
    /// dx = G, dsrc = the elements of G that were added to
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        vec![c.needs(0).then(|| g.clone()), c.needs(1).then(|| g.gather(self.dim, c.saved(0)))]
    }
}

impl Tensor {
    /// The entries of dimension `dim` listed in the vector `index` (a scalar counts as a vector of one); repeats are
    /// allowed and accumulate in the gradient.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    /// let rows = x.index_select(0, &Tensor::from(&[2i64, 0, 2][..]));
    /// assert_eq!(rows.to_vec::<f32>(), [5.0, 6.0, 1.0, 2.0, 5.0, 6.0]);
    /// ```
    ///
    /// # Panics
    /// If the index is not a vector of i64 or holds a number outside of the dimension.
    #[track_caller]
    pub fn index_select(&self, dim: isize, index: &Tensor) -> Tensor {
        self.select("index_select", dim, index)
    }

    /// [`Tensor::index_select`] on behalf of an op.
    #[track_caller]
    fn select(&self, name: &'static str, dim: isize, index: &Tensor) -> Tensor {
        if self.is_scalar_along(dim) && index.numel() == 1 {
            return self.reshape(&[1]).select(name, 0, &index.reshape(&[1])).reshape(&[]);
        }
        if index.rank() == 0 {
            return self.select(name, dim, &index.reshape(&[1]));
        }
        let d = self.dim(name, dim);
        check_index(name, self, index);
        if index.rank() != 1 {
            misuse!(
                name,
                "the index must be a vector, got shape {:?} for x {:?}; reshape it, or use gather",
                index.shape(),
                self.shape()
            );
        }
        let mut shape = Dims::from_slice(self.shape());
        shape[d] = index.numel();
        // The kernel walks rows: dimensions are named in their order in memory, so that it is kept.
        let layout = self.layout().like_resized(&shape);
        let order = layout.memory_order();
        let place = order.iter().position(|&i| i == d).expect("the order names every dimension");
        let (from, to) = (self.layout().permuted(&order), layout.permuted(&order));
        let mut result = Ok(());
        let y = Tensor::build(layout, self.dtype(), self.device(), |out| {
            let (x, out) = (View { layout: &from, ..self.view() }, ViewMut { layout: &to, ..out });
            result = self.backend().index_select(name, x, place, index.view(), out)
        });
        check_range(name, self.shape(), d, result);
        let op = IndexSelect { dim: d as isize, shape: Dims::from_slice(self.shape()) };
        y.record(op, &[self], &[Save::Value(index)])
    }

    /// This tensor with `src` added at the entries of dimension `dim` listed in the vector `index`, repeats in
    /// order.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let zero = Tensor::from([[0.0f32], [0.0], [0.0]]);
    /// let src = Tensor::from([[1.0f32], [10.0], [100.0]]);
    /// let y = zero.index_add(0, &Tensor::from(&[2i64, 0, 2][..]), &src);
    /// assert_eq!(y.to_vec::<f32>(), [10.0, 0.0, 101.0]);
    /// ```
    ///
    /// # Panics
    /// If `src` has not this tensor's shape with the index's length in `dim`, or an index is out of range.
    #[track_caller]
    pub fn index_add(&self, dim: isize, index: &Tensor, src: &Tensor) -> Tensor {
        let d = self.dim("index_add", dim);
        check_index("index_add", self, index);
        self.check_with("index_add", src);
        self.check_float("index_add");
        let mut shape = Dims::from_slice(self.shape());
        shape[d] = index.numel();
        if index.rank() != 1 || src.shape() != &shape[..] {
            misuse!(
                "index_add",
                "for x {:?} needs index [n] and src {shape:?}, got index {:?} and src {:?}",
                self.shape(),
                index.shape(),
                src.shape()
            );
        }
        let y = self
            .with_added("index_add", d, index, src, |b, s, i, acc| b.index_add("index_add", s, d, i, acc));
        y.record(IndexAdd { dim: d as isize }, &[self, src], &[Save::Value(index)])
    }

    /// `out[.., j, ..] = x[.., index[.., j, ..], ..]` along `dim`: the index has this tensor's rank and may be
    /// smaller in the other dimensions.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    /// let one_of_each_row = x.gather(1, &Tensor::from([[1i64], [0], [1]]));
    /// assert_eq!(one_of_each_row.to_vec::<f32>(), [2.0, 3.0, 6.0]);
    /// ```
    ///
    /// # Panics
    /// If the index does not fit, is not i64 or holds a number outside of the dimension.
    #[track_caller]
    pub fn gather(&self, dim: isize, index: &Tensor) -> Tensor {
        self.gathered("gather", dim, index)
    }

    /// [`Tensor::gather`] on behalf of an op.
    #[track_caller]
    pub(super) fn gathered(&self, name: &'static str, dim: isize, index: &Tensor) -> Tensor {
        if self.is_scalar_along(dim) && index.numel() == 1 && index.rank() < 2 {
            return self.reshape(&[1]).gathered(name, 0, &index.reshape(&[1])).reshape(index.shape());
        }
        let d = self.dim(name, dim);
        check_index(name, self, index);
        self.check_index_shape(name, d, index);
        let mut result = Ok(());
        let y = Tensor::build(Layout::contiguous(index.shape()), self.dtype(), self.device(), |out| {
            result = self.backend().gather(name, self.view(), d, index.view(), out)
        });
        check_range(name, self.shape(), d, result);
        let op = Gather { dim: d as isize, shape: Dims::from_slice(self.shape()) };
        y.record(op, &[self], &[Save::Value(index)])
    }

    /// This tensor with `src[.., j, ..]` added to element `[.., index[.., j, ..], ..]` along `dim`, repeats in order
    /// of j. `src` has the index's shape.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let zero = Tensor::from([[0.0f32, 0.0], [0.0, 0.0]]);
    /// let src = Tensor::from([[5.0f32], [7.0]]);
    /// let y = zero.scatter_add(1, &Tensor::from([[1i64], [0]]), &src);
    /// assert_eq!(y.to_vec::<f32>(), [0.0, 5.0, 7.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// If shapes do not fit, the index is not i64 or holds a number outside of the dimension.
    #[track_caller]
    pub fn scatter_add(&self, dim: isize, index: &Tensor, src: &Tensor) -> Tensor {
        if self.is_scalar_along(dim) && [index, src].iter().all(|t| t.numel() == 1 && t.rank() < 2) {
            return self.reshape(&[1]).scatter_add(0, &index.reshape(&[1]), &src.reshape(&[1])).reshape(&[]);
        }
        let d = self.dim("scatter_add", dim);
        check_index("scatter_add", self, index);
        self.check_with("scatter_add", src);
        self.check_float("scatter_add");
        self.check_index_shape("scatter_add", d, index);
        if src.shape() != index.shape() {
            misuse!(
                "scatter_add",
                "src must have the index's shape {:?}, got {:?} (x is {:?}); narrow it",
                index.shape(),
                src.shape(),
                self.shape()
            );
        }
        let y = self.with_added("scatter_add", d, index, src, |b, s, i, acc| {
            b.scatter_add("scatter_add", s, d, i, acc)
        });
        y.record(ScatterAdd { dim: d as isize }, &[self, src], &[Save::Value(index)])
    }

    #[track_caller]
    fn check_index_shape(&self, op: &str, d: usize, index: &Tensor) {
        let fits = index.rank() == self.rank()
            && (0..self.rank()).all(|i| i == d || index.shape()[i] <= self.shape()[i]);
        if !fits {
            misuse!(
                op,
                "the index {:?} must have the rank of {:?} and be no larger in dimensions other than {d}",
                index.shape(),
                self.shape()
            );
        }
    }

    /// A copy of this tensor to which `add` adds `src`.
    #[track_caller]
    fn with_added(
        &self,
        op: &str,
        d: usize,
        index: &Tensor,
        src: &Tensor,
        add: impl FnOnce(
            &dyn crate::backend::Backend,
            crate::backend::View,
            crate::backend::View,
            crate::backend::ViewMut,
        ) -> Result<(), BadIndex>,
    ) -> Tensor {
        let mut result = Ok(());
        // The kernels address the result in row-major order.
        let y = Tensor::build(Layout::contiguous(self.shape()), self.dtype(), self.device(), |mut out| {
            self.backend().copy(self.view(), out.reborrow());
            result = add(self.backend(), src.view(), index.view(), out);
        });
        check_range(op, self.shape(), d, result);
        y
    }

    /// Rows of the table `[n, d]` for an index of any shape: `[.., d]`. Repeated rows accumulate in the gradient.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let table = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
    /// let y = Tensor::embedding(&Tensor::from([[1i64, 0, 1]]), &table);
    /// assert_eq!(y.shape(), [1, 3, 2]);
    /// assert_eq!(y.to_vec::<f32>(), [3.0, 4.0, 1.0, 2.0, 3.0, 4.0]);
    /// ```
    ///
    /// # Panics
    /// If the table is not a matrix, the index is not i64 or out of range.
    #[track_caller]
    pub fn embedding(index: &Tensor, table: &Tensor) -> Tensor {
        if table.rank() != 2 {
            misuse!(
                "embedding",
                "the table must be [entries, width], got {:?} with index {:?}",
                table.shape(),
                index.shape()
            );
        }
        let shape: Vec<usize> = index.shape().iter().copied().chain([table.shape()[1]]).collect();
        check_shape("embedding", &shape);
        table.select("embedding", 0, &index.reshape(&[index.numel()])).reshape(&shape)
    }
}
