//! The tensor itself: creation, conversion, printing, views, sharing, random values.

mod conversion;
mod creation;
mod edges;
mod layouts;
mod printing;
mod random;
mod sharing;

use ganvil::autograd::grad;
use ganvil::backend::trace;
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Layout, Tensor};
use half::{bf16, f16};

fn t(v: &[f64], shape: &[usize]) -> Tensor {
    Tensor::new(v, shape)
}

fn count(shape: &[usize]) -> Tensor {
    Tensor::arange(shape.iter().product(), DType::F64, Device::Cpu).reshape(shape)
}
