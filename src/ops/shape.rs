//! Views and rearrangements: no arithmetic, mostly no copying.

use super::one;
use crate::backend::ViewMut;
use crate::error::misuse;
use crate::tensor::node::{Context, Op};
use crate::{Dims, Layout, Tensor};

impl Tensor {
    /// A fresh copy in the given layout.
    pub(crate) fn copied_to(&self, layout: Layout) -> Tensor {
        Tensor::build(layout, self.dtype(), self.device(), |out| self.backend().copy(self.view(), out))
    }
}

/// Reshape, squeeze, unsqueeze, and copies to row-major order.
struct Reshape {
    shape: Dims,
}
impl Op for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }
    /// Back to the input's shape.
    fn vjp(&self, _: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        one(g.reshape(&self.shape))
    }
}

struct Permute {
    inverse: Dims<isize>,
}
impl Op for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }
    /// The inverse permutation.
    fn vjp(&self, _: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        one(g.permute(&self.inverse))
    }
}

struct Expand {
    shape: Dims,
}
impl Op for Expand {
    fn name(&self) -> &'static str {
        "expand"
    }
    /// Repetitions add up.
    fn vjp(&self, _: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        one(g.sum_to(&self.shape))
    }
}

struct Cat {
    dim: isize,
    /// Where each input starts, and how long it is.
    parts: Vec<(usize, usize)>,
}
impl Op for Cat {
    fn name(&self) -> &'static str {
        "cat"
    }
    /// Each input gets its part.
    fn vjp(&self, c: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        let part =
            |i: usize, (start, length): (usize, usize)| c.needs(i).then(|| g.narrow(self.dim, start, length));
        self.parts.iter().enumerate().map(|(i, &p)| part(i, p)).collect()
    }
}

impl Tensor {
    /// The same elements in row-major order under another shape; a view if strides allow, else a copy.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// assert_eq!(x.reshape(&[3, 2]).to_vec::<f32>(), x.to_vec::<f32>());
    /// ```
    ///
    /// # Panics
    /// If the number of elements differs.
    #[track_caller]
    pub fn reshape(&self, shape: &[usize]) -> Tensor {
        if shape == self.shape() {
            return self.clone();
        }
        super::check_shape("reshape", shape);
        if shape.iter().product::<usize>() != self.numel() {
            misuse!(
                "reshape",
                "shape {:?} has {} elements and {shape:?} has {}; the number must stay the same",
                self.shape(),
                self.numel(),
                shape.iter().product::<usize>()
            );
        }
        let y = match self.layout().reshaped(shape) {
            Some(layout) => self.viewed(layout),
            None => self.copied_to(Layout::contiguous(self.shape())).viewed(Layout::contiguous(shape)),
        };
        y.record(Reshape { shape: Dims::from_slice(self.shape()) }, &[self], &[])
    }

    /// The same values in row-major order without gaps; itself if they lie so already.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// assert!(!x.t().layout().is_contiguous() && x.t().contiguous().layout().is_contiguous());
    /// ```
    pub fn contiguous(&self) -> Tensor {
        if self.layout().is_contiguous() {
            return self.clone();
        }
        self.in_layout(Layout::contiguous(self.shape()))
    }

    /// The same images with the channels of a pixel side by side in memory, as convolutions and resampling want them.
    pub(super) fn to_channels_last(&self) -> Tensor {
        self.in_layout(Layout::channels_last(self.shape()))
    }

    /// The same values in another order of memory: copied, unless they lie so already.
    pub(super) fn in_layout(&self, layout: Layout) -> Tensor {
        if self.layout().like() == layout && self.layout().is_dense() {
            return self.clone();
        }
        let y = self.copied_to(layout);
        y.record(Reshape { shape: Dims::from_slice(self.shape()) }, &[self], &[])
    }

    /// Dimensions reordered: dimension i of the result is dimension `dims[i]` of this. A view.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// let y = x.permute(&[1, 0]);
    /// assert_eq!((y.shape(), y.to_vec::<f32>()), (&[3, 2][..], vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
    /// ```
    ///
    /// # Panics
    /// If `dims` is not a permutation of all dimensions.
    #[track_caller]
    pub fn permute(&self, dims: &[isize]) -> Tensor {
        if dims.len() != self.rank() {
            misuse!(
                "permute",
                "needs all {} dimensions of shape {:?} once, got {dims:?}",
                self.rank(),
                self.shape()
            );
        }
        self.dim_mask("permute", dims);
        let mut resolved = Dims::new();
        let mut inverse: Dims<isize> = Dims::filled(self.rank(), 0);
        for (i, &d) in dims.iter().enumerate() {
            let d = self.dim("permute", d);
            resolved.push(d);
            inverse[d] = i as isize;
        }
        self.viewed(self.layout().permuted(&resolved)).record(Permute { inverse }, &[self], &[])
    }

    /// Two dimensions exchanged. A view.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// assert_eq!(x.transpose(0, -1).shape(), [3, 2]);
    /// ```
    ///
    /// # Panics
    /// If a dimension does not exist.
    #[track_caller]
    pub fn transpose(&self, a: isize, b: isize) -> Tensor {
        let (a, b) = (self.dim("transpose", a), self.dim("transpose", b));
        let mut dims: Dims<isize> = (0..self.rank() as isize).collect();
        dims.swap(a, b);
        self.permute(&dims)
    }

    /// Size-1 dimensions repeated and new leading ones added, to a shape that this one broadcasts to. A view.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let column = Tensor::from([[1.0f32], [2.0]]);
    /// assert_eq!(column.expand(&[2, 2]).to_vec::<f32>(), [1.0, 1.0, 2.0, 2.0]);
    /// ```
    ///
    /// # Panics
    /// If the shape does not broadcast to the one wanted.
    #[track_caller]
    pub fn expand(&self, shape: &[usize]) -> Tensor {
        super::check_shape("expand", shape);
        let Some(layout) = self.layout().expanded(shape) else {
            misuse!(
                "expand",
                "shape {:?} does not broadcast to {shape:?}; only sizes of 1 can be repeated and new dimensions come first",
                self.shape()
            );
        };
        if shape == self.shape() {
            return self.clone();
        }
        self.viewed(layout).record(Expand { shape: Dims::from_slice(self.shape()) }, &[self], &[])
    }

    /// [`Tensor::expand`] for shapes known to fit.
    pub(crate) fn expand_to(&self, shape: &[usize]) -> Tensor {
        self.expand(shape)
    }

    /// Without dimension `dim`, which must have size 1. A view.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// assert_eq!(Tensor::from([[1.0f32, 2.0]]).squeeze(0).shape(), [2]);
    /// ```
    ///
    /// # Panics
    /// If the dimension does not exist or has another size.
    #[track_caller]
    pub fn squeeze(&self, dim: isize) -> Tensor {
        let d = self.dim("squeeze", dim);
        if self.shape()[d] != 1 {
            misuse!(
                "squeeze",
                "dimension {dim} of shape {:?} has size {}, not 1; reshape, or narrow it first",
                self.shape(),
                self.shape()[d]
            );
        }
        let mut shape = Dims::from_slice(self.shape());
        shape.remove(d);
        self.reshape(&shape)
    }

    /// With a new dimension of size 1 at `dim` (negative: counted from behind the last). A view.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// assert_eq!(x.unsqueeze(1).shape(), [2, 1, 3]);
    /// assert_eq!(x.unsqueeze(-1).shape(), [2, 3, 1]);
    /// ```
    ///
    /// # Panics
    /// If the dimension lies outside, or there would be more than [`crate::MAX_RANK`].
    #[track_caller]
    pub fn unsqueeze(&self, dim: isize) -> Tensor {
        let d = super::resolve_dim("unsqueeze", self.shape(), self.rank() + 1, dim);
        let mut shape = self.shape().to_vec();
        shape.insert(d, 1);
        super::check_shape("unsqueeze", &shape);
        self.reshape(&shape)
    }

    /// Tensors joined along a dimension in which alone they may differ.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let (a, b) = (Tensor::from([[1.0f32], [2.0]]), Tensor::from([[3.0f32, 4.0], [5.0, 6.0]]));
    /// assert_eq!(Tensor::cat(&[&a, &b], 1).to_vec::<f32>(), [1.0, 3.0, 4.0, 2.0, 5.0, 6.0]);
    /// ```
    ///
    /// # Panics
    /// If there is none, or ranks, other sizes, dtypes or devices differ.
    #[track_caller]
    pub fn cat(tensors: &[&Tensor], dim: isize) -> Tensor {
        let Some(&first) = tensors.first() else { misuse!("cat", "needs at least one tensor") };
        let d = first.dim("cat", dim);
        let mut shape = Dims::from_slice(first.shape());
        let mut parts = Vec::with_capacity(tensors.len());
        shape[d] = 0;
        for t in tensors {
            first.check_with("cat", t);
            let fits = t.rank() == first.rank() && (0..t.rank()).all(|i| i == d || t.shape()[i] == shape[i]);
            if !fits {
                misuse!(
                    "cat",
                    "shapes {:?} and {:?} differ in more than dimension {dim}; ranks and all other sizes must be equal",
                    first.shape(),
                    t.shape()
                );
            }
            parts.push((shape[d], t.shape()[d]));
            shape[d] = shape[d].saturating_add(t.shape()[d]);
        }
        super::check_shape("cat", &shape);
        let y = Tensor::build(first.layout().like_resized(&shape), first.dtype(), first.device(), |out| {
            for (t, &(start, length)) in tensors.iter().zip(&parts) {
                let part = out.layout.narrowed(d, start, length);
                t.backend().copy(t.view(), ViewMut { storage: out.storage, layout: &part });
            }
        });
        y.record(Cat { dim: d as isize, parts }, tensors, &[])
    }

    /// Tensors of one shape joined along a new dimension `dim` (negative: counted from behind the last).
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let (a, b) = (Tensor::from(&[1.0f32, 2.0][..]), Tensor::from(&[3.0f32, 4.0][..]));
    /// assert_eq!(Tensor::stack(&[&a, &b], 1).to_vec::<f32>(), [1.0, 3.0, 2.0, 4.0]);
    /// ```
    ///
    /// # Panics
    /// If there is none, shapes, dtypes or devices differ, or there would be more than [`crate::MAX_RANK`] dimensions.
    #[track_caller]
    pub fn stack(tensors: &[&Tensor], dim: isize) -> Tensor {
        let Some(&first) = tensors.first() else { misuse!("stack", "needs at least one tensor") };
        let d = super::resolve_dim("stack", first.shape(), first.rank() + 1, dim) as isize;
        for t in tensors {
            first.check_with("stack", t);
            if t.shape() != first.shape() {
                misuse!(
                    "stack",
                    "shapes {:?} and {:?} differ; all must be equal (cat joins along a dimension that is there)",
                    first.shape(),
                    t.shape()
                );
            }
        }
        let shape = [first.shape(), &[tensors.len()]].concat();
        super::check_shape("stack", &shape);
        let rows: Vec<Tensor> = tensors.iter().map(|t| t.unsqueeze(d)).collect();
        Tensor::cat(&rows.iter().collect::<Vec<_>>(), d)
    }
}
