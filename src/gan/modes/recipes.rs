//! Settings under which techniques are compared: the same networks, data and number of steps for all.

use super::ModesConfig;
use crate::Result;
use crate::data::Synthetic;
use crate::gan::losses::Loss;
use crate::gan::prior::Prior;
use crate::gan::step_config::StepConfig;
use crate::names::unknown;
use crate::optim::{Adam, Ema, Schedule};

/// The recipes with what each is; the first is the default.
pub const RECIPES: [(&str, &str); 11] = [
    ("r3gan", "relativistic pairing loss, R1 and R2"),
    ("gan", "non-saturating loss, nothing else"),
    ("minimax", "minimax loss, nothing else"),
    ("wgan", "Wasserstein loss, weight clipping, 5 updates of D"),
    ("wgan-gp", "Wasserstein loss, gradient penalty 0.1, 2 updates of D"),
    ("lsgan", "least-squares loss"),
    ("hinge", "hinge loss"),
    ("sngan", "non-saturating loss, spectral normalisation of D, 5 updates of D"),
    ("dragan", "non-saturating loss, DRAGAN's penalty"),
    ("unrolled", "non-saturating loss, G looks 5 updates of D ahead"),
    ("pacgan", "non-saturating loss, D judges 2 samples at a time"),
];

/// The settings of a recipe for a distribution.
///
/// ```
/// use ganvil::{data::Synthetic, gan::{Loss, modes}};
/// let config = modes::recipe("pacgan", Synthetic::Grid25)?;
/// assert_eq!((config.step.loss, config.step.pack), (Loss::NonSaturating, 2));
/// assert!(modes::recipe("wgangp", Synthetic::Ring8).unwrap_err().to_string().contains("did you mean 'wgan-gp'?"));
/// # Ok::<(), ganvil::Error>(())
/// ```
///
/// # Errors
/// If there is no such recipe, or the distribution is no mixture.
pub fn recipe(name: &str, task: Synthetic) -> Result<ModesConfig> {
    let mut c = base(name, task);
    match name {
        "r3gan" => r3gan(&mut c),
        "gan" => {}
        "minimax" => c.step.loss = Loss::Minimax,
        "wgan" => {
            (c.step.loss, c.step.n_d, c.step.weight_clip) = (Loss::Wasserstein, 5, Some(0.1));
            slower(&mut c);
        }
        "wgan-gp" => {
            (c.step.loss, c.step.n_d, c.step.gradient_penalty) = (Loss::Wasserstein, 2, Some(0.1));
            slower(&mut c);
        }
        "lsgan" => c.step.loss = Loss::Lsgan,
        "hinge" => c.step.loss = Loss::Hinge,
        "sngan" => (c.step.n_d, c.spectral_norm) = (5, true),
        "dragan" => c.step.dragan = Some(0.1),
        "unrolled" => c.step.unroll = 5,
        // As many packs as others have samples, or D would learn from half as many judgements.
        "pacgan" => (c.step.pack, c.batch) = (2, 2 * c.batch),
        _ => return Err(unknown("recipe", name, &RECIPES.map(|(name, _)| name))),
    }
    c.check()?;
    Ok(c)
}

/// Falls by equal factors to this part of its beginning.
fn falling(steps: u64, end: f64) -> Schedule {
    const TIMES: u64 = 100;
    Schedule::Step { every: steps / TIMES, gamma: end.powf(1.0 / TIMES as f64), warmup: 0 }
}

fn base(name: &str, task: Synthetic) -> ModesConfig {
    let grid = task == Synthetic::Grid25;
    let steps = if grid { 25_000 } else { 12_000 };
    let adam = Adam { lr: 4e-3, betas: (0.0, 0.99), ..Adam::default() };
    ModesConfig {
        task,
        recipe: name.into(),
        steps,
        batch: 128,
        latent: 2,
        prior: Prior::Normal,
        // Centres three away from the origin: at one, steps of the optimiser are as large as a mode.
        scale: if grid { 4.0 / 3.0 } else { 0.3 },
        hidden_g: vec![128; 3],
        hidden_d: vec![128; 3],
        spectral_norm: false,
        step: StepConfig {
            loss: Loss::NonSaturating,
            // Longer ones average over ways to draw a mode, and draw a narrower one.
            ema: Some(Ema { half_life_kimg: 5.0, ..Ema::default() }),
            ..StepConfig::default()
        },
        optimizer_d: adam.into(),
        optimizer_g: adam.into(),
        schedule_d: falling(steps, 0.01),
        schedule_g: falling(steps, 0.01),
        schedule_gamma: Schedule::default(),
    }
}

/// For a critic, whose scores have no bound.
fn slower(c: &mut ModesConfig) {
    (c.optimizer_d, c.optimizer_g) = (c.optimizer_d.with_lr(1e-3), c.optimizer_g.with_lr(1e-3));
}

/// The loss and penalties of Huang et al. (2024, arXiv:2501.05441), whose recipes let gamma fall too. It begins where all
/// modes are found and kept; at its end D may be as steep as telling a mode's width takes, a logit over a sigma or so.
fn r3gan(c: &mut ModesConfig) {
    let gamma = if c.task == Synthetic::Grid25 { 0.2 } else { 0.05 };
    c.step.loss = Loss::RelativisticPairing;
    (c.step.r1, c.step.r2, c.step.n_d) = (Some(gamma), Some(gamma), 2);
    c.schedule_gamma = falling(c.steps, 0.002);
}
