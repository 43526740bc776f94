//! Weights at the points: G g G^T of every tap matrix, in panels as the products read them.
//!
//! ```text
//!            terms k                          columns n
//! forward    [chunk of C][phase][channel]     O, in panels; a unit is one
//! adjoint    O                                [panel's worth of C][phase][channel]; a unit is a panel for each phase
//!
//! U[unit][block of terms][panel of the unit][point][k][nr], with a cache line behind each point
//! ```
//!
//! A chunk of channels in all phases is a block of about 256 terms, or of 16 channels, so that a block's weights come from one stretch of
//! each output's weights.

use super::plan::{Axis, Plan};
use super::reach::spread_out;
use super::tiers::Transformable;
use super::transform::{Grid, MAX_TILE, Points, Transforms};
use crate::backend::cpu::gemm::Kernels;
use crate::backend::cpu::packed::Key;
use std::ops::Range;

/// Terms that a product sums before it returns to its result.
const TERMS: usize = 256;

/// Outputs whose weights the adjoint transforms one after the other.
const TOGETHER: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// y from x.
    Forward,
    /// x from y.
    Adjoint,
}

/// One group's weights, and how they lie once they are transformed.
pub struct Weights<'a, T: 'static> {
    pub plan: &'a Plan,
    pub direction: Direction,
    pub kernels: &'static Kernels<T>,
    pub transforms: &'static Transforms<T>,
    /// `[O, C, kh, kw]`
    pub w: &'a [T],
}

/// Matrices of taps that follow each other: `by` elements apart, and `to` at the points.
struct Steps {
    count: usize,
    by: usize,
    to: usize,
}

impl<T: Transformable> Weights<'_, T> {
    /// Terms of the products.
    pub fn k(&self) -> usize {
        match self.direction {
            Direction::Forward => self.plan.phases() * self.plan.c,
            Direction::Adjoint => self.plan.o,
        }
    }

    /// Channels of x that the forward pass takes together.
    pub fn chunk(&self) -> usize {
        (TERMS / self.plan.phases() / 16).max(1) * 16
    }

    /// Terms of a block but the last.
    fn step(&self) -> usize {
        match self.direction {
            Direction::Forward => self.chunk() * self.plan.phases(),
            Direction::Adjoint => TERMS,
        }
    }

    /// The blocks of terms.
    pub fn blocks(&self) -> Vec<Range<usize>> {
        let (k, step) = (self.k(), self.step());
        (0..k).step_by(step).map(|at| at..(at + step).min(k)).collect()
    }

    /// Channels of the result.
    pub fn channels(&self) -> usize {
        match self.direction {
            Direction::Forward => self.plan.o,
            Direction::Adjoint => self.plan.c,
        }
    }

    /// Panels that share a unit's channels of the result.
    pub fn panels(&self) -> usize {
        match self.direction {
            Direction::Forward => 1,
            Direction::Adjoint => self.plan.phases(),
        }
    }

    pub fn units(&self) -> usize {
        self.channels().div_ceil(self.kernels.nr())
    }

    /// Elements of a unit's block of so many terms.
    pub fn block_len(&self, terms: usize) -> usize {
        self.panels() * self.plan.points() * self.point_len(terms)
    }

    /// Elements from a point's panel of so many terms to the next point's.
    pub fn point_len(&self, terms: usize) -> usize {
        spread_out(terms * self.kernels.nr())
    }

    /// Elements of a unit's blocks of its first `terms` terms.
    pub fn blocks_len(&self, terms: usize) -> usize {
        let step = self.step();
        let rest = terms % step;
        terms / step * self.block_len(step) + if rest > 0 { self.block_len(rest) } else { 0 }
    }

    /// Elements of a unit.
    pub fn unit_len(&self) -> usize {
        self.blocks_len(self.k())
    }

    /// Elements of all of it.
    pub fn len(&self) -> usize {
        self.units() * self.unit_len()
    }

    /// What the whole of it is kept under: all that decides its elements, `first` being where the weights start.
    pub fn key(&self, first: usize) -> Key {
        let ([y, x], plan) = (&self.plan.axes, self.plan);
        let of = |a: &Axis| [a.kernel, a.stride, a.points];
        let ([y0, y1, y2], [x0, x1, x2]) = (of(y), of(x));
        [1, self.direction as usize, self.kernels.lanes, first, plan.c, plan.o, y0, y1, y2, x0, x1, x2]
    }

    /// Elements that [`Weights::fill`] needs for itself.
    pub fn scratch_len(&self) -> usize {
        let [y, x] = &self.plan.axes;
        let taps = y.kernel * x.kernel * self.kernels.lanes;
        let channels =
            if self.direction == Direction::Forward { self.chunk().min(self.plan.c) } else { TOGETHER };
        channels * taps + MAX_TILE * self.kernels.lanes
    }

    /// Writes a unit's block of terms.
    pub fn fill(&self, unit: usize, terms: &Range<usize>, dst: &mut [T], scratch: &mut [T]) {
        assert!(dst.len() >= self.block_len(terms.len()) && scratch.len() >= self.scratch_len());
        let (plan, lanes, nr) = (self.plan, self.kernels.lanes, self.kernels.nr());
        let taps = plan.axes[0].kernel * plan.axes[1].kernel;
        let (buffer, block) = scratch.split_at_mut(MAX_TILE * lanes);
        for v in 0..2 {
            let first = unit * nr + v * lanes;
            let rows = self.channels().saturating_sub(first).min(lanes);
            match self.direction {
                Direction::Forward => {
                    let from = terms.start / plan.phases();
                    let channels = terms.len() / plan.phases();
                    let block = &mut block[..channels * taps * lanes];
                    self.transpose([first, from], plan.c * taps, rows, channels * taps, block);
                    for f in 0..plan.phases() {
                        let to = &mut dst[f * channels * nr + v * lanes..];
                        let steps = Steps { count: channels, by: taps * lanes, to: nr };
                        self.points(f, block, to, terms.len(), steps, buffer);
                    }
                }
                Direction::Adjoint => {
                    let size = taps * lanes;
                    for first_term in (0..terms.len()).step_by(TOGETHER) {
                        let count = TOGETHER.min(terms.len() - first_term);
                        for (i, block) in block[..count * size].chunks_exact_mut(size).enumerate() {
                            self.transpose([terms.start + first_term + i, first], taps, rows, taps, block);
                        }
                        for f in 0..plan.phases() {
                            let at =
                                f * plan.points() * self.point_len(terms.len()) + first_term * nr + v * lanes;
                            let steps = Steps { count, by: size, to: nr };
                            self.points(
                                f,
                                &block[..count * size],
                                &mut dst[at..],
                                terms.len(),
                                steps,
                                buffer,
                            );
                        }
                    }
                }
            }
        }
    }

    /// `depth` elements of `rows` runs `apart` elements from each other, beginning with the first tap from channel c to
    /// output o, as vectors of one element of each run.
    fn transpose(&self, [o, c]: [usize; 2], apart: usize, rows: usize, depth: usize, block: &mut [T]) {
        if rows == 0 {
            return block.fill(T::ZERO);
        }
        let taps = self.plan.axes[0].kernel * self.plan.axes[1].kernel;
        let src = &self.w[(o * self.plan.c + c) * taps..];
        assert!(src.len() >= (rows - 1) * apart + depth && block.len() >= depth * self.kernels.lanes);
        // SAFETY: both are long enough, as just checked. A table of kernels is handed out for tiers the machine has.
        unsafe {
            (self.kernels.transpose)(src.as_ptr(), apart, rows, depth, block.as_mut_ptr(), self.kernels.lanes)
        }
    }

    /// A phase's taps, vectors in `block`, at all points: point p goes to `dst[p * terms * nr..]`.
    fn points(
        &self,
        f: usize,
        block: &[T],
        dst: &mut [T],
        terms: usize,
        Steps { count, by, to }: Steps,
        buffer: &mut [T],
    ) {
        let ([y, x], lanes) = (&self.plan.axes, self.kernels.lanes);
        let [py, px] = self.plan.phase(f);
        let (taps_y, taps_x) = (y.taps_at(py, x.kernel * lanes), x.taps_at(px, lanes));
        let points = self.plan.points();
        let (last, apart) = (count - 1, self.point_len(terms));
        assert!(block.len() >= last * by + y.kernel * x.kernel * lanes && buffer.len() >= MAX_TILE * lanes);
        assert!(dst.len() >= (points - 1) * apart + last * to + lanes);
        let rows: [usize; MAX_TILE] = std::array::from_fn(|p| p);
        let taps = &self.transforms.taps;
        let maps = [&taps[y.taps - 2][y.points - 3], &taps[x.taps - 2][x.points - 3]];
        for i in 0..count {
            // SAFETY: a vector can be read behind each tap and written behind each point, as just checked; the tables of
            // transforms and kernels are of one tier, which the machine has.
            unsafe {
                let first = block.as_ptr().add(i * by).cast_mut();
                let from = Grid { first, rows: &taps_y, columns: &taps_x };
                let first = dst.as_mut_ptr().add(i * to);
                let to = Points { first, rows: &rows, across: x.points, ld: apart };
                self.transforms.inward(maps, from, to, lanes, buffer.as_mut_ptr());
            }
        }
    }
}
