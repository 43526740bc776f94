//! What `ganvil augment` prints.

use crate::gan::augment::{
    Arm, ArmResult, CellResult, Difference, Experiment, GanResult, Memory, Progress, Settings, TrainedOn,
};
use crate::gan::modes::Spread;
use serde::Serialize;
use std::fmt::Write;

/// All that is known of an experiment: `summary.json`.
#[derive(Serialize)]
pub(super) struct Summary<'a> {
    settings: &'a Settings,
    test_images: usize,
    /// By number of labels.
    rows: Vec<Row>,
    /// Intervals in the rows, of which a twentieth leaves out 0 by chance where there is no difference at all.
    intervals: usize,
    cells: &'a [CellResult],
}

/// A number of labelled images of each class.
#[derive(Serialize)]
struct Row {
    per_class: usize,
    seeds: usize,
    arms: Vec<ArmRow>,
    /// Of the GANs that were trained on the labelled images, over seeds.
    memory: Option<MemoryRow>,
    /// Share of the unlabelled images that were given their right label.
    pseudo_labels: Option<Spread>,
}

#[derive(Serialize)]
struct ArmRow {
    arm: Arm,
    test: Spread,
    /// The ratios that validation chose, seed by seed.
    chosen: Vec<usize>,
    /// Mean validation accuracy of each ratio.
    validation: Vec<(Option<usize>, f64)>,
    compared: Vec<Compared>,
}

#[derive(Serialize)]
struct Compared {
    with: Arm,
    #[serde(flatten)]
    difference: Difference,
}

#[derive(Serialize)]
struct MemoryRow {
    fakes: Spread,
    held_out: Spread,
    ratio: Spread,
    nearer: Spread,
}

impl<'a> Summary<'a> {
    pub(super) fn new(experiment: &'a Experiment, cells: &'a [CellResult]) -> Summary<'a> {
        let rows: Vec<Row> = cells
            .chunk_by(|a, b| a.cell.per_class == b.cell.per_class)
            .map(|seeds| Row::new(seeds, &experiment.config().arms))
            .collect();
        let compared = rows.iter().flat_map(|r| &r.arms).flat_map(|a| &a.compared);
        Summary {
            settings: experiment.settings(),
            test_images: experiment.test_images(),
            intervals: compared.filter(|c| c.difference.interval.is_some()).count(),
            rows,
            cells,
        }
    }

    /// The tables for people.
    pub(super) fn text(&self) -> String {
        let c = &self.settings.config;
        let mut out = format!(
            "classifiers of {} steps of {}, GANs of {} steps of {}; accuracy on {} test images in %, mean +- deviation over \
             seeds;\ndifferences on the same seeds in points, with 95 % intervals\n",
            c.classifier.steps.unwrap_or(0),
            c.classifier.batch,
            c.gan.steps,
            c.gan.batch,
            self.test_images
        );
        self.rows.iter().for_each(|row| row.text(&mut out));
        let mut line = |text: &str| writeln!(out, "{text}").expect("memory can be written to");
        line("");
        if self.intervals > 0 {
            line(&format!(
                "of {} such intervals {:.1} leave out 0 by chance where there is no difference at all",
                self.intervals,
                0.05 * self.intervals as f64
            ));
        } else {
            line("one seed has no interval; use --seeds 5");
        }
        if c.arms.iter().any(|a| a.uses_unlabelled()) {
            line("the arms pseudo and semi use the unlabelled training images, the others do not");
        }
        out
    }
}

impl Row {
    fn new(seeds: &[CellResult], arms: &[Arm]) -> Row {
        let memories: Vec<Memory> =
            seeds.iter().flat_map(|s| &s.gans).filter_map(|g: &GanResult| g.memory).collect();
        Row {
            per_class: seeds[0].cell.per_class,
            seeds: seeds.len(),
            arms: arms.iter().map(|arm| ArmRow::new(seeds, *arm)).collect(),
            memory: MemoryRow::of(&memories),
            pseudo_labels: Spread::of(seeds.iter().filter_map(|s| s.pseudo_labels)),
        }
    }

    fn text(&self, out: &mut String) {
        let mut line = |text: &str| writeln!(out, "{}", text.trim_end()).expect("memory can be written to");
        let seeds = if self.seeds == 1 { "1 seed".into() } else { format!("{} seeds", self.seeds) };
        line(&format!("\nn = {} of each class, {seeds}", self.per_class));
        line("arm         test accuracy     r       validation by r            compared with");
        for arm in &self.arms {
            let mut compared = arm.compared.iter().map(Compared::text);
            let (test, first) = (percent(&arm.test, self.seeds), compared.next().unwrap_or_default());
            let chosen = numbers(arm.chosen.iter().map(|r| r.to_string()));
            let validation = numbers(arm.validation.iter().map(|(r, v)| match r {
                None => format!("{:.1}", 100.0 * v),
                Some(r) => format!("{r}: {:.1}", 100.0 * v),
            }));
            line(&format!("{:<11} {test:<17} {chosen:<7} {validation:<26} {first}", arm.arm));
            compared.for_each(|c| line(&format!("{:<64} {c}", "")));
        }
        if let Some(m) = &self.memory {
            line(&format!(
                "GAN of the labelled images: fakes are {:.2} from the nearest of them, held-out images {:.2} (medians, ratio \
                 {:.2});\n{:.0} % of fakes are nearer than 95 % of held-out images",
                m.fakes.mean,
                m.held_out.mean,
                m.ratio.mean,
                100.0 * m.nearer.mean
            ));
        }
        if let Some(share) = &self.pseudo_labels {
            line(&format!("labels given to unlabelled images: {:.1} % are right", 100.0 * share.mean));
        }
    }
}

impl ArmRow {
    fn new(seeds: &[CellResult], arm: Arm) -> ArmRow {
        let of =
            |cell: &CellResult, arm| cell.arm(arm).cloned().expect("a cell has every arm of its settings");
        let results: Vec<ArmResult> = seeds.iter().map(|s| of(s, arm)).collect();
        let mean = |i: usize| results.iter().map(|r| r.ratios[i].1).sum::<f64>() / results.len() as f64;
        let compared = |with: &Arm| {
            let pairs: Vec<_> = seeds.iter().map(|s| (of(s, arm).test, of(s, *with).test)).collect();
            Compared { with: *with, difference: Difference::of(&pairs).expect("there is a seed") }
        };
        ArmRow {
            arm,
            test: Spread::of(results.iter().map(|r| r.test)).expect("there is a seed"),
            chosen: results.iter().filter_map(|r| r.ratio).collect(),
            validation: results[0].ratios.iter().enumerate().map(|(i, (r, _))| (*r, mean(i))).collect(),
            compared: arm.references().iter().map(compared).collect(),
        }
    }
}

impl Compared {
    fn text(&self) -> String {
        let d = &self.difference;
        let interval = d
            .interval
            .map_or(String::new(), |[low, high]| format!(" [{:+.2}, {:+.2}]", 100.0 * low, 100.0 * high));
        format!("{:<7} {:+.2}{interval} {}", self.with, 100.0 * d.mean, d.verdict.words())
    }
}

impl MemoryRow {
    fn of(memories: &[Memory]) -> Option<MemoryRow> {
        let of = |f: fn(&Memory) -> f64| Spread::of(memories.iter().map(f));
        Some(MemoryRow {
            fakes: of(|m| m.fakes)?,
            held_out: of(|m| m.held_out)?,
            ratio: of(Memory::ratio)?,
            nearer: of(|m| m.nearer)?,
        })
    }
}

/// One seed has no deviation.
fn percent(s: &Spread, seeds: usize) -> String {
    let deviation = if seeds > 1 { format!(" +- {:.2}", 100.0 * s.deviation) } else { String::new() };
    format!("{:.2}{deviation}", 100.0 * s.mean)
}

fn numbers(all: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = all.collect();
    if all.is_empty() { "-".into() } else { all.join(" ") }
}

/// A line for what is done.
pub(super) fn progress(p: &Progress) -> String {
    match p {
        Progress::Gan(g) => {
            let on = match g.on {
                TrainedOn::Labelled => "the labelled images",
                TrainedOn::All => "all images",
            };
            let memory = g.memory.map_or(String::new(), |m| {
                format!(", fakes {:.2} times as far from them as held-out images", m.ratio())
            });
            format!("GAN of {on}: step {} chosen{memory}, {:.0} s", g.steps, g.seconds)
        }
        Progress::Arm(a) => {
            let ratio = a.ratio.map_or(String::new(), |r| format!(" with r = {r}"));
            format!("{}{ratio}: test accuracy {:.2} %, {:.0} s", a.arm, 100.0 * a.test, a.seconds)
        }
    }
}
