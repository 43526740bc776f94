//! The run log: one JSON object per line.

use std::fs;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::atomic::{Appender, write_atomic};
use crate::{Error, Result};

/// A log that is being written.
///
/// Each record reaches the operating system before [`write`](RunLog::write) returns, so that a killed process
/// loses none; a power failure may cost the last few. A number that is not finite has no form in JSON and is
/// written as `null`, be it NaN or an infinity.
#[derive(Debug)]
pub struct RunLog(Appender);

impl RunLog {
    /// Begins a log, in place of any that is there.
    pub fn create(path: impl AsRef<Path>) -> Result<RunLog> {
        crate::atomic::remove(path.as_ref())?;
        Ok(RunLog(Appender::open(path.as_ref())?))
    }

    /// Goes on with a log, or begins it if there is none. A line that a crash cut off is removed first.
    pub fn append(path: impl AsRef<Path>) -> Result<RunLog> {
        RunLog::resume(path, |_| true)
    }

    /// Goes on with a log from the first record that is not to be kept: with `|r| r["step"].as_u64() <= Some(step)`,
    /// a run resumed from the checkpoint of `step` leaves the log that it would have left uninterrupted.
    ///
    /// Fails as [`read_log`](super::read_log) does if the log is damaged.
    pub fn resume(path: impl AsRef<Path>, mut keep: impl FnMut(&Value) -> bool) -> Result<RunLog> {
        let path = path.as_ref();
        if path.exists() {
            let bytes = fs::read(path).map_err(Error::io("read", path))?;
            let records = parse(path, &bytes)?;
            let kept =
                records.iter().take_while(|(record, _)| keep(record)).last().map_or(0, |&(_, end)| end);
            let mut whole = bytes[..kept].to_vec();
            if whole.last().is_some_and(|&b| b != b'\n') {
                whole.push(b'\n');
            }
            if whole != bytes {
                write_atomic(path, &whole)?;
            }
        }
        Ok(RunLog(Appender::open(path)?))
    }

    /// Adds one record, which must serialise to a JSON object.
    pub fn write(&mut self, record: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(record).expect("records are structs of numbers and text");
        line.push(b'\n');
        self.0.append(&line)
    }

    /// All records are on the disk when this returns.
    pub fn sync(&self) -> Result<()> {
        self.0.sync()
    }
}

/// Reads every record of a log. A last line that a crash cut off is left out.
///
/// Fails with [`Error::Format`], naming the line, if any other is not a JSON object.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<Value>> {
    let path = path.as_ref();
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    Ok(parse(path, &bytes)?.into_iter().map(|(record, _)| record).collect())
}

/// The records and where the line of each ends, its newline included.
fn parse(path: &Path, bytes: &[u8]) -> Result<Vec<(Value, usize)>> {
    let mut records = Vec::new();
    let mut end = 0;
    for (i, line) in bytes.split_inclusive(|&b| b == b'\n').enumerate() {
        end += line.len();
        if line.trim_ascii().is_empty() {
            continue;
        }
        let problem = match serde_json::from_slice(line) {
            Ok(record @ Value::Object(_)) => {
                records.push((record, end));
                continue;
            }
            Ok(other) => format!("expected an object, found {other}"),
            Err(e) => e.to_string(),
        };
        // Only the last line has no newline, and only a crash leaves it without.
        if line.ends_with(b"\n") {
            let remedy = "remove the line, or the log if it is none of ganvil's";
            return Err(Error::format(path, format!("line {} is no record ({problem}); {remedy}", i + 1)));
        }
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atomic::tests::Folder;
    use serde_json::json;

    #[derive(Serialize)]
    struct Step {
        step: u64,
        loss: f32,
        note: &'static str,
    }

    #[test]
    fn records_come_back_one_per_line() {
        let f = Folder::new("log");
        let path = f.0.join("log.jsonl");
        let mut log = RunLog::create(&path).unwrap();
        log.write(&Step { step: 1, loss: 0.1, note: "two\nlines" }).unwrap();
        // Flushed: another reader sees it while the log is open.
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "{\"step\":1,\"loss\":0.1,\"note\":\"two\\nlines\"}\n"
        );
        log.write(&json!({"step": 2})).unwrap();
        drop(log);
        RunLog::append(&path).unwrap().write(&json!({"step": 3})).unwrap();
        let steps: Vec<u64> = read(&path).unwrap().iter().map(|r| r["step"].as_u64().unwrap()).collect();
        assert_eq!(steps, [1, 2, 3]);
        RunLog::create(&path).unwrap();
        assert_eq!(read(&path).unwrap(), [] as [Value; 0]);
    }

    #[test]
    fn numbers_that_are_not_finite_are_null() {
        let f = Folder::new("log-nan");
        let path = f.0.join("log.jsonl");
        let mut log = RunLog::create(&path).unwrap();
        for loss in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            log.write(&Step { step: 1, loss, note: "" }).unwrap();
        }
        log.write(&json!({"loss": f64::NAN})).unwrap();
        let records = read(&path).unwrap();
        assert_eq!(records.len(), 4);
        assert!(records.iter().all(|r| r["loss"].is_null()));
    }

    #[test]
    fn a_torn_last_line_is_left_out_wherever_it_is_torn() {
        let f = Folder::new("log-torn");
        let path = f.0.join("log.jsonl");
        let whole = b"{\"step\":1}\n{\"step\":2,\"x\":\"\xc3\xa9\"}\n";
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            // A record is whole from its closing brace on.
            let count = [10, whole.len() - 1].iter().filter(|&&end| cut >= end).count();
            assert_eq!(read(&path).unwrap().len(), count, "cut at {cut}");
            RunLog::append(&path).unwrap().write(&json!({"step": 9})).unwrap();
            let records = read(&path).unwrap();
            assert_eq!(records.len(), count + 1);
            assert_eq!(records[count]["step"], 9);
        }
    }

    #[test]
    fn a_damaged_line_elsewhere_is_named() {
        let f = Folder::new("log-damaged");
        let path = f.0.join("log.jsonl");
        for bad in ["{\"step\":", "[1]", "\u{0}\u{0}"] {
            fs::write(&path, format!("{{\"step\":1}}\n\n{bad}\n{{\"step\":2}}\n")).unwrap();
            let text = read(&path).unwrap_err().to_string();
            assert!(text.contains("line 3") && text.contains("log.jsonl"), "{text}");
            assert!(RunLog::append(&path).is_err());
        }
        assert!(read(f.0.join("none")).unwrap_err().to_string().contains("none"));
    }

    #[test]
    fn a_resumed_log_is_the_uninterrupted_one() {
        let f = Folder::new("log-resume");
        let (path, reference) = (f.0.join("log.jsonl"), f.0.join("reference.jsonl"));
        let steps = |log: &mut RunLog, steps: std::ops::RangeInclusive<u64>| {
            steps.for_each(|step| log.write(&Step { step, loss: step as f32 / 7.0, note: "" }).unwrap());
        };
        steps(&mut RunLog::create(&reference).unwrap(), 1..=20);
        for checkpoint in [0, 1, 8, 13] {
            steps(&mut RunLog::create(&path).unwrap(), 1..=13);
            let mut log = RunLog::resume(&path, |r| r["step"].as_u64() <= Some(checkpoint)).unwrap();
            steps(&mut log, checkpoint + 1..=20);
            assert_eq!(fs::read(&path).unwrap(), fs::read(&reference).unwrap());
        }
    }
}
