//! Which digits the samples show.

use super::material::Material;
use super::players::Players;
use crate::Result;
use crate::data::{Dataset, to_unit};
use crate::gan::session::knowing;
use crate::metrics::{ClassReport, ClassifierNet, digit_images};
use crate::report::html::{Bins, Block, Plot, PlotKind, Section, shown};

/// Samples that are looked at, at least and at most.
const SAMPLES: (usize, usize) = (200, 500);
/// Multiply-adds of the classifier for a picture.
const COST: u64 = 11_100_000;
/// Real images by which it is found whether the classifier knows the data.
const REALS: usize = 64;

pub(super) fn section(m: &Material) -> Section {
    let blocks = match (&m.players, &m.train) {
        (Err(why), _) | (_, Err(why)) => vec![Block::Missing(why.clone())],
        (Ok(players), Ok(train)) => {
            counted(players, train).unwrap_or_else(|e| vec![Block::Missing(e.to_string())])
        }
    };
    super::section("classes", "Classes", "Which digits come, and how often", blocks)
}

fn counted(p: &Players, train: &Dataset) -> Result<Vec<Block>> {
    let missing = || {
        Ok(vec![Block::Missing(
            "The shipped classifier knows MNIST's digits; this data is something else.".into(),
        )])
    };
    let s = &p.sampler;
    let pad = s.config().data.pad;
    let digits = ClassifierNet::CLASSES;
    let Some(labels) = train.labels.as_ref().filter(|l| l.iter().all(|y| (*y as usize) < digits)) else {
        return missing();
    };
    let n = REALS.min(train.images.count);
    let reals: Vec<f32> =
        train.images.pixels[..n * train.images.area()].iter().map(|v| to_unit(*v)).collect();
    let Some(classifier) = knowing(&reals, &labels[..n], s.shape, pad)? else { return missing() };
    let count = p.affordable(SAMPLES.0, SAMPLES.1, COST);
    let images = digit_images(&s.sample(count, 0), s.shape, pad)?;
    let asked = s.classes.filter(|n| *n <= digits);
    let asked = asked.map(|n| (0..count).map(|i| (i % n) as u32).collect::<Vec<_>>());
    let report = ClassReport::new(&classifier, &images, asked.as_deref())?;
    let mut real = vec![0.0; digits];
    labels.iter().for_each(|y| real[*y as usize] += 1.0 / labels.len() as f64);
    Ok(blocks(&report, real))
}

fn blocks(report: &ClassReport, real: Vec<f64>) -> Vec<Block> {
    let missing: Vec<String> = (0..real.len())
        .filter(|&i| report.shares[i] == 0.0 && real[i] > 0.0)
        .map(|i| i.to_string())
        .collect();
    let found = if missing.is_empty() {
        "Every digit of the data is among them.".to_owned()
    } else {
        format!("Not among them: {}.", missing.join(", "))
    };
    let mut text = format!(
        "The shipped classifier looked at {} samples. {found} It is sure of its class with {} on average; the entropy of the classes \
         is {} nats, of at most 2.303.",
        report.n,
        percent(report.confidence),
        shown(report.entropy)
    );
    if let Some(agreement) = &report.agreement {
        text += &format!(" It finds the digit that was asked for in {} of them.", percent(agreement.overall));
    }
    let bins = Bins {
        title: "Digits".into(),
        x_label: "digit".into(),
        names: (0..real.len()).map(|i| i.to_string()).collect(),
        series: vec![("samples".into(), report.shares.clone()), ("training data".into(), real)],
        ..Bins::default()
    };
    let hint = format!(
        "A share of 10 % of {} samples is off by up to {} by chance alone.",
        report.n,
        percent(2.0 * (0.1f64 * 0.9 / report.n as f64).sqrt())
    );
    let mut blocks = vec![Block::Text(text), Block::Plots(vec![Plot { kind: PlotKind::Bars(bins), hint }])];
    if let Some(agreement) = &report.agreement {
        let of =
            |(class, share): (usize, &Option<f64>)| Some((format!("asked for {class}"), percent((*share)?)));
        let facts = agreement.per_class.iter().enumerate().filter_map(of).collect();
        blocks.push(Block::Fold { summary: "Agreement by class".into(), blocks: vec![Block::Facts(facts)] });
    }
    blocks
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
