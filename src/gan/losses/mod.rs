//! Adversarial losses, one file each.

pub mod bce;
pub mod hinge;
pub mod lsgan;
pub mod minimax;
pub mod non_saturating;
pub mod wasserstein;

pub use bce::Bce;
pub use hinge::Hinge;
pub use lsgan::Lsgan;
pub use minimax::Minimax;
pub use non_saturating::NonSaturating;
pub use wasserstein::Wasserstein;

use crate::Tensor;
use crate::error::misuse;
use serde::{Deserialize, Serialize};

/// What a loss takes D's output for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// The probability of being real: D ends in a sigmoid.
    Probability,
    /// The logit of that probability.
    Logit,
    /// An estimate of that probability, which may leave \[0, 1\].
    Estimate,
    /// A score without bounds: higher is more real.
    Score,
}

/// What discriminator and generator minimise, as functions of the discriminator's outputs.
pub trait AdversarialLoss: Send + Sync {
    /// What D's output is.
    fn output(&self) -> Output;

    /// Whether the discriminator must end in a raw number; else it ends in a probability.
    fn takes_logits(&self) -> bool {
        self.output() != Output::Probability
    }

    /// Whether the target on real samples can be another than 1.
    fn has_target(&self) -> bool {
        self.output() != Output::Score
    }

    /// The discriminator's loss for its outputs on real and fake samples: real term plus fake term. `real_label` is
    /// the target on real samples, 1 or a little less (one-sided label smoothing, Salimans et al., 2016,
    /// arXiv:1606.03498); the fake side is never smoothed.
    ///
    /// # Panics
    /// If the target is not 1 and the loss has none, see [`AdversarialLoss::has_target`].
    #[track_caller]
    fn discriminator(&self, real: &Tensor, fake: &Tensor, real_label: f64) -> Tensor;

    /// The generator's loss for the discriminator's output on fakes.
    fn generator(&self, fake: &Tensor) -> Tensor;

    /// Both losses where D cannot tell the two apart: the lines to draw in a loss plot. G's is None where the game does
    /// not fix it.
    fn equilibrium(&self) -> (f64, Option<f64>);

    /// D's output as a probability of being real; None if it is a score.
    fn probability(&self, out: &Tensor) -> Option<Tensor> {
        match self.output() {
            Output::Probability => Some(out.clone()),
            Output::Logit => Some(out.sigmoid()),
            Output::Estimate => Some(out.clamp(0.0, 1.0)),
            Output::Score => None,
        }
    }
}

/// For losses on scores, which have no target to smooth.
#[track_caller]
fn only_target_one(loss: &str, real_label: f64) {
    if real_label != 1.0 {
        misuse!(loss, "a loss on scores has no target on real samples to be {real_label}; use 1");
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
    /// [`Hinge`]
    Hinge,
    /// [`Lsgan`]
    Lsgan,
    /// [`Wasserstein`]
    Wasserstein,
}

impl Loss {
    /// Every loss.
    pub const ALL: [Loss; 6] =
        [Loss::Bce, Loss::Minimax, Loss::NonSaturating, Loss::Hinge, Loss::Lsgan, Loss::Wasserstein];

    /// The loss's functions.
    pub fn get(self) -> &'static dyn AdversarialLoss {
        match self {
            Loss::Bce => &Bce,
            Loss::Minimax => &Minimax,
            Loss::NonSaturating => &NonSaturating,
            Loss::Hinge => &Hinge,
            Loss::Lsgan => &Lsgan,
            Loss::Wasserstein => &Wasserstein,
        }
    }

    /// The name in configuration files and flags.
    pub fn name(self) -> &'static str {
        match self {
            Loss::Bce => "bce",
            Loss::Minimax => "minimax",
            Loss::NonSaturating => "non-saturating",
            Loss::Hinge => "hinge",
            Loss::Lsgan => "lsgan",
            Loss::Wasserstein => "wasserstein",
        }
    }
}
