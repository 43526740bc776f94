//! The figures of a run, drawn from its log alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::Value;

use super::chart::Page;
use super::curve::{drawable, y_extent};
use super::history::History;
use super::plot::{Axis, Line, Panel, Plot, Scale};
use super::render;
use crate::names::unknown;
use crate::{Error, Result};

/// What is known of the loss that a run was trained with, and its log does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LossFacts {
    /// D's loss where D cannot tell fakes from data.
    pub d_equilibrium: Option<f64>,
    /// G's loss there, if the game fixes it.
    pub g_equilibrium: Option<f64>,
    /// Whether the D(x) and D(G(z)) of the log are probabilities, or scores without bounds.
    pub probabilities: bool,
}

/// As what figures are saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FigureFormat {
    /// Pixels, twice as fine as a page's.
    Png,
    /// Vectors and text.
    Svg,
    /// A file of each.
    #[default]
    Both,
}

impl FigureFormat {
    /// Every format.
    pub const ALL: [FigureFormat; 3] = [FigureFormat::Png, FigureFormat::Svg, FigureFormat::Both];

    /// The name in flags.
    pub fn name(self) -> &'static str {
        match self {
            FigureFormat::Png => "png",
            FigureFormat::Svg => "svg",
            FigureFormat::Both => "both",
        }
    }

    fn extensions(self) -> &'static [&'static str] {
        match self {
            FigureFormat::Png => &["png"],
            FigureFormat::Svg => &["svg"],
            FigureFormat::Both => &["png", "svg"],
        }
    }
}

impl FromStr for FigureFormat {
    type Err = Error;
    fn from_str(s: &str) -> Result<FigureFormat> {
        let names = FigureFormat::ALL.map(FigureFormat::name);
        FigureFormat::ALL.into_iter().find(|f| f.name() == s).ok_or_else(|| unknown("format", s, &names))
    }
}

/// The figures of a run, from its log's records.
///
/// | figure | what it shows |
/// |---|---|
/// | `training` | every panel of the others, two side by side |
/// | `losses` | the losses of D and G with their values at equilibrium; penalties and class losses if there are any |
/// | `outputs` | D(x) and D(G(z)); mean and root mean square of the logits if the log has them |
/// | `gradients` | the norms of both gradients, and updates beside weights, on logarithmic axes |
/// | `accuracy` | the shares of real samples and of fakes that D tells right |
/// | `samples` | how far fakes are apart, in terms of real samples |
/// | `rate` | images a second; learning rates if they change, memory if the log has it |
///
/// A figure of which the log says nothing is left out. The bytes of each depend on title, facts and records alone.
///
/// ```
/// use ganvil::report::{FigureFormat, LossFacts, RunFigures};
/// use serde_json::json;
///
/// let bce = LossFacts {
///     d_equilibrium: Some(2.0 * std::f64::consts::LN_2),
///     g_equilibrium: Some(std::f64::consts::LN_2),
///     probabilities: true,
/// };
/// let mut figures = RunFigures::new("mlp-a", bce, &[]);
/// for step in 1..=20 {
///     let d = 0.5 + 1.0 / step as f64;
///     figures.push(&json!({"step": step, "d_loss": d, "g_loss": 1.0, "d_real": 0.6, "d_fake": 0.4}));
/// }
/// let dir = std::env::temp_dir().join(format!("ganvil-figures-{}", std::process::id()));
/// let files = figures.save(&dir, FigureFormat::Svg)?;
/// let names: Vec<_> = files.iter().map(|f| f.file_name().unwrap().to_str().unwrap()).collect();
/// assert_eq!(names, ["training.svg", "losses.svg", "outputs.svg"]);
/// # std::fs::remove_dir_all(&dir).unwrap();
/// # Ok::<(), ganvil::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RunFigures {
    title: String,
    loss: LossFacts,
    history: History,
}

/// A figure's name and its panels, of which there is at least one.
type Figure = (&'static str, Vec<Panel>);

impl RunFigures {
    /// The name of the figure of all panels.
    const OVERVIEW: &str = "training";

    /// Figures headed by `title`, of the records of a log as [`read_log`](super::read_log) gives them.
    pub fn new(title: &str, loss: LossFacts, records: &[Value]) -> RunFigures {
        RunFigures { title: title.into(), loss, history: History::new(records) }
    }

    /// Whether the records have nothing that a figure shows.
    pub fn is_empty(&self) -> bool {
        self.figures().is_empty()
    }

    /// Adds a record of the log.
    pub fn push(&mut self, record: &Value) {
        self.history.push(record);
    }

    /// Saves the overview alone, as `training.png` in the folder, and gives its path: for the course of a run.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save_overview(&self, dir: &Path) -> Result<PathBuf> {
        fs::create_dir_all(dir).map_err(Error::io("create the folder", dir))?;
        let path = dir.join(Self::OVERVIEW).with_extension("png");
        self.draw(&path, &self.all(), 2)?;
        Ok(path)
    }

    /// Saves every figure into the folder, the overview first, and gives their paths.
    ///
    /// # Errors
    /// If one cannot be written; those before it are there then.
    pub fn save(&self, dir: &Path, format: FigureFormat) -> Result<Vec<PathBuf>> {
        fs::create_dir_all(dir).map_err(Error::io("create the folder", dir))?;
        let overview = (Self::OVERVIEW, self.all(), 2);
        let figures = self.figures().into_iter().map(|(name, panels)| (name, panels, 1));
        let mut paths = Vec::new();
        for (name, panels, columns) in std::iter::once(overview).chain(figures) {
            for extension in format.extensions() {
                let path = dir.join(name).with_extension(extension);
                self.draw(&path, &panels, columns)?;
                paths.push(path);
            }
        }
        Ok(paths)
    }

    fn draw(&self, path: &Path, panels: &[Panel], columns: usize) -> Result<()> {
        render::save(path, &Plot { page: Page { title: &self.title, x: Axis::Step, columns }, panels })
    }

    fn all(&self) -> Vec<Panel> {
        self.figures().into_iter().flat_map(|f| f.1).collect()
    }

    fn figures(&self) -> Vec<Figure> {
        let figures = [
            ("losses", vec![self.losses(), self.penalties(), self.class_losses()]),
            ("outputs", vec![self.outputs(), self.logits()]),
            ("gradients", vec![self.gradients(), self.updates()]),
            ("accuracy", vec![self.accuracy()]),
            ("samples", vec![self.diversity()]),
            ("rate", vec![self.rate(), self.learning_rates(), self.memory()]),
        ];
        let some = figures.map(|(name, panels)| (name, panels.into_iter().flatten().collect::<Vec<_>>()));
        some.into_iter().filter(|f| !f.1.is_empty()).collect()
    }

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

    fn losses(&self) -> Option<Panel> {
        let panel = self.panel("Losses", "loss", &[("D", "d_loss"), ("G", "g_loss")])?;
        let lines = [("D", self.loss.d_equilibrium), ("G", self.loss.g_equilibrium)].into_iter();
        let line = |(who, at): (&str, Option<f64>)| {
            at.map(|v| (v, format!("{who} at equilibrium, {v:.3}").replace('-', "\u{2212}")))
        };
        Some(Panel { reference: lines.filter_map(line).collect(), ..panel })
    }

    fn penalties(&self) -> Option<Panel> {
        let fields = [
            ("gradient penalty", "penalty"),
            ("DRAGAN", "dragan"),
            ("R1", "r1"),
            ("R2", "r2"),
            ("drift", "drift"),
        ];
        self.panel("Penalties on D", "penalty before its weight", &fields)
    }

    fn class_losses(&self) -> Option<Panel> {
        let fields = [("D, reals and fakes", "d_class_loss"), ("G", "g_class_loss")];
        self.panel("Auxiliary classifier", "cross-entropy, nats", &fields)
    }

    fn outputs(&self) -> Option<Panel> {
        let y_label = if self.loss.probabilities { "probability of real" } else { "mean score" };
        let panel =
            self.panel("Discriminator output", y_label, &[("D(x)", "d_real"), ("D(G(z))", "d_fake")])?;
        Some(if self.loss.probabilities { share(panel, "undecided, 1/2") } else { panel })
    }

    fn logits(&self) -> Option<Panel> {
        let fields = [
            ("mean a(x)", "logit_real"),
            ("mean a(G(z))", "logit_fake"),
            ("rms a(x)", "logit_rms_real"),
            ("rms a(G(z))", "logit_rms_fake"),
        ];
        self.panel("Logits", "logit of real", &fields)
    }

    fn gradients(&self) -> Option<Panel> {
        let panel = self.panel("Gradients", "L2 norm", &[("D", "grad_norm_d"), ("G", "grad_norm_g")])?;
        Some(Panel { y_scale: Scale::Log, ..panel })
    }

    fn updates(&self) -> Option<Panel> {
        let fields = [("D", "update_ratio_d"), ("G", "update_ratio_g")];
        Some(Panel { y_scale: Scale::Log, ..self.panel("Updates", "|update| / |weight|", &fields)? })
    }

    fn diversity(&self) -> Option<Panel> {
        let panel = self.panel("Diversity", "mean distance, fakes / reals", &[("", "diversity")])?;
        let panel = from_zero(panel);
        // With the line that it is to be compared with.
        let y_range = panel.y_range.map(|(low, high)| (low, high.max(1.1)));
        Some(Panel { reference: vec![(1.0, "as the data, 1".into())], y_range, ..panel })
    }

    fn accuracy(&self) -> Option<Panel> {
        let fields = [("on reals", "acc_real"), ("on fakes", "acc_fake")];
        Some(share(self.panel("Discriminator accuracy", "share told right", &fields)?, "guessing, 1/2"))
    }

    fn rate(&self) -> Option<Panel> {
        Some(from_zero(self.panel("Training speed", "images/s", &[("", "images_per_s")])?))
    }

    /// The learning rates in units of a power of ten, if one of them changes.
    fn learning_rates(&self) -> Option<Panel> {
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

    fn memory(&self) -> Option<Panel> {
        Some(from_zero(self.panel("Memory", "MB", &[("", "memory_mb")])?))
    }
}

/// The panel with an axis for shares.
fn share(panel: Panel, half: &str) -> Panel {
    Panel { y_range: Some((0.0, 1.0)), reference: vec![(0.5, half.into())], ..panel }
}

/// The panel with an axis from 0, for what is compared by ratio.
pub(super) fn from_zero(panel: Panel) -> Panel {
    let points = panel.lines.iter().flat_map(|l| &l.points).filter(|&&p| drawable(p));
    let (_, high) = y_extent(points.map(|p| p.1).collect(), &[0.0]);
    Panel { y_range: Some((0.0, high)), ..panel }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atomic::tests::Folder;
    use serde_json::json;

    const BCE: LossFacts =
        LossFacts { d_equilibrium: Some(1.386), g_equilibrium: Some(0.693), probabilities: true };

    fn record(step: u64) -> Value {
        let wave = (step as f64 * 1.7).sin();
        json!({
            "step": step, "kimg": step as f64 * 0.064, "images_per_s": 2900.0 + 30.0 * wave, "lr_d": 2e-4, "lr_g": 2e-4,
            "d_loss": 1.3 + 0.1 * wave, "g_loss": 0.8 - 0.1 * wave, "d_real": 0.6, "d_fake": 0.4, "acc_real": 0.7,
            "acc_fake": 0.8, "grad_norm_d": 10f64.powf(wave), "grad_norm_g": 0.1, "note": "not a number",
        })
    }

    fn named(figures: &RunFigures) -> Vec<(&'static str, usize)> {
        figures.figures().into_iter().map(|(name, panels)| (name, panels.len())).collect()
    }

    #[test]
    fn figures_follow_what_was_recorded() {
        let records: Vec<Value> = (1..=20).map(record).collect();
        let mut figures = RunFigures::new("mlp", BCE, &records);
        let plain = [("losses", 1), ("outputs", 1), ("gradients", 1), ("accuracy", 1), ("rate", 1)];
        assert_eq!(named(&figures), plain);
        let mut more = record(21);
        for (field, value) in
            [("r1", 0.5), ("d_class_loss", 2.0), ("logit_real", 1.0), ("memory_mb", 300.0), ("lr_d", 1e-4)]
        {
            more[field] = value.into();
        }
        figures.push(&more);
        assert_eq!(
            named(&figures),
            [("losses", 3), ("outputs", 2), ("gradients", 1), ("accuracy", 1), ("rate", 3)]
        );
        // The rates are in units of what their name says.
        let rates = figures.learning_rates().unwrap();
        assert_eq!(rates.y_label, "learning rate, in 1e\u{2212}4");
        let last = rates.lines[0].points[20].1;
        assert!((last - 1.0).abs() < 1e-12, "{last}");
        for nothing in [&[][..], &[json!({"epoch": 1, "loss": 0.5})], &[json!({"d_loss": 0.5})]] {
            assert!(RunFigures::new("x", BCE, nothing).is_empty());
        }
    }

    #[test]
    fn scores_have_neither_bounds_nor_a_half() {
        let records = [record(1), record(2)];
        let outputs = |loss| RunFigures::new("mlp", loss, &records).outputs().unwrap();
        let (of_bce, of_hinge) = (outputs(BCE), outputs(LossFacts { probabilities: false, ..BCE }));
        assert_eq!((of_bce.y_range, of_bce.reference.len()), (Some((0.0, 1.0)), 1));
        assert_eq!((of_hinge.y_range, of_hinge.reference.len(), &*of_hinge.y_label), (None, 0, "mean score"));
        let unknown = RunFigures::new("mlp", LossFacts::default(), &records);
        assert!(unknown.losses().unwrap().reference.is_empty());
    }

    #[test]
    fn any_number_of_records_is_drawn_and_twice_the_same() {
        let f = Folder::new("figures");
        for n in [1, 2, 101, 3000] {
            let mut records: Vec<Value> = (1..=n).map(record).collect();
            records.iter_mut().step_by(7).for_each(|r| r["g_loss"] = Value::Null);
            records[0]["grad_norm_g"] = 0.0.into();
            let figures = RunFigures::new("mlp <a>", BCE, &records);
            let files = figures.save(&f.0.join("once"), FigureFormat::Both).unwrap();
            assert_eq!(files.len(), 12);
            let again = figures.save(&f.0.join("again"), FigureFormat::Both).unwrap();
            for (a, b) in files.iter().zip(&again) {
                assert!(fs::read(a).unwrap() == fs::read(b).unwrap(), "{}", a.display());
            }
            let read = |name: &str| fs::read_to_string(f.0.join("once").join(name)).unwrap();
            let missing = n.div_ceil(7);
            assert!(read("losses.svg").contains(&format!("{missing} missing or not finite")), "{n}");
            assert!(read("gradients.svg").contains("1 too small for the axis"), "{n}");
            assert!(read("training.svg").contains("mlp &lt;a&gt;"));
            let overview = figures.save_overview(&f.0.join("alone")).unwrap();
            assert!(fs::read(overview).unwrap() == fs::read(f.0.join("once/training.png")).unwrap());
        }
    }

    /// A decade is as long wherever it lies, and so is the factor between two values.
    #[test]
    fn a_logarithmic_axis_is_in_proportion_to_logarithms() {
        let records: Vec<Value> = [0.01, 0.1, 1.0, 10.0, 100.0]
            .iter()
            .enumerate()
            .map(|(i, norm)| json!({"step": i, "grad_norm_d": norm}))
            .collect();
        let f = Folder::new("log-axis");
        RunFigures::new("norms", BCE, &records).save(&f.0, FigureFormat::Svg).unwrap();
        let svg = fs::read_to_string(f.0.join("gradients.svg")).unwrap();
        let curve = svg.lines().find(|l| l.contains("<polyline") && l.contains("#0072B2")).unwrap();
        let points = curve.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        let heights: Vec<f64> =
            points.split_whitespace().map(|p| p.split_once(',').unwrap().1.parse().unwrap()).collect();
        assert_eq!(heights.len(), 5, "{curve}");
        let steps: Vec<f64> = heights.windows(2).map(|w| w[0] - w[1]).collect();
        assert!(steps.iter().all(|s| *s > 100.0 && (s - steps[0]).abs() <= 1.0), "{steps:?}");
        for number in ["0.01", "0.1", "1", "10", "100"] {
            assert!(svg.lines().any(|l| l.trim() == number), "{number}");
        }
    }
}
