//! Automatic differentiation: the walk from outputs to inputs, and its checks against finite differences.
//!
//! The rules live with the ops; this module only visits nodes in the right order and adds gradients.

mod check;
mod walk;

pub use check::{CheckOptions, gradcheck, gradgradcheck};
pub use walk::{GradOptions, grad, grad_with};
