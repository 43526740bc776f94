//! The best discriminator (Goodfellow et al., 2014, arXiv:1406.2661, proposition 1).
//!
//! For a generator that stands still, V(D, G) = E_p log D(x) + E_q log(1 - D(x)) is largest at
//!
//! D*(x) = p(x) / (p(x) + q(x)),  in logits  a*(x) = log p(x) - log q(x)
//!
//! with the data's density p and the generator's q. A small network is trained on samples alone and compared with D*,
//! which it is never shown.
//!
//! Look at: D follows D* where there are samples of either kind. Pitfall: where there are neither it follows nothing, and
//! says so with as much confidence; a trained D is no detector of what is new.

use super::density::{Density, best, even, where_weighty};
use super::judge::{Judge, Lessons, falling};
use super::{Experiment, Options, Outcome, Table, largest, line};
use crate::gan::Loss;
use crate::nn::LayerSpec;
use crate::report::Panel;
use crate::rng::Stream;
use crate::{Generator, Result};

/// See the [module's docs](self).
pub const EXPERIMENT: Experiment = Experiment {
    name: "optimal-discriminator",
    summary: "A trained D against the best one, D* = p / (p + q)",
    explanation: "G stands still, so the densities p of the data and q of the fakes are known, and with them the best \
        discriminator D*(x) = p(x) / (p(x) + q(x)) (Goodfellow et al., 2014, proposition 1). A network of two hidden \
        layers is trained on samples of both with the non-saturating game's loss of D. Look at how D follows D* where \
        either density has weight, and at what it does where neither has.",
    run,
};

/// Below this share of its largest value a density has no weight.
const WEIGHT: f64 = 0.01;
const STEPS: u64 = 5000;
const BATCH: usize = 1024;

fn run(options: &Options) -> Result<Outcome> {
    let cases = [
        ("Gaussian", Density::normal(-1.0, 1.0), Density::normal(1.0, 0.7)),
        ("mixture", Density::mixture(&[(0.5, -2.0, 0.5), (0.5, 1.5, 0.7)]), Density::normal(0.0, 1.5)),
    ];
    let mut table = Table::new(&["data", "from", "to", "mean |D - D*|", "max |D - D*|", "at x"]);
    let (mut panels, mut findings) = (Vec::new(), Vec::new());
    for (i, (name, p, q)) in cases.into_iter().enumerate() {
        let judge = train(&p, &q, &Options { seed: options.seed + i as u64, ..*options });
        let x = where_weighty(&p, &q, WEIGHT);
        let off = |x: &[f64]| -> Vec<f64> {
            let d = judge.probabilities(x);
            x.iter().zip(d).map(|(&x, d)| (d - best(p.at(x), q.at(x))).abs()).collect()
        };
        let errors = off(&x);
        let (worst, at) =
            errors.iter().zip(&x).fold((0.0, 0.0), |m, (&e, &x)| if e > m.0 { (e, x) } else { m });
        let mean = errors.iter().sum::<f64>() / errors.len() as f64;
        let (from, to) = (x[0], x[x.len() - 1]);
        table.push([name.into(), from.into(), to.into(), mean.into(), worst.into(), at.into()]);
        let beyond = even(from - 3.0, to + 3.0, 400);
        let outside: Vec<f64> = beyond.iter().copied().filter(|x| !(from..=to).contains(x)).collect();
        findings.push(format!(
            "{name}: D is within {worst:.3} of D* for x in [{from:.1}, {to:.1}], where p or q is above {:.0} % of its \
             peak; up to 3 further out, where there are hardly any samples, it is off by up to {:.3}.",
            100.0 * WEIGHT,
            largest(off(&outside))
        ));
        panels.push(panel(name, &p, &q, &judge, &beyond));
    }
    Ok(Outcome { table, panels, findings })
}

fn train(p: &Density, q: &Density, options: &Options) -> Judge {
    let (seed, mut judge) = (options.seed, Judge::new(1, 64, LayerSpec::Tanh, options));
    let (data, noise) = (Generator::new(seed, Stream::Data), Generator::new(seed, Stream::Noise));
    let objective = |real: &_, fake: &_| Loss::NonSaturating.get().discriminator(real, fake, 1.0);
    let lessons =
        Lessons { objective: &objective, gradient_penalty: None, lr: 4e-3, schedule: falling(STEPS) };
    judge.learn(&lessons, STEPS, &mut || (p.samples(BATCH, &data), q.samples(BATCH, &noise)));
    judge
}

fn panel(name: &str, p: &Density, q: &Density, judge: &Judge, x: &[f64]) -> Panel {
    let peak = largest(x.iter().map(|&x| p.at(x).max(q.at(x))));
    let over = |f: &dyn Fn(f64) -> f64| x.iter().map(|&x| (x, f(x))).collect::<Vec<_>>();
    let few: Vec<f64> = x.iter().copied().step_by(5).collect();
    Panel {
        title: format!("Data: {name}"),
        y_label: "probability of real".into(),
        x_label: "x".into(),
        y_range: Some((-0.03, 1.03)),
        lines: vec![
            line("D* = p / (p + q)", over(&|x| best(p.at(x), q.at(x)))),
            line("p, data (scaled)", over(&|x| p.at(x) / peak)),
            line("q, fakes (scaled)", over(&|x| q.at(x) / peak)),
        ],
        dots: vec![line("D, trained", few.iter().copied().zip(judge.probabilities(&few)))],
        ..Panel::default()
    }
}
