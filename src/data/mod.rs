//! Training data: IDX files, MNIST, folders of pictures, distributions in the plane, and the order in which a run sees
//! them.

mod dataset;
mod folder;
mod idx;
mod inspect;
mod jitter;
mod loader;
mod mixture;
mod mnist;
mod picture;
mod pixel;
mod sampler;
mod survey;
pub mod synthetic;

pub use dataset::{Dataset, Fingerprint, ImageOptions, Split};
pub use idx::{IdxFile, Images, read_idx, read_images, read_labels};
pub use inspect::{Contents, DistributionReport, FileReport, FolderReport, Inspection, ModeReport, inspect};
pub use jitter::{Affine, Jitter};
pub use loader::Loader;
pub use mixture::Mixture;
pub use mnist::locate;
pub use pixel::{from_unit, to_unit, to_units};
pub use sampler::{Position, Sampler};
pub use survey::{PicturesReport, SplitReport};
pub use synthetic::{Samples, Synthetic};
