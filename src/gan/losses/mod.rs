//! Adversarial losses, one file each.

pub mod bce;
pub mod hinge;
pub mod lsgan;
pub mod minimax;
pub mod non_saturating;
pub mod relativistic;
pub mod relativistic_average;
pub mod wasserstein;

pub use bce::Bce;
pub use hinge::Hinge;
pub use lsgan::Lsgan;
pub use minimax::Minimax;
pub use non_saturating::NonSaturating;
pub use relativistic::RelativisticPairing;
pub use relativistic_average::RelativisticAverage;
pub use wasserstein::Wasserstein;

use crate::error::misuse;
use crate::{DType, Device, Reduction, Tensor};
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
    /// A score without bounds: above 0 is more real.
    Score,
    /// A score of which only the difference to another's means something: higher is more real.
    Difference,
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
        !matches!(self.output(), Output::Score | Output::Difference)
    }

    /// The discriminator's loss for its outputs on real and fake samples: real term plus fake term. `real_label` is
    /// the target on real samples, 1 or a little less (one-sided label smoothing, Salimans et al., 2016,
    /// arXiv:1606.03498); the fake side is never smoothed.
    ///
    /// # Panics
    /// If the target is not 1 and the loss has none, see [`AdversarialLoss::has_target`].
    #[track_caller]
    fn discriminator(&self, real: &Tensor, fake: &Tensor, real_label: f64) -> Tensor;

    /// The generator's loss for the discriminator's output on fakes; `real` is that on as many real samples, which only
    /// losses that are [`AdversarialLoss::is_relativistic`] look at.
    ///
    /// # Panics
    /// If such a loss is not given `real`.
    #[track_caller]
    fn generator(&self, fake: &Tensor, real: Option<&Tensor>) -> Tensor;

    /// Whether the generator's loss compares fakes with real samples.
    fn is_relativistic(&self) -> bool {
        false
    }

    /// Both losses where D cannot tell the two apart: the lines to draw in a loss plot. G's is None where the game does
    /// not fix it.
    fn equilibrium(&self) -> (f64, Option<f64>);

    /// The shares of real samples that D calls real and of fakes that it calls fake: with a probability above 1/2, a score
    /// above 0, or where only differences mean something a higher score than the other of its pair.
    ///
    /// ```
    /// use ganvil::{Tensor, gan::Loss};
    /// let (real, fake) = (Tensor::from([[5.0f32], [7.0]]), Tensor::from([[4.0f32], [8.0]]));
    /// assert_eq!(Loss::Hinge.get().accuracy(&real, &fake), [1.0, 0.0]);
    /// assert_eq!(Loss::RelativisticPairing.get().accuracy(&real, &fake), [0.5, 0.5]);
    /// ```
    fn accuracy(&self, real: &Tensor, fake: &Tensor) -> [f64; 2] {
        let share = |t: Tensor| t.to_device(Device::Cpu).to_dtype(DType::F64).mean_all().item();
        if self.output() == Output::Difference {
            return [share(real.gt(fake)); 2];
        }
        let sides = [real, fake].map(|out| match self.probability(out) {
            Some(p) => share(p.gt_scalar(0.5)),
            None => share(out.gt_scalar(0.0)),
        });
        [sides[0], 1.0 - sides[1]]
    }

    /// D's output as a probability of being real; None if it is a score.
    fn probability(&self, out: &Tensor) -> Option<Tensor> {
        match self.output() {
            Output::Probability => Some(out.clone()),
            Output::Logit => Some(out.sigmoid()),
            Output::Estimate => Some(out.clamp(0.0, 1.0)),
            Output::Score | Output::Difference => None,
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

/// E ln(1 + e^t), without overflow.
fn mean_softplus(t: &Tensor) -> Tensor {
    t.bce_with_logits(&t.zeros_like(), Reduction::Mean)
}

/// For losses whose generator is compared with real samples.
#[track_caller]
fn real_scores<'a>(loss: &str, real: Option<&'a Tensor>) -> &'a Tensor {
    real.unwrap_or_else(|| {
        misuse!(loss, "the generator's loss needs D's scores on real samples too, and got none")
    })
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
    /// [`RelativisticPairing`]
    RelativisticPairing,
    /// [`RelativisticAverage`]
    RelativisticAverage,
}

impl Loss {
    /// Every loss.
    pub const ALL: [Loss; 8] = [
        Loss::Bce,
        Loss::Minimax,
        Loss::NonSaturating,
        Loss::Hinge,
        Loss::Lsgan,
        Loss::Wasserstein,
        Loss::RelativisticPairing,
        Loss::RelativisticAverage,
    ];

    /// The loss's functions.
    pub fn get(self) -> &'static dyn AdversarialLoss {
        match self {
            Loss::Bce => &Bce,
            Loss::Minimax => &Minimax,
            Loss::NonSaturating => &NonSaturating,
            Loss::Hinge => &Hinge,
            Loss::Lsgan => &Lsgan,
            Loss::Wasserstein => &Wasserstein,
            Loss::RelativisticPairing => &RelativisticPairing,
            Loss::RelativisticAverage => &RelativisticAverage,
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
            Loss::RelativisticPairing => "relativistic-pairing",
            Loss::RelativisticAverage => "relativistic-average",
        }
    }
}
