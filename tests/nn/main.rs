//! Modules: layers, containers, substituted parameters, initial values, summaries.

mod containers;
mod images;
mod init;
mod layers;
mod map;
mod summary;

use ganvil::nn::{Ctx, Module, state_dict};
use ganvil::rng::Stream;
use ganvil::{DType, Device, Generator, Tensor};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn random() -> Generator {
    Generator::new(3, Stream::General)
}

/// Normal numbers in f64.
fn noise(shape: &[usize], random: &Generator) -> Tensor {
    random.normal(shape, 0.0, 1.0, DType::F64, Device::Cpu)
}

fn ones(shape: &[usize]) -> Tensor {
    Tensor::ones(shape, DType::F32, Device::Cpu)
}

fn names(module: &dyn Module) -> Vec<String> {
    state_dict(module).into_iter().map(|(name, _)| name).collect()
}

fn eval(module: &dyn Module, x: &Tensor) -> Tensor {
    module.forward(x, &Ctx::eval())
}

/// Asserts that a call panics with a message that contains all of these.
#[track_caller]
fn refused<R>(parts: &[&str], f: impl FnOnce() -> R) {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else { panic!("not refused: {parts:?}") };
    let message = payload.downcast_ref::<String>().expect("misuse panics with a formatted message");
    parts.iter().for_each(|p| assert!(message.contains(p), "no '{p}' in: {message}"));
}

/// The largest difference of two tensors.
#[track_caller]
fn distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.shape(), b.shape());
    a.to_f64_vec().iter().zip(b.to_f64_vec()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}
