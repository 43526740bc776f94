//! A discriminator too weak and too strong (Arjovsky and Bottou, 2017, arXiv:1701.04862, section 2; Heusel et al., 2017,
//! arXiv:1706.08500, on the balance of updates).
//!
//! G stands still, off the data; D is trained for k steps; then the gradient of G's loss by G's parameters is taken,
//!
//! grad_theta E L(a(G_theta(z))) = E L'(a) grad_x a(x) dG/dtheta,  L' = -D, D - 1 or -1
//!
//! Its use is its direction: the cosine between what it does to G's mean and the way to the data's.
//!
//! Look at: at k = 0 the direction is chance; a few steps on it is right in all; after hundreds minimax has lost its
//! strength by orders of magnitude, and the non-saturating loss and the critic with a penalty have not. Pitfall: a strong
//! non-saturating gradient is no proof of health: it grows with D's slope, which nothing bounds.

use super::judge::{Judge, Lessons};
use super::{Experiment, Options, Outcome, Table, line};
use crate::gan::Loss;
use crate::nn::{Ctx, LayerSpec, Linear, Module, gradients};
use crate::optim::{Schedule, grad_norm};
use crate::report::{Panel, Scale};
use crate::rng::Stream;
use crate::{DType, Device, Generator, Result, Tensor, no_grad};

/// See the [module's docs](self).
pub const EXPERIMENT: Experiment = Experiment {
    name: "update-balance",
    summary: "G's gradient under a D trained for 0 to 625 steps: too weak, too strong",
    explanation: "G stands still, its samples some way off the data (two Gaussians in the plane). D is trained for k \
        steps, with minimax's loss or as a WGAN-GP critic, and then asked for G's gradient: its norm over all of G's \
        parameters, and the cosine between the push on G's mean and the way to the data, each averaged over 8 \
        initialisations. Look at the cosine for k = 0 (chance) and at the norms for k = 625.",
    run,
};

const LESSONS: [u64; 6] = [0, 1, 5, 25, 125, 625];
const INITIALISATIONS: u64 = 8;
const BATCH: usize = 128;
const LOSSES: [Loss; 3] = [Loss::Minimax, Loss::NonSaturating, Loss::Wasserstein];
/// G's mean seen from the data's.
const OFFSET: [f32; 2] = [4.0, 2.0];
const SPREAD: f64 = 0.5;

/// G(z) = 0.5 z + the offset: as wide as the data, beside them.
fn generator() -> Linear {
    let weight = Tensor::eye(2, DType::F32, Device::Cpu).mul_scalar(SPREAD).detach().requires_grad();
    let bias = Tensor::new(&OFFSET, &[2]).requires_grad();
    Linear { weight, bias: Some(bias) }
}

/// What was measured with one D after some lessons.
#[derive(Clone, Copy, Default)]
struct Measured {
    /// D's mean probability on fakes; of the critic there is none.
    d_fake: f64,
    norms: [f64; 3],
    cosines: [f64; 3],
}

fn run(options: &Options) -> Result<Outcome> {
    let all: Vec<Vec<Measured>> = (0..INITIALISATIONS)
        .map(|i| course(&Options { seed: options.seed * INITIALISATIONS + i, ..*options }))
        .collect();
    let mut table = Table::new(&[
        "k",
        "D(G(z))",
        "norm minimax",
        "norm non-saturating",
        "norm critic",
        "cos minimax",
        "cos non-saturating",
        "cos critic",
        "least cos minimax",
    ]);
    for (row, k) in LESSONS.into_iter().enumerate() {
        let mean = |f: &dyn Fn(&Measured) -> f64| {
            all.iter().map(|course| f(&course[row])).sum::<f64>() / INITIALISATIONS as f64
        };
        let least = all.iter().map(|course| course[row].cosines[0]).fold(1.0, f64::min);
        table.push([
            (k as f64).into(),
            mean(&|m| m.d_fake).into(),
            mean(&|m| m.norms[0]).into(),
            mean(&|m| m.norms[1]).into(),
            mean(&|m| m.norms[2]).into(),
            mean(&|m| m.cosines[0]).into(),
            mean(&|m| m.cosines[1]).into(),
            mean(&|m| m.cosines[2]).into(),
            least.into(),
        ]);
    }
    Ok(Outcome { panels: panels(&table), findings: findings(&table), table })
}

/// The measurements after each number of lessons, for one initialisation of D.
fn course(options: &Options) -> Vec<Measured> {
    let (seed, judge) = (options.seed, || Judge::new(2, 32, LayerSpec::leaky_relu(0.2), options));
    let mut sides = [(judge(), Loss::Minimax, None), (judge(), Loss::Wasserstein, Some(10.0))];
    let g = generator();
    let (data, noise) = (Generator::new(seed, Stream::Data), Generator::new(seed, Stream::Noise));
    let normal = |random: &Generator| random.normal(&[BATCH, 2], 0.0, 1.0, DType::F32, Device::Cpu);
    let mut done = 0;
    let mut measured = Vec::new();
    for k in LESSONS {
        for (judge, loss, gradient_penalty) in &mut sides {
            let objective = |real: &_, fake: &_| loss.get().discriminator(real, fake, 1.0);
            let lessons = Lessons {
                objective: &objective,
                gradient_penalty: *gradient_penalty,
                lr: 3e-3,
                schedule: Schedule::default(),
            };
            judge.learn(&lessons, k - done, &mut || {
                let fake = no_grad(|| g.forward(&normal(&noise), &Ctx::eval()));
                (normal(&data).mul_scalar(SPREAD), fake)
            });
        }
        done = k;
        measured.push(measure(&g, &sides[0].0, &sides[1].0, seed));
    }
    measured
}

fn measure(g: &Linear, judge: &Judge, critic: &Judge, seed: u64) -> Measured {
    let z = Generator::new(seed, Stream::Samples).normal(&[1024, 2], 0.0, 1.0, DType::F32, Device::Cpu);
    let d = no_grad(|| judge.judge(&g.forward(&z, &Ctx::eval()))).sigmoid();
    let mut m = Measured { d_fake: d.mean_all().item(), ..Measured::default() };
    for (i, (d, loss)) in [judge, judge, critic].into_iter().zip(LOSSES).enumerate() {
        let loss = loss.get().generator(&d.judge(&g.forward(&z, &Ctx::eval())), None);
        let grads = gradients(&loss, g);
        m.norms[i] = grad_norm(&grads);
        // The push on the bias, which is G's mean; descent goes against the gradient.
        let push = grads[1].as_ref().expect("G has a bias").to_f64_vec();
        let way = OFFSET.map(f64::from);
        let along: f64 = push.iter().zip(way).map(|(p, w)| p * w).sum();
        m.cosines[i] = along / (push[0].hypot(push[1]) * way[0].hypot(way[1])).max(f64::MIN_POSITIVE);
    }
    m
}

fn findings(table: &Table) -> Vec<String> {
    let [mm, ns, w, cos, least, d] =
        ["norm minimax", "norm non-saturating", "norm critic", "cos minimax", "least cos minimax", "D(G(z))"]
            .map(|c| table.column(c));
    let last = LESSONS.len() - 1;
    let strongest = mm.iter().copied().fold(0.0, f64::max);
    vec![
        format!(
            "Through an untrained D the cosine with the way to the data is {:.2} on average and {:.2} at worst. After {} \
             steps of D they are {:.2} and {:.2}.",
            cos[0], least[0], LESSONS[3], cos[3], least[3]
        ),
        format!(
            "After {} steps D gives fakes {:.1e}, and minimax's gradient is {:.0} times weaker than at its best.",
            LESSONS[last],
            d[last],
            strongest / mm[last]
        ),
        format!(
            "The non-saturating gradient went from {:.2} at k = {} to {:.2}, the critic's from {:.2} to {:.2}.",
            ns[3], LESSONS[3], ns[last], w[3], w[last]
        ),
    ]
}

fn panels(table: &Table) -> Vec<Panel> {
    // A logarithmic scale that has a place for 0: rows are spaced evenly.
    let column = |name: &str| {
        let place = |k: f64| if k > 0.0 { k.log(5.0) + 1.0 } else { 0.0 };
        table.column("k").into_iter().map(place).zip(table.column(name)).collect::<Vec<_>>()
    };
    let names = ["minimax", "non-saturating", "WGAN-GP critic"];
    let lines =
        |columns: [&str; 3]| names.into_iter().zip(columns).map(|(n, c)| line(n, column(c))).collect();
    let x_label = "steps of D before: 0, 1, 5, 25, 125, 625 stand at 0, 1, 2, 3, 4, 5";
    vec![
        Panel {
            title: "Strength: the norm of G's gradient".into(),
            y_label: "L2 norm".into(),
            x_label: x_label.into(),
            y_scale: Scale::Log,
            lines: lines(["norm minimax", "norm non-saturating", "norm critic"]),
            ..Panel::default()
        },
        Panel {
            title: "Use: the cosine with the way to the data".into(),
            y_label: "cosine".into(),
            x_label: x_label.into(),
            lines: lines(["cos minimax", "cos non-saturating", "cos critic"]),
            reference: vec![(1.0, "straight there".into()), (0.0, "no direction".into())],
            ..Panel::default()
        },
    ]
}
