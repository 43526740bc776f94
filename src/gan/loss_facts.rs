//! What figures of a game are told of its loss.

use super::losses::Output;
use super::step_config::StepConfig;
use crate::report::LossFacts;

/// What figures need to know of the loss of a game that is played so.
///
/// ```
/// use ganvil::gan::{Loss, StepConfig, loss_facts};
/// let hinge = loss_facts(&StepConfig { loss: Loss::Hinge, ..StepConfig::default() });
/// assert_eq!((hinge.d_equilibrium, hinge.probabilities), (Some(2.0), false));
/// let smoothed = loss_facts(&StepConfig { real_label: 0.9, ..StepConfig::default() });
/// assert_eq!((smoothed.d_equilibrium, smoothed.probabilities), (None, true));
/// ```
pub fn loss_facts(config: &StepConfig) -> LossFacts {
    let loss = config.loss.get();
    let (d, g) = loss.equilibrium();
    // Smoothed labels move the equilibrium.
    let at = config.real_label == 1.0;
    LossFacts {
        d_equilibrium: at.then_some(d),
        g_equilibrium: g.filter(|_| at),
        probabilities: !matches!(loss.output(), Output::Score | Output::Difference),
    }
}
