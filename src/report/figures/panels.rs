//! The panels of a run's figures: which fields of the log each shows, and what they are compared with.

use super::RunFigures;
use crate::report::curve::{drawable, y_extent};
use crate::report::plot::{Axis, Line, Panel, Scale};

impl RunFigures {
    /// A panel of those of the fields that the log has; None if it has none of them.
    fn panel(&self, title: &str, y_label: &str, fields: &[(&str, &str)]) -> Option<Panel> {
        let line = |&(label, field): &(&str, &str)| Line {
            label: label.into(),
            points: self.history.points(Axis::Step, field),
            exact: false,
        };
        let lines: Vec<Line> = fields.iter().map(line).filter(|l| !l.points.is_empty()).collect();
        let panel = Panel { title: title.into(), y_label: y_label.into(), lines, ..Panel::default() };
        (!panel.lines.is_empty()).then_some(panel)
    }

    pub(super) fn losses(&self) -> Option<Panel> {
        let panel = self.panel("Losses", "loss", &[("D", "d_loss"), ("G", "g_loss")])?;
        let lines = [("D", self.loss.d_equilibrium), ("G", self.loss.g_equilibrium)].into_iter();
        let line = |(who, at): (&str, Option<f64>)| {
            at.map(|v| (v, format!("{who} at equilibrium, {v:.3}").replace('-', "\u{2212}")))
        };
        Some(Panel { reference: lines.filter_map(line).collect(), ..panel })
    }

    pub(super) fn penalties(&self) -> Option<Panel> {
        let fields = [
            ("gradient penalty", "penalty"),
            ("DRAGAN", "dragan"),
            ("R1", "r1"),
            ("R2", "r2"),
            ("drift", "drift"),
        ];
        self.panel("Penalties on D", "penalty before its weight", &fields)
    }

    pub(super) fn class_losses(&self) -> Option<Panel> {
        let fields = [("D, reals and fakes", "d_class_loss"), ("G", "g_class_loss")];
        self.panel("Auxiliary classifier", "cross-entropy, nats", &fields)
    }

    pub(super) fn outputs(&self) -> Option<Panel> {
        let y_label = if self.loss.probabilities { "probability of real" } else { "mean score" };
        let panel =
            self.panel("Discriminator output", y_label, &[("D(x)", "d_real"), ("D(G(z))", "d_fake")])?;
        Some(if self.loss.probabilities { share(panel, "undecided, 1/2") } else { panel })
    }

    pub(super) fn logits(&self) -> Option<Panel> {
        let fields = [
            ("mean a(x)", "logit_real"),
            ("mean a(G(z))", "logit_fake"),
            ("rms a(x)", "logit_rms_real"),
            ("rms a(G(z))", "logit_rms_fake"),
        ];
        self.panel("Logits", "logit of real", &fields)
    }

    pub(super) fn gradients(&self) -> Option<Panel> {
        let panel = self.panel("Gradients", "L2 norm", &[("D", "grad_norm_d"), ("G", "grad_norm_g")])?;
        Some(Panel { y_scale: Scale::Log, ..panel })
    }

    pub(super) fn updates(&self) -> Option<Panel> {
        let fields = [("D", "update_ratio_d"), ("G", "update_ratio_g")];
        Some(Panel { y_scale: Scale::Log, ..self.panel("Updates", "|update| / |weight|", &fields)? })
    }

    pub(super) fn diversity(&self) -> Option<Panel> {
        let panel = self.panel("Diversity", "mean distance, fakes / reals", &[("", "diversity")])?;
        let panel = from_zero(panel);
        // With the line that it is to be compared with.
        let y_range = panel.y_range.map(|(low, high)| (low, high.max(1.1)));
        Some(Panel { reference: vec![(1.0, "as the data, 1".into())], y_range, ..panel })
    }

    pub(super) fn accuracy(&self) -> Option<Panel> {
        let fields = [("on reals", "acc_real"), ("on fakes", "acc_fake")];
        Some(share(self.panel("Discriminator accuracy", "share told right", &fields)?, "guessing, 1/2"))
    }

    pub(super) fn rate(&self) -> Option<Panel> {
        Some(from_zero(self.panel("Training speed", "images/s", &[("", "images_per_s")])?))
    }

    /// The learning rates in units of a power of ten, if one of them changes.
    pub(super) fn learning_rates(&self) -> Option<Panel> {
        let mut panel = self.panel("Learning rates", "", &[("D", "lr_d"), ("G", "lr_g")])?;
        let changes = |l: &Line| l.points.windows(2).any(|w| w[0].1 != w[1].1);
        if !panel.lines.iter().any(changes) {
            return None;
        }
        let points = || panel.lines.iter().flat_map(|l| &l.points);
        let largest = points().filter(|&&p| drawable(p)).fold(0.0, |m: f64, p| m.max(p.1.abs()));
        let power = if largest > 0.0 { largest.log10().floor() as i32 } else { 0 };
        for line in &mut panel.lines {
            line.exact = true;
            line.points.iter_mut().for_each(|p| p.1 /= 10f64.powi(power));
        }
        panel.y_label = format!("learning rate, in 1e{power}").replace('-', "\u{2212}");
        Some(from_zero(panel))
    }

    pub(super) fn memory(&self) -> Option<Panel> {
        Some(from_zero(self.panel("Memory", "MB", &[("", "memory_mb")])?))
    }
}

/// The panel with an axis for shares.
fn share(panel: Panel, half: &str) -> Panel {
    Panel { y_range: Some((0.0, 1.0)), reference: vec![(0.5, half.into())], ..panel }
}

/// The panel with an axis from 0, for what is compared by ratio.
pub(in crate::report) fn from_zero(panel: Panel) -> Panel {
    let points = panel.lines.iter().flat_map(|l| &l.points).filter(|&&p| drawable(p));
    let (_, high) = y_extent(points.map(|p| p.1).collect(), &[0.0]);
    Panel { y_range: Some((0.0, high)), ..panel }
}
