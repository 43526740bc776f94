//! The checkpoints whose samples were best.

use crate::Result;
use crate::atomic::remove;
use crate::checkpoint::manifest;
use crate::metrics::{Better, Evaluation, Metric};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Keeps the checkpoint of `step`, which the last record is of, if its value of `metric` is one of the `keep` best, and
/// removes those that are so no longer. Of equal values the earlier is better. Records compare that were measured as the last
/// one was, of steps whose checkpoint is there.
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
    let there: Vec<u64> = manifest::list(dir)?.iter().filter_map(|path| manifest::step(path)).collect();
    let Some(last) = records.last() else { return Ok(()) };
    let alike = |r: &&Value| Evaluation::PROTOCOL.iter().all(|(key, _)| r[*key] == last[*key]);
    let value = |r: &Value| Some((r["metrics"][metric.name()]["value"].as_f64()?, r["step"].as_u64()?));
    let known = records.iter().filter(alike).filter_map(value);
    let mut ranked: Vec<(f64, u64)> = known.filter(|(_, s)| *s == step || there.contains(s)).collect();
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
        // Those that are better by recall are gone: what is there stays.
        assert_eq!(kept(60, 9.0, Metric::Recall), [10, 60]);
    }
}
