//! What took from when to when.

use super::{Call, WATCHING, Watching};
use crate::local;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// What a [`Span`] is the time of.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Part {
    /// A training step.
    Step,
    /// A part of a step, as the game has them: `D forward on x`.
    Phase,
    /// A module's forward pass.
    Forward,
    /// Derivatives of what a module computed.
    Backward,
    /// An optimiser's update of a network.
    Optimiser,
    /// Draws of data and noise.
    Data,
    /// A call of a backend's primitive.
    Kernel,
    /// A share of a kernel that was offered to another thread.
    Piece,
}

impl Part {
    /// Its name in tables and files.
    ///
    /// ```
    /// use ganvil::backend::trace::Part;
    /// assert_eq!(Part::Optimiser.name(), "optimiser");
    /// ```
    pub fn name(self) -> &'static str {
        match self {
            Part::Step => "step",
            Part::Phase => "phase",
            Part::Forward => "forward",
            Part::Backward => "backward",
            Part::Optimiser => "optimiser",
            Part::Data => "data",
            Part::Kernel => "kernel",
            Part::Piece => "piece",
        }
    }
}

/// A stretch of time on a thread. Those of a thread nest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// What it is the time of.
    pub part: Part,
    /// A module's path, a kernel's name, a phase.
    pub name: Arc<str>,
    /// A module's type; else empty.
    pub kind: &'static str,
    /// A kernel's call.
    pub call: Option<Call>,
    /// The thread, numbered from 0 in the order in which threads appear.
    pub thread: usize,
    /// The index of the span in which it was begun.
    pub parent: Option<usize>,
    /// When it began, since the timeline did.
    pub start: Duration,
    /// When it ended; its start if it has not yet.
    pub end: Duration,
}

impl Span {
    /// How long it took.
    pub fn duration(&self) -> Duration {
        self.end - self.start
    }
}

/// Times what threads do while they are watched.
///
/// ```
/// use ganvil::backend::trace::{Part, Timeline};
/// use ganvil::{DType, Device, Tensor};
/// let x = Tensor::ones(&[64, 32], DType::F32, Device::Cpu);
/// let timeline = Timeline::default();
/// let y = timeline.watch(|| x.matmul(&x.t()));
/// drop(y.exp()); // out of sight
/// let spans = timeline.spans();
/// assert_eq!((spans.len(), spans[0].part, &*spans[0].name), (1, Part::Kernel, "gemm"));
/// assert!(spans[0].end > spans[0].start);
/// ```
#[derive(Clone, Default)]
pub struct Timeline(Arc<Shared>);

struct Shared {
    began: Instant,
    spans: Mutex<Spans>,
}

#[derive(Default)]
struct Spans {
    list: Vec<Span>,
    /// Threads' own numbers in the order in which they came.
    threads: Vec<usize>,
}

impl Default for Shared {
    fn default() -> Shared {
        Shared { began: Instant::now(), spans: Mutex::default() }
    }
}

impl Timeline {
    /// Runs `f` and times what this thread does meanwhile, and the pieces of kernels that other threads do for it.
    /// Results are those without: on a GPU each kernel is waited for, that is all.
    pub fn watch<R>(&self, f: impl FnOnce() -> R) -> R {
        let watching = Watching { calls: None, timeline: Some(self.clone()), innermost: None };
        local::with(&WATCHING, Some(Box::new(watching)), f)
    }

    /// The spans so far, in the order in which they began.
    pub fn spans(&self) -> Vec<Span> {
        self.lock().list.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Spans> {
        self.0.spans.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn begin(
        &self,
        part: Part,
        (name, kind): (Arc<str>, &'static str),
        call: Option<Call>,
        parent: Option<usize>,
    ) -> usize {
        let mut spans = self.lock();
        let own = own_number();
        let thread = spans.threads.iter().position(|&t| t == own).unwrap_or_else(|| {
            spans.threads.push(own);
            spans.threads.len() - 1
        });
        let start = self.0.began.elapsed();
        spans.list.push(Span { part, name, kind, call, thread, parent, start, end: start });
        spans.list.len() - 1
    }
}

/// A number that no other thread has.
fn own_number() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    OWN.with(|n| *n)
}

/// A span that ends when this is dropped; nothing where none is timed.
#[must_use = "the span ends when this is dropped"]
pub(crate) struct Open(Option<Opened>);

struct Opened {
    timeline: Timeline,
    index: usize,
    outer: Option<usize>,
}

impl Open {
    /// Whether there is a span.
    pub fn is_timed(&self) -> bool {
        self.0.is_some()
    }

    /// Gives it another name: for what is known only when it is over.
    pub fn rename(&self, name: &str) {
        if let Some(o) = &self.0 {
            o.timeline.lock().list[o.index].name = name.into();
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Some(Opened { timeline, index, outer }) = self.0.take() else { return };
        let end = timeline.0.began.elapsed();
        timeline.lock().list[index].end = end;
        WATCHING.with_borrow_mut(|w| {
            if let Some(w) = w.as_mut().filter(|w| w.innermost == Some(index)) {
                w.innermost = outer;
            }
        });
    }
}

/// Begins a span if this thread's are timed.
pub(super) fn open(
    part: Part,
    name: impl FnOnce() -> (Arc<str>, &'static str),
    call: Option<impl FnOnce() -> Call>,
) -> Open {
    WATCHING.with_borrow_mut(|w| {
        let Some((w, timeline)) = w.as_mut().and_then(|w| w.timeline.clone().map(|t| (w, t))) else {
            return Open(None);
        };
        let outer = w.innermost;
        let index = timeline.begin(part, name(), call.map(|c| c()), outer);
        w.innermost = Some(index);
        Open(Some(Opened { timeline, index, outer }))
    })
}

/// Begins a span round kernels: its name, and a module's type.
pub(crate) fn slice(part: Part, name: impl FnOnce() -> (Arc<str>, &'static str)) -> Open {
    open(part, name, None::<fn() -> Call>)
}

/// Whether this thread's spans are timed.
pub(crate) fn is_timed() -> bool {
    WATCHING.with_borrow(|w| w.as_ref().is_some_and(|w| w.timeline.is_some()))
}

/// The innermost module whose pass, forward or backward, is being timed.
pub(crate) fn layer() -> Option<Arc<str>> {
    WATCHING.with_borrow(|w| {
        let (timeline, mut at) = w.as_ref().and_then(|w| Some((w.timeline.as_ref()?, w.innermost)))?;
        let spans = timeline.lock();
        while let Some(i) = at {
            let span = &spans.list[i];
            if matches!(span.part, Part::Forward | Part::Backward) {
                return Some(span.name.clone());
            }
            at = span.parent;
        }
        None
    })
}

/// A kernel whose pieces are timed, on its way to the threads that do them.
#[derive(Clone)]
pub(crate) struct Pieces {
    timeline: Timeline,
    of: usize,
    name: Arc<str>,
}

/// The kernel that this thread is in, if its pieces are to be timed.
pub(crate) fn pieces() -> Option<Pieces> {
    WATCHING.with_borrow(|w| {
        let w = w.as_ref()?;
        let (timeline, of) = (w.timeline.clone()?, w.innermost?);
        let name = timeline.lock().list[of].name.clone();
        Some(Pieces { timeline, of, name })
    })
}

impl Pieces {
    /// Runs a piece on this thread, under a span of its own if it was `offered` to others; and out of sight of anything
    /// else.
    pub fn run(pieces: Option<Pieces>, offered: bool, f: impl FnOnce()) {
        let (watching, name) = match pieces {
            Some(Pieces { timeline, of, name }) => (
                Some(Box::new(Watching { calls: None, timeline: Some(timeline), innermost: Some(of) })),
                Some(name),
            ),
            None => (None, None),
        };
        local::with(&WATCHING, watching, || {
            let _span = name.filter(|_| offered).map(|name| slice(Part::Piece, || (name, "")));
            f();
        });
    }
}
