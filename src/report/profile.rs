//! Where the time of training steps went: by kernel, by layer, and as a trace.

use crate::Result;
use crate::atomic::write_atomic;
use crate::backend::trace::{Part, Span};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What a kernel or a layer cost in all steps together.
#[derive(Clone, PartialEq, Debug)]
pub struct Cost {
    /// A kernel, a module's path, a network, a phase.
    pub name: String,
    /// A module's type; else empty.
    pub kind: &'static str,
    /// What it did: [`Part::Forward`], [`Part::Backward`], [`Part::Optimiser`], [`Part::Data`] or, for what belongs to none
    /// of them, [`Part::Phase`]; [`Part::Kernel`] in the list of kernels.
    pub part: Part,
    /// Calls of kernels.
    pub calls: usize,
    /// Time: a kernel's; a layer's with all that is done in it besides kernels, and without the layers inside of it.
    pub seconds: f64,
    /// Floating-point operations of matrix products and convolutions, by their definition.
    pub flops: u64,
    /// Bytes that its kernels must move at least.
    pub bytes: u64,
}

/// Where the time of some steps went. Both lists add up to it.
///
/// ```
/// use ganvil::backend::trace::{Call, Part, Span};
/// use ganvil::report::{Cost, Profile};
/// use std::time::Duration;
/// let call = Call { kernel: "gemm", shape: vec![100, 100, 100], bytes: 120_000, module: "D.net.0".into() };
/// let span = |part, name: &str, parent, us: [u64; 2], call| {
///     let [start, end] = us.map(Duration::from_micros);
///     Span { part, name: name.into(), kind: "", call, thread: 0, parent, start, end }
/// };
/// let profile = Profile::new(
///     vec![
///         span(Part::Step, "step 1", None, [0, 500], None),
///         span(Part::Forward, "D.net.0", Some(0), [100, 400], None),
///         span(Part::Kernel, "gemm", Some(1), [100, 350], Some(call)),
///     ],
///     1,
/// );
/// let us = |c: &Cost| (c.seconds * 1e6).round();
/// let (layer, gemm, rest) = (&profile.layers[0], &profile.kernels[0], &profile.kernels[1]);
/// assert_eq!((&*layer.name, us(layer), layer.flops), ("D.net.0", 300.0, 2_000_000));
/// assert_eq!((&*gemm.name, us(gemm)), ("gemm", 250.0));
/// assert_eq!((&*rest.name, us(rest)), ("outside of kernels", 250.0));
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct Profile {
    /// The first of the steps, counted from 1.
    pub first: u64,
    /// Their number.
    pub steps: usize,
    /// Their time.
    pub seconds: f64,
    /// By kernel, the longest first; and what was spent outside of any.
    pub kernels: Vec<Cost>,
    /// By layer and direction, the longest first.
    pub layers: Vec<Cost>,
    spans: Vec<Span>,
}

/// The name of what a graph was made of outside of any module.
const NO_LAYER: &str = "losses";

impl Profile {
    /// The profile of spans that a [`Timeline`](crate::backend::trace::Timeline) has of training steps, of which the
    /// first is number `first`.
    pub fn new(spans: Vec<Span>, first: u64) -> Profile {
        let steps = spans.iter().filter(|s| s.part == Part::Step);
        let (count, nanos) = steps.fold((0, 0), |(n, sum), s| (n + 1, sum + s.duration().as_nanos()));
        let own = own_times(&spans);
        let (mut kernels, mut layers) = (Sums::default(), Sums::default());
        for (i, span) in spans.iter().enumerate().filter(|(_, s)| s.part != Part::Piece) {
            let (part, name, kind) = owner(&spans, i);
            layers.add(part, &name, kind, own[i], span);
            match span.part {
                Part::Kernel => kernels.add(Part::Kernel, &span.name, "", own[i], span),
                _ => kernels.add(Part::Kernel, "outside of kernels", "", own[i], span),
            }
        }
        let (kernels, layers) = (kernels.sorted(), layers.sorted());
        Profile { first, steps: count, seconds: nanos as f64 * 1e-9, kernels, layers, spans }
    }

    /// The spans.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The spans in the format of Chrome's traces, which Perfetto (ui.perfetto.dev) and chrome://tracing show: times in
    /// microseconds, a track for each thread.
    pub fn trace(&self) -> Value {
        let threads = self.spans.iter().map(|s| s.thread + 1).max().unwrap_or(0);
        let tracks = (0..threads).map(|t| {
            let name = if t == 0 { "training".to_owned() } else { format!("kernels' thread {t}") };
            json!({ "ph": "M", "name": "thread_name", "pid": 1, "tid": t, "args": { "name": name } })
        });
        let events: Vec<Value> = tracks.chain(self.spans.iter().map(event)).collect();
        json!({ "displayTimeUnit": "ms", "traceEvents": events })
    }

    /// Writes [`Profile::trace`] to a file, which is there whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_atomic(path, self.trace().to_string().as_bytes())
    }
}

fn event(span: &Span) -> Value {
    let us = |d: std::time::Duration| d.as_nanos() as f64 / 1000.0;
    let name = match (&*span.name, span.part) {
        ("", _) => NO_LAYER.into(),
        (name, Part::Optimiser) => format!("optimiser of {name}"),
        (name, Part::Backward) => format!("{name} backward"),
        (name, _) => name.to_owned(),
    };
    let mut args = serde_json::Map::new();
    if !span.kind.is_empty() {
        args.insert("type".into(), span.kind.into());
    }
    if let Some(call) = &span.call {
        args.insert("shape".into(), json!(call.shape));
        args.insert("bytes".into(), call.bytes.into());
        let seconds = span.duration().as_secs_f64();
        if call.macs() > 0 {
            args.insert("flops".into(), (2 * call.macs()).into());
            args.insert("GFLOP/s".into(), rate(2 * call.macs(), seconds).into());
        }
        args.insert("GB/s".into(), rate(call.bytes, seconds).into());
    }
    json!({
        "ph": "X", "name": name, "cat": span.part.name(), "pid": 1, "tid": span.thread, "ts": us(span.start),
        "dur": us(span.duration()), "args": args,
    })
}

/// Thousands of millions a second; 0 where the clock did not move.
fn rate(amount: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { amount as f64 / seconds * 1e-9 } else { 0.0 }
}

/// The time of each span without the spans inside of it, in seconds.
fn own_times(spans: &[Span]) -> Vec<f64> {
    let mut own: Vec<i128> = spans.iter().map(|s| s.duration().as_nanos() as i128).collect();
    for span in spans.iter().filter(|s| s.part != Part::Piece) {
        if let Some(p) = span.parent {
            own[p] -= span.duration().as_nanos() as i128;
        }
    }
    own.into_iter().map(|n| n as f64 * 1e-9).collect()
}

/// What a span is accounted to: the innermost layer, update or draw that it is in, or else the phase.
fn owner(spans: &[Span], of: usize) -> (Part, Arc<str>, &'static str) {
    let mut phase = None;
    let mut at = Some(of);
    while let Some(i) = at {
        let span = &spans[i];
        match span.part {
            Part::Backward if span.name.is_empty() => return (span.part, NO_LAYER.into(), ""),
            Part::Forward | Part::Backward | Part::Optimiser | Part::Data => {
                return (span.part, span.name.clone(), span.kind);
            }
            Part::Phase | Part::Step => phase = phase.or(Some(span)),
            Part::Kernel | Part::Piece => {}
        }
        at = span.parent;
    }
    let name = phase.filter(|p| p.part == Part::Phase).map_or("between updates".into(), |p| p.name.clone());
    (Part::Phase, name, "")
}

#[derive(Default)]
struct Sums(BTreeMap<(Part, Arc<str>), Cost>);

impl Sums {
    fn add(&mut self, part: Part, name: &str, kind: &'static str, seconds: f64, span: &Span) {
        let nothing = || Cost { name: name.into(), kind, part, calls: 0, seconds: 0.0, flops: 0, bytes: 0 };
        let cost = self.0.entry((part, name.into())).or_insert_with(nothing);
        cost.seconds += seconds;
        if let Some(call) = &span.call {
            cost.calls += 1;
            cost.flops += 2 * call.macs();
            cost.bytes += call.bytes;
        }
    }

    /// The longest first.
    fn sorted(self) -> Vec<Cost> {
        let mut costs: Vec<Cost> = self.0.into_values().collect();
        let kinds: BTreeMap<String, &'static str> =
            costs.iter().filter(|c| !c.kind.is_empty()).map(|c| (c.name.clone(), c.kind)).collect();
        // Derivatives are told from which module they come, not of which type that is.
        for cost in costs.iter_mut().filter(|c| c.part == Part::Backward) {
            cost.kind = kinds.get(&cost.name).copied().unwrap_or_default();
        }
        costs.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        costs
    }
}
