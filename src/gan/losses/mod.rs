//! Adversarial losses, one file each.

pub mod bce;
pub mod minimax;
pub mod non_saturating;

pub use bce::Bce;
pub use minimax::Minimax;
pub use non_saturating::NonSaturating;

use crate::Tensor;
use serde::{Deserialize, Serialize};

/// What discriminator and generator minimise, as functions of the discriminator's outputs.
pub trait AdversarialLoss: Send + Sync {
    /// Whether the discriminator must end in a raw logit; else it ends in a probability.
    fn takes_logits(&self) -> bool;

    /// The discriminator's loss for its outputs on real and fake samples: real term plus fake term. `real_label` is
    /// the target on real samples, 1 or a little less (one-sided label smoothing, Salimans et al., 2016,
    /// arXiv:1606.03498); the fake side is never smoothed.
    fn discriminator(&self, real: &Tensor, fake: &Tensor, real_label: f64) -> Tensor;

    /// The generator's loss for the discriminator's output on fakes.
    fn generator(&self, fake: &Tensor) -> Tensor;

    /// Both losses where D cannot tell the two apart: the lines to draw in a loss plot.
    fn equilibrium(&self) -> (f64, f64);

    /// D's output as a probability of being real.
    fn probability(&self, out: &Tensor) -> Tensor {
        if self.takes_logits() { out.sigmoid() } else { out.clone() }
    }
}

/// The losses by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// [`Bce`]
    Bce,
    /// [`Minimax`]
    Minimax,
    /// [`NonSaturating`]
    NonSaturating,
}

impl Loss {
    /// Every loss.
    pub const ALL: [Loss; 3] = [Loss::Bce, Loss::Minimax, Loss::NonSaturating];

    /// The loss's functions.
    pub fn get(self) -> &'static dyn AdversarialLoss {
        match self {
            Loss::Bce => &Bce,
            Loss::Minimax => &Minimax,
            Loss::NonSaturating => &NonSaturating,
        }
    }

    /// The name in configuration files and flags.
    pub fn name(self) -> &'static str {
        match self {
            Loss::Bce => "bce",
            Loss::Minimax => "minimax",
            Loss::NonSaturating => "non-saturating",
        }
    }
}
