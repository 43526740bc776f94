//! A recipe for each technique that papers are known for, with the papers' settings at MNIST's scale.
//!
//! All but `unrolled` train the networks of `dcgan28-small`, so that what differs is the technique: the loss, what bounds
//! D, the optimisers and who moves how often. Where a penalty needs a D that judges each sample by itself, D is without
//! batch normalisation. `ganvil recipes NAME` has idea, equation and source of each.

use super::dcgan::{config, dcgan28, multiple_of_4};
use super::mlp::mlp_a;
use super::{About, Recipe};
use crate::gan::alterations::{Alterations, NormOfD, SpectralNormOf};
use crate::gan::conditioning::Conditioning;
use crate::gan::config::TrainConfig;
use crate::gan::losses::Loss;
use crate::gan::step_config::StepConfig;
use crate::nn::Init;
use crate::optim::{Adam, RmsProp, Rule};

/// A recipe on the networks of `dcgan28-small`.
const fn on_dcgan(
    name: &'static str,
    summary: &'static str,
    about: About,
    config: fn() -> TrainConfig,
) -> Recipe {
    Recipe {
        name,
        summary,
        about,
        config,
        architecture: |s| dcgan28(s, 32),
        check: multiple_of_4,
        conditionings: &[Conditioning::None, Conditioning::Embed],
    }
}

fn adam(lr: f64, betas: (f64, f64)) -> Rule {
    Adam { lr, betas, ..Adam::default() }.into()
}

/// A D that judges each sample by itself.
const WITHOUT_NORM: Alterations = Alterations {
    spectral_norm: SpectralNormOf::Recipe,
    norm_d: NormOfD::Off,
    minibatch_stddev: None,
    minibatch_discrimination: None,
};

/// The default recipe's settings with other ones in `step`.
fn with(name: &str, change: impl FnOnce(&mut StepConfig)) -> TrainConfig {
    let mut c = TrainConfig { steps: 13_000, sample_every: 1_000, ..config(name) };
    change(&mut c.step);
    c
}

pub(super) const WGAN: Recipe = on_dcgan(
    "wgan",
    "Wasserstein loss, D's weights clipped, five updates of D for each of G",
    About {
        idea: "D estimates how far samples are from data (the earth mover's distance) in place of whether they differ, and that \
               distance has a slope even where the two do not meet. It needs a D of bounded slope: weights are cut to a box.",
        equation: "L_D = -E a(x) + E a(G(z)),  L_G = -E a(G(z)),  |w| <= 0.01 for every weight of D",
        source: "Arjovsky et al., 2017, arXiv:1701.07875",
        cost: "three times the default recipe's time a step: five updates of D",
        watch: "-d_loss, the estimate of the distance, falls with the quality of samples; most weights end at the bound",
    },
    || {
        let rule: Rule = RmsProp { lr: 5e-5, ..RmsProp::default() }.into();
        let c = with("wgan", |s| (s.loss, s.n_d, s.weight_clip) = (Loss::Wasserstein, 5, Some(0.01)));
        TrainConfig { steps: 5_000, optimizer_d: rule, optimizer_g: rule, ..c }
    },
);

pub(super) const WGAN_GP: Recipe = on_dcgan(
    "wgan-gp",
    "Wasserstein loss, D's slope held near 1 by a gradient penalty",
    About {
        idea: "The bound on D's slope that the Wasserstein distance needs, as a penalty: the norm of the gradient at points between \
               data and samples is pulled to 1. D keeps its capacity, which clipped weights take from it.",
        equation: "L_D = -E a(x) + E a(G(z)) + 10 E (||grad a(x^)|| - 1)^2,  x^ = eps x + (1 - eps) G(z),  L_G = -E a(G(z))",
        source: "Gulrajani et al., 2017, arXiv:1704.00028",
        cost: "an update of D costs 2.5 times a plain one (a second derivative), and there are five for each of G",
        watch: "slope stays near 1; -d_loss falls as samples improve, and is no number to compare between runs",
    },
    || {
        let rule = adam(1e-4, (0.0, 0.9));
        let c = with("wgan-gp", |s| (s.loss, s.n_d, s.gradient_penalty) = (Loss::Wasserstein, 5, Some(10.0)));
        TrainConfig { steps: 3_000, optimizer_d: rule, optimizer_g: rule, networks: WITHOUT_NORM, ..c }
    },
);

pub(super) const SNGAN: Recipe = on_dcgan(
    "sngan",
    "D's weights divided by their largest singular value: a bound on its slope for free",
    About {
        idea: "Each layer of D is divided by how much it can stretch a vector, found by one step of power iteration a pass, so D as a \
               whole stretches little. No batch normalisation in D, no penalty, and no setting to tune.",
        equation: "L_D = E sp(-a(x)) + E sp(a(G(z))),  L_G = E sp(-a(G(z))),  every W of D divided by sigma(W)",
        source: "Miyato et al., 2018, arXiv:1802.05957",
        cost: "five updates of D for each of G; the normalisation itself is hardly measurable",
        watch: "D is never sure: |logits| stay below about 2, and its loss falls slowly",
    },
    || {
        let rule = adam(2e-4, (0.0, 0.9));
        let c = with("sngan", |s| s.n_d = 5);
        let networks = Alterations { spectral_norm: SpectralNormOf::D, ..WITHOUT_NORM };
        TrainConfig { steps: 5_000, optimizer_d: rule, optimizer_g: rule, networks, ..c }
    },
);

pub(super) const LSGAN: Recipe = on_dcgan(
    "lsgan",
    "least squares in place of cross-entropy: fakes that D accepts are still pulled",
    About {
        idea: "D's output is drawn to 1 on data and to 0 on samples, G's samples to 1. Cross-entropy lets go of a sample once D \
               accepts it; a square pulls on, by how far the sample is from the boundary.",
        equation: "L_D = 1/2 E (a(x) - 1)^2 + 1/2 E a(G(z))^2,  L_G = 1/2 E (a(G(z)) - 1)^2",
        source: "Mao et al., 2016, arXiv:1611.04076",
        cost: "as the default recipe",
        watch: "d_loss near 0.5 means that D cannot tell; outputs far outside of [0, 1] mean that D runs away",
    },
    || with("lsgan", |s| (s.loss, s.d_loss_scale, s.g_loss_scale) = (Loss::Lsgan, 0.5, 0.5)),
);

pub(super) const HINGE: Recipe = on_dcgan(
    "hinge",
    "hinge loss, spectral norm in both networks, D learns four times as fast (TTUR)",
    About {
        idea: "D only cares about samples within its margin, as a support vector machine does, and G about the score itself. Two \
               learning rates in place of several updates of D: the settings of self-attention GANs, without the attention.",
        equation: "L_D = E max(0, 1 - a(x)) + E max(0, 1 + a(G(z))),  L_G = -E a(G(z))",
        source: "Lim and Ye, 2017, arXiv:1705.02894; Zhang et al., 2018, arXiv:1805.08318; Heusel et al., 2017, arXiv:1706.08500",
        cost: "as the default recipe",
        watch: "d_loss below 2, its value where D cannot tell; g_loss has no level that means something",
    },
    || {
        let c = with("hinge", |s| s.loss = Loss::Hinge);
        let networks = Alterations { spectral_norm: SpectralNormOf::Both, ..WITHOUT_NORM };
        let (optimizer_d, optimizer_g) = (adam(4e-4, (0.0, 0.9)), adam(1e-4, (0.0, 0.9)));
        TrainConfig { optimizer_d, optimizer_g, networks, ..c }
    },
);

pub(super) const R3GAN: Recipe = on_dcgan(
    "r3gan",
    "D says which of a pair is real; its slope is held at 0 at data and samples",
    About {
        idea: "A sample is only ever compared with a real one, so leaving a mode out gains nothing; zero slope at data (R1) and at \
               samples (R2) makes the game converge locally. Together: a loss that needs no tricks beside it.",
        equation: "L_D = E sp(a(G(z)) - a(x)) + gamma/2 E ||grad a(x)||^2 + gamma/2 E ||grad a(G(z))||^2,  L_G = E sp(a(x) - a(G(z)))",
        source: "Huang et al., 2024, arXiv:2501.05441; Jolicoeur-Martineau, 2018, arXiv:1807.00734; Mescheder et al., 2018, arXiv:1801.04406",
        cost: "an update of D costs 2.5 times a plain one: two second derivatives",
        watch: "r1 and r2 rise and then level off; all modes and classes are there early (ganvil modes grid25 --recipe r3gan)",
    },
    || {
        let rule = adam(2e-4, (0.0, 0.99));
        let c = with("r3gan", |s| (s.loss, s.r1, s.r2) = (Loss::RelativisticPairing, Some(1.0), Some(1.0)));
        TrainConfig { optimizer_d: rule, optimizer_g: rule, networks: WITHOUT_NORM, ..c }
    },
);

pub(super) const DRAGAN: Recipe = on_dcgan(
    "dragan",
    "D's slope held near 1 around the data only: a penalty that any loss can have",
    About {
        idea: "Sharp slopes of D near data throw G about and end in collapse. A gradient penalty at noisy copies of the data \
               smooths D there; it looks at no samples, so it is the same whatever G does.",
        equation: "L_D = E sp(-a(x)) + E sp(a(G(z))) + 10 E (||grad a(x + 0.5 std(X) u)|| - 1)^2,  L_G = E sp(-a(G(z)))",
        source: "Kodali et al., 2017, arXiv:1705.07215",
        cost: "an update of D costs about twice a plain one",
        watch: "slope near 1; D(x) and D(G(z)) nearer to each other than without",
    },
    || TrainConfig { networks: WITHOUT_NORM, ..with("dragan", |s| s.dragan = Some(10.0)) },
);

pub(super) const UNROLLED: Recipe = Recipe {
    name: "unrolled",
    summary: "G looks five updates of D ahead and differentiates through them",
    about: About {
        idea: "G's best answer to the D of the moment is to put everything on the spot that D neglects; then D moves, and the chase \
               begins again. Here G plays against the D that will have answered, by differentiating through its next updates.",
        equation: "L_G = E sp(-a_k(G(z))),  a_k = D after k more steps of its optimiser on L_D, which G's samples are part of",
        source: "Metz et al., 2016, arXiv:1611.02163",
        cost: "each step looked ahead costs about three passes of D and their memory: k = 5 is four times mlp-a's time a step",
        watch: "fewer swings of D(G(z)) than mlp-a; the gain shows in modes (ganvil modes ring8 --recipe unrolled), not in strokes",
    },
    config: || {
        let mut c = with("unrolled", |s| s.unroll = 5);
        (c.init, c.latent) = (Init::Default, 100);
        c
    },
    architecture: mlp_a,
    check: |_| Ok(()),
    conditionings: &[Conditioning::None, Conditioning::Embed],
};
