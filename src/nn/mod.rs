//! Modules: layers that own their parameters, and containers of layers. Written only against [`Tensor`](crate::Tensor).
//!
//! A [`Module`] is a function with parameters. Its tensors have PyTorch's names, so that a state dict means the same
//! on both sides; a [`Ctx`] says how a pass is meant; a [`LayerSpec`] is a layer as data. [`init`] has initial values,
//! [`summary()`] counts what a network costs.

mod activation;
mod attention;
mod batch_norm;
mod branches;
mod conditional_norm;
mod conv;
mod ctx;
mod diversity;
mod dropout;
mod embedding;
mod flatten;
pub mod init;
mod linear;
mod module;
mod norm;
mod pair;
mod pool;
mod resample;
mod residual;
mod sequential;
mod spec;
mod spectral_norm;
mod state;
mod summary;

pub use activation::{LeakyReLU, ReLU, Sigmoid, Softplus, Tanh};
pub use attention::{Projector, SelfAttention};
pub use batch_norm::{BatchNorm, BatchNorm1d, BatchNorm2d};
pub use branches::{Branches, Join};
pub use conditional_norm::ConditionalBatchNorm2d;
pub use conv::{Conv2d, ConvTranspose2d};
pub use ctx::{Applied, Ctx, Masks, Watch, with_fusion};
pub use diversity::{MinibatchDiscrimination, MinibatchStdDev, PixelNorm};
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use flatten::{Flatten, Unflatten};
pub use init::Init;
pub use linear::Linear;
pub use module::{Boxed, Module};
pub use norm::{GroupNorm, InstanceNorm, InstanceNorm1d, InstanceNorm2d, LayerNorm};
pub use pool::{AdaptiveAvgPool2d, AvgPool2d, GlobalSumPool, MaxPool2d};
pub use resample::{PixelShuffle, Upsample};
pub use residual::Residual;
pub use sequential::Sequential;
pub use spec::LayerSpec;
pub use spectral_norm::{SpectralNorm, Weighted};
pub use state::{
    Buffer, Kind, gradients, load_state_dict, parameter_count, parameters, parameters_mut, state_dict,
    to_device, to_dtype,
};
pub use summary::{Row, Summary, summary};
