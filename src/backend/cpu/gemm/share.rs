//! Which threads compute what: parts of a product, or whole products of a batch.

use super::batch::Batch;
use super::block::{Job, Out};
use super::element::GemmElement;
use super::threads::{Grid, cut, fork, wanted};

/// How a batch is shared among threads.
pub(super) enum Share {
    /// So many threads, each with products of its own.
    Across(usize),
    /// One product after the other, each cut into parts.
    Inside(Grid),
}

impl Share {
    /// For `count` products like `job`.
    pub fn new<T: GemmElement>(job: &Job<T>, count: usize) -> Share {
        let madds = job.m.saturating_mul(job.n).saturating_mul(job.k);
        let threads = wanted(madds.saturating_mul(count));
        let inside = if threads > 1 { wanted(madds) } else { 1 };
        // Across threads nothing is shared, but products are whole: with few of them some threads would wait.
        if threads == 1 || count >= 4 * threads || inside < threads.min(count) {
            return Share::Across(threads.min(count));
        }
        Share::Inside(Grid::new(job.m, job.n, job.kernels.mr, job.kernels.nr(), inside))
    }

    /// How many pieces of scratch [`run`](Share::run) needs.
    pub fn parts(&self) -> usize {
        match self {
            Share::Across(threads) => *threads,
            Share::Inside(grid) => grid.parts(),
        }
    }

    /// Elements in each of them.
    pub fn scratch_len<T: GemmElement>(&self, job: &Job<T>) -> usize {
        match self {
            Share::Across(_) => job.scratch_len(job.m, job.n),
            Share::Inside(grid) => {
                let nr = job.kernels.nr();
                let cols = (job.n.div_ceil(nr).div_ceil(grid.cols) * nr).min(job.n);
                job.scratch_len(job.m.div_ceil(grid.rows), cols)
            }
        }
    }

    /// Computes all products of the batch.
    pub fn run<T: GemmElement>(&self, job: &Job<T>, batch: &Batch, scratch: &mut [T::Acc]) {
        let (count, len) = (batch.count(), self.scratch_len(job));
        match self {
            Share::Across(threads) => fork(0..*threads, scratch, len, &|part, scratch| {
                for p in cut(count, *threads, part) {
                    product(job, batch, p).run(0..job.m, 0..job.n, scratch);
                }
            }),
            Share::Inside(grid) => {
                for p in 0..count {
                    let job = product(job, batch, p);
                    fork(0..grid.parts(), scratch, len, &|part, scratch| {
                        let (rows, cols) = grid.part(part, job.m, job.n, job.kernels.nr());
                        job.run(rows, cols, scratch);
                    });
                }
            }
        }
    }
}

/// Product p of the batch whose first one is `job`.
fn product<'a, T: GemmElement>(job: &Job<'a, T>, batch: &Batch, p: usize) -> Job<'a, T> {
    let (a, b, c) = batch.offsets(p);
    // SAFETY: the offset of a product's first element, inside C by `Batch::check`.
    let data = unsafe { job.c.data.add(c) };
    Job { a: job.a.skip(a), b: job.b.skip(b), c: Out { data, ..job.c }, ..*job }
}
