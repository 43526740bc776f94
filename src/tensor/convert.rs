//! From tensors to host values, and between devices.

use super::Tensor;
use crate::dtype::Element;
use crate::error::misuse;
use crate::{Device, Layout};
use std::sync::Arc;

impl Tensor {
    /// The elements in row-major order, whatever the order in memory.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1i64, 2], [3, 4]]);
    /// assert_eq!(x.t().to_vec::<i64>(), [1, 3, 2, 4]);
    /// ```
    ///
    /// # Panics
    /// If `T` is not the Rust type of the dtype.
    #[track_caller]
    pub fn to_vec<T: Element>(&self) -> Vec<T> {
        if T::DTYPE != self.dtype() {
            misuse!(
                "to_vec",
                "the tensor (shape {:?}) is {}, not {}; convert it with to_dtype",
                self.shape(),
                self.dtype(),
                T::DTYPE
            );
        }
        self.check_values("to_vec");
        let x = if self.layout().is_contiguous() { self.detach() } else { self.detach().contiguous() };
        let mut out = vec![T::zeroed(); x.numel()];
        self.backend().download(x.view().storage, x.layout().offset(), bytemuck::cast_slice_mut(&mut out));
        out
    }

    /// The only element, as f64.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// assert_eq!(Tensor::from([[1.0f32, 2.0]]).sum_all().item(), 3.0);
    /// ```
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
        self.check_values("item");
        self.to_f64_vec()[0]
    }

    /// The elements in row-major order, converted to f64 from whatever dtype.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// assert_eq!(Tensor::from(&[1u8, 2][..]).to_f64_vec(), [1.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn to_f64_vec(&self) -> Vec<f64> {
        self.check_values("to_f64_vec");
        crate::dtype::dispatch!(self.dtype(), all, T => {
            self.to_vec::<T>().into_iter().map(|v| v.to_f64()).collect()
        })
    }

    /// Panics unless this tensor has values.
    #[track_caller]
    fn check_values(&self, op: &str) {
        if self.device() == Device::Meta {
            misuse!(
                op,
                "a tensor on device meta has a shape, here {:?}, but no values; compute it on another device",
                self.shape()
            );
        }
    }

    /// A row-major, dense copy of the value on another device; itself if it is there already.
    #[track_caller]
    pub(crate) fn transferred(&self, device: Device) -> Tensor {
        if self.device() == device {
            return self.detach();
        }
        if device == Device::Meta {
            let layout = Layout::contiguous(self.shape());
            return Tensor::build(layout, self.dtype(), device, |_| ());
        }
        self.check_values("to_device");
        let x = self.detach().contiguous();
        let mut bytes = vec![0; x.numel() * x.dtype().size()];
        self.backend().download(x.view().storage, x.layout().offset(), &mut bytes);
        let storage = crate::backend::of(device).upload(x.dtype(), &bytes);
        Tensor::from_parts(Arc::new(storage), Layout::contiguous(x.shape()))
    }
}
