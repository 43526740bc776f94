//! The smallest game that does not settle (Mescheder et al., 2018, "Which training methods for GANs do actually
//! converge?", arXiv:1801.04406, sections 2 and 4).
//!
//! The Dirac-GAN: all data at 0, all fakes at x, and a discriminator a(t) = y t. With Wasserstein's loss D minimises
//! y x and G minimises -y x: the bilinear game f(x, y) = x y, whose equilibrium is (0, 0). The shipped R1 penalty,
//! gamma / 2 E_real ||da/dt||^2, is gamma y^2 / 2 here, and adds gamma y to D's gradient. With the learning rate eta
//! of plain gradient descent one step is a matrix:
//!
//! | play | matrix on (x, y) | determinant |
//! |---|---|---|
//! | simultaneous | \[1, eta; -eta, 1 - eta gamma\] | 1 - eta gamma + eta^2 |
//! | alternating, D first | \[1 - eta^2, eta (1 - eta gamma); -eta, 1 - eta gamma\] | 1 - eta gamma |
//!
//! Its eigenvalues are a complex pair of modulus sqrt(determinant), the growth per step; without R1: sqrt(1 + eta^2) > 1
//! and exactly 1. Measured is what a trajectory shows of it: the triangle between the equilibrium and two positions in
//! succession grows by the determinant in each step.
//!
//! Look at: spiral out, closed orbit, spirals in. Pitfall: no learning rate mends the simultaneous play, a smaller one
//! only spirals out more slowly; and R1 must exceed eta^2 / eta = eta there.

use super::{Experiment, Options, Outcome, Table, line};
use crate::autograd::grad;
use crate::gan::{Loss, r1};
use crate::optim::{Optimizer, Sgd};
use crate::report::{Panel, Scale};
use crate::{Result, Tensor};

/// See the [module's docs](self).
pub const EXPERIMENT: Experiment = Experiment {
    name: "bilinear-game",
    summary: "Gradient play on x y: it spirals out, orbits, or with R1 spirals in",
    explanation: "One fake at x, all data at 0, and D's logit at t is y t: with Wasserstein's loss the game f = x y, \
        played from (1, 0) by gradient descent with learning rate 0.1. R1 is gamma y^2 / 2 here (gamma = 0.5). Each \
        play is linear, so the growth of the distance per step is the modulus of an eigenvalue (Mescheder et al., \
        2018). Look at the trajectories: simultaneous updates leave, alternating ones go round, R1 brings both home.",
    run,
};

const ETA: f64 = 0.1;
const GAMMA: f64 = 0.5;
const STEPS: usize = 150;

/// A way of playing.
struct Play {
    name: &'static str,
    alternating: bool,
    gamma: f64,
}

const PLAYS: [Play; 4] = [
    Play { name: "simultaneous", alternating: false, gamma: 0.0 },
    Play { name: "alternating", alternating: true, gamma: 0.0 },
    Play { name: "simultaneous, R1", alternating: false, gamma: GAMMA },
    Play { name: "alternating, R1", alternating: true, gamma: GAMMA },
];

impl Play {
    /// The positions (x, y), by the shipped loss, penalty and optimiser.
    fn positions(&self) -> Vec<(f64, f64)> {
        let leaf = |v: f64| Tensor::from([[v]]).requires_grad();
        let (mut x, mut y) = (leaf(1.0), leaf(0.0));
        let sgd = || Optimizer::new(Sgd { lr: ETA, ..Sgd::default() });
        let (mut opt_g, mut opt_d) = (sgd(), sgd());
        let mut positions = vec![(1.0, 0.0)];
        for _ in 0..STEPS {
            let for_g = (!self.alternating).then(|| slope_of_g(&x, &y));
            let for_d = slope_of_d(&x, &y, self.gamma);
            opt_d.step(vec![&mut y], for_d);
            let for_g = for_g.unwrap_or_else(|| slope_of_g(&x, &y));
            opt_g.step(vec![&mut x], for_g);
            positions.push((x.item(), y.item()));
        }
        positions
    }

    /// The moduli of the eigenvalues of the step's matrix, the larger one.
    fn eigenvalue(&self) -> f64 {
        let kept = 1.0 - ETA * self.gamma;
        let [[a, b], [c, d]] = match self.alternating {
            false => [[1.0, ETA], [-ETA, kept]],
            true => [[1.0 - ETA * ETA, ETA * kept], [-ETA, kept]],
        };
        let (trace, determinant) = (a + d, a * d - b * c);
        let discriminant = trace * trace / 4.0 - determinant;
        if discriminant < 0.0 { determinant.sqrt() } else { trace.abs() / 2.0 + discriminant.sqrt() }
    }
}

fn slope_of_d(x: &Tensor, y: &Tensor, gamma: f64) -> Vec<Option<Tensor>> {
    let judge = |t: &Tensor| t.mul(y);
    let real = x.zeros_like();
    let penalty = r1(&judge, &real);
    let loss = Loss::Wasserstein.get().discriminator(&penalty.output, &judge(&x.detach()), 1.0);
    grad(&[&loss.add(&penalty.penalty.mul_scalar(gamma))], &[y], &[], false)
}

fn slope_of_g(x: &Tensor, y: &Tensor) -> Vec<Option<Tensor>> {
    grad(&[&Loss::Wasserstein.get().generator(&x.mul(y), None)], &[x], &[], false)
}

/// The growth of distances per step: the root of that of areas, from the first triangle to the last.
fn growth(positions: &[(f64, f64)]) -> f64 {
    let triangle = |w: &[(f64, f64)]| (w[0].0 * w[1].1 - w[0].1 * w[1].0).abs();
    let last = positions.len() - 2;
    let ratio = triangle(&positions[last..]) / triangle(&positions[..2]);
    ratio.powf(0.5 / last as f64)
}

fn distance(&(x, y): &(f64, f64)) -> f64 {
    x.hypot(y)
}

fn run(_: &Options) -> Result<Outcome> {
    let mut table = Table::new(&[
        "play",
        "gamma",
        "|eigenvalue|",
        "growth per step",
        "difference",
        "distance at the end",
    ]);
    let (mut squares, mut distances, mut findings) = (Vec::new(), Vec::new(), Vec::new());
    for play in &PLAYS {
        let positions = play.positions();
        let (measured, theory) = (growth(&positions), play.eigenvalue());
        let end = distance(&positions[STEPS]);
        let cells = [play.gamma, theory, measured, measured - theory, end].map(Into::into);
        let [gamma, theory_cell, measured_cell, off, end_cell] = cells;
        table.push([play.name.into(), gamma, theory_cell, measured_cell, off, end_cell]);
        let what = match measured - 1.0 {
            g if g > 1e-6 => "spirals out",
            g if g < -1e-6 => "spirals in",
            _ => "orbits",
        };
        findings.push(format!(
            "{}: {what}. Growth per step {measured:.6}, eigenvalue {theory:.6}; distance 1 at the start, {end:.3} after \
             {STEPS} steps.",
            play.name
        ));
        distances.push(line(play.name, positions.iter().enumerate().map(|(i, p)| (i as f64, distance(p)))));
        squares.push(Panel {
            title: play.name.into(),
            x_label: "x (fake)".into(),
            y_label: "y (slope of D)".into(),
            y_range: Some((-2.3, 2.3)),
            square: true,
            lines: vec![line("", positions)],
            dots: vec![line("start", [(1.0, 0.0)]), line("equilibrium", [(0.0, 0.0)])],
            ..Panel::default()
        });
    }
    let mut panels = squares;
    panels.push(Panel {
        title: "Distance from the equilibrium".into(),
        y_label: "distance".into(),
        x_label: "step".into(),
        y_scale: Scale::Log,
        lines: distances,
        ..Panel::default()
    });
    Ok(Outcome { table, panels, findings })
}
