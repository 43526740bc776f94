//! What a rejected fake still learns (Goodfellow et al., 2014, arXiv:1406.2661, section 3; Arjovsky and Bottou, 2017,
//! arXiv:1701.04862, section 2).
//!
//! With a fake's logit a and D = sigmoid(a), the losses of G have these slopes:
//!
//! minimax, log(1 - D): dL/da = -D;  non-saturating, -log D: dL/da = D - 1;  hinge and Wasserstein, -a: dL/da = -1
//!
//! They are taken by autograd of the shipped losses and compared with these formulas and with finite differences.
//!
//! Look at: minimax falls with e^a where D rejects the fake, which is where G starts; the non-saturating loss is strong
//! there and weak where G already wins. Pitfall: the slope by the logit is not all; a D that is flat around the fakes
//! stops every loss.

use super::density::even;
use super::judge::sigmoid;
use super::{Experiment, Options, Outcome, Table, largest, line};
use crate::autograd::grad;
use crate::gan::Loss;
use crate::report::{Panel, Scale};
use crate::{Result, Tensor};

/// See the [module's docs](self).
pub const EXPERIMENT: Experiment = Experiment {
    name: "saturation",
    summary: "The slope of G's losses against D's verdict: minimax saturates",
    explanation: "A fake has the logit a, D takes it for real with D = sigmoid(a). The slopes dL/da of G's losses are \
        taken by autograd and compared with the formulas -D (minimax), D - 1 (non-saturating), -1 (hinge, Wasserstein) \
        and with central differences, for a from -10 to 10. Look at the left, where D rejects: minimax has nothing \
        left to say, the others pull with strength 1.",
    run,
};

/// A loss with the formula of its slope by D.
type Case = (Loss, fn(f64) -> f64);

/// In the order of the table's columns.
const CASES: [Case; 4] = [
    (Loss::Minimax, |d| -d),
    (Loss::NonSaturating, |d| d - 1.0),
    (Loss::Hinge, |_| -1.0),
    (Loss::Wasserstein, |_| -1.0),
];

fn run(_: &Options) -> Result<Outcome> {
    let mut table = Table::new(&[
        "logit a",
        "D",
        "minimax",
        "non-saturating",
        "hinge",
        "Wasserstein",
        "off formula",
        "off differences",
    ]);
    for a in even(-10.0, 10.0, 21) {
        let d = sigmoid(a);
        let slopes = CASES.map(|(loss, _)| slope(loss, a));
        let off_formula = largest(CASES.iter().zip(slopes).map(|((_, f), s)| (s - f(d)).abs()));
        let off_differences = largest(CASES.iter().zip(slopes).map(|(c, s)| (s - difference(c.0, a)).abs()));
        let [mm, ns, hinge, w] = slopes;
        table.push([a, d, mm, ns, hinge, w, off_formula, off_differences].map(Into::into));
    }
    let (a, mm, ns) = (table.column("logit a"), table.column("minimax"), table.column("non-saturating"));
    let at = |logit: f64| a.iter().position(|&a| a == logit).expect("a row of the table");
    let findings = vec![
        format!(
            "Where D is {:.4} % sure that the fake is one (a = -10) minimax pulls with {:.1e}, the non-saturating loss \
             with {:.4}: {:.0} times as much.",
            100.0 * (1.0 - sigmoid(-10.0)),
            mm[at(-10.0)].abs(),
            ns[at(-10.0)].abs(),
            ns[at(-10.0)] / mm[at(-10.0)]
        ),
        format!("Undecided (a = 0) both pull with {:.2} and {:.2}.", mm[at(0.0)].abs(), ns[at(0.0)].abs()),
        format!(
            "Autograd is within {:.1e} of the formulas and within {:.1e} of central differences everywhere.",
            largest(table.column("off formula")),
            largest(table.column("off differences"))
        ),
    ];
    Ok(Outcome { panels: panels(), findings, table })
}

fn generator_loss(loss: Loss, a: &Tensor) -> Tensor {
    loss.get().generator(a, None)
}

/// dL/da by autograd, in f64.
fn slope(loss: Loss, a: f64) -> f64 {
    let a = Tensor::from([[a]]).requires_grad();
    let slope = grad(&[&generator_loss(loss, &a)], &[&a], &[], false).remove(0);
    slope.expect("a loss depends on its logit").item()
}

/// dL/da by central differences.
fn difference(loss: Loss, a: f64) -> f64 {
    const STEP: f64 = 1e-5;
    let at = |a: f64| generator_loss(loss, &Tensor::from([[a]])).item();
    (at(a + STEP) - at(a - STEP)) / (2.0 * STEP)
}

fn panels() -> Vec<Panel> {
    let x_label = "logit a of a fake (left: rejected, D near 0; right: taken for real)";
    // Hinge has the loss of G that Wasserstein has.
    let shown = [
        (Loss::Minimax, "minimax"),
        (Loss::NonSaturating, "non-saturating"),
        (Loss::Hinge, "hinge, Wasserstein"),
    ];
    let curves = |f: fn(f64) -> f64| {
        let curve = |loss| even(-10.0, 10.0, 201).into_iter().map(move |a| (a, f(slope(loss, a))));
        shown.into_iter().map(|(loss, name)| line(name, curve(loss))).collect()
    };
    vec![
        Panel {
            title: "Slope of the loss by the logit".into(),
            y_label: "dL/da".into(),
            x_label: x_label.into(),
            y_range: Some((-1.1, 0.1)),
            lines: curves(|slope| slope),
            ..Panel::default()
        },
        Panel {
            title: "Its size".into(),
            y_label: "size of dL/da".into(),
            x_label: x_label.into(),
            y_scale: Scale::Log,
            lines: curves(f64::abs),
            ..Panel::default()
        },
    ]
}
