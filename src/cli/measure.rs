//! The flags of what a run measures on the way.

use crate::gan::{Evaluate, TrainConfig};
use crate::metrics::Metric;

#[derive(clap::Args)]
pub struct EvaluateArgs {
    /// Steps between measurements of samples, into metrics.jsonl [default: none]
    #[arg(long, value_name = "N")]
    eval_every: Option<u64>,
    /// What is measured; the first decides which checkpoints are the best [default: fid, precision, recall, density,
    /// coverage, copies, strays, smallest-share, as far as the data allow]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    eval_metrics: Option<Vec<Metric>>,
    /// Samples that are measured, and real images beside them [default: 10000]
    #[arg(long, value_name = "N")]
    eval_n: Option<usize>,
    /// Best checkpoints kept in checkpoints/best [default: 1]
    #[arg(long, value_name = "K")]
    keep_best: Option<usize>,
}

impl EvaluateArgs {
    /// Any of the flags asks for measuring.
    pub fn apply(&self, c: &mut TrainConfig) {
        let asked = self.eval_every.is_some() || self.eval_metrics.is_some() || self.eval_n.is_some();
        if !asked && self.keep_best.is_none() {
            return;
        }
        let before = c.evaluate.take().unwrap_or_default();
        c.evaluate = Some(Evaluate {
            every: self.eval_every.unwrap_or(before.every),
            n: self.eval_n.unwrap_or(before.n),
            metrics: self.eval_metrics.clone().unwrap_or(before.metrics),
            keep_best: self.keep_best.unwrap_or(before.keep_best),
        });
    }
}
