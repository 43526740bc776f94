//! One training step: the game's two moves.

mod discriminator;
mod finite;
mod generator;
mod samples;

use super::draws::Draws;
use super::network::Network;
use super::penalties::Penalties;
use super::probe::Probe;
use super::regularisers::balance;
use super::step_config::StepConfig;
use crate::optim::Optimizer;
pub use finite::NotFinite;

/// The losses of a step's last updates, unscaled.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct StepLosses {
    /// D's adversarial loss.
    pub d: f64,
    /// G's adversarial loss.
    pub g: f64,
    /// The penalties without their weights.
    pub penalties: Penalties,
}

/// Two networks with their optimisers: all that a game changes.
pub struct Gan {
    /// The generator.
    pub g: Network,
    /// The discriminator.
    pub d: Network,
    /// The generator's optimiser.
    pub opt_g: Optimizer,
    /// The discriminator's optimiser.
    pub opt_d: Optimizer,
    /// A moving average of the generator.
    pub average: Option<Network>,
    /// How steps are played.
    pub config: StepConfig,
    /// Real images seen so far.
    pub images: u64,
    /// What the rule that holds D back remembers.
    pub balance: balance::Standing,
    /// Channels, rows and columns of what the networks take for a row of numbers; for alterations of pictures.
    pub image: Option<[usize; 3]>,
}

impl Gan {
    /// A game at its beginning, without a moving average.
    pub fn new(g: Network, d: Network, opt_g: Optimizer, opt_d: Optimizer, config: StepConfig) -> Gan {
        let (average, images, balance, image) = (None, 0, balance::Standing::default(), None);
        Gan { g, d, opt_g, opt_d, average, config, images, balance, image }
    }

    /// One step: `n_d` updates of D, then `n_g` of G.
    ///
    /// # Errors
    /// If a loss is not finite, or a gradient that is to be bounded. Updates before it were made, the one it belongs to
    /// was not.
    pub fn step(&mut self, draws: &mut dyn Draws, probe: &mut dyn Probe) -> Result<StepLosses, NotFinite> {
        let mut losses = StepLosses::default();
        let (mut real, mut fakes) = (None, None);
        let before = self.images;
        for k in 0..self.config.n_d {
            // Fakes that G's update will use again keep their graph.
            let keep = self.config.reuse_fakes && k + 1 == self.config.n_d;
            let (x, kept) = self.step_d(k, keep, &mut losses, draws, probe)?;
            (real, fakes) = (self.config.g_needs_real().then_some(x), kept);
        }
        // G's updates share the images of the step, so that the average's half-life is one of images seen.
        let share = (self.images - before) as f64 / self.config.n_g as f64;
        for k in 0..self.config.n_g {
            let decay = self.config.ema.map(|e| e.decay(share, before as f64 + k as f64 * share));
            losses.g = self.step_g(k, real.as_ref(), fakes.take(), decay, draws, probe)?;
        }
        Ok(losses)
    }

    /// One update of D by itself, number `k` of a step.
    ///
    /// # Errors
    /// As [`Gan::step`].
    pub fn update_d(
        &mut self,
        k: usize,
        draws: &mut dyn Draws,
        probe: &mut dyn Probe,
    ) -> Result<StepLosses, NotFinite> {
        let mut losses = StepLosses::default();
        self.step_d(k, false, &mut losses, draws, probe)?;
        Ok(losses)
    }
}
