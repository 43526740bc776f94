//! The figures of a run, drawn from its log alone.

mod format;
mod panels;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::chart::Page;
use super::history::History;
use super::plot::{Axis, Panel, Plot};
use super::render;
use crate::{Error, Result};
pub use format::FigureFormat;
pub(super) use panels::from_zero;

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
pub(crate) type Figure = (&'static str, Vec<Panel>);

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

    /// The panels of each figure but the overview.
    pub(crate) fn figures(&self) -> Vec<Figure> {
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
