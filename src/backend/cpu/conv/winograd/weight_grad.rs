//! The weight gradient: G^T [(B^T d B) o (A y A^T)] G, summed over all tiles.
//!
//! ```text
//! channels of x and panels of y, cut among threads
//!   block of tiles               V [point][tile][c] of x, Z [point][tile][o] of y
//!     unit of channels, panel    D [point][c][o] = V^T Z, a product of its own for each point; stays in L2
//!       channel                  G^T D G, added to dW's taps
//! ```
//!
//! A thread transforms what it multiplies: nothing is shared but dW's rows. A block's images depend on their sizes alone,
//! and blocks are added up in order.

use super::plan::{Block, Lines, Placed, Plan};
use super::reach::{Matrices, spread_out, touch};
use super::tiers::Transformable;
use super::transform::{Add, Grid, MAX_TILE, Points, Then, Transforms};
use crate::backend::cpu::Buffer;
use crate::backend::cpu::conv::correlate::{Out, scratch};
use crate::backend::cpu::conv::geometry::Image;
use crate::backend::cpu::conv::pack::unpack;
use crate::backend::cpu::gemm::{Kernels, balanced, cut, fork, largest, wanted};
use std::ops::Range;

/// Channels of a unit at most: D is 25 x 64 x 32 elements, 200 KiB.
const UNIT: usize = 64;

/// One group's weight gradient.
pub struct WeightSums<'a, T: 'static> {
    pub plan: &'a Plan,
    pub kernels: &'static Kernels<T>,
    pub transforms: &'static Transforms<T>,
    pub count: usize,
    /// From the group's first channel of the first image on.
    pub x: *const T,
    pub x_image: Image,
    /// Likewise, the upstream gradient.
    pub y: *const T,
    pub y_image: Image,
}

// SAFETY: both operands are only read.
unsafe impl<T: Sync> Sync for WeightSums<'_, T> {}

/// A phase and a range of its channels.
struct Unit {
    phase: usize,
    channels: Range<usize>,
}

impl<T: Transformable> WeightSums<'_, T> {
    /// Writes `[O, C, kh, kw]`.
    ///
    /// # Safety
    /// `x` and `y` have `count` images of their sizes, with the group's channels from there on.
    pub unsafe fn run(&self, dw: &mut [T]) {
        let (plan, nr) = (self.plan, self.kernels.nr());
        let taps = plan.axes[0].kernel * plan.axes[1].kernel;
        let panels = plan.o.div_ceil(nr);
        let ld = panels * nr;
        let mut sums = Buffer::of(T::DTYPE, taps * plan.c * ld);
        let to = Out(sums.as_mut_slice::<T>().as_mut_ptr());
        let parts = wanted(self.count.saturating_mul(plan.work()));
        // Units half as wide where whole ones cannot be shared out evenly.
        let fewest = plan.c.div_ceil(UNIT);
        let grid = |per_phase: usize| {
            let sides = [(plan.o, nr), (plan.phases() * plan.c, plan.c.div_ceil(per_phase))];
            let grid = balanced(parts, sides);
            (grid, largest(grid, sides))
        };
        let (whole, halved) = (grid(fewest), grid((2 * fewest).min(plan.c)));
        let ([along, across], per_phase) = if whole.1 > halved.1 + halved.1 / 8 {
            (halved.0, (2 * fewest).min(plan.c))
        } else {
            (whole.0, fewest)
        };
        let width = plan.c.div_ceil(per_phase);
        let units = plan.phases() * per_phase;
        let capacity = plan.block_tiles(self.count) | 1;
        let rows = plan.points() * capacity;
        let ldv = spread_out(units.div_ceil(across) * width.next_multiple_of(16));
        let ldz = spread_out(panels.div_ceil(along) * nr);
        let lens =
            [rows * ldv, rows * ldz, plan.points() * spread_out(UNIT * nr), MAX_TILE * self.kernels.lanes];
        let lines = Lines::new(plan, self.x_image, self.y_image);
        let (mut buffer, len) = scratch::<T>(across * along, lens.iter().sum());
        fork(0..across * along, buffer.as_mut_slice(), len, &|part, all| {
            let mut rest = all;
            let [v, z, d, buffer] = lens.map(|len| {
                let (first, others) = std::mem::take(&mut rest).split_at_mut(len);
                rest = others;
                first
            });
            let all_units: Vec<Unit> = cut(units, across, part / along)
                .map(|u| {
                    let first = (u % per_phase * width).min(plan.c);
                    Unit { phase: u / per_phase, channels: first..(first + width).min(plan.c) }
                })
                .collect();
            let panels = cut(panels, along, part % along);
            // Columns beyond the last channel take part in products and are never looked at.
            if ld > plan.o {
                z.fill(T::ZERO);
            }
            let mut part = Part {
                all: self,
                units: &all_units,
                width: width.next_multiple_of(16),
                lines: &lines,
                panels,
                v,
                z,
                d,
                buffer,
                ldv,
                ldz,
                ld,
            };
            // SAFETY: the caller's promise; the sums have a row of `ld` elements for each channel and tap, and parts
            // have different channels of a phase, which has taps of its own, or panels.
            unsafe { part.run(capacity, to) };
        });
        let tap_at: Vec<usize> = (0..taps).collect();
        unpack(self.kernels, sums.as_slice(), ld, [plan.c, plan.o], [taps, plan.c * taps], &tap_at, dw);
    }
}

/// Some units and panels, on this thread.
struct Part<'a, T: 'static> {
    all: &'a WeightSums<'a, T>,
    units: &'a [Unit],
    /// Columns of V for a unit.
    width: usize,
    lines: &'a Lines,
    panels: Range<usize>,
    v: &'a mut [T],
    z: &'a mut [T],
    d: &'a mut [T],
    buffer: &'a mut [T],
    ldv: usize,
    ldz: usize,
    /// Of the sums.
    ld: usize,
}

impl<T: Transformable> Part<'_, T> {
    /// # Safety
    /// As [`WeightSums::run`]; the sums have a row of `ld` elements for each channel and tap, of which those of these
    /// units and panels are this thread's.
    unsafe fn run(&mut self, capacity: usize, sums: Out<T>) {
        let all = self.all;
        let mut started = false;
        let (mut last, mut block) = ((0, 0..0), None);
        for (images, strip) in all.plan.blocks(0..all.count * all.plan.rows(), all.count) {
            let of = (images.len(), strip.clone());
            if of != last {
                block = Some(Block::new(all.plan, images.len(), strip, capacity));
                last = of;
            }
            let block = block.as_ref().expect("just made");
            for tile in &block.tiles {
                // SAFETY: the caller's promise; tiles name lines of images and rows of V and Z.
                unsafe {
                    if tile.x.start == 0 {
                        let image = images.start + tile.image;
                        touch(all.x, all.x_image, image, all.plan.axes[0].inputs_of(tile.y));
                        touch(all.y, all.y_image, image, all.plan.axes[0].outputs_in(tile.y));
                    }
                    self.gather(tile, images.start + tile.image);
                    self.spread(tile, images.start + tile.image);
                }
            }
            for (i, unit) in self.units.iter().enumerate() {
                for panel in self.panels.clone() {
                    let column = (panel - self.panels.start) * all.kernels.nr();
                    self.multiply(block, i * self.width, unit.channels.len(), column);
                    // SAFETY: the caller's promise.
                    unsafe { self.fold(unit, panel, sums, started) };
                }
            }
            started = true;
        }
    }

    /// V of a tile: B^T d B.
    ///
    /// # Safety
    /// `x` has the image.
    unsafe fn gather(&mut self, tile: &Placed, image: usize) {
        let all = self.all;
        let gather = &all.transforms.gather;
        let maps = [&gather[tile.y.points - 3], &gather[tile.x.points - 3]];
        for (i, unit) in self.units.iter().enumerate() {
            // SAFETY: the image has the unit's channels, rows of V its columns.
            unsafe {
                let src = all.x.add(image * all.x_image.len() + unit.channels.start).cast_mut();
                let from = self.lines.inputs(tile, all.plan.phase(unit.phase), src);
                let to = tile.points(self.v.as_mut_ptr().add(i * self.width), self.ldv);
                all.transforms.inward(maps, from, to, unit.channels.len(), self.buffer.as_mut_ptr());
            }
        }
    }

    /// Z of a tile: A y A^T.
    ///
    /// # Safety
    /// `y` has the image.
    unsafe fn spread(&mut self, tile: &Placed, image: usize) {
        let all = self.all;
        let ([ay, ax], spread) = (&all.plan.axes, &all.transforms.spread);
        let maps = [&spread[ay.taps - 2][tile.y.points - 3], &spread[ax.taps - 2][tile.x.points - 3]];
        let nr = all.kernels.nr();
        let first = self.panels.start * nr;
        let n = (self.panels.end * nr).min(all.plan.o) - first;
        // SAFETY: the image has the panels' channels, rows of Z their columns.
        unsafe {
            let from = self.lines.outputs(tile, all.y.add(image * all.y_image.len() + first).cast_mut());
            let to = tile.points(self.z.as_mut_ptr(), self.ldz);
            all.transforms.inward(maps, from, to, n, self.buffer.as_mut_ptr());
        }
    }

    /// D of all points for a unit, `columns` of V from `at` on, and a panel.
    fn multiply(&mut self, block: &Block, at: usize, columns: usize, panel: usize) {
        let kernels = self.all.kernels;
        let nr = kernels.nr();
        for p in 0..self.all.plan.points() {
            let (rows, first) = (block.rows[p], p * block.capacity);
            assert!(self.v.len() >= (first + rows) * self.ldv && self.ldv >= at + columns);
            assert!(self.z.len() >= (first + rows) * self.ldz && self.ldz >= panel + nr);
            assert!(self.d.len() >= (p + 1) * spread_out(UNIT * nr) && columns <= UNIT);
            let product = Matrices {
                a: self.v[first * self.ldv + at..].as_ptr(),
                ars: 1,
                aks: self.ldv,
                b: self.z[first * self.ldz + panel..].as_ptr(),
                ldb: self.ldz,
                c: self.d[p * spread_out(UNIT * nr)..].as_mut_ptr(),
                ldc: nr,
            };
            // SAFETY: V and Z have these rows and columns, D these places, as just checked.
            unsafe { product.multiply(kernels, columns, rows, false) };
        }
    }

    /// Adds G^T D G to the sums, or begins them.
    ///
    /// # Safety
    /// As [`Part::run`].
    unsafe fn fold(&mut self, unit: &Unit, panel: usize, sums: Out<T>, add: bool) {
        let all = self.all;
        let ([ay, ax], fold, nr) = (&all.plan.axes, &all.transforms.fold, all.kernels.nr());
        let maps = [&fold[ay.taps - 2][ay.points - 3], &fold[ax.taps - 2][ax.points - 3]];
        let [py, px] = all.plan.phase(unit.phase);
        // From one tap of a channel to the next.
        let apart = all.plan.c * self.ld;
        let (rows, columns) = (ay.taps_at(py, ax.kernel * apart), ax.taps_at(px, apart));
        let points: [usize; MAX_TILE] = std::array::from_fn(|p| p);
        let add = if add { Add::There } else { Add::Nothing };
        for c in 0..unit.channels.len() {
            // SAFETY: D has a row of `nr` elements for each channel, and so have the sums, by the caller's promise.
            unsafe {
                let first = self.d.as_mut_ptr().add(c * nr);
                let from = Points { first, rows: &points, across: ax.points, ld: spread_out(UNIT * nr) };
                let first = sums.get().add((unit.channels.start + c) * self.ld + panel * nr);
                let to = Grid { first, rows: &rows, columns: &columns };
                all.transforms.outward(
                    maps,
                    from,
                    to,
                    nr,
                    self.buffer.as_mut_ptr(),
                    Then { add, slope: None },
                );
            }
        }
    }
}
