//! Borders and reversal.

use super::{check_shape, one};
use crate::backend::ViewMut;
use crate::error::misuse;
use crate::tensor::node::{Context, Op};
use crate::{Dims, Layout, Tensor};

/// What [`Tensor::pad`] puts around a tensor.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum PadMode {
    /// This value.
    Constant(f64),
    /// The mirror image, the outermost entry not repeated: `c b | a b c | b a`.
    Reflect,
    /// The outermost entry again and again: `a a | a b c | c c`.
    Replicate,
}

/// A border of a constant: for each padded dimension, where the input starts and how long it is.
struct Pad {
    parts: Vec<(isize, usize, usize)>,
}
impl Op for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }
    /// The inside.
    fn vjp(&self, _: &Context, g: &Tensor) -> Vec<Option<Tensor>> {
        one(self.parts.iter().fold(g.clone(), |g, &(dim, start, length)| g.narrow(dim, start, length)))
    }
}

impl Tensor {
    /// This tensor with a border. `padding` has two numbers for each padded dimension, before and after, the last
    /// dimension first, as in PyTorch: `[left, right, top, bottom]` for images.
    ///
    /// ```
    /// use ganvil::{PadMode, Tensor};
    /// let x = Tensor::from([[1.0f32, 2.0, 3.0]]);
    /// assert_eq!(x.pad(&[1, 2], PadMode::Constant(9.0)).to_vec::<f32>(), [9.0, 1.0, 2.0, 3.0, 9.0, 9.0]);
    /// assert_eq!(x.pad(&[1, 2], PadMode::Reflect).to_vec::<f32>(), [2.0, 1.0, 2.0, 3.0, 2.0, 1.0]);
    /// assert_eq!(x.pad(&[1, 2], PadMode::Replicate).to_vec::<f32>(), [1.0, 1.0, 2.0, 3.0, 3.0, 3.0]);
    /// ```
    ///
    /// # Panics
    /// If `padding` has an odd number of entries or more than two for each dimension, a reflection is not shorter than
    /// its dimension, an empty dimension is to be replicated, or the constant is no value of an integer dtype.
    #[track_caller]
    pub fn pad(&self, padding: &[usize], mode: PadMode) -> Tensor {
        if !padding.len().is_multiple_of(2) || padding.len() > 2 * self.rank() {
            misuse!(
                "pad",
                "needs two numbers for each of at most {} dimensions of shape {:?}, the last one first, got {padding:?}",
                self.rank(),
                self.shape()
            );
        }
        let sides = padding.as_chunks::<2>().0;
        let dims = || sides.iter().zip((0..self.rank()).rev()).filter(|(s, _)| **s != [0, 0]);
        let mut shape = Dims::from_slice(self.shape());
        for (&[before, after], d) in dims() {
            let n = self.shape()[d];
            if mode == PadMode::Reflect && before.max(after) >= n {
                misuse!(
                    "pad",
                    "a reflection of {} does not fit dimension {d} of shape {:?}; it must be less than {n}",
                    before.max(after),
                    self.shape()
                );
            }
            if mode == PadMode::Replicate && n == 0 {
                misuse!(
                    "pad",
                    "dimension {d} of shape {:?} has no entry to replicate; pad with a constant",
                    self.shape()
                );
            }
            shape[d] = n.saturating_add(before).saturating_add(after);
        }
        check_shape("pad", &shape);
        match mode {
            PadMode::Constant(value) => {
                self.check_constant("pad", value);
                let parts = dims().map(|(s, d)| (d as isize, s[0], self.shape()[d])).collect();
                self.bordered(value, &shape, parts)
            }
            PadMode::Reflect => dims().fold(self.clone(), |x, (s, d)| x.reflected(d, s[0], s[1])),
            PadMode::Replicate => dims().fold(self.clone(), |x, (s, d)| x.replicated(d, s[0], s[1])),
        }
    }

    fn bordered(&self, value: f64, shape: &[usize], parts: Vec<(isize, usize, usize)>) -> Tensor {
        let y = Tensor::build(self.layout().like_resized(shape), self.dtype(), self.device(), |mut out| {
            self.backend().fill(value, out.reborrow());
            let inside =
                |l: Layout, &(dim, start, n): &(isize, usize, usize)| l.narrowed(dim as usize, start, n);
            let inside = parts.iter().fold(*out.layout, inside);
            self.backend().copy(self.view(), ViewMut { storage: out.storage, layout: &inside });
        });
        y.record(Pad { parts }, &[self], &[])
    }

    /// One dimension of `n` entries with reflections shorter than n: entries before, n - 1 .. 0 .. n - 1, after.
    fn reflected(&self, d: usize, before: usize, after: usize) -> Tensor {
        let n = self.shape()[d];
        let order = (1..=before).rev().chain(0..n).chain((n - 1 - after..n - 1).rev());
        self.reordered(d, order)
    }

    /// One dimension with its first entry repeated before it, and its last behind it.
    fn replicated(&self, d: usize, before: usize, after: usize) -> Tensor {
        let (n, dim) = (self.shape()[d], d as isize);
        let times = |entry: usize, n: usize| (0..n).map(move |_| self.narrow(dim, entry, 1));
        let parts: Vec<Tensor> = times(0, before).chain([self.clone()]).chain(times(n - 1, after)).collect();
        Tensor::cat(&parts.iter().collect::<Vec<_>>(), dim)
    }

    /// The listed entries of a dimension.
    fn reordered(&self, d: usize, order: impl Iterator<Item = usize>) -> Tensor {
        let order: Vec<i64> = order.map(|i| i as i64).collect();
        self.index_select(d as isize, &Tensor::from(&order[..]).to_device(self.device()))
    }

    /// Entries in reverse order along each of `dims` (none listed means none).
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    /// assert_eq!(x.flip(&[1]).to_vec::<f32>(), [3.0, 2.0, 1.0, 6.0, 5.0, 4.0]);
    /// assert_eq!(x.flip(&[0, 1]).to_vec::<f32>(), [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// If a dimension does not exist or is listed twice.
    #[track_caller]
    pub fn flip(&self, dims: &[isize]) -> Tensor {
        if dims.is_empty() {
            return self.clone();
        }
        let mask = self.dim_mask("flip", dims);
        let flipped = (0..self.rank()).filter(|&d| mask[d]);
        flipped.fold(self.clone(), |x, d| x.reordered(d, (0..self.shape()[d]).rev()))
    }
}
