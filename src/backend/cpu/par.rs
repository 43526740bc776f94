//! Splitting work over the threads of whatever rayon pool is current.
//!
//! No kernel builds a pool. The number of pieces grows with the work, and pieces never decide how anything is
//! added up, so that results do not depend on the number of threads.

/// Elements below which an elementwise loop is not worth another thread.
pub(crate) const GRAIN: usize = 32 * 1024;

/// How many pieces `work` units deserve when one piece should have at least `grain`.
pub(crate) fn pieces(work: usize, grain: usize) -> usize {
    if work < 2 * grain { 1 } else { (work / grain).min(rayon::current_num_threads()) }
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
        rayon::join(|| go(first, a, unit, left, f), || go(first + mid, b, unit, pieces - left, f));
    }
    if !out.is_empty() {
        go(0, out, unit.max(1), pieces, f);
    }
}
