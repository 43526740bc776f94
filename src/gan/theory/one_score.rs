//! Each score by itself can be fooled.
//!
//! Generators built for the purpose on the grid of 25 Gaussians, where the truth is known, under the usual scores
//! ([`crate::metrics::mode_coverage`]): modes captured, share of good samples (within 3 sigma), reverse
//! KL of the modes' shares, and the width of the modes.
//!
//! | generator | what is wrong |
//! |---|---|
//! | collapsed | every sample from one mode |
//! | blurred | all modes, three times too wide |
//! | narrow | all modes, three times too narrow |
//! | uneven | all modes, one of them with nine samples in ten |
//! | sprinkled | four good samples for each mode, the rest spread evenly over the plane |
//!
//! Look at: in every column some generator does as well as real data or better. Pitfall: "better than real" is a defect
//! too; the scores of real samples, drawn like the generator's, are the mark to compare with (Lucic et al., 2018,
//! arXiv:1711.10337, on how much one score can hide).

use super::{Cell, Experiment, Options, Outcome, Table, line};
use crate::data::{Mixture, Synthetic};
use crate::metrics::mode_coverage;
use crate::report::Panel;
use crate::rng::Stream;
use crate::{Generator, Result};
use rand::RngExt;
use rand_distr::StandardNormal;

/// See the [module's docs](self).
pub const EXPERIMENT: Experiment = Experiment {
    name: "one-score-is-not-enough",
    summary: "Generators made to fool one score each, and the scores that see through them",
    explanation: "Six samplers of the 25-Gaussian grid, five of them with a defect made on purpose, get the usual \
        scores on 2500 samples. A good sample lies within 3 sigma of a mode (98.9 % of real ones do), reverse KL \
        compares the good ones' shares of the modes with 1/25 (even shares show the KL by chance), width is the spread \
        within modes (0.974 for real ones). Look down each column: somebody with a defect does as well as real data.",
    run,
};

const DATA: Synthetic = Synthetic::Grid25;
const SAMPLES: usize = 2500;

type Points = Vec<[f32; 2]>;

fn run(options: &Options) -> Result<Outcome> {
    let grid = DATA.mixture().expect("the grid is a mixture");
    let generators = generators(&grid, options.seed);
    let mut table = Table::new(&["generator", "modes", "% good", "reverse KL", "KL by chance", "width"]);
    for (name, samples) in &generators {
        let c = mode_coverage(samples, &grid);
        let known = |v: Option<f64>| v.map_or("none".into(), Into::into);
        table.push([
            (*name).into(),
            c.captured().into(),
            (100.0 * c.high_quality()).into(),
            known(c.reverse_kl),
            ((grid.modes() - 1) as f64 / (2.0 * c.counts.iter().sum::<usize>() as f64)).into(),
            known(c.width),
        ]);
    }
    let panel = |(name, samples): &(&str, Points)| Panel {
        title: (*name).into(),
        y_range: Some((-5.0, 5.0)),
        square: true,
        dots: vec![line("", samples.iter().map(|p| (p[0] as f64, p[1] as f64)))],
        ..Panel::default()
    };
    Ok(Outcome { panels: generators.iter().map(panel).collect(), findings: findings(&table), table })
}

fn generators(grid: &Mixture, seed: u64) -> Vec<(&'static str, Points)> {
    let mut rng = Generator::new(seed, Stream::Noise).host();
    let mut real = DATA.samples(seed);
    let scaled = |points: Points, factor: f64| -> Points {
        let about = |p: [f32; 2]| {
            let centre = grid.centres[grid.nearest(p.map(f64::from)).0];
            [0, 1].map(|k| (centre[k] + factor * (p[k] as f64 - centre[k])) as f32)
        };
        points.into_iter().map(about).collect()
    };
    let mut good = |mode: usize| -> [f32; 2] {
        grid.centres[mode].map(|c| (c + grid.sigma * rng.sample::<f64, _>(StandardNormal)) as f32)
    };
    let middle = grid.modes() / 2;
    let collapsed = (0..SAMPLES).map(|_| good(middle)).collect();
    let mut uneven: Points = (0..SAMPLES * 9 / 10).map(|_| good(0)).collect();
    uneven.extend((0..SAMPLES / 10).map(|i| good(i % grid.modes())));
    let mut sprinkled: Points = (0..4 * grid.modes()).map(|i| good(i % grid.modes())).collect();
    sprinkled.extend((0..SAMPLES - sprinkled.len()).map(|_| [0, 1].map(|_| rng.random_range(-5.0f32..5.0))));
    vec![
        ("real data", real.take(SAMPLES)),
        ("collapsed", collapsed),
        ("blurred", scaled(real.take(SAMPLES), 3.0)),
        ("narrow", scaled(real.take(SAMPLES), 1.0 / 3.0)),
        ("uneven", uneven),
        ("sprinkled", sprinkled),
    ]
}

/// For each score who does as well as real data.
fn findings(table: &Table) -> Vec<String> {
    let name = |i: usize| match &table.rows()[i][0] {
        Cell::Text(t) => t.clone(),
        Cell::Number(v) => v.to_string(),
    };
    let [modes, good, kl, chance, width] =
        ["modes", "% good", "reverse KL", "KL by chance", "width"].map(|c| table.column(c));
    // Two standard deviations of a share of so many samples.
    let noise = 200.0 * (0.989f64 * 0.011 / SAMPLES as f64).sqrt();
    let as_good: [(&str, &dyn Fn(usize) -> bool); 4] = [
        ("modes", &|i| modes[i] >= modes[0]),
        ("% good", &|i| good[i] >= good[0] - noise),
        // What perfectly even shares are expected to show on so few good samples is `chance`.
        ("reverse KL", &|i| kl[i] <= 2.0 * chance[i]),
        // Wider and narrower are both wrong.
        ("width", &|i| (width[i] / width[0] - 1.0).abs() <= 0.05),
    ];
    let judged = |by: &str, passes: &dyn Fn(usize) -> bool| {
        let who: Vec<String> = (1..modes.len()).filter(|&i| passes(i)).map(name).collect();
        let who = if who.is_empty() { "none of them".to_owned() } else { who.join(", ") };
        format!("Judged by {by}, as good as real data: {who}.")
    };
    let alone = as_good.iter().map(|(column, passes)| judged(&format!("{column} alone"), passes));
    alone.chain([judged("all four", &|i| as_good.iter().all(|(_, passes)| passes(i)))]).collect()
}
