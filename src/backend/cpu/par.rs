//! Splitting work over the threads of whatever rayon pool is current.
//!
//! No kernel builds a pool. The number of pieces grows with the work, and pieces never decide how anything is
//! added up, so that results do not depend on the number of threads.

use crate::backend::trace;
use crate::local;

/// Elements below which an elementwise loop is not worth another thread. Small under Miri, so that work is split there.
pub(crate) const GRAIN: usize = if cfg!(miri) { 64 } else { 32 * 1024 };

/// Threads that work can be shared among. The first call outside of a pool starts rayon's global one.
pub(crate) fn threads() -> usize {
    if cfg!(miri) { 2 } else { rayon::current_num_threads() }
}

/// Runs both closures, perhaps at once. A thread that waits for the other's half may run anything else that the pool
/// was given: what it has set for this computation is put aside.
pub(crate) fn join(a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
    let pieces = trace::pieces();
    let other = pieces.clone();
    let (a, b) = (|| trace::Pieces::run(pieces, false, a), || trace::Pieces::run(other, true, b));
    trace::unseen(|| local::aside(|| fork(a, b)));
}

#[cfg(not(miri))]
fn fork(a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
    rayon::join(a, b);
}

/// On a plain thread: rayon's queues are too slow under Miri, and a thread of its own shows Miri's race detector every
/// pair of pieces that overlap.
#[cfg(miri)]
fn fork(a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(b);
        a();
    });
}

/// How many pieces `work` units deserve when one piece should have at least `grain`.
pub(crate) fn pieces(work: usize, grain: usize) -> usize {
    if work < 2 * grain { 1 } else { (work / grain).min(threads()) }
}

/// Splits `out` into pieces that start at multiples of `unit` elements and runs `f(start / unit, piece)` for each.
pub(crate) fn split<T: Send>(
    out: &mut [T],
    unit: usize,
    pieces: usize,
    f: &(dyn Fn(usize, &mut [T]) + Sync),
) {
    fn go<T: Send>(
        first: usize,
        out: &mut [T],
        unit: usize,
        pieces: usize,
        f: &(dyn Fn(usize, &mut [T]) + Sync),
    ) {
        let units = out.len() / unit;
        if pieces <= 1 || units <= 1 {
            return f(first, out);
        }
        let left = pieces / 2;
        let mid = units * left / pieces;
        let (a, b) = out.split_at_mut(mid * unit);
        join(|| go(first, a, unit, left, f), || go(first + mid, b, unit, pieces - left, f));
    }
    if !out.is_empty() {
        go(0, out, unit.max(1), pieces, f);
    }
}

/// What is done with a piece of two results, which starts with some unit.
type Both<'a, T> = dyn Fn(usize, &mut [T], &mut [T]) + Sync + 'a;

/// [`split`] of two results at once: `beside` has `of_unit` elements for each unit of `out`, of which the last may be
/// incomplete.
pub(crate) fn split_beside<T: Send>(
    out: &mut [T],
    unit: usize,
    beside: &mut [T],
    of_unit: usize,
    pieces: usize,
    f: &Both<T>,
) {
    /// Both parts of a piece, from its first unit on.
    type Piece<'a, T> = (usize, &'a mut [T], &'a mut [T]);
    fn go<T: Send>((first, out, beside): Piece<T>, [unit, of_unit]: [usize; 2], pieces: usize, f: &Both<T>) {
        let units = beside.len() / of_unit;
        if pieces <= 1 || units <= 1 {
            return f(first, out, beside);
        }
        let left = pieces / 2;
        let mid = units * left / pieces;
        let (a, b) = out.split_at_mut(mid * unit);
        let (x, y) = beside.split_at_mut(mid * of_unit);
        let sizes = [unit, of_unit];
        join(|| go((first, a, x), sizes, left, f), || go((first + mid, b, y), sizes, pieces - left, f));
    }
    if !out.is_empty() {
        go((0, out, beside), [unit, of_unit], pieces, f);
    }
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    #[test]
    fn work_taken_up_while_waiting_finds_nothing_of_what_the_thread_had_set() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let (started, has_started) = channel();
        let (found, other_work) = channel();
        let a = move || has_started.recv_timeout(Duration::from_secs(60)).expect("the other thread takes b");
        let b = move || {
            started.send(()).unwrap();
            // The thread of `a` has nothing left to do but this, and b does not end before it is done.
            rayon::spawn(move || {
                drop(trace::note("other", &[], 0));
                found.send((crate::is_recording(), crate::error::Scope::path())).unwrap();
            });
            other_work.recv_timeout(Duration::from_secs(60)).expect("the waiting thread takes it up")
        };
        let mut seen = None;
        let (_, calls) = pool.install(|| {
            let _scope = crate::error::Scope::enter("D");
            crate::no_grad(|| trace::record(|| join(a, || seen = Some(b()))))
        });
        assert_eq!(seen, Some((true, String::new())));
        assert_eq!(calls, []);
    }
}
