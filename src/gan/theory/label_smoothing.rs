//! Smoothed labels (Salimans et al., 2016, arXiv:1606.03498, section 3.4).
//!
//! With the target alpha on real samples and beta on fakes D minimises E_p BCE(D, alpha) + E_q BCE(D, beta), at
//!
//! D*(x) = (alpha p(x) + beta q(x)) / (p(x) + q(x))
//!
//! One-sided smoothing, alpha = 0.9 and beta = 0, is D* times 0.9: D stays below 0.9, and its logit below
//! log(0.9 / 0.1) = log 9. With beta = 0.1 the fakes' own density stands in the numerator: where the data have no weight
//! and fakes do, D says 0.1 whatever happens, flat, so those fakes are not sent anywhere.
//!
//! Look at: the right of the picture, where only fakes are, and the pull on fakes, E (1 - D) |da/dx|. Pitfall: a D(x)
//! near 0.9 is then the best there is, and 1/2 is no longer where real and fake are as likely: that is 0.45.

use super::density::{Density, axis, even, integral, where_weighty};
use super::judge::{Judge, Lessons, falling};
use super::{Experiment, Options, Outcome, Table, largest, line};
use crate::autograd::grad;
use crate::gan::Loss;
use crate::nn::LayerSpec;
use crate::report::{Line, Panel};
use crate::rng::Stream;
use crate::{Generator, Reduction, Result, Tensor};

/// See the [module's docs](self).
pub const EXPERIMENT: Experiment = Experiment {
    name: "label-smoothing",
    summary: "D under smoothed labels: 0.9 p / (p + q), and why fakes keep the target 0",
    explanation: "D is trained with the targets (1, 0), with the target 0.9 on real samples, and with 0.9 and 0.1 on \
        both sides, which the library never does. The best D is (alpha p + beta q) / (p + q) (Salimans et al., 2016). \
        Look at the fakes' side: with beta = 0.1 D is level there, and fakes feel little pull. Rows named separable \
        have data and fakes that do not overlap: D(x) ends at alpha, the logit at log(alpha / (1 - alpha)).",
    run,
};

const STEPS: u64 = 1500;
const BATCH: usize = 512;

/// The targets on real and on fake samples.
#[derive(Clone, Copy)]
struct Targets {
    name: &'static str,
    real: f64,
    fake: f64,
}

const TARGETS: [Targets; 3] = [
    Targets { name: "none", real: 1.0, fake: 0.0 },
    Targets { name: "one-sided", real: 0.9, fake: 0.0 },
    Targets { name: "both sides", real: 0.9, fake: 0.1 },
];

impl Targets {
    /// D's loss: the shipped one, which has no target but 0 for fakes, or with the fakes' term in its place.
    fn loss(&self, real: &Tensor, fake: &Tensor) -> Tensor {
        let shipped = Loss::NonSaturating.get().discriminator(real, fake, self.real);
        if self.fake == 0.0 {
            return shipped;
        }
        let on_fake = |target: f64| fake.bce_with_logits(&fake.full_like(target), Reduction::Mean);
        shipped.sub(&on_fake(0.0)).add(&on_fake(self.fake))
    }

    fn best(&self, p: f64, q: f64) -> f64 {
        (self.real * p + self.fake * q) / (p + q)
    }

    /// E_q (1 - D*) |da*/dx|: how strongly the non-saturating loss pulls at a fake, by the best D.
    fn pull(&self, p: &Density, q: &Density) -> f64 {
        const STEP: f64 = 1e-4;
        let x = axis(p, q);
        let logit = |x: f64| {
            let (p, q) = (p.at(x), q.at(x));
            ((self.real * p + self.fake * q) / ((1.0 - self.real) * p + (1.0 - self.fake) * q)).ln()
        };
        let slope = |x: f64| (logit(x + STEP) - logit(x - STEP)) / (2.0 * STEP);
        let at = |x: f64| q.at(x) * (1.0 - self.best(p.at(x), q.at(x))) * slope(x).abs();
        integral(&x, |i| at(x[i]))
    }
}

fn run(options: &Options) -> Result<Outcome> {
    let mut table = Table::new(&[
        "targets",
        "alpha",
        "beta",
        "data",
        "max |D - D*|",
        "mean D(x)",
        "mean logit of x",
        "mean D(G(z))",
        "pull on fakes",
        "pull by D*",
    ]);
    let (near_p, near_q) = (Density::normal(-1.0, 0.6), Density::normal(1.0, 0.6));
    let (far_p, far_q) = (Density::normal(-3.0, 0.3), Density::normal(3.0, 0.3));
    let mut lines = Vec::new();
    let mut trained = Vec::new();
    for targets in TARGETS {
        for (data, p, q) in [("overlapping", &near_p, &near_q), ("separable", &far_p, &far_q)] {
            let judge = train(targets, p, q, options);
            let x = where_weighty(p, q, 0.01);
            let d = judge.probabilities(&x);
            let off = largest(x.iter().zip(&d).map(|(&x, d)| (d - targets.best(p.at(x), q.at(x))).abs()));
            let on = means(&judge, p, q, options.seed);
            let [d_real, a_real, d_fake, pull] = on.map(Into::into);
            // Without samples between the two there is no slope to be learnt.
            let expected = if data == "overlapping" { targets.pull(p, q).into() } else { "".into() };
            table.push([
                targets.name.into(),
                targets.real.into(),
                targets.fake.into(),
                data.into(),
                off.into(),
                d_real,
                a_real,
                d_fake,
                pull,
                expected,
            ]);
            if data == "overlapping" {
                let few = even(-3.0, 3.0, 31);
                let best = even(-3.0, 3.0, 301).into_iter().map(|x| (x, targets.best(p.at(x), q.at(x))));
                lines.push(line(format!("D*, {}", targets.name), best));
                trained.extend(few.iter().copied().zip(judge.probabilities(&few)));
            }
        }
    }
    let panels = panels(&near_p, &near_q, lines, trained);
    Ok(Outcome { panels, findings: findings(&table), table })
}

fn train(targets: Targets, p: &Density, q: &Density, options: &Options) -> Judge {
    let (seed, mut judge) = (options.seed, Judge::new(1, 48, LayerSpec::Tanh, options));
    let (data, noise) = (Generator::new(seed, Stream::Data), Generator::new(seed, Stream::Noise));
    let objective = |real: &Tensor, fake: &Tensor| targets.loss(real, fake);
    let lessons =
        Lessons { objective: &objective, gradient_penalty: None, lr: 4e-3, schedule: falling(STEPS) };
    judge.learn(&lessons, STEPS, &mut || (p.samples(BATCH, &data), q.samples(BATCH, &noise)));
    judge
}

/// Over fresh samples: D(x), the logit of x, D(G(z)), and |dL/dx| of the non-saturating loss for a fake.
fn means(judge: &Judge, p: &Density, q: &Density, seed: u64) -> [f64; 4] {
    const N: usize = 4096;
    let random = Generator::new(seed, Stream::Samples);
    let logits = judge.judge(&p.samples(N, &random)).detach();
    let fakes = q.samples(N, &random).requires_grad();
    let judged = judge.judge(&fakes);
    let loss = Loss::NonSaturating.get().generator(&judged, None);
    let slope = grad(&[&loss], &[&fakes], &[], false).remove(0).expect("D depends on its input");
    // The loss is a mean over the fakes, and each is pulled by its own term.
    let pull = slope.abs().sum_all().item();
    let d_fake = judged.detach().sigmoid().mean_all().item();
    [logits.sigmoid().mean_all().item(), logits.mean_all().item(), d_fake, pull]
}

/// The logit on real samples at which the shipped loss for a target is least: where its slope changes sign.
pub fn best_logit(target: f64) -> f64 {
    let slope = |a: f64| {
        let real = Tensor::from([[a]]).requires_grad();
        let loss = Loss::NonSaturating.get().discriminator(&real, &Tensor::from([[0.0f64]]), target);
        grad(&[&loss], &[&real], &[], false).remove(0).expect("a loss depends on its logit").item()
    };
    let (mut low, mut high) = (-40.0, 40.0);
    for _ in 0..100 {
        let middle = (low + high) / 2.0;
        if slope(middle) < 0.0 { low = middle } else { high = middle }
    }
    low
}

fn findings(table: &Table) -> Vec<String> {
    let [off, d, a, pull, expected] =
        ["max |D - D*|", "mean D(x)", "mean logit of x", "pull on fakes", "pull by D*"]
            .map(|c| table.column(c));
    // Rows come in pairs, overlapping and separable.
    vec![
        format!(
            "One-sided, D is within {:.3} of 0.9 p / (p + q); smoothed on both sides within {:.3} of \
             (0.9 p + 0.1 q) / (p + q).",
            off[2], off[4]
        ),
        format!(
            "Separable data: mean D(x) ends at {:.4} and the logit at {:.3}; the loss for the target 0.9 is least at \
             {:.6} (log 9 = {:.6}). Without smoothing the logit has reached {:.1}.",
            d[3],
            a[3],
            best_logit(0.9),
            9f64.ln(),
            a[1]
        ),
        format!(
            "A fake is pulled with {:.2} on average without smoothing, {:.2} one-sided and {:.2} with both sides smoothed \
             (by the best D {:.2}, {:.2} and {:.2}).",
            pull[0], pull[2], pull[4], expected[0], expected[2], expected[4]
        ),
    ]
}

fn panels(p: &Density, q: &Density, lines: Vec<Line>, trained: Vec<(f64, f64)>) -> Vec<Panel> {
    let over = |d: &Density| even(-3.0, 3.0, 301).into_iter().map(|x| (x, d.at(x))).collect::<Vec<_>>();
    vec![
        Panel {
            title: "The best D, and trained ones".into(),
            y_label: "probability of real".into(),
            x_label: "x".into(),
            y_range: Some((-0.03, 1.03)),
            lines,
            dots: vec![line("trained", trained)],
            reference: vec![(0.9, "0.9".into()), (0.1, "0.1".into())],
            ..Panel::default()
        },
        Panel {
            title: "Data and fakes".into(),
            y_label: "density".into(),
            x_label: "x".into(),
            lines: vec![line("p, data", over(p)), line("q, fakes", over(q))],
            ..Panel::default()
        },
    ]
}
