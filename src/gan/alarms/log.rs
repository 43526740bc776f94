//! The file of a run's alarms.

use super::{Alarm, Alarms};
use crate::error::Result;
use crate::gan::config::TrainConfig;
use crate::report::{RunLog, read_log};
use serde_json::Value;
use std::path::PathBuf;

/// The file: there from the first one on.
pub(in crate::gan) struct AlarmLog {
    alarms: Alarms,
    path: PathBuf,
    file: Option<RunLog>,
}

impl AlarmLog {
    /// Goes on behind step `done`, of which `records` are the log.
    ///
    /// # Errors
    /// If there is a file that cannot be read or written.
    pub fn resume(path: PathBuf, config: &TrainConfig, done: u64, records: &[Value]) -> Result<AlarmLog> {
        let mut alarms = Alarms::new(config);
        records.iter().for_each(|r| drop(alarms.look(r)));
        let mut file = None;
        if path.exists() {
            let before = |alarm: &Value| alarm["step"].as_u64().is_some_and(|step| step <= done);
            file = Some(RunLog::resume(&path, before)?);
            if read_log(&path)?.is_empty() {
                file = None;
                crate::atomic::remove(&path)?;
            }
        }
        Ok(AlarmLog { alarms, path, file })
    }

    /// What begins with a record of the log; it is in the file when this returns.
    pub fn look(&mut self, record: &Value) -> Result<Vec<Alarm>> {
        let begun = self.alarms.look(record);
        begun.iter().try_for_each(|alarm| self.write(alarm))?;
        Ok(begun)
    }

    /// [`Alarms::not_finite`], written.
    pub fn not_finite(&mut self, step: u64, what: &str, tensor: &str) -> Result<Alarm> {
        let alarm = self.alarms.not_finite(step, what, tensor);
        self.write(&alarm)?;
        Ok(alarm)
    }

    fn write(&mut self, alarm: &Alarm) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(RunLog::append(&self.path)?),
        };
        file.write(alarm)
    }

    /// All alarms are on the disk when this returns.
    pub fn sync(&self) -> Result<()> {
        self.file.as_ref().map_or(Ok(()), RunLog::sync)
    }
}
