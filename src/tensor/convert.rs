//! From tensors to host values, and between devices.

use super::Tensor;
use crate::dtype::Element;
use crate::error::misuse;
use crate::{Device, Layout};
use std::sync::Arc;

impl Tensor {
    /// The elements in row-major order, whatever the order in memory.
    ///
    /// # Panics
    /// If `T` is not the Rust type of the dtype.
    #[track_caller]
    pub fn to_vec<T: Element>(&self) -> Vec<T> {
        if T::DTYPE != self.dtype() {
            misuse!(
                "to_vec",
                "the tensor's dtype is {}, not {}; convert it with to_dtype",
                self.dtype(),
                T::DTYPE
            );
        }
        let x = if self.layout().is_contiguous() { self.detach() } else { self.detach().contiguous() };
        let mut out = vec![T::zeroed(); x.numel()];
        self.backend().download(x.view().storage, x.layout().offset(), bytemuck::cast_slice_mut(&mut out));
        out
    }

    /// The only element, as f64.
    ///
    /// # Panics
    /// If there is not exactly one.
    #[track_caller]
    pub fn item(&self) -> f64 {
        if self.numel() != 1 {
            misuse!(
                "item",
                "needs a tensor of one element, got shape {:?}; reduce or index it first",
                self.shape()
            );
        }
        self.to_f64_vec()[0]
    }

    /// The elements in row-major order, converted to f64 from whatever dtype.
    #[track_caller]
    pub fn to_f64_vec(&self) -> Vec<f64> {
        crate::dtype::dispatch!(self.dtype(), all, T => {
            self.to_vec::<T>().into_iter().map(|v| v.to_f64()).collect()
        })
    }

    /// A row-major, dense copy of the value on another device; itself if it is there already.
    #[track_caller]
    pub(crate) fn transferred(&self, device: Device) -> Tensor {
        if self.device() == device {
            return self.detach();
        }
        let x = self.detach().contiguous();
        let mut bytes = vec![0; x.numel() * x.dtype().size()];
        if self.device() != Device::Meta || device != Device::Meta {
            self.backend().download(x.view().storage, x.layout().offset(), &mut bytes);
        }
        let storage = crate::backend::of(device).upload(x.dtype(), &bytes);
        Tensor::from_parts(Arc::new(storage), Layout::contiguous(x.shape()))
    }
}
