//! Event files, which TensorBoard shows: scalars, pictures and histograms of a run by step.
//!
//! A file is a sequence of records (TFRecord's frames with CRC-32C checksums), each an `Event` as a protocol buffer; the
//! first says `brain.Event:2`. TensorBoard finds files whose name contains `tfevents`, in the folder that it is given or
//! below. It knows a file by its place on the disk, so one that shows a run while the run is resumed must be started again.
//!
//! ```
//! use ganvil::report::tensorboard::{EventLog, Value, read_events};
//! let path = std::env::temp_dir().join(format!("{}.{}", EventLog::FILE_NAME, std::process::id()));
//! let mut log = EventLog::resume(&path, 0)?;
//! log.scalars(1, &[("d_loss", 1.25), ("g_loss", 0.75)])?;
//! log.histogram(1, "logits/real", &[-0.5, 0.5, 0.5])?;
//! drop(log);
//! let events = read_events(&path)?;
//! assert_eq!(events[0].file_version.as_deref(), Some("brain.Event:2"));
//! assert_eq!((events[1].step, events[1].summary[1].tag.as_str()), (1, "g_loss"));
//! assert_eq!(events[1].summary[1].value, Value::Scalar(0.75));
//! # std::fs::remove_file(&path).unwrap();
//! # Ok::<(), ganvil::Error>(())
//! ```

mod histogram;
mod proto;
mod record;

use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use crate::atomic::{Appender, write_atomic};
use crate::{Error, Result};
pub use histogram::Histogram;
use record::{Record, damaged, frame, records};

/// What the first record says.
const VERSION: &str = "brain.Event:2";

/// An event of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When it was written, in seconds since 1970.
    pub wall_time: f64,
    /// The training step.
    pub step: u64,
    /// The format, in the first event of a file.
    pub file_version: Option<String>,
    /// What is reported.
    pub summary: Vec<Summary>,
}

/// A value under a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The name; what stands in front of its first `/` groups it with others.
    pub tag: String,
    /// What it is.
    pub value: Value,
}

/// What TensorBoard draws.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A point of a curve.
    Scalar(f32),
    /// A picture.
    Image(Picture),
    /// A distribution.
    Histogram(Histogram),
    /// Something that ganvil does not write.
    Other,
}

/// A picture in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Height in pixels.
    pub rows: usize,
    /// Width in pixels.
    pub cols: usize,
    /// 1 grey, 2 grey with alpha, 3 RGB, 4 RGBA.
    pub channels: usize,
    /// The file, encoded.
    pub png: Vec<u8>,
}

/// An event file that is being written.
///
/// Each event reaches the operating system, in one call, before the method returns.
#[derive(Debug)]
pub struct EventLog(Appender);

impl EventLog {
    /// A name that TensorBoard knows for an event file.
    pub const FILE_NAME: &str = "events.out.tfevents.ganvil";

    /// Goes on with a file after the events of `step`, or begins it if there is none: what a run left that was stopped
    /// later, and an event that a crash cut off, are removed first, so that a run resumed from the checkpoint of `step`
    /// reports no step twice.
    ///
    /// ```
    /// use ganvil::report::tensorboard::{EventLog, read_events};
    /// let path = std::env::temp_dir().join(format!("{}-r.{}", EventLog::FILE_NAME, std::process::id()));
    /// let mut log = EventLog::resume(&path, 0)?;
    /// (1..=3).try_for_each(|step| log.scalars(step, &[("loss", 0.5)]))?;
    /// let mut log = EventLog::resume(&path, 2)?;
    /// log.scalars(5, &[("loss", 0.25)])?;
    /// let steps: Vec<u64> = read_events(&path)?.iter().skip(1).map(|e| e.step).collect();
    /// assert_eq!(steps, [1, 2, 5]);
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), ganvil::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`read_events`], or if the file cannot be written.
    pub fn resume(path: impl AsRef<Path>, step: u64) -> Result<EventLog> {
        let path = path.as_ref();
        let bytes = match fs::read(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(Error::io("read", path))?,
        };
        let mut kept = Vec::new();
        for (event, record) in parse(path, &bytes)? {
            if event.step <= step {
                kept.extend(record.whole);
            }
        }
        if kept.is_empty() {
            let version = Some(VERSION.into());
            kept = frame(&proto::encode(&Event { file_version: version, ..Event::now(0, Vec::new()) }));
        }
        if kept != bytes {
            write_atomic(path, &kept)?;
        }
        Ok(EventLog(Appender::open(path)?))
    }

    /// Adds a point to each of some curves. The file has them in f32, be they finite or not.
    ///
    /// # Errors
    /// If the file cannot be written; so for the other kinds.
    pub fn scalars(&mut self, step: u64, values: &[(&str, f64)]) -> Result<()> {
        let summary = |&(tag, v): &(&str, f64)| Summary::new(tag, Value::Scalar(v as f32));
        self.write(Event::now(step, values.iter().map(summary).collect()))
    }

    /// Adds a picture of `rows` x `cols` pixels, which `png` has encoded, with 1 (grey), 2 (grey with alpha), 3 (RGB) or
    /// 4 (RGBA) channels.
    ///
    /// ```
    /// use ganvil::report::tensorboard::{EventLog, Value, read_events};
    /// use ganvil::report::{GridStyle, encode_grid};
    /// let path = std::env::temp_dir().join(format!("{}-i.{}", EventLog::FILE_NAME, std::process::id()));
    /// let png = encode_grid(&[-1.0, 1.0], [1, 1, 1, 2], &GridStyle { columns: 1, scale: 1, gap: 0, background: 0 })?;
    /// EventLog::resume(&path, 0)?.image(100, "samples", &png, 1, 2, 1)?;
    /// let Value::Image(back) = &read_events(&path)?[1].summary[0].value else { panic!() };
    /// assert_eq!((back.rows, back.cols, &back.png), (1, 2, &png));
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), ganvil::Error>(())
    /// ```
    pub fn image(
        &mut self,
        step: u64,
        tag: &str,
        png: &[u8],
        rows: usize,
        cols: usize,
        channels: usize,
    ) -> Result<()> {
        let picture = Picture { rows, cols, channels, png: png.to_vec() };
        self.write(Event::now(step, vec![Summary::new(tag, Value::Image(picture))]))
    }

    /// [`EventLog::image`] of a picture that says itself how large it is, and has three colours or shades of grey.
    pub(crate) fn png(&mut self, step: u64, tag: &str, png: &[u8]) -> Result<()> {
        // Behind the signature and the head of the first chunk: width, height, depth, kind of colour.
        let number = |at: usize| {
            png.get(at..at + 4).map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]])) as usize
        };
        let channels = if png.get(25) == Some(&2) { 3 } else { 1 };
        self.image(step, tag, png, number(20), number(16), channels)
    }

    /// Adds a distribution, in the buckets of [`Histogram`]. Values that are not finite are left out, and not counted.
    pub fn histogram(&mut self, step: u64, tag: &str, values: &[f32]) -> Result<()> {
        let histogram = Histogram::new(values);
        self.write(Event::now(step, vec![Summary::new(tag, Value::Histogram(histogram))]))
    }

    fn write(&mut self, event: Event) -> Result<()> {
        self.0.append(&frame(&proto::encode(&event)))
    }
}

impl Event {
    fn now(step: u64, summary: Vec<Summary>) -> Event {
        // A clock that is set before 1970 is no reason to stop a run.
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Event { wall_time: since.as_secs_f64(), step, file_version: None, summary }
    }
}

impl Summary {
    fn new(tag: &str, value: Value) -> Summary {
        Summary { tag: tag.into(), value }
    }
}

/// Reads the events of a file, the first with its version included. A last event that a crash cut off is left out.
///
/// # Errors
/// [`Error::Format`], naming the byte at which the event begins, if one is damaged elsewhere, or if the file is none of
/// events.
pub fn read_events(path: impl AsRef<Path>) -> Result<Vec<Event>> {
    let path = path.as_ref();
    let bytes = fs::read(path).map_err(Error::io("read", path))?;
    Ok(parse(path, &bytes)?.into_iter().map(|(event, _)| event).collect())
}

/// The events with their records.
fn parse<'a>(path: &Path, bytes: &'a [u8]) -> Result<Vec<(Event, Record<'a>)>> {
    let mut events = Vec::new();
    for record in records(path, bytes)? {
        let event = proto::decode(record.data).map_err(|e| damaged(path, record.offset, &e))?;
        if events.is_empty() && event.file_version.as_deref() != Some(VERSION) {
            let found = event.file_version.as_deref().unwrap_or("none");
            return Err(damaged(
                path,
                0,
                &format!("it should give the version {VERSION}, and gives {found}"),
            ));
        }
        events.push((event, record));
    }
    Ok(events)
}

#[cfg(test)]
mod tests;
