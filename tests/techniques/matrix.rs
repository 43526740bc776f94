//! Loss x technique x networks x balance: two steps each are finite and the same on one thread and on two, or the
//! combination is refused for the reason that is documented.
//!
//! The pairs of any two choices are covered here; `GANVIL_MATRIX=full` (a part of `.ci/nightly`) tries all.

use super::bars;
use ganvil::gan::{Conditioning, Loss, NoProbe, Output, TrainConfig, Trainer, zoo};
use ganvil::nn::state_dict;
use ganvil::{Device, threads};
use std::collections::HashSet;

/// A choice along a dimension: its name and the settings that make it.
type Choice = (&'static str, &'static [&'static str]);

const TECHNIQUES: [Choice; 22] = [
    ("none", &[]),
    ("gradient penalty", &["step.gradient_penalty=10"]),
    ("one-sided", &["step.gradient_penalty=10", "step.one_sided=true"]),
    ("dragan", &["step.dragan=10"]),
    ("r1", &["step.r1=1"]),
    ("r2", &["step.r2=1"]),
    ("r1 + r2, lazy", &["step.r1=1", "step.r2=1", "step.lazy=2"]),
    ("drift", &["step.drift=1e-3"]),
    ("weight clipping", &["step.weight_clip=0.01"]),
    ("orthogonal", &["step.orthogonal=1e-4"]),
    ("orthogonal, full", &["step.orthogonal=1e-4", "step.orthogonal_form=full"]),
    ("smoothed labels", &["step.real_label=0.9"]),
    ("flipped labels", &["step.flip_labels=0.25"]),
    ("instance noise", &["step.instance_noise.std=0.1", "step.instance_noise.kimg=1"]),
    (
        "augmentation",
        &["step.augment.color=true", "step.augment.translation=true", "step.augment.cutout=true"],
    ),
    ("packs", &["step.pack=2"]),
    ("feature matching", &["step.feature_matching=1"]),
    ("unrolled", &["step.unroll=2"]),
    ("minibatch deviation", &["networks.minibatch_stddev=4"]),
    ("minibatch discrimination", &["networks.minibatch_discrimination=4"]),
    ("spectral norm", &["networks.spectral_norm=both"]),
    ("halved losses", &["step.d_loss_scale=0.5", "step.g_loss_scale=0.5"]),
];

/// With the side of the pictures that they take.
const NETWORKS: [(&str, usize, &[&str]); 12] = [
    ("mlp", 8, &[]),
    ("mlp-a", 8, &[]),
    ("cgan", 8, &[]),
    ("dcgan28-small", 8, &[]),
    ("dcgan28-small", 8, &["networks.norm_d=off"]),
    ("dcgan28-small", 8, &["networks.norm_d=layer"]),
    ("dcgan28-small", 8, &["networks.norm_d=instance"]),
    ("infogan28", 8, &["networks.norm_d=layer"]),
    ("dcgan64", 16, &[]),
    ("cdcgan", 8, &[]),
    ("acgan", 8, &[]),
    ("sngan-resnet32", 8, &[]),
];

const BALANCES: [Choice; 6] = [
    ("1 : 1", &[]),
    ("2 : 1", &["step.n_d=2"]),
    ("1 : 2, fakes reused", &["step.n_g=2", "step.reuse_fakes=true"]),
    ("accuracy", &["step.balance=accuracy", "step.balance_above=0.5"]),
    ("loss-ratio", &["step.balance=loss-ratio"]),
    ("two rates", &["optimizer_d.lr=4e-4", "optimizer_g.lr=1e-4"]),
];

/// Which choice along each dimension.
type Case = [usize; 4];

const SIZES: Case = [Loss::ALL.len(), TECHNIQUES.len(), NETWORKS.len(), BALANCES.len()];

fn all() -> Vec<Case> {
    let mut cases = vec![];
    for i in 0..SIZES.iter().product() {
        let mut rest: usize = i;
        cases.push(SIZES.map(|n| (rest % n, rest /= n).0));
    }
    cases
}

/// The two choices of every pair of dimensions in a case.
fn pairs(case: &Case) -> impl Iterator<Item = (usize, usize, usize, usize)> + '_ {
    (0..4).flat_map(move |a| (a + 1..4).map(move |b| (a, case[a], b, case[b])))
}

/// Cases in which every pair of choices along two dimensions occurs: the largest number of new pairs first.
fn covering() -> Vec<Case> {
    let all = all();
    let mut open: HashSet<_> = all.iter().flat_map(pairs).collect();
    let mut chosen = Vec::new();
    for wanted in (1..=6).rev() {
        for case in &all {
            if pairs(case).filter(|p| open.contains(p)).count() >= wanted {
                for p in pairs(case) {
                    open.remove(&p);
                }
                chosen.push(*case);
            }
        }
    }
    assert!(open.is_empty());
    chosen
}

fn config(&[loss, technique, network, balance]: &Case) -> (TrainConfig, usize) {
    let (recipe, side, network) = NETWORKS[network];
    let mut c = (zoo::recipe(recipe).unwrap().config)();
    c.data = Default::default();
    (c.batch, c.latent, c.step.n_d, c.step.loss) = (8, 6, 1, Loss::ALL[loss]);
    let settings = [network, TECHNIQUES[technique].1, BALANCES[balance].1].concat();
    c.set_all(&settings).unwrap();
    (c, side)
}

/// What the documented rules refuse, found from the choices and not from the settings' own check.
fn reason(&[loss, technique, network, balance]: &Case) -> Option<&'static str> {
    let (technique, (recipe, _, altered), balance) =
        (TECHNIQUES[technique].0, NETWORKS[network], BALANCES[balance].0);
    let loss = Loss::ALL[loss];
    let by_class = matches!(recipe, "cgan" | "cdcgan" | "acgan");
    let slope =
        matches!(technique, "gradient penalty" | "one-sided" | "dragan" | "r1" | "r2" | "r1 + r2, lazy");
    let batch_norm = matches!(recipe, "dcgan28-small" | "dcgan64") && altered.is_empty();
    let relative = matches!(loss, Loss::Wasserstein | Loss::RelativisticPairing | Loss::RelativisticAverage);
    if matches!(recipe, "cdcgan" | "acgan") && loss == Loss::Bce {
        Some("has no logit with --loss bce")
    } else if technique == "smoothed labels" && (relative || loss == Loss::Hinge) {
        Some("is on scores and has no target")
    } else if balance == "loss-ratio" && loss == Loss::Wasserstein {
        Some("D's loss is 0")
    } else if technique == "packs" && by_class {
        Some("of one class")
    } else if slope && batch_norm {
        Some("--norm-d layer")
    } else {
        None
    }
}

/// The networks' tensors after two steps.
fn trained(config: &TrainConfig, side: usize, n: usize) -> Vec<(String, Vec<f64>)> {
    let mut trainer = Trainer::new(config.clone(), bars(side), Device::Cpu).unwrap();
    threads(n, || {
        for _ in 0..2 {
            trainer.step(&mut NoProbe).unwrap_or_else(|e| panic!("{} ({})", e.what, e.tensor));
        }
    });
    let gan = trainer.gan();
    let all = [&gan.g, &gan.d].into_iter().flat_map(|n| state_dict(n));
    all.map(|(name, t)| (name, t.to_f64_vec())).collect()
}

#[test]
fn every_pair_of_choices_trains_or_is_refused_for_its_reason() {
    let full = std::env::var("GANVIL_MATRIX").is_ok_and(|v| v == "full");
    let cases = if full { all() } else { covering() };
    let mut refused = 0;
    for case in &cases {
        let (c, side) = config(case);
        let name = || {
            format!(
                "{} {:?} {:?} {:?}",
                c.step.loss.name(),
                TECHNIQUES[case[1]].0,
                NETWORKS[case[2]],
                BALANCES[case[3]].0
            )
        };
        match (reason(case), c.check()) {
            (Some(why), Err(e)) => {
                assert!(e.to_string().contains(why), "{}: {e}", name());
                refused += 1;
                continue;
            }
            (None, Ok(())) => {}
            (why, got) => panic!("{}: expected {why:?}, got {got:?}", name()),
        }
        let one = trained(&c, side, 1);
        for (tensor, values) in &one {
            assert!(values.iter().all(|v| v.is_finite()), "{}: {tensor}", name());
        }
        assert!(one == trained(&c, side, 2), "{}: other bits on two threads", name());
    }
    println!("{} combinations, {refused} of them refused with a reason", cases.len());
    assert!(refused > 0 && refused < cases.len() / 2);
}

#[test]
fn the_covering_is_one() {
    let chosen = covering();
    let seen: HashSet<_> = chosen.iter().flat_map(pairs).collect();
    let everything: HashSet<_> = all().iter().flat_map(pairs).collect();
    assert_eq!(seen, everything);
    // At least the product of the two largest dimensions, and not many more.
    let least = SIZES[1] * SIZES[2];
    assert!((least..least * 3 / 2).contains(&chosen.len()), "{}", chosen.len());
}

#[test]
fn every_technique_changes_something() {
    let plain = |loss: Loss| [Loss::ALL.iter().position(|l| *l == loss).unwrap(), 0, 4, 0];
    for (i, (name, _)) in TECHNIQUES.iter().enumerate().skip(1) {
        let mut base = plain(Loss::NonSaturating);
        // Where no slope is above 1 yet, the one-sided penalty is 0, which the two-sided is not.
        base[1] = (*name == "one-sided") as usize;
        let case = [base[0], i, base[2], base[3]];
        let of = |case| {
            let (c, side) = config(case);
            trained(&c, side, 1)
        };
        assert!(of(&base) != of(&case), "{name} is as if it were not there");
    }
    for (i, loss) in Loss::ALL.iter().enumerate() {
        assert_eq!(Loss::ALL.iter().filter(|l| l.name() == loss.name()).count(), 1);
        let (c, _) = config(&[i, 0, 1, 0]);
        assert_eq!(c.step.loss.get().output() == Output::Probability, !c.step.loss.get().takes_logits());
        assert_eq!(c.conditioning, Conditioning::None);
    }
}
