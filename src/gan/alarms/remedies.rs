//! What may help against an alarm.

use super::kind::AlarmKind;
use crate::gan::config::TrainConfig;

/// What may help, of which only that is kept which changes these settings and goes with them.
pub(super) fn remedies(kind: AlarmKind, config: &TrainConfig) -> Vec<String> {
    let (lr_d, lr_g) = (config.optimizer_d.lr(), config.optimizer_g.lr());
    let rate = |lr: f64| if lr > 0.0 { lr } else { 2e-4 };
    // What is out of all bounds is not scaled but replaced.
    let times = |lr: f64, by: f64| {
        let lr = if lr > 0.01 { 2e-4 } else { rate(lr) * by };
        format!("{lr:.1e}").replace(".0e", "e")
    };
    let of_d =
        |by: f64| (format!("--lr-d {}", times(lr_d, by)), format!("optimizer_d.lr={}", times(lr_d, by)));
    let of_g =
        |by: f64| (format!("--lr-g {}", times(lr_g, by)), format!("optimizer_g.lr={}", times(lr_g, by)));
    // Several settings belong together where there is a space between them.
    let set = |s: &str| {
        let flags: Vec<String> = s.split(' ').map(|s| format!("--set {s}")).collect();
        (flags.join(" "), s.to_owned())
    };
    let flag = |flag: &str, s: &str| (flag.to_owned(), s.to_owned());
    let non_saturating = || flag("--loss non-saturating", "step.loss=non-saturating");
    let noise = || flag("--instance-noise 0.1", "step.instance_noise.std=0.1 step.instance_noise.kimg=300");
    let likeness = || flag("--minibatch-discrimination 16", "networks.minibatch_discrimination=16");
    let candidates: Vec<((String, String), &str)> = match kind {
        AlarmKind::VanishingGradient => vec![
            (non_saturating(), "its gradient for G does not fade where D is sure"),
            (flag("--n-d 1", "step.n_d=1"), "a D that learns no faster than G"),
            (of_d(0.25), "a slower D"),
            (noise(), "noise on what D sees, so that it cannot be sure"),
            (flag("--real-label 0.9", "step.real_label=0.9"), "a D that is never quite certain"),
            (flag("--r1 1", "step.r1=1"), "a D without a slope at the data"),
        ],
        AlarmKind::Collapse => vec![
            (
                flag("--pack 2", "step.pack=2"),
                "D judges samples in pairs, and look-alikes give themselves away",
            ),
            (likeness(), "D is shown how alike the samples of a batch are"),
            (flag("--unroll 5", "step.unroll=5"), "G plays against the D that will have answered"),
            (of_g(0.25), "a G that does not jump to where D is weak"),
            (flag("--r1 1", "step.r1=1"), "a D without a slope at the data"),
        ],
        AlarmKind::DeadGenerator => vec![
            (of_g(if lr_g > 0.0 { 4.0 } else { 1.0 }), "updates that are large enough to change weights"),
            (non_saturating(), "a loss whose gradient does not fade where D is sure"),
            (set("schedule_g.type=constant"), "a learning rate that does not end"),
        ],
        AlarmKind::OneSided => vec![
            (of_d(0.25), "a D whose level does not swing"),
            (of_g(0.25), "a G that D can follow"),
            (flag("--real-label 1", "step.real_label=1.0"), "a target that D can reach for what is real"),
            (
                flag("--norm-d layer", "networks.norm_d=layer"),
                "real and fake batches are not normalised apart",
            ),
        ],
        AlarmKind::DSkipped => vec![
            (flag("--balance fixed", "step.balance=fixed"), "a D that is always trained"),
            (flag("--balance loss-ratio", "step.balance=loss-ratio"), "a D that is slowed down, not stopped"),
            (of_d(0.25), "a D that does not get so far ahead"),
            (set("step.balance_above=0.95"), "a rule that steps in later"),
        ],
        AlarmKind::NonFinite => vec![
            (of_d(0.25), "smaller updates of D"),
            (of_g(0.25), "smaller updates of G"),
            (set("step.clip_d.by=norm step.clip_d.max=1"), "a bound on D's gradient"),
            (set("step.clip_g.by=norm step.clip_g.max=1"), "a bound on G's gradient"),
            (flag("--seed 1", "seed=1"), "where it was bad luck"),
        ],
    };
    let helps = |sets: &str| {
        let mut other = config.clone();
        let all: Vec<&str> = sets.split(' ').collect();
        other.set_all(&all).is_ok() && other != *config && other.check().is_ok()
    };
    let kept = candidates.into_iter().filter(|((_, sets), _)| helps(sets));
    kept.map(|((flags, _), why)| format!("{flags}: {why}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gan::{Loss, zoo};

    /// What is advised can be followed and is another game; something always can.
    #[test]
    fn remedies_go_with_the_settings() {
        use AlarmKind::*;
        for recipe in &zoo::RECIPES {
            let config = (recipe.config)();
            for kind in [VanishingGradient, Collapse, DeadGenerator, OneSided, DSkipped, NonFinite] {
                assert!(!remedies(kind, &config).is_empty(), "{kind:?} {}", recipe.name);
            }
        }
        let has = |config: &TrainConfig, flag: &str| {
            remedies(VanishingGradient, config).iter().any(|r| r.starts_with(flag))
        };
        let mlp = TrainConfig::default();
        let other =
            TrainConfig { step: crate::gan::StepConfig { loss: Loss::Minimax, ..mlp.step }, ..mlp.clone() };
        assert!(has(&other, "--loss non-saturating: ") && !has(&mlp, "--loss"), "it has that loss");
        let dcgan = (zoo::recipe("dcgan28-small").unwrap().config)();
        assert!(has(&mlp, "--r1 1: ") && !has(&dcgan, "--r1"), "batch statistics in D");
    }
}
