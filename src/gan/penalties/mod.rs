//! Penalties on the discriminator's gradient, one file each.

pub mod gradient_penalty;

pub use gradient_penalty::{GradientPenalty, gradient_penalty};
