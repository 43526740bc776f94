//! Parts of a tensor: views of some of its elements, and the adjoint, which puts a part back among zeros.

use super::one;
use crate::backend::ViewMut;
use crate::error::misuse;
use crate::tensor::node::{Context, Op};
use crate::{Dims, Layout, Tensor};

/// Which elements of a tensor.
#[derive(Clone, Copy)]
enum Choice {
    /// `length` entries of `dim` from `start`, `step` apart.
    Slice { dim: usize, start: usize, length: usize, step: usize },
    /// See [`Tensor::diagonal`].
    Diagonal { offset: isize },
}

impl Choice {
    fn of(self, l: &Layout) -> Layout {
        match self {
            Choice::Slice { dim, start, length, step } => l.sliced(dim, start, length, step),
            Choice::Diagonal { offset } => l.diagonal(offset),
        }
    }
}

/// A view of the chosen elements.
struct Part {
    name: &'static str,
    choice: Choice,
    full: Dims,
}
impl Op for Part {
    fn name(&self) -> &'static str {
        self.name
    }
    /// Zeros outside of the part that was taken.
    fn vjp(&self, _: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        one(g.put_back(self.name, self.choice, &self.full))
    }
}

/// The adjoint of [`Part`].
struct PutBack {
    name: &'static str,
    choice: Choice,
}
impl Op for PutBack {
    fn name(&self) -> &'static str {
        self.name
    }
    /// The part that is not zero.
    fn vjp(&self, _: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        one(g.part(self.name, self.choice))
    }
}

impl Tensor {
    fn part(&self, name: &'static str, choice: Choice) -> Tensor {
        let full = Dims::from_slice(self.shape());
        self.viewed(choice.of(self.layout())).record(Part { name, choice, full }, &[self], &[])
    }

    /// Zeros of shape `full` with this tensor in the chosen places.
    fn put_back(&self, name: &'static str, choice: Choice, full: &[usize]) -> Tensor {
        let layout = if full.len() == self.rank() {
            self.layout().like_resized(full)
        } else {
            Layout::contiguous(full)
        };
        let y = Tensor::build(layout, self.dtype(), self.device(), |mut out| {
            self.backend().fill(0.0, out.reborrow());
            let part = choice.of(out.layout);
            self.backend().copy(self.view(), ViewMut { storage: out.storage, layout: &part });
        });
        y.record(PutBack { name, choice }, &[self], &[])
    }

    /// `length` entries of dimension `dim` from `start`. A view.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// assert_eq!(x.narrow(1, 1, 2).to_vec::<f32>(), [2.0, 3.0, 5.0, 6.0]);
    /// ```
    ///
    /// # Panics
    /// If they do not exist.
    #[track_caller]
    pub fn narrow(&self, dim: isize, start: usize, length: usize) -> Tensor {
        let d = self.dim("narrow", dim);
        let full = self.shape()[d];
        if start.checked_add(length).is_none_or(|end| end > full) {
            misuse!(
                "narrow",
                "entries {start}..{} of dimension {dim} do not exist in shape {:?}; it has {full}",
                start.saturating_add(length),
                self.shape()
            );
        }
        if length == full {
            return self.clone();
        }
        self.part("narrow", Choice::Slice { dim: d, start, length, step: 1 })
    }

    /// Every `step`-th entry of dimension `dim` from `start` up to, not including, `end`: Python's
    /// `x[start:end:step]`. Negative bounds count from the end; bounds outside are moved to the nearest one. A view.
    ///
    /// ```
    /// use ganvil::{DType, Device, Tensor};
    /// let x = Tensor::arange(7, DType::F32, Device::Cpu);
    /// assert_eq!(x.slice(0, 1, 6, 2).to_vec::<f32>(), [1.0, 3.0, 5.0]);
    /// assert_eq!(x.slice(0, -3, 100, 1).to_vec::<f32>(), [4.0, 5.0, 6.0]);
    /// ```
    ///
    /// # Panics
    /// If the step is 0, or there is no such dimension.
    #[track_caller]
    pub fn slice(&self, dim: isize, start: isize, end: isize, step: usize) -> Tensor {
        let d = self.dim("slice", dim);
        if step == 0 {
            misuse!(
                "slice",
                "a step of 0 never ends (dimension {dim} of shape {:?}); use 1 or more",
                self.shape()
            );
        }
        let size = self.shape()[d];
        let bound = |i: isize| match i {
            ..0 => size.saturating_sub(i.unsigned_abs()),
            _ => size.min(i as usize),
        };
        let (start, end) = (bound(start), bound(end));
        let length = end.saturating_sub(start).div_ceil(step);
        self.part("slice", Choice::Slice { dim: d, start, length, step })
    }

    /// Consecutive pieces of `size` entries of dimension `dim`; the last has what is left. Views.
    ///
    /// ```
    /// use ganvil::{DType, Device, Tensor};
    /// let parts = Tensor::arange(5, DType::F32, Device::Cpu).split(2, 0);
    /// assert_eq!(parts.iter().map(|p| p.numel()).collect::<Vec<_>>(), [2, 2, 1]);
    /// ```
    ///
    /// # Panics
    /// If the size is 0.
    #[track_caller]
    pub fn split(&self, size: usize, dim: isize) -> Vec<Tensor> {
        let d = self.dim("split", dim);
        if size == 0 {
            misuse!(
                "split",
                "pieces of 0 entries never end (dimension {dim} of shape {:?}); use 1 or more",
                self.shape()
            );
        }
        let n = self.shape()[d];
        let piece = |start: usize| {
            self.part("split", Choice::Slice { dim: d, start, length: size.min(n - start), step: 1 })
        };
        // As in PyTorch, nothing at all is one empty piece.
        (0..n.max(1)).step_by(size).map(piece).collect()
    }

    /// The diagonal of the last two dimensions, `out[.., i] = x[.., i, i + offset]`; a negative offset starts lower
    /// down. A view. (torch.linalg.diagonal.)
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// assert_eq!(x.diagonal(0).to_vec::<f32>(), [1.0, 5.0]);
    /// assert_eq!(x.diagonal(-1).to_vec::<f32>(), [4.0]);
    /// ```
    ///
    /// # Panics
    /// If there are fewer than two dimensions.
    #[track_caller]
    pub fn diagonal(&self, offset: isize) -> Tensor {
        self.check_matrix("diagonal");
        self.part("diagonal", Choice::Diagonal { offset })
    }

    /// The sum of the main diagonal of the last two dimensions: `sum_i x[.., i, i]`.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// assert_eq!(Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]).trace().item(), 5.0);
    /// ```
    ///
    /// # Panics
    /// If there are fewer than two dimensions, or the dtype is no float.
    #[track_caller]
    pub fn trace(&self) -> Tensor {
        self.check_matrix("trace");
        self.check_float("trace");
        self.diagonal(0).sum(&[-1], false)
    }

    /// Panics unless there are two dimensions at least.
    #[track_caller]
    pub(super) fn check_matrix(&self, op: &str) {
        if self.rank() < 2 {
            misuse!(op, "needs matrices [.., m, n], got shape {:?}; reshape it", self.shape());
        }
    }
}
