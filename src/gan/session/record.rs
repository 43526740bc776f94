//! A line of a run's log.

use crate::gan::statistics::StepStatistics;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// A line of `log.jsonl`.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    /// Steps done.
    pub step: u64,
    /// Thousands of real images seen.
    pub kimg: f64,
    /// Seconds of training, those before a resume included.
    pub seconds: f64,
    /// Real images per second since the last record.
    pub images_per_s: f64,
    /// D's learning rate in this step.
    pub lr_d: f64,
    /// G's learning rate in this step.
    pub lr_g: f64,
    /// Memory that the process holds, in MB; absent where the system does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<f64>,
    /// How the game stands.
    #[serde(flatten)]
    pub statistics: StepStatistics,
    /// The largest singular value of every weight of both networks, by its name.
    pub sigma: BTreeMap<String, f64>,
    /// Where the digit classifier knows the data: the entropy of the classes that it finds in the fakes of D's last update, in
    /// nats; ln 10 = 2.303 for equal shares, of which n fakes lack 9 / (2n) by chance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_entropy: Option<f64>,
    /// In the first record after a sample grid: by how much the grid's values have changed on average, from one that is at
    /// least 100 steps older; in [0, 2], as samples lie in [-1, 1].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grid_change: Option<f64>,
}

/// A record's numbers by TensorBoard's tags, those of a map behind its name.
pub(super) fn scalars(record: &Value) -> Vec<(String, f64)> {
    let number = |v: &Value| v.as_f64().unwrap_or(f64::NAN);
    let fields = record.as_object().into_iter().flatten().filter(|(key, _)| *key != "step");
    let tags = fields.flat_map(|(key, v)| match v {
        Value::Object(map) => map.iter().map(|(name, v)| (format!("{key}/{name}"), number(v))).collect(),
        v => vec![(key.clone(), number(v))],
    });
    tags.collect()
}
