//! Two distributions that do not overlap (Arjovsky et al., 2017, "Wasserstein GAN", arXiv:1701.07875, example 1).
//!
//! Data (0, u), fakes (theta, u) with u uniform on \[0, 1\]: two parallel lines. For every theta other than 0
//!
//! JSD = log 2,  W1 = |theta|
//!
//! so the one says nothing about which way to go, the other is a ramp. Both are computed from samples, and so is what
//! trained discriminators make of it: a minimax D, whose loss goes to 0, and a WGAN-GP critic (Gulrajani et al., 2017,
//! arXiv:1704.00028), whose gap E f(x) - E f(G(z)) estimates W1.
//!
//! The penalty lambda (s - 1)^2 does not hold the critic's slope s at 1: s theta - lambda (s - 1)^2 is largest at
//! s = 1 + theta / (2 lambda), so the gap should be theta + theta^2 / (2 lambda).
//!
//! Look at: the gradient by theta that each loss gives G. Pitfall: JSD from samples needs cells; between lines closer
//! than a cell it would fall below log 2, so the cells here are narrower than the smallest theta.

use super::density::even;
use super::judge::{Judge, Lessons, falling};
use super::{Experiment, Options, Outcome, Table, largest, line};
use crate::autograd::grad;
use crate::gan::Loss;
use crate::nn::LayerSpec;
use crate::report::{Panel, Scale};
use crate::rng::Stream;
use crate::{DType, Device, Generator, Result, Tensor, no_grad};
use std::collections::BTreeMap;
use std::f64::consts::LN_2;

/// See the [module's docs](self).
pub const EXPERIMENT: Experiment = Experiment {
    name: "disjoint-supports",
    summary: "Parallel lines: JSD stays at log 2 while W1 and a critic's gap fall",
    explanation: "Data on the line x = 0, fakes on x = theta, both uniform along it (Arjovsky et al., 2017, example 1). \
        JSD and W1 are computed from samples; a minimax D and a WGAN-GP critic are trained for each theta, and the \
        gradient by theta is what G would get through them. Look at JSD and the gradient of the minimax loss, which \
        say nothing, and at W1, the critic's gap and its gradient near 1, which do.",
    run,
};

const THETAS: [f64; 8] = [2.0, 1.5, 1.0, 0.75, 0.5, 0.25, 0.1, 0.0];
const STEPS: u64 = 1500;
const BATCH: usize = 128;
/// Weight of the gradient penalty.
const LAMBDA: f64 = 10.0;

/// The fakes of a generator whose only parameter is theta; the data at theta = 0.
fn on_line(theta: &Tensor, n: usize, random: &Generator) -> Tensor {
    let along = random.uniform(&[n, 1], 0.0, 1.0, DType::F32, Device::Cpu);
    Tensor::cat(&[&theta.expand(&[n, 1]), &along], 1)
}

fn scalar(theta: f64) -> Tensor {
    Tensor::full(&[1, 1], theta, DType::F32, Device::Cpu)
}

fn run(options: &Options) -> Result<Outcome> {
    let mut table = Table::new(&[
        "theta",
        "JSD",
        "W1",
        "critic's gap",
        "expected gap",
        "D's loss",
        "slope minimax",
        "slope non-saturating",
        "slope critic",
    ]);
    for theta in THETAS {
        let (jsd, w1) = from_samples(theta, options.seed);
        let judge = trained(theta, Loss::Minimax, None, options);
        let critic = trained(theta, Loss::Wasserstein, Some(LAMBDA), options);
        let slopes = [(&judge, Loss::Minimax), (&judge, Loss::NonSaturating), (&critic, Loss::Wasserstein)]
            .map(|(d, loss)| slope(d, loss, theta, options.seed));
        table.push([
            theta.into(),
            jsd.into(),
            w1.into(),
            (-loss(&critic, Loss::Wasserstein, theta, options.seed)).into(),
            (theta + theta * theta / (2.0 * LAMBDA)).into(),
            loss(&judge, Loss::Minimax, theta, options.seed).into(),
            slopes[0].into(),
            slopes[1].into(),
            slopes[2].into(),
        ]);
    }
    Ok(Outcome { panels: panels(&table), findings: findings(&table), table })
}

fn trained(theta: f64, loss: Loss, gradient_penalty: Option<f64>, options: &Options) -> Judge {
    let (seed, mut judge) = (options.seed, Judge::new(2, 48, LayerSpec::leaky_relu(0.2), options));
    let (data, noise) = (Generator::new(seed, Stream::Data), Generator::new(seed, Stream::Noise));
    let objective = |real: &_, fake: &_| loss.get().discriminator(real, fake, 1.0);
    let lessons = Lessons { objective: &objective, gradient_penalty, lr: 3e-3, schedule: falling(STEPS) };
    judge.learn(&lessons, STEPS, &mut || {
        (on_line(&scalar(0.0), BATCH, &data), on_line(&scalar(theta), BATCH, &noise))
    });
    judge
}

/// Samples that neither was trained on.
fn fresh(seed: u64) -> Generator {
    Generator::new(seed, Stream::Samples)
}

/// D's loss on fresh samples.
fn loss(judge: &Judge, loss: Loss, theta: f64, seed: u64) -> f64 {
    let random = fresh(seed);
    let judged = |theta| no_grad(|| judge.judge(&on_line(&scalar(theta), 2048, &random)));
    let (real, fake) = (judged(0.0), judged(theta));
    loss.get().discriminator(&real, &fake, 1.0).item()
}

/// The derivative of G's loss by theta; positive where G is sent to the data.
fn slope(judge: &Judge, loss: Loss, theta: f64, seed: u64) -> f64 {
    let theta = scalar(theta).requires_grad();
    let fake = judge.judge(&on_line(&theta, 2048, &fresh(seed)));
    let slope = grad(&[&loss.get().generator(&fake, None)], &[&theta], &[], false).remove(0);
    slope.expect("the loss depends on theta").item()
}

/// JSD of the shares of samples in cells, and the mean distance under a transport plan. The plan matches samples in
/// the order of u, so it is an upper bound of W1; the distance across, |theta|, is a lower one.
fn from_samples(theta: f64, seed: u64) -> (f64, f64) {
    const N: usize = 20_000;
    const CELL: f64 = 0.05;
    let random = fresh(seed);
    let mut points = [0.0, theta].map(|theta| {
        let all = on_line(&scalar(theta), N, &random).to_f64_vec();
        all.as_chunks::<2>().0.to_vec()
    });
    let mut cells: BTreeMap<[i64; 2], [f64; 2]> = BTreeMap::new();
    for (side, points) in points.iter().enumerate() {
        for p in points {
            cells.entry(p.map(|v| (v / CELL).round() as i64)).or_default()[side] += 1.0 / N as f64;
        }
    }
    let part = |a: f64, m: f64| if a > 0.0 { 0.5 * a * (a / m).ln() } else { 0.0 };
    let jsd = cells.values().map(|&[p, q]| part(p, (p + q) / 2.0) + part(q, (p + q) / 2.0)).sum();
    points.iter_mut().for_each(|side| side.sort_by(|a, b| a[1].total_cmp(&b[1])));
    let cost = points[0].iter().zip(&points[1]).map(|(a, b)| (a[0] - b[0]).hypot(a[1] - b[1]));
    (jsd, cost.sum::<f64>() / N as f64)
}

fn findings(table: &Table) -> Vec<String> {
    let [theta, jsd, w1, gap, expected, mm, w] =
        ["theta", "JSD", "W1", "critic's gap", "expected gap", "slope minimax", "slope critic"]
            .map(|c| table.column(c));
    let apart = || (0..theta.len()).filter(|&i| theta[i] > 0.0);
    let off = |a: &[f64], b: &dyn Fn(usize) -> f64| largest(apart().map(|i| (a[i] - b(i)).abs()));
    let range = |v: &[f64]| {
        let values = || apart().map(|i| v[i]);
        (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max))
    };
    let ((mm_low, mm_high), (w_low, w_high)) = (range(&mm), range(&w));
    vec![
        format!(
            "For every theta > 0 JSD is within {:.1e} of log 2 = {LN_2:.4}; W1 is within {:.1e} of theta.",
            off(&jsd, &|_| LN_2),
            off(&w1, &|i| theta[i])
        ),
        format!(
            "The critic's gap is within {:.1e} of theta + theta^2 / (2 lambda), what the penalty lets it reach.",
            off(&gap, &|i| expected[i])
        ),
        format!(
            "Through the minimax loss theta gets slopes of {mm_low:.1e} to {mm_high:.1e}, through the critic \
             {w_low:.2} to {w_high:.2}."
        ),
    ]
}

fn panels(table: &Table) -> Vec<Panel> {
    // From 0 outwards, so that names stand at the far end.
    let column =
        |name: &str| -> Vec<_> { table.column("theta").into_iter().zip(table.column(name)).rev().collect() };
    let apart = |name: &str| column(name).into_iter().filter(|p| p.0 > 0.0).map(|(x, y)| (x, y.abs()));
    let x_label = "θ, the distance of the lines";
    vec![
        Panel {
            title: "How far apart?".into(),
            y_label: "nats, or length".into(),
            x_label: x_label.into(),
            lines: vec![
                line("W1", column("W1")),
                line("JSD for θ > 0", apart("JSD")),
                line("θ + θ²/2λ", even(0.0, 2.0, 50).into_iter().map(|t| (t, t + t * t / (2.0 * LAMBDA)))),
            ],
            dots: vec![
                line("critic's gap", column("critic's gap")),
                line("JSD at θ = 0", column("JSD").into_iter().filter(|p| p.0 == 0.0)),
            ],
            ..Panel::default()
        },
        Panel {
            title: "What G is told: the slope of its loss by θ".into(),
            y_label: "size of dL/dθ".into(),
            x_label: x_label.into(),
            y_scale: Scale::Log,
            lines: vec![
                line("minimax", apart("slope minimax")),
                line("non-saturating", apart("slope non-saturating")),
                line("WGAN-GP critic", apart("slope critic")),
            ],
            ..Panel::default()
        },
    ]
}
