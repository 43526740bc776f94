//! How a step is played: every technique that acts within one.

use super::losses::Loss;
use super::regularisers::{Balance, DiffAugment, InstanceNoise, OrthogonalForm};
use crate::optim::{Clip, Ema};
use serde::{Deserialize, Serialize};

/// How a step is played. What is absent in a file is off.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepConfig {
    /// What the two minimise.
    pub loss: Loss,
    /// Updates of D per step.
    pub n_d: usize,
    /// Updates of G per step.
    pub n_g: usize,
    /// Whether G's first update uses the fakes of D's last one in place of fresh noise: saves a pass of G.
    pub reuse_fakes: bool,
    /// D's target on real samples; below 1 for one-sided label smoothing.
    pub real_label: f64,
    /// Factor of D's loss (listings that average the two terms have 0.5). Logged losses are without it.
    pub d_loss_scale: f64,
    /// Factor of G's loss.
    pub g_loss_scale: f64,
    /// Weight of the [gradient penalty](mod@super::penalties::gradient_penalty) (lambda), if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_penalty: Option<f64>,
    /// Weight of [DRAGAN's penalty](mod@super::penalties::dragan) (lambda), if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dragan: Option<f64>,
    /// Whether these two only punish slopes above 1.
    #[serde(default, skip_serializing_if = "is_false")]
    pub one_sided: bool,
    /// Weight of the [R1 penalty](mod@super::penalties::r1) (gamma), if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r1: Option<f64>,
    /// Weight of the [R2 penalty](mod@super::penalties::r2) (gamma), if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub r2: Option<f64>,
    /// R1 and R2 are computed in every `lazy`-th update of D, with `lazy` times their weights (Karras et al., 2020,
    /// arXiv:1912.04958, section 3.1); the optimiser's constants are adapted, see [`crate::optim::Rule::lazy`].
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub lazy: usize,
    /// Weight of the [drift penalty](mod@super::penalties::drift), if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<f64>,
    /// The bound on D's parameters ([weight clipping](super::regularisers::weight_clipping)), if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_clip: Option<f64>,
    /// Weight of the [orthogonal regulariser](mod@super::regularisers::orthogonal) of G, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orthogonal: Option<f64>,
    /// Which of its forms.
    #[serde(default, skip_serializing_if = "is_default")]
    pub orthogonal_form: OrthogonalForm,
    /// Probability that a pair of samples [exchanges its labels](super::regularisers::label_flips) in D's update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flip_labels: Option<f64>,
    /// Samples that D judges [at a time](super::regularisers::packing).
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub pack: usize,
    /// Weight of the [distance of mean features](mod@super::regularisers::feature_matching) that G minimises in place of the
    /// loss, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature_matching: Option<f64>,
    /// Updates of D that [G looks ahead](mod@super::regularisers::unrolled).
    #[serde(default, skip_serializing_if = "is_default")]
    pub unroll: usize,
    /// The [rule](super::regularisers::balance) that holds D back.
    #[serde(default, skip_serializing_if = "Balance::is_fixed")]
    pub balance: Balance,
    /// D's accuracy above which its updates are skipped, under the rule `accuracy`.
    #[serde(default = "four_fifths", skip_serializing_if = "is_four_fifths")]
    pub balance_above: f64,
    /// Weight of the auxiliary classifier's cross-entropy beside the adversarial loss, in both losses.
    #[serde(default = "unit", skip_serializing_if = "is_unit")]
    pub class_weight: f64,
    /// [Noise on what D sees](super::regularisers::instance_noise), if there is any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_noise: Option<InstanceNoise>,
    /// [Alterations of what D sees](super::regularisers::diff_augment), if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augment: Option<DiffAugment>,
    /// The bound on D's gradients, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_d: Option<Clip>,
    /// The bound on G's gradients, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_g: Option<Clip>,
    /// The moving average of G that samples are taken from, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<Ema>,
}

fn one() -> usize {
    1
}
fn is_one(v: &usize) -> bool {
    *v == 1
}
fn unit() -> f64 {
    1.0
}
fn is_unit(v: &f64) -> bool {
    *v == 1.0
}
fn four_fifths() -> f64 {
    0.8
}
fn is_four_fifths(v: &f64) -> bool {
    *v == 0.8
}
fn is_false(v: &bool) -> bool {
    !v
}
fn is_default<T: Default + PartialEq>(v: &T) -> bool {
    *v == T::default()
}

impl Default for StepConfig {
    fn default() -> StepConfig {
        StepConfig {
            loss: Loss::NonSaturating,
            n_d: 1,
            n_g: 1,
            reuse_fakes: false,
            real_label: 1.0,
            d_loss_scale: 1.0,
            g_loss_scale: 1.0,
            gradient_penalty: None,
            dragan: None,
            one_sided: false,
            r1: None,
            r2: None,
            lazy: 1,
            drift: None,
            weight_clip: None,
            orthogonal: None,
            orthogonal_form: OrthogonalForm::OffDiagonal,
            flip_labels: None,
            pack: 1,
            feature_matching: None,
            unroll: 0,
            balance: Balance::Fixed,
            balance_above: four_fifths(),
            class_weight: 1.0,
            instance_noise: None,
            augment: None,
            clip_d: None,
            clip_g: None,
            ema: None,
        }
    }
}

impl StepConfig {
    /// Whether D's slope is bounded by a penalty, which needs a D that judges each sample by itself.
    pub fn has_slope_penalty(&self) -> bool {
        [self.gradient_penalty, self.dragan, self.r1, self.r2].iter().any(Option::is_some)
    }

    /// Whether G's update looks at real samples.
    pub(super) fn g_needs_real(&self) -> bool {
        self.unroll > 0 || self.feature_matching.is_some() || self.loss.get().is_relativistic()
    }
}
