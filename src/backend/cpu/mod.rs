//! The CPU backend.

pub mod gemm;
mod pool;
mod random;
pub mod simd;
pub(crate) mod vmath;

pub use pool::Buffer;
