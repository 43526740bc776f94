//! What a trace of training steps adds up to, read back from its file.

use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::backend::trace::Part;
use crate::{Error, Result};

/// A trace of the most steps that are profiled is not longer.
const MOST_BYTES: u64 = 1 << 28;

/// The times in a file that [`Profile::write`](super::Profile::write) made. Each list adds up to the steps' time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TraceTimes {
    /// Steps.
    pub steps: usize,
    /// Their time.
    pub seconds: f64,
    /// By kernel, the longest first; and what was spent outside of any.
    pub kernels: Vec<Share>,
    /// By layer and direction, optimiser and draw, without those inside of them, the longest first.
    pub layers: Vec<Share>,
}

/// What one name took in all steps together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Share {
    /// The kernel or layer.
    pub name: String,
    /// Calls of kernels.
    pub calls: usize,
    /// Time.
    pub seconds: f64,
    /// Floating-point operations of matrix products and convolutions, by their definition.
    pub flops: u64,
    /// Bytes that the kernels must move at least.
    pub bytes: u64,
}

#[derive(Deserialize)]
struct Trace {
    #[serde(rename = "traceEvents")]
    events: Vec<Event>,
}

/// A span in the format of Chrome's traces; times in microseconds.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Event {
    ph: String,
    name: String,
    cat: String,
    tid: u64,
    ts: f64,
    dur: f64,
    args: Args,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Args {
    flops: u64,
    bytes: u64,
}

impl TraceTimes {
    /// Reads a run's `profile.json`.
    ///
    /// # Errors
    /// If it cannot be read, is larger than any, or is no trace.
    pub fn read(path: &Path) -> Result<TraceTimes> {
        let size = fs::metadata(path).map_err(Error::io("read", path))?.len();
        if size > MOST_BYTES {
            return Err(Error::format(path, format!("has {size} bytes; a trace has at most {MOST_BYTES}")));
        }
        let bytes = fs::read(path).map_err(Error::io("read", path))?;
        let trace: Trace = serde_json::from_slice(&bytes)
            .map_err(|e| Error::format(path, format!("is no trace of training steps: {e}")))?;
        Ok(TraceTimes::of(&trace.events))
    }

    /// Of the thread that trains; others do shares of its kernels.
    fn of(events: &[Event]) -> TraceTimes {
        let pieces = Part::Piece.name();
        let spans: Vec<&Event> =
            events.iter().filter(|e| e.ph == "X" && e.tid == 0 && e.cat != pieces).collect();
        let owners = owners(&spans);
        let nanos = |us: f64| (us * 1000.0).round();
        let mut own: Vec<f64> = spans.iter().map(|e| nanos(e.dur)).collect();
        for (i, parent) in owners.iter().enumerate() {
            if let Some(p) = parent {
                own[*p] -= nanos(spans[i].dur);
            }
        }
        let (mut kernels, mut layers) = (BTreeMap::new(), BTreeMap::new());
        for (i, span) in spans.iter().enumerate() {
            let kernel = span.cat == Part::Kernel.name();
            let name = if kernel { &*span.name } else { "outside of kernels" };
            add(&mut kernels, name, own[i] * 1e-9, kernel.then_some(span));
            add(&mut layers, layer(&spans, &owners, i), own[i] * 1e-9, kernel.then_some(span));
        }
        let steps = || spans.iter().filter(|e| e.cat == Part::Step.name());
        TraceTimes {
            steps: steps().count(),
            seconds: steps().map(|e| nanos(e.dur)).sum::<f64>() * 1e-9,
            kernels: sorted(kernels),
            layers: sorted(layers),
        }
    }
}

/// The span that each lies in. Spans of a thread are in the order in which they began.
fn owners(spans: &[&Event]) -> Vec<Option<usize>> {
    // Sums of microseconds are off by less than a tenth of a nanosecond.
    let end = |e: &Event| e.ts + e.dur + 1e-4;
    let mut open: Vec<usize> = Vec::new();
    let mut owners = Vec::new();
    for (i, span) in spans.iter().enumerate() {
        while open.last().is_some_and(|&o| end(spans[o]) < span.ts + span.dur) {
            open.pop();
        }
        owners.push(open.last().copied());
        open.push(i);
    }
    owners
}

/// The innermost layer, optimiser or draw that a span is in, or else the phase.
fn layer<'a>(spans: &[&'a Event], owners: &[Option<usize>], of: usize) -> &'a str {
    let (step, phase, kernel) = (Part::Step.name(), Part::Phase.name(), Part::Kernel.name());
    let mut at = Some(of);
    let mut named = "between updates";
    while let Some(i) = at {
        let cat = &*spans[i].cat;
        if ![step, phase, kernel].contains(&cat) {
            return &spans[i].name;
        }
        if cat == phase && named == "between updates" {
            named = &spans[i].name;
        }
        at = owners[i];
    }
    named
}

fn add<'a>(sums: &mut BTreeMap<&'a str, Share>, name: &'a str, seconds: f64, call: Option<&&Event>) {
    let share = sums.entry(name).or_insert_with(|| Share { name: name.into(), ..Share::default() });
    share.seconds += seconds;
    if let Some(call) = call {
        share.calls += 1;
        share.flops = share.flops.saturating_add(call.args.flops);
        share.bytes = share.bytes.saturating_add(call.args.bytes);
    }
}

fn sorted(sums: BTreeMap<&str, Share>) -> Vec<Share> {
    let mut shares: Vec<Share> = sums.into_values().collect();
    shares.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atomic::tests::Folder;
    use crate::backend::trace::{Call, Span};
    use crate::report::Profile;
    use std::time::Duration;

    /// What is read back is what the profile itself adds up.
    #[test]
    fn a_trace_adds_up_as_its_profile_does() {
        let call = |kernel, module: &str| Call {
            kernel,
            shape: vec![100, 100, 100],
            bytes: 1000,
            module: module.into(),
        };
        let span = |part, name: &str, parent, us: [u64; 2], call: Option<Call>| {
            let [start, end] = us.map(Duration::from_micros);
            Span { part, name: name.into(), kind: "", call, thread: 0, parent, start, end }
        };
        let spans = vec![
            span(Part::Step, "step 1", None, [0, 900], None),
            span(Part::Phase, "update of D", Some(0), [10, 880], None),
            span(Part::Forward, "D", Some(1), [20, 500], None),
            span(Part::Forward, "D.net.0", Some(2), [30, 400], None),
            span(Part::Kernel, "gemm", Some(3), [30, 350], Some(call("gemm", "D.net.0"))),
            span(Part::Backward, "D.net.0", Some(1), [500, 700], None),
            span(Part::Kernel, "gemm", Some(5), [510, 690], Some(call("gemm", "D.net.0"))),
            span(Part::Optimiser, "D", Some(1), [700, 800], None),
            span(Part::Step, "step 2", None, [900, 1000], None),
        ];
        let profile = Profile::new(spans, 1);
        let f = Folder::new("trace-times");
        let path = f.0.join("profile.json");
        profile.write(&path).unwrap();
        let times = TraceTimes::read(&path).unwrap();
        assert_eq!((times.steps, (times.seconds * 1e6).round()), (2, 1000.0));
        for (read, made) in [(&times.kernels, &profile.kernels), (&times.layers, &profile.layers)] {
            let of_read: Vec<_> =
                read.iter().map(|s| ((s.seconds * 1e9).round(), s.calls, s.flops, s.bytes)).collect();
            let of_made: Vec<_> =
                made.iter().map(|s| ((s.seconds * 1e9).round(), s.calls, s.flops, s.bytes)).collect();
            assert_eq!(of_read, of_made);
        }
        let names: Vec<&str> = times.layers.iter().map(|s| &*s.name).collect();
        assert_eq!(names[..2], ["D.net.0", "D.net.0 backward"]);
        fs::write(&path, "[1]").unwrap();
        assert!(TraceTimes::read(&path).unwrap_err().to_string().contains("no trace"));
    }
}
