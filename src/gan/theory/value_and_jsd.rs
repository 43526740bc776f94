//! What the minimax game measures (Goodfellow et al., 2014, arXiv:1406.2661, theorem 1).
//!
//! max_D V(D, G) = V(D*, G) = -log 4 + 2 JSD(p || q),  0 <= JSD <= log 2
//!
//! While G moves along a path from far away onto the data, D is trained at each position, and the value that it reaches,
//! V = integral p log D + q log(1 - D), is compared with the right-hand side by quadrature. D* is the maximum, so
//! a trained D falls short of it and never exceeds it.
//!
//! Look at: far away V is 0 and does not change with the distance, so the game has no slope there; on the data D says
//! 1/2 everywhere and V is -log 4 = -1.3863. Pitfall: D's loss is -V: it is *largest* when G is best, and a falling loss
//! of D is no progress of G.

use super::density::{Density, axis, even, integral, jsd, where_weighty};
use super::judge::{Judge, Lessons, falling, softplus};
use super::{Experiment, Options, Outcome, Table, largest, line};
use crate::gan::Loss;
use crate::nn::LayerSpec;
use crate::report::{Panel, Scale};
use crate::rng::Stream;
use crate::{Generator, Result};

/// See the [module's docs](self).
pub const EXPERIMENT: Experiment = Experiment {
    name: "value-and-jsd",
    summary: "The value of the game against -log 4 + 2 JSD while G moves onto the data",
    explanation: "G's mean goes from 6 to the data's 0 and its spread from 0.5 to 1. At each position D is trained on \
        samples, from where it was, and V(D, G) = E log D(x) + E log(1 - D(G(z))) is integrated over the known \
        densities. Theory (Goodfellow et al., 2014, theorem 1): the best D gives -log 4 + 2 JSD(data || G). Look at \
        the flat part on the far side, and at the end: D = 1/2, V = -log 4 = -1.3863.",
    run,
};

/// G's first mean; the data's is 0.
const FAR: f64 = 6.0;
/// Positions of G, as shares of the way that is left.
const LEFT: [f64; 10] = [1.0, 0.8, 0.65, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.0];
const STEPS: u64 = 500;
const BATCH: usize = 512;

fn run(options: &Options) -> Result<Outcome> {
    let p = Density::normal(0.0, 1.0);
    let mut judge = Judge::new(1, 64, LayerSpec::Tanh, options);
    let data = Generator::new(options.seed, Stream::Data);
    let noise = Generator::new(options.seed, Stream::Noise);
    let objective = |real: &_, fake: &_| Loss::Minimax.get().discriminator(real, fake, 1.0);
    let lessons =
        Lessons { objective: &objective, gradient_penalty: None, lr: 4e-3, schedule: falling(STEPS) };
    let mut table =
        Table::new(&["G mean", "G std", "JSD", "-log 4 + 2 JSD", "V(D, G)", "difference", "max |D - 1/2|"]);
    for left in LEFT {
        let (mean, std) = position(left);
        let q = Density::normal(mean, std);
        judge.learn(&lessons, STEPS, &mut || (p.samples(BATCH, &data), q.samples(BATCH, &noise)));
        let (jsd, v) = (jsd(&p, &q), value(&p, &q, &judge));
        let theory = 2.0 * jsd - 4f64.ln();
        let d = judge.probabilities(&where_weighty(&p, &q, 0.01));
        let undecided = largest(d.iter().map(|d| (d - 0.5).abs()));
        table.push([mean, std, jsd, theory, v, v - theory, undecided].map(Into::into));
    }
    let findings = findings(&table);
    Ok(Outcome { panels: panels(&p, &table), findings, table })
}

/// G's mean and standard deviation when this share of the way is left.
fn position(left: f64) -> (f64, f64) {
    (FAR * left, 1.0 - 0.5 * left)
}

/// V(D, G) of the trained D, by quadrature.
fn value(p: &Density, q: &Density, judge: &Judge) -> f64 {
    let x = axis(p, q);
    let a = judge.logits(&x);
    // log D = -sp(-a), log(1 - D) = -sp(a)
    integral(&x, |i| -p.at(x[i]) * softplus(-a[i]) - q.at(x[i]) * softplus(a[i]))
}

fn findings(table: &Table) -> Vec<String> {
    let [mean, v, off, undecided] =
        ["G mean", "V(D, G)", "difference", "max |D - 1/2|"].map(|c| table.column(c));
    let last = mean.len() - 1;
    let (least, most) =
        off.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, m), &d| (d.min(l), d.max(m)));
    let slope = |i: usize| ((v[i + 1] - v[i]) / (mean[i + 1] - mean[i])).abs();
    vec![
        format!(
            "Along the whole path V(D, G) is within {:.1e} of -log 4 + 2 JSD. V minus the theory's maximum runs from \
             {least:.1e} to {most:.1e}.",
            largest(off.iter().map(|d| d.abs()))
        ),
        format!(
            "V changes by {:.3} per unit of the mean between {:.1} and {:.1}, and by {:.3} between {:.1} and {:.1}.",
            slope(0),
            mean[0],
            mean[1],
            slope(4),
            mean[4],
            mean[5]
        ),
        format!(
            "On the data D is within {:.3} of 1/2 and V = {:.4} (-log 4 = -1.3863).",
            undecided[last], v[last]
        ),
    ]
}

fn panels(p: &Density, table: &Table) -> Vec<Panel> {
    // From the data outwards, so that names stand at the far end.
    let column =
        |name| -> Vec<_> { table.column("G mean").into_iter().zip(table.column(name)).rev().collect() };
    let theory = even(0.0, 1.0, 101).into_iter().map(|left| {
        let (mean, std) = position(left);
        (mean, 2.0 * jsd(p, &Density::normal(mean, std)) - 4f64.ln())
    });
    let off = column("difference").into_iter().map(|(x, d)| (x, d.abs()));
    let x_label = "mean of G (data: 0)";
    vec![
        Panel {
            title: "The value of the game".into(),
            y_label: "nats".into(),
            x_label: x_label.into(),
            lines: vec![line("−log 4 + 2 JSD", theory)],
            dots: vec![line("V of the trained D", column("V(D, G)"))],
            reference: vec![(-(4f64.ln()), "−log 4".into())],
            ..Panel::default()
        },
        Panel {
            title: "How far the trained D is from it".into(),
            y_label: "nats".into(),
            x_label: x_label.into(),
            y_scale: Scale::Log,
            lines: vec![line("difference", off)],
            reference: vec![(1e-2, "0.01".into())],
            ..Panel::default()
        },
    ]
}
