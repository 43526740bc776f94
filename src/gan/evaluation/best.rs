//! The checkpoints whose samples were best.

use crate::Result;
use crate::atomic::remove;
use crate::checkpoint::manifest;
use crate::metrics::{Better, Metric};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Keeps the checkpoint of `step` if its value of `metric` is one of the `keep` best of all records, and removes those
/// that are so no longer. Of equal values the earlier is better.
///
/// # Errors
/// If a file cannot be written or removed.
pub fn keep_best(
    dir: &Path,
    records: &[Value],
    metric: Metric,
    keep: usize,
    step: u64,
    bytes: impl FnOnce() -> Result<Vec<u8>>,
) -> Result<()> {
    let value = |r: &Value| Some((r["metrics"][metric.name()]["value"].as_f64()?, r["step"].as_u64()?));
    let mut ranked: Vec<(f64, u64)> = records.iter().filter_map(value).collect();
    let sign = if metric.better() == Better::Lower { 1.0 } else { -1.0 };
    ranked.sort_by(|a, b| (sign * a.0).total_cmp(&(sign * b.0)).then(a.1.cmp(&b.1)));
    ranked.truncate(keep);
    let is_best = |step: u64| ranked.iter().any(|r| r.1 == step);
    if is_best(step) {
        fs::create_dir_all(dir).map_err(crate::Error::io("create the folder", dir))?;
        manifest::save(dir, step, &bytes()?, usize::MAX)?;
    }
    let old = manifest::list(dir)?.into_iter().filter(|path| !manifest::step(path).is_some_and(is_best));
    old.into_iter().try_for_each(|path| remove(&path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atomic::tests::Folder;
    use serde_json::json;

    #[test]
    fn the_best_are_kept_whichever_way_is_better() {
        let f = Folder::new("best");
        let mut records = Vec::new();
        let mut kept = |step: u64, fid: f64, metric: Metric| {
            records.push(json!({"step": step, "metrics": {"fid": {"value": fid}, "recall": {"value": fid}}}));
            keep_best(&f.0, &records, metric, 2, step, || Ok(vec![step as u8])).unwrap();
            manifest::list(&f.0).unwrap().iter().map(|p| manifest::step(p).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(kept(10, 5.0, Metric::Fid), [10]);
        assert_eq!(kept(20, 7.0, Metric::Fid), [10, 20]);
        assert_eq!(kept(30, 6.0, Metric::Fid), [10, 30]);
        assert_eq!(kept(40, 6.0, Metric::Fid), [10, 30], "the earlier of equals");
        assert_eq!(kept(50, 1.0, Metric::Fid), [10, 50]);
        // By recall the best were 20 and one of 30 and 40, which are gone; what is there and not among them goes too.
        assert_eq!(kept(60, 9.0, Metric::Recall), [60]);
    }
}
