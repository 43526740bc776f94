//! Training data: IDX files, MNIST, and the order in which a run sees them.

mod idx;
mod loader;
mod mnist;
mod pixel;
mod sampler;

pub use idx::{Images, read_images, read_labels};
pub use loader::Loader;
pub use mnist::{Dataset, Split, locate};
pub use pixel::{from_unit, to_unit};
pub use sampler::{Position, Sampler};
