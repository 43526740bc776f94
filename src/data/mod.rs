//! Training data: IDX files, MNIST, distributions in the plane, and the order in which a run sees them.

mod idx;
mod inspect;
mod loader;
mod mixture;
mod mnist;
mod pixel;
mod sampler;
pub mod synthetic;

pub use idx::{IdxFile, Images, read_idx, read_images, read_labels};
pub use inspect::{Contents, DistributionReport, FileReport, FolderReport, Inspection, ModeReport, inspect};
pub use loader::Loader;
pub use mixture::Mixture;
pub use mnist::{Dataset, Split, locate};
pub use pixel::{from_unit, to_unit};
pub use sampler::{Position, Sampler};
pub use synthetic::{Samples, Synthetic};
