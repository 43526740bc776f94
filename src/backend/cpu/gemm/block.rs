//! The loops around the microkernel, as in BLIS, for one thread's part of C.
//!
//! ```text
//! jc: nc columns                      packed B fits the thread's share of L3
//!   rows of C (mc if C is staged)
//!     pc: kc terms                    a tile's sums end here and go to C
//!       ic: mc rows                   A's block stays in L2
//!         jr: panel of nr columns     packed when first needed, then stays in L1
//!           ir: tile of mr rows       microkernel
//! ```

use super::element::{GemmElement, is_acc};
use super::kernel::{Kernels, Tile, TileBias};
use super::pack::{ABlock, PAD, a_len, pack_a, pack_b, wants_a_copy};
use super::row::Row;
use super::threads::cut;
use super::{MatRef, cache};
use std::ops::Range;

/// Blocks' sizes, from the caches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocking {
    /// Rows of a block of A.
    pub mc: usize,
    /// Columns of a block of B: a multiple of nr.
    pub nc: usize,
}

impl Blocking {
    /// For a tier's kernels on this machine.
    pub fn new<A>(kernels: &Kernels<A>) -> Blocking {
        let caches = cache::caches();
        let run = kernels.kc * size_of::<A>();
        // An eighth: the rest is for the panel of B, C's tiles, and what else runs on the core.
        let mc = (caches.l2 / 8 / run).clamp(kernels.mr, 1024);
        let nc = (caches.l3 / 4 / run).clamp(kernels.nr(), 4096);
        Blocking { mc: mc - mc % kernels.mr, nc: nc - nc % kernels.nr() }
    }
}

/// Rows of A up to which B is not packed if its rows can be read as they lie.
pub const DIRECT_B_ROWS: usize = 128;

/// Terms up to which rows of C are written one by one: a tile would spend more on reaching its rows than on its products.
const FEW_TERMS: usize = 4;

/// Columns staged at a time when C is not written directly.
const STAGED_COLS: usize = 512;

/// One past the last term of the block of k that starts at `start`: kc terms, and up to a quarter more if that
/// ends the sum. A function of k and kc alone, because blocks decide how sums are rounded.
pub(super) fn k_end(start: usize, k: usize, kc: usize) -> usize {
    if k - start <= kc + kc / 4 { k } else { start + kc }
}

/// C of a product; its elements are distinct (checked by the caller of [`Job`]).
pub(super) struct Out<T> {
    pub data: *mut T,
    pub rs: usize,
    pub cs: usize,
}

impl<T> Clone for Out<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Out<T> {}
// SAFETY: parts of one product write distinct elements of C, and nothing else accesses it meanwhile.
unsafe impl<T: Send> Send for Out<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Out<T> {}

/// A bias in the accumulator's type.
#[derive(Clone, Copy)]
pub(super) enum Bias<'a, A> {
    None,
    PerColumn(&'a [A]),
    PerRow(&'a [A]),
}

/// One product C (m x n) = A (m x k) B (k x n) + bias, perhaps rectified, k > 0, with all bounds checked.
#[derive(Clone, Copy)]
pub(super) struct Job<'a, T: GemmElement> {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    pub a: MatRef<'a, T>,
    pub b: MatRef<'a, T>,
    pub bias: Bias<'a, T::Acc>,
    pub slope: Option<T::Acc>,
    pub c: Out<T>,
    pub kernels: &'static Kernels<T::Acc>,
    pub blocking: Blocking,
}

/// How a part of so many rows and columns is computed, and the lengths of its pieces of scratch.
struct Plan {
    /// C is summed in scratch and then narrowed or scattered.
    staged: bool,
    nc: usize,
    /// Rows that share a packed B.
    rows: usize,
    copy_a: bool,
    /// Whole panels of B are read where they lie.
    direct_b: bool,
    /// There is room for one packed panel, not for a block of them.
    one_panel: bool,
    a_len: usize,
    b_len: usize,
    c_len: usize,
}

impl<'a, T: GemmElement> Job<'a, T> {
    /// Rows of B at most in a block.
    fn depth(&self) -> usize {
        let kc = self.kernels.kc;
        self.k.min(kc + kc / 4)
    }

    fn plan(&self, m: usize, n: usize) -> Plan {
        let nr = self.kernels.nr();
        let staged = !is_acc::<T>() || self.c.cs != 1;
        let nc =
            if staged { self.blocking.nc.min(STAGED_COLS.next_multiple_of(nr)) } else { self.blocking.nc };
        let nc = nc.min(n.next_multiple_of(nr));
        let mc = self.blocking.mc.min(m);
        let rows = if staged { mc } else { m };
        let copy_a = wants_a_copy(&self.a, m, n.div_ceil(nr));
        // Rows of B that lie side by side serve a few passes as they are; more pay for packing.
        let direct_b = is_acc::<T>() && self.b.cs == 1 && m <= DIRECT_B_ROWS;
        // With one block of rows a panel is used up before the next is packed.
        let one_panel = rows <= mc;
        let panels = if one_panel { 1 } else { nc / nr };
        // Pieces start on cache lines.
        let line = |len: usize| len.next_multiple_of(PAD);
        Plan {
            staged,
            nc,
            rows,
            copy_a,
            direct_b,
            one_panel,
            a_len: if copy_a { line(a_len(&self.a, mc, self.depth())) } else { 0 },
            b_len: line(panels * nr * self.depth()),
            c_len: if staged { line(mc * (nc + PAD)) } else { 0 },
        }
    }

    /// Elements of scratch that [`run`](Job::run) needs for a part of at most m rows and n columns.
    pub fn scratch_len(&self, m: usize, n: usize) -> usize {
        let plan = self.plan(m, n);
        plan.a_len + plan.b_len + plan.c_len
    }

    /// Computes a part of C on this thread.
    pub fn run(&self, rows: Range<usize>, cols: Range<usize>, scratch: &mut [T::Acc]) {
        if rows.is_empty() || cols.is_empty() {
            return;
        }
        if self.by_rows() {
            return self.run_rows(rows, cols);
        }
        let plan = self.plan(rows.len(), cols.len());
        let (a, rest) = scratch.split_at_mut(plan.a_len);
        let (b, rest) = rest.split_at_mut(plan.b_len);
        let staging = &mut rest[..plan.c_len];
        let ld = plan.nc + PAD;
        let mut worker = Worker { job: self, plan, a, b };
        for cols in steps(cols, worker.plan.nc) {
            for rows in steps(rows.clone(), worker.plan.rows) {
                if worker.plan.staged {
                    worker.block(rows.clone(), cols.clone(), Target { data: staging.as_mut_ptr(), ld });
                    self.unstage(rows, cols.clone(), staging, ld);
                } else {
                    // SAFETY: the block's first element is inside C. T is T::Acc here.
                    let data = unsafe { self.c.data.add(rows.start * self.c.rs + cols.start) };
                    worker.block(rows, cols.clone(), Target { data: data.cast(), ld: self.c.rs });
                }
            }
        }
    }

    /// Whether C is written row by row. Of one block of terms, as a row is one sum.
    fn by_rows(&self) -> bool {
        let few = self.m == 1 || self.k <= FEW_TERMS;
        let one_block = k_end(0, self.k, self.kernels.kc) == self.k;
        let per_row = matches!(self.bias, Bias::PerRow(_));
        few && one_block && is_acc::<T>() && self.b.cs == 1 && self.c.cs == 1 && !per_row
    }

    /// A part of C by rows.
    fn run_rows(&self, rows: Range<usize>, cols: Range<usize>) {
        for i in rows {
            let (a, b) = (self.a.from(i, 0), self.b.from(0, cols.start));
            // T is T::Acc here.
            let bias = match self.bias {
                Bias::PerColumn(b) => b[cols.clone()].as_ptr(),
                _ => std::ptr::null(),
            };
            let row = Row {
                k: self.k,
                s: a.data.as_ptr().cast(),
                ss: a.cs,
                b: b.data.as_ptr().cast(),
                ldb: b.rs,
                n: cols.len(),
                bias,
                slope: self.slope,
                // SAFETY: row i of C has these columns.
                c: unsafe { self.c.data.add(i * self.c.rs + cols.start) }.cast(),
            };
            // SAFETY: the operands' sizes are checked; these elements of C belong to this thread. Tables of kernels exist
            // for supported tiers only.
            unsafe { (self.kernels.row)(&row) };
        }
    }

    /// Narrows and scatters a staged block.
    fn unstage(&self, rows: Range<usize>, cols: Range<usize>, staging: &[T::Acc], ld: usize) {
        for (i, staged) in rows.zip(staging.chunks(ld)) {
            for (j, &x) in cols.clone().zip(staged) {
                // SAFETY: (i, j) is inside C and in this thread's part.
                unsafe { *self.c.data.add(i * self.c.rs + j * self.c.cs) = T::narrow(x) };
            }
        }
    }
}

/// Where a block's sums go: element (i, j) to data[i * ld + j].
#[derive(Clone, Copy)]
struct Target<A> {
    data: *mut A,
    ld: usize,
}

/// A panel of B as the microkernel reads it, rows `ld` apart.
#[derive(Clone, Copy)]
struct Panel<A> {
    data: *const A,
    ld: usize,
}

/// A thread with its scratch for packed copies.
struct Worker<'j, 'a, T: GemmElement> {
    job: &'j Job<'a, T>,
    plan: Plan,
    a: &'j mut [T::Acc],
    b: &'j mut [T::Acc],
}

impl<T: GemmElement> Worker<'_, '_, T> {
    /// The sums over all of k for a block of C.
    fn block(&mut self, rows: Range<usize>, cols: Range<usize>, c: Target<T::Acc>) {
        let job = self.job;
        let mut start = 0;
        while start < job.k {
            let ks = start..k_end(start, job.k, job.kernels.kc);
            for block in steps(rows.clone(), job.blocking.mc) {
                let a = job.a.from(block.start, ks.start);
                let a = if self.plan.copy_a {
                    pack_a(a, block.len(), ks.len(), self.a)
                } else {
                    ABlock { data: a.data.as_ptr().cast(), rs: a.rs, cs: a.cs }
                };
                for (index, panel) in steps(cols.clone(), job.kernels.nr()).enumerate() {
                    let b = self.panel(index, block.start == rows.start, panel.clone(), ks.clone());
                    let (i, j) = (block.start - rows.start, panel.start - cols.start);
                    // SAFETY: a block of C or of the staging area that covers it, both at least this large.
                    let data = unsafe { c.data.add(i * c.ld + j) };
                    self.tiles(block.clone(), panel, ks.clone(), a, b, Target { data, ..c });
                }
            }
            start = ks.end;
        }
    }

    /// B's columns `cols`, the `index`-th panel of its block; packed if `first`, found packed otherwise.
    fn panel(&mut self, index: usize, first: bool, cols: Range<usize>, ks: Range<usize>) -> Panel<T::Acc> {
        let job = self.job;
        let width = cols.len().next_multiple_of(job.kernels.lanes);
        let b = job.b.from(ks.start, cols.start);
        if self.plan.direct_b && cols.len() == width {
            return Panel { data: b.data.as_ptr().cast(), ld: b.rs };
        }
        let slot = if self.plan.one_panel { 0 } else { index * job.kernels.nr() * job.depth() };
        let packed = &mut self.b[slot..][..width * ks.len()];
        if first {
            pack_b(b, ks.len(), cols.len(), width, job.kernels, packed);
        }
        Panel { data: packed.as_ptr(), ld: width }
    }

    /// All row tiles of a panel.
    fn tiles(
        &self,
        rows: Range<usize>,
        cols: Range<usize>,
        ks: Range<usize>,
        a: ABlock<T::Acc>,
        b: Panel<T::Acc>,
        c: Target<T::Acc>,
    ) {
        let (kernels, m) = (self.job.kernels, rows.len());
        let last = ks.end == self.job.k;
        let bias = if last { self.job.bias } else { Bias::None };
        let slope = self.job.slope.filter(|_| last);
        let tiles = kernels.tiles[cols.len().div_ceil(kernels.lanes) - 1];
        let count = m.div_ceil(kernels.mr);
        // Nearly equal tiles rather than full ones and a rest: a tile of few rows waits for its own sums.
        for i in 0..count {
            let tile = cut(m, count, i);
            let kernel = tiles[tile.len() - 1];
            let bias = match bias {
                Bias::None => TileBias::None,
                Bias::PerColumn(b) => TileBias::PerColumn(b[cols.clone()].as_ptr()),
                Bias::PerRow(b) => TileBias::PerRow(b[rows.clone()][tile.clone()].as_ptr()),
            };
            // SAFETY: the tile is inside the block of A, and of C or its staging area, which belong to this thread;
            // the panel holds a whole number of vectors. Tables of kernels exist for supported tiers only.
            unsafe {
                kernel(&Tile {
                    k: ks.len(),
                    a: a.data.add(tile.start * a.rs),
                    ars: a.rs,
                    aks: a.cs,
                    b: b.data,
                    ldb: b.ld,
                    c: c.data.add(tile.start * c.ld),
                    ldc: c.ld,
                    cols: cols.len(),
                    accumulate: ks.start > 0,
                    bias,
                    slope,
                });
            }
        }
    }
}

/// A range in pieces of at most `step`.
fn steps(range: Range<usize>, step: usize) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(step).map(move |i| i..(i + step).min(end))
}
