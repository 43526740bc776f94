//! What `ganvil evaluate` prints.

use super::super::recorded::number;
use crate::metrics::{ClassReport, Evaluation, Metric};
use std::fmt::Write;

/// What decides the numbers, above them.
pub fn protocol(e: &Evaluation) -> String {
    format!(
        "{} samples against {} real images ({}); the floor is {} other real images\nfeatures       {}{}\nseed           {}\n",
        e.n_fake,
        e.n_real,
        e.against,
        e.n_real,
        e.features,
        e.feature_sha256.as_ref().map_or(String::new(), |sum| format!(", SHA-256 {sum}")),
        e.seed,
    )
}

/// Each number beside the floor.
pub fn metrics(e: &Evaluation) -> String {
    let mut out = String::new();
    let mut row = |what: &str, value: String, floor: String, ratio: String| {
        writeln!(out, "{what:<24} {value:>18} {floor:>10} {ratio:>10}").expect("memory can be written to");
    };
    row("", "samples".into(), "floor".into(), "ratio".into());
    for metric in Metric::ALL {
        let Some(m) = e.metrics.get(&metric) else { continue };
        let or_dash = |v: Option<f64>| v.map_or("-".into(), number);
        let deviation = m.deviation.map_or(String::new(), |d| format!(" ± {}", number(d)));
        row(metric.name(), format!("{}{deviation}", number(m.value)), or_dash(m.floor), or_dash(m.ratio));
    }
    out
}

/// What the classifier sees.
pub fn classes(e: &Evaluation) -> String {
    let (Some(samples), Some(real)) = (&e.classes, &e.real_classes) else { return String::new() };
    let mut out = String::from("\n");
    let mut row = |what: &str, samples: String, real: String| {
        writeln!(out, "{what:<24} {samples:>18} {real:>10}").expect("memory can be written to");
    };
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let nats = |v: f64| format!("{v:.4}");
    row("", "samples".into(), "real".into());
    let both = |f: fn(&ClassReport) -> f64| (f(samples), f(real));
    let (s, r) = both(|c| c.confidence);
    row("mean top-1 confidence", nats(s), nats(r));
    let (s, r) = both(|c| c.kl_to_uniform);
    row("KL to uniform, nats", nats(s), nats(r));
    for (class, (s, r)) in samples.shares.iter().zip(&real.shares).enumerate() {
        row(&format!("  share of class {class}"), percent(*s), percent(*r));
    }
    if let (Some(s), Some(r)) = (&samples.agreement, &real.agreement) {
        row("class agreement", percent(s.overall), percent(r.overall));
        let shown = |share: &Option<f64>| share.map_or("-".into(), percent);
        for (class, (s, r)) in s.per_class.iter().zip(&r.per_class).enumerate() {
            row(&format!("  agreement of class {class}"), shown(s), shown(r));
        }
    }
    out
}

/// What the numbers say.
pub fn findings(e: &Evaluation) -> String {
    e.findings.iter().map(|f| format!("finding: {}\n", f.text)).collect()
}

/// Mean and deviation (of a sample, n - 1) over runs.
pub fn mean(all: &[&Evaluation]) -> String {
    let mut out = format!("\nmean of {} and deviation\n", all.len());
    for metric in Metric::ALL {
        let of = |f: fn(&crate::metrics::Measured) -> Option<f64>| -> Option<Vec<f64>> {
            all.iter().map(|e| e.metrics.get(&metric).and_then(f)).collect()
        };
        let Some(values) = of(|m| Some(m.value)) else { continue };
        let spread = |values: &[f64]| {
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
            format!("{} ± {}", number(mean), number((squares / (n - 1.0)).sqrt()))
        };
        let ratios = of(|m| m.ratio).map_or(String::new(), |r| format!("   ratio {}", spread(&r)));
        writeln!(out, "{:<24} {:>18}{ratios}", metric.name(), spread(&values))
            .expect("memory can be written to");
    }
    out
}
