//! Steps of a run that are timed.

use super::Event;
use crate::Result;
use crate::Tensor;
use crate::backend::trace::{self, Open, Part, Timeline};
use crate::gan::draws::Pass;
use crate::gan::probe::{DiscriminatorUpdate, GeneratorUpdate, Probe};
use crate::gan::run::Run;
use crate::gan::session::Watch;
use crate::gan::step::{Gan, NotFinite};
use crate::report::Profile;
use std::ops::RangeInclusive;

/// The file in a run's folder.
const FILE: &str = "profile.json";

/// The profile in the making.
pub(super) struct Profiling {
    /// The steps, counted from 1; nothing where none are to be profiled, or no longer.
    steps: Option<RangeInclusive<u64>>,
    timeline: Timeline,
}

impl Profiling {
    /// `count` steps of a run that has made `done` of `total`, behind those that warm it up.
    pub fn of(count: Option<u64>, done: u64, total: u64) -> Profiling {
        let left = total.saturating_sub(done);
        let steps = count.filter(|_| left > 0).map(|count| {
            let first = done + 1 + Watch::WARM_UP.min(left / 2);
            first..=total.min(first + count - 1)
        });
        Profiling { steps, timeline: Timeline::default() }
    }

    /// Plays step `next`, timed if it is one of those.
    pub fn step(
        &self,
        next: u64,
        probe: &mut dyn Probe,
        play: &mut dyn FnMut(&mut dyn Probe) -> std::result::Result<(), NotFinite>,
    ) -> std::result::Result<(), NotFinite> {
        if !self.steps.as_ref().is_some_and(|s| s.contains(&next)) {
            return play(probe);
        }
        self.timeline.watch(|| {
            let _step = trace::slice(Part::Step, || (format!("step {next}").into(), ""));
            play(&mut Phases { inner: probe, phase: None, update: None })
        })
    }

    /// Writes the profile behind its last step, or where the run is `stopping` behind what there is.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn end(&mut self, step: u64, stopping: bool, run: &Run, on: &mut dyn FnMut(Event)) -> Result<()> {
        let Some(steps) = self.steps.take_if(|s| step >= *s.start() && (stopping || step >= *s.end())) else {
            return Ok(());
        };
        let profile = Profile::new(self.timeline.spans(), *steps.start());
        self.timeline = Timeline::default();
        let path = run.dir().join(FILE);
        profile.write(&path)?;
        on(Event::Profiled(&profile));
        on(Event::Wrote(&path));
        Ok(())
    }
}

/// Spans of a step's updates and of their phases.
struct Phases<'a> {
    /// Another probe, which sees the step as well.
    inner: &'a mut dyn Probe,
    /// The phase that is on. Its name is known when it ends; behind the last are other probes. Dropped before the update,
    /// which it is a part of.
    phase: Option<Open>,
    update: Option<Open>,
}

fn phase() -> Option<Open> {
    Some(trace::slice(Part::Phase, || ("reports".into(), "")))
}

impl Probe for Phases<'_> {
    fn begins(&mut self, gan: &Gan, pass: Pass) {
        let name = match pass {
            Pass::Discriminator(_) => "update of D",
            Pass::Generator(_) => "update of G",
        };
        self.update = Some(trace::slice(Part::Phase, || (name.into(), "")));
        self.phase = phase();
        self.inner.begins(gan, pass);
    }

    fn note(&mut self, name: &'static str, t: &Tensor, why: &'static str) {
        self.inner.note(name, t, why);
    }

    fn phase(&mut self, name: &'static str) {
        self.inner.phase(name);
        if let Some(ended) = self.phase.take() {
            ended.rename(name);
        }
        self.phase = phase();
    }

    fn discriminator(&mut self, u: &DiscriminatorUpdate) {
        self.inner.discriminator(u);
    }

    fn generator(&mut self, u: &GeneratorUpdate) {
        self.inner.generator(u);
    }

    fn updated(&mut self, gan: &Gan, pass: Pass) {
        self.inner.updated(gan, pass);
        self.phase = None;
        self.update = None;
    }
}
