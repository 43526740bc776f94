//! A CUDA driver that executes PTX on the CPU.
//!
//! Built as a shared object it exports the driver's functions (`cuInit`, `cuLaunchKernel`, ...), so that a
//! program written for a GPU runs unchanged where there is none. What it runs it also watches: accesses out of
//! bounds, misaligned, after free or to memory never written, races in shared memory, barriers that part of a
//! block does not reach ([`checks`], [`exec`]); and it counts what a profiler counts ([`counts`]). The counts
//! are facts about a kernel; how long it takes here says nothing about a GPU.
//!
//! The way of a kernel: text to syntax tree ([`parse`]), tree to flat code over registers ([`lower`], [`ir`]),
//! code to results ([`exec`]), all behind the driver's functions ([`driver`]).
//!
//! Environment: `PTXSIM_THREADS` (how many threads run blocks; results do not depend on it), `PTXSIM_CHECKS=0`
//! and `PTXSIM_COUNTS=0` (switch those off), `PTXSIM_CC` (compute capability, `9.0`), `PTXSIM_MEMORY` (bytes of
//! device memory, 8 GiB), `PTXSIM_TIMEOUT` (seconds a launch may take, any by default), `PTXSIM_SIMD` (`base`, `avx2`, `avx512`: the widest instructions to use).

// Loops over the 32 lanes index several arrays at once.
#![allow(clippy::needless_range_loop)]
// `!(a >= b)` differs from `a < b` where either is NaN.
#![allow(
    clippy::nonminimal_bool,
    clippy::neg_cmp_op_on_partial_ord,
    clippy::eq_op,
    clippy::double_comparisons
)]

pub mod checks;
pub mod counts;
pub mod driver;
pub mod exec;
pub mod ir;
pub mod lower;
pub mod memory;
pub mod parse;
