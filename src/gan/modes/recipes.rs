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
    ("sngan", "hinge loss, spectral normalisation of D"),
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
        }
        "wgan-gp" => {
            (c.step.loss, c.step.n_d, c.step.gradient_penalty) = (Loss::Wasserstein, 2, Some(0.1));
        }
        "lsgan" => c.step.loss = Loss::Lsgan,
        "hinge" => c.step.loss = Loss::Hinge,
        "sngan" => (c.step.loss, c.spectral_norm) = (Loss::Hinge, true),
        "dragan" => c.step.dragan = Some(0.1),
        "unrolled" => c.step.unroll = 5,
        "pacgan" => c.step.pack = 2,
        _ => return Err(unknown("recipe", name, &RECIPES.map(|(name, _)| name))),
    }
    c.check()?;
    Ok(c)
}

fn base(name: &str, task: Synthetic) -> ModesConfig {
    let grid = task == Synthetic::Grid25;
    let steps = if grid { 14_000 } else { 6_000 };
    let adam = Adam { lr: 1e-3, betas: (0.0, 0.99), ..Adam::default() };
    let decay = Schedule::Linear { horizon: steps, end: 0.0, warmup: 0 };
    ModesConfig {
        task,
        recipe: name.into(),
        steps,
        batch: 128,
        latent: 2,
        prior: Prior::Normal,
        scale: if grid { 4.0 } else { 1.0 },
        hidden_g: vec![128; 3],
        hidden_d: vec![128; 3],
        spectral_norm: false,
        step: StepConfig {
            loss: Loss::NonSaturating,
            ema: Some(Ema { half_life_kimg: 90.0, ..Ema::default() }),
            ..StepConfig::default()
        },
        optimizer_d: adam.into(),
        optimizer_g: adam.into(),
        schedule_d: decay.clone(),
        schedule_g: decay,
        schedule_gamma: Schedule::default(),
    }
}

/// The loss and penalties of Huang et al. (2024, arXiv:2501.05441).
fn r3gan(c: &mut ModesConfig) {
    let gamma = if c.task == Synthetic::Grid25 { 0.02 } else { 0.005 };
    c.step.loss = Loss::RelativisticPairing;
    (c.step.r1, c.step.r2) = (Some(gamma), Some(gamma));
    for rule in [&mut c.optimizer_d, &mut c.optimizer_g] {
        *rule = rule.with_lr(4e-3);
    }
}
