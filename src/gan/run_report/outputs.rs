//! What D makes of images that it was trained on, of others, and of samples.

use super::material::Material;
use super::players::Players;
use crate::data::{Dataset, to_unit};
use crate::gan::NormStatistics;
use crate::gan::losses::Output;
use crate::report::html::{Bins, Block, Plot, PlotKind, Section, Table, shown};

/// Pictures from each side, at least and at most.
const PICTURES: (usize, usize) = (128, 1024);
/// A probability of 1 in f32 may stand for any logit from here on.
const SURE: f64 = 16.0;
const BINS: usize = 48;

/// What D said of pictures of one kind.
struct Judged {
    name: &'static str,
    values: Vec<f64>,
}

pub(super) fn section(m: &Material) -> Section {
    let mut blocks = Vec::new();
    match (&m.players, &m.train) {
        (Err(why), _) => blocks.push(Block::Missing(why.clone())),
        (Ok(players), train) => {
            blocks.extend(train.as_ref().err().map(|why| Block::Missing(why.clone())));
            let sides = [
                ("real, trained on", train.as_ref().ok().map(|t| &**t)),
                ("real, never seen", m.test.as_ref().ok()),
            ];
            let real = sides.into_iter().filter_map(|(name, data)| of_data(players, name, data?));
            let judged: Vec<Judged> = real.chain(of_samples(players)).collect();
            if judged.is_empty() {
                blocks.push(Block::Missing(
                    "There are too few pictures for a batch of the discriminator's.".into(),
                ));
            } else {
                blocks.extend(shown_blocks(&judged, players.sampler.config().step.loss.get().output()));
            }
        }
    }
    super::section("outputs", "D's outputs", "What the discriminator answers", blocks)
}

/// Pictures that D looks at from each side.
fn count(p: &Players) -> usize {
    p.affordable(PICTURES.0, PICTURES.1, p.summaries[1].macs)
}

/// D on pictures spread over all of a data set; nothing where they are too few, or lack the classes that D wants.
fn of_data(p: &Players, name: &'static str, data: &Dataset) -> Option<Judged> {
    let all = data.images.count;
    let n = p.judged(count(p).min(all));
    let places = || (0..n).map(|i| i * all / n);
    let labels: Option<Vec<i64>> = match p.sampler.classes {
        None => None,
        Some(classes) => {
            let labels = data.labels.as_ref()?;
            Some(places().map(|i| i64::from(labels[i])).collect::<Vec<_>>())
                .filter(|l| l.iter().all(|y| *y < classes as i64))
        }
    };
    if n < 2 || (p.sampler.classes.is_some() && labels.is_none()) {
        return None;
    }
    let x: Vec<f32> = places().flat_map(|i| data.images.image(i)).map(|v| to_unit(*v)).collect();
    Some(Judged { name, values: logits(p, &p.judge(&x, labels.as_deref())) })
}

fn of_samples(p: &Players) -> Option<Judged> {
    let n = p.judged(count(p));
    let latents = p.sampler.latents(n, 0, None).ok().filter(|_| n >= 2)?;
    let x = p.sampler.generate(&latents, NormStatistics::Running);
    let labels = latents.labels.as_ref().map(|l| l.to_vec::<i64>());
    Some(Judged { name: "samples", values: logits(p, &p.judge(&x, labels.as_deref())) })
}

/// Outputs as they are, probabilities as logits: ln(p / (1 - p)).
fn logits(p: &Players, out: &[f32]) -> Vec<f64> {
    let probability = p.sampler.config().step.loss.get().output() == Output::Probability;
    let value = |v: &f32| {
        let v = f64::from(*v);
        if probability { (v / (1.0 - v)).ln().clamp(-SURE, SURE) } else { v }
    };
    out.iter().map(value).collect()
}

fn shown_blocks(judged: &[Judged], output: Output) -> Vec<Block> {
    let (what, middle) = match output {
        Output::Probability | Output::Logit => ("logit a(x)", Some((0.0, "undecided"))),
        Output::Estimate => ("estimate of real", Some((0.5, "undecided"))),
        Output::Score => ("score", Some((0.0, "undecided"))),
        Output::Difference => ("score, of which only differences count", None),
    };
    let fakes = judged.iter().find(|j| j.name == "samples");
    let head = ["", "images", "mean", "ranked above a sample"].map(String::from);
    let row = |j: &Judged| {
        let mean = j.values.iter().sum::<f64>() / j.values.len() as f64;
        let rank = fakes
            .filter(|f| f.name != j.name)
            .map(|f| format!("{:.1} %", 100.0 * above(&j.values, &f.values)));
        vec![j.name.to_owned(), j.values.len().to_string(), shown(mean), rank.unwrap_or("\u{2013}".into())]
    };
    let text = "The discriminator of the last checkpoint, in batches as in training, without augmentation. Where the heaps lie over each \
                other it cannot tell them apart. `ranked above a sample` is how often it gives a real image more than a \
                sample: 50 % is a coin, 100 % always right. If images that it was trained on rank higher than those it has \
                never seen, it has learnt them by heart.";
    let hint = if output == Output::Probability {
        "D gives probabilities; beyond 16 their logits are lost in rounding."
    } else {
        ""
    };
    let bins = histogram(judged, what, middle);
    vec![
        Block::Text(text.into()),
        Block::Plots(vec![Plot { kind: PlotKind::Histogram(bins), hint: hint.into() }]),
        Block::Table(Table { head: head.into(), rows: judged.iter().map(row).collect(), prose: vec![] }),
    ]
}

fn histogram(judged: &[Judged], what: &str, middle: Option<(f64, &str)>) -> Bins {
    let mut all: Vec<f64> =
        judged.iter().flat_map(|j| &j.values).copied().filter(|v| v.is_finite()).collect();
    all.sort_unstable_by(f64::total_cmp);
    // Rare outliers are counted in the bins at the ends.
    let tail = all.len() / 500;
    let (low, high) = match (all.get(tail), all.len().checked_sub(1 + tail).and_then(|i| all.get(i))) {
        (Some(low), Some(high)) if high > low => (*low, *high),
        (Some(low), _) => (low - 1.0, low + 1.0),
        _ => (-1.0, 1.0),
    };
    let of = |j: &Judged| {
        let mut shares = vec![0.0; BINS];
        for v in j.values.iter().filter(|v| v.is_finite()) {
            let bin = ((v - low) / (high - low) * BINS as f64) as usize;
            shares[bin.min(BINS - 1)] += 1.0 / j.values.len() as f64;
        }
        (format!("{} ({})", j.name, j.values.len()), shares)
    };
    Bins {
        title: "D's outputs".into(),
        x_label: what.into(),
        range: (low, high),
        series: judged.iter().map(of).collect(),
        mark: middle.map(|(v, name)| (v, name.into())),
        ..Bins::default()
    }
}

/// How often one of the first is above one of the second, where equal ones count a half: the area under the ROC curve.
fn above(values: &[f64], others: &[f64]) -> f64 {
    let mut others: Vec<f64> = others.to_vec();
    others.sort_unstable_by(f64::total_cmp);
    let below = |v: &f64| {
        let less = others.partition_point(|o| o < v);
        (less + others.partition_point(|o| o <= v)) as f64 / 2.0
    };
    values.iter().map(below).sum::<f64>() / (values.len() * others.len()).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_count_pairs() {
        assert_eq!(above(&[3.0, 4.0], &[1.0, 2.0]), 1.0);
        assert_eq!(above(&[1.0, 2.0], &[1.0, 2.0]), 0.5);
        assert_eq!(above(&[0.0, 3.0], &[1.0, 2.0, 5.0]), 2.0 / 6.0);
    }

    #[test]
    fn every_output_is_in_a_bin() {
        let values: Vec<f64> = (0..1000).map(|i| if i == 0 { 1e6 } else { (i as f64 * 0.7).sin() }).collect();
        let judged = [
            Judged { name: "samples", values },
            Judged { name: "real", values: vec![0.0, f64::NAN, 0.5, 0.25] },
        ];
        let bins = histogram(&judged, "logit", Some((0.0, "undecided")));
        assert!(bins.range.0 >= -1.0 && bins.range.1 <= 1.0, "{:?}", bins.range);
        let sums: Vec<f64> = bins.series.iter().map(|s| s.1.iter().sum()).collect();
        assert!((sums[0] - 1.0).abs() < 1e-9 && (sums[1] - 0.75).abs() < 1e-9, "{sums:?}");
        for odd in [vec![], vec![f64::NAN], vec![2.0; 5]] {
            let bins = histogram(&[Judged { name: "samples", values: odd }], "logit", None);
            assert!(bins.range.0 < bins.range.1);
        }
    }
}
