//! Making tensors.

use super::Tensor;
use crate::backend::{self, Memory, Storage, ViewMut};
use crate::dtype::Element;
use crate::error::misuse;
use crate::layout::check_shape;
use crate::{DType, Device, Layout};
use std::marker::PhantomData;
use std::sync::Arc;

impl Tensor {
    /// A CPU tensor with these elements in row-major order.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::new(&[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3]);
    /// assert_eq!(x.narrow(0, 1, 1).to_vec::<f32>(), [4.0, 5.0, 6.0]);
    /// ```
    ///
    /// # Panics
    /// If the number of elements is not the product of the shape.
    #[track_caller]
    pub fn new<T: Element>(data: &[T], shape: &[usize]) -> Tensor {
        check_shape("new", shape);
        if data.len() != shape.iter().product::<usize>() {
            misuse!(
                "new",
                "{} elements do not fill the shape {shape:?}, which has {}; give as many",
                data.len(),
                shape.iter().product::<usize>()
            );
        }
        let storage = backend::of(Device::Cpu).upload(T::DTYPE, bytemuck::cast_slice(data));
        Tensor::from_parts(Arc::new(storage), Layout::contiguous(shape))
    }

    /// A tensor of shape `[]`.
    ///
    /// ```
    /// use ganvil::{DType, Device, Tensor};
    /// let x = Tensor::scalar(2.5, DType::F64, Device::Cpu);
    /// assert_eq!((x.shape(), x.item()), (&[][..], 2.5));
    /// ```
    #[track_caller]
    pub fn scalar(value: f64, dtype: DType, device: Device) -> Tensor {
        Tensor::full(&[], value, dtype, device)
    }

    /// Every element is `value`.
    ///
    /// ```
    /// use ganvil::{DType, Device, Tensor};
    /// let x = Tensor::full(&[2, 2], 7.0, DType::U8, Device::Cpu);
    /// assert_eq!(x.to_vec::<u8>(), [7; 4]);
    /// ```
    #[track_caller]
    pub fn full(shape: &[usize], value: f64, dtype: DType, device: Device) -> Tensor {
        check_shape("full", shape);
        Tensor::build(Layout::contiguous(shape), dtype, device, |out| backend::of(device).fill(value, out))
    }

    /// Zeros.
    ///
    /// ```
    /// use ganvil::{DType, Device, Tensor};
    /// assert_eq!(Tensor::zeros(&[2, 3], DType::F32, Device::Cpu).sum_all().item(), 0.0);
    /// ```
    #[track_caller]
    pub fn zeros(shape: &[usize], dtype: DType, device: Device) -> Tensor {
        Tensor::full(shape, 0.0, dtype, device)
    }

    /// Ones.
    ///
    /// ```
    /// use ganvil::{DType, Device, Tensor};
    /// assert_eq!(Tensor::ones(&[2, 3], DType::F32, Device::Cpu).sum_all().item(), 6.0);
    /// ```
    #[track_caller]
    pub fn ones(shape: &[usize], dtype: DType, device: Device) -> Tensor {
        Tensor::full(shape, 1.0, dtype, device)
    }

    /// Zeros of this tensor's shape, dtype, device and order in memory.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f32, 2.0]]);
    /// assert_eq!(x.zeros_like().to_vec::<f32>(), [0.0, 0.0]);
    /// ```
    #[track_caller]
    pub fn zeros_like(&self) -> Tensor {
        self.full_like(0.0)
    }

    /// Ones of this tensor's shape, dtype, device and order in memory.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1i64, 2]]);
    /// assert_eq!(x.ones_like().to_vec::<i64>(), [1, 1]);
    /// ```
    #[track_caller]
    pub fn ones_like(&self) -> Tensor {
        self.full_like(1.0)
    }

    /// A constant of this tensor's shape, dtype, device and order in memory.
    ///
    /// ```
    /// use ganvil::Tensor;
    /// let x = Tensor::from([[1.0f64, 2.0]]);
    /// assert_eq!(x.full_like(3.5).to_vec::<f64>(), [3.5, 3.5]);
    /// ```
    #[track_caller]
    pub fn full_like(&self, value: f64) -> Tensor {
        Tensor::build(self.layout().like(), self.dtype(), self.device(), |out| {
            self.backend().fill(value, out)
        })
    }

    /// `0, 1, ..., n-1` as a vector.
    ///
    /// ```
    /// use ganvil::{DType, Device, Tensor};
    /// assert_eq!(Tensor::arange(4, DType::I64, Device::Cpu).to_vec::<i64>(), [0, 1, 2, 3]);
    /// ```
    #[track_caller]
    pub fn arange(n: usize, dtype: DType, device: Device) -> Tensor {
        let values: Vec<i64> = (0..n as i64).collect();
        Tensor::new(&values, &[n]).to_dtype(dtype).to_device(device)
    }

    /// The n x n identity matrix.
    ///
    /// ```
    /// use ganvil::{DType, Device, Tensor};
    /// assert_eq!(Tensor::eye(2, DType::F32, Device::Cpu).to_vec::<f32>(), [1.0, 0.0, 0.0, 1.0]);
    /// ```
    #[track_caller]
    pub fn eye(n: usize, dtype: DType, device: Device) -> Tensor {
        let mut values = vec![0u8; n * n];
        values.iter_mut().step_by(n + 1).for_each(|v| *v = 1);
        Tensor::new(&values, &[n, n]).to_dtype(dtype).to_device(device)
    }

    /// A fresh value: allocates for a layout from offset 0 that covers its storage, and has `write` fill it.
    pub(crate) fn build(layout: Layout, dtype: DType, device: Device, write: impl FnOnce(ViewMut)) -> Tensor {
        let mut storage = backend::of(device).alloc(dtype, layout.numel());
        write(ViewMut { storage: &mut storage, layout: &layout });
        Tensor::from_parts(Arc::new(storage), layout)
    }
}

/// Memory of the host for a tensor whose elements are still to come, perhaps on another thread.
pub(crate) struct Unwritten<T> {
    storage: Storage,
    layout: Layout,
    of: PhantomData<T>,
}

impl<T: Element> Unwritten<T> {
    pub fn new(shape: &[usize]) -> Unwritten<T> {
        let layout = Layout::contiguous(shape);
        let storage = backend::of(Device::Cpu).alloc(T::DTYPE, layout.numel());
        Unwritten { storage, layout, of: PhantomData }
    }

    /// The tensor of the elements that `write` sets, all of them, in row-major order.
    pub fn write(mut self, write: impl FnOnce(&mut [T])) -> Tensor {
        match self.storage.memory_mut() {
            Memory::Cpu(b) => write(b.as_mut_slice()),
            _ => unreachable!("this storage is the CPU's"),
        }
        Tensor::from_parts(Arc::new(self.storage), self.layout)
    }
}

/// A vector of these values.
impl<T: Element> From<&[T]> for Tensor {
    #[track_caller]
    fn from(data: &[T]) -> Tensor {
        Tensor::new(data, &[data.len()])
    }
}

/// A matrix with these rows.
impl<T: Element, const M: usize, const N: usize> From<[[T; N]; M]> for Tensor {
    #[track_caller]
    fn from(rows: [[T; N]; M]) -> Tensor {
        Tensor::new(rows.as_flattened(), &[M, N])
    }
}
