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

use super::plan::{Block, Placed, Plan};
use super::reach::{Matrices, pixels, places, reading, spread_out, touch};
use super::tiers::Transformable;
use super::transform::{Add, MAX_TILE, Passes, Transforms};
use crate::backend::cpu::Buffer;
use crate::backend::cpu::conv::correlate::{Out, scratch};
use crate::backend::cpu::conv::geometry::Image;
use crate::backend::cpu::conv::pack::unpack;
use crate::backend::cpu::gemm::{Kernels, cut, fork, wanted};
use std::ops::Range;
use std::ptr::null_mut;

/// Channels of a unit: D is 25 x 64 x 32 elements, 200 KiB.
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
        let per_phase = plan.c.div_ceil(UNIT);
        let units = plan.phases() * per_phase;
        let parts = wanted(self.count.saturating_mul(plan.work()));
        let across = parts.min(units);
        let along = (parts / across).clamp(1, panels);
        let capacity = plan.block_tiles(self.count) | 1;
        let rows = plan.points() * capacity;
        let ldv = spread_out(units.div_ceil(across) * UNIT.min(plan.c.next_multiple_of(16)));
        let ldz = spread_out(panels.div_ceil(along) * nr);
        let lens =
            [rows * ldv, rows * ldz, plan.points() * spread_out(UNIT * nr), MAX_TILE * self.kernels.lanes];
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
                    let first = u % per_phase * UNIT;
                    Unit { phase: u / per_phase, channels: first..(first + UNIT).min(plan.c) }
                })
                .collect();
            let panels = cut(panels, along, part % along);
            // Columns beyond the last channel take part in products and are never looked at.
            z.fill(T::ZERO);
            let mut part = Part { all: self, units: &all_units, panels, v, z, d, buffer, ldv, ldz, ld };
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
        for (images, strip) in all.plan.blocks(0..all.count, all.count) {
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
                        touch(all.y, all.y_image, image, all.plan.axes[0].outputs_at(tile.y));
                    }
                    self.gather(tile, images.start + tile.image);
                    self.spread(tile, images.start + tile.image);
                }
            }
            let width = self.unit_width();
            for (i, unit) in self.units.iter().enumerate() {
                for panel in self.panels.clone() {
                    let column = (panel - self.panels.start) * all.kernels.nr();
                    self.multiply(block, i * width, unit.channels.len(), column);
                    // SAFETY: the caller's promise.
                    unsafe { self.fold(unit, panel, sums, started) };
                }
            }
            started = true;
        }
    }

    /// Columns of V for a unit.
    fn unit_width(&self) -> usize {
        UNIT.min(self.all.plan.c.next_multiple_of(16))
    }

    /// V of a tile: B^T d B.
    ///
    /// # Safety
    /// `x` has the image.
    unsafe fn gather(&mut self, tile: &Placed, image: usize) {
        let all = self.all;
        let ([ay, ax], gather) = (&all.plan.axes, &all.transforms.gather);
        let passes = [gather[tile.y.points - 3], gather[tile.x.points - 3]];
        let to = places(tile, self.v, self.ldv);
        // SAFETY: the caller's promise.
        let src = unsafe { all.x.add(image * all.x_image.len()) }.cast_mut();
        let count = tile.rows().len();
        for (i, unit) in self.units.iter().enumerate() {
            let [py, px] = all.plan.phase(unit.phase);
            let line = |i: usize, j: usize| ay.input(tile.y, py, i).zip(ax.input(tile.x, px, j));
            let from = pixels(src, all.x_image, [tile.y.points, tile.x.points], line);
            let at = [unit.channels.start, i * self.unit_width()];
            // SAFETY: pixels have the unit's channels, rows of V its columns.
            unsafe {
                self.apply(passes, &from[..count], &to[..count], at, unit.channels.len(), Add::Nothing)
            };
        }
    }

    /// Z of a tile: A y A^T.
    ///
    /// # Safety
    /// `y` has the image.
    unsafe fn spread(&mut self, tile: &Placed, image: usize) {
        let all = self.all;
        let ([ay, ax], spread) = (&all.plan.axes, &all.transforms.spread);
        let passes = [spread[ay.taps - 2][tile.y.points - 3], spread[ax.taps - 2][tile.x.points - 3]];
        let to = places(tile, self.z, self.ldz);
        // SAFETY: the caller's promise.
        let src = unsafe { all.y.add(image * all.y_image.len()) }.cast_mut();
        let size = [ay.outputs_of(tile.y), ax.outputs_of(tile.x)];
        let from = pixels(src, all.y_image, size, |i, j| ay.output(tile.y, i).zip(ax.output(tile.x, j)));
        let nr = all.kernels.nr();
        let first = self.panels.start * nr;
        let n = (self.panels.end * nr).min(all.plan.o) - first;
        // SAFETY: pixels have the panels' channels, rows of Z their columns.
        unsafe {
            let (from, to) = (&from[..size[0] * size[1]], &to[..tile.rows().len()]);
            self.apply(passes, from, to, [first, 0], n, Add::Nothing);
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
        let passes = [fold[ay.taps - 2][ay.points - 3], fold[ax.taps - 2][ax.points - 3]];
        let [py, px] = all.plan.phase(unit.phase);
        let d = self.d.as_mut_ptr();
        let from: [*mut T; MAX_TILE] = std::array::from_fn(|p| d.wrapping_add(p * spread_out(UNIT * nr)));
        let mut to = [null_mut(); 9];
        for (i, to) in to[..ay.taps * ax.taps].iter_mut().enumerate() {
            if let (Some(ky), Some(kx)) = (ay.tap(py, i / ax.taps), ax.tap(px, i % ax.taps)) {
                let row = (ky * ax.kernel + kx) * all.plan.c + unit.channels.start;
                *to = sums.get().wrapping_add(row * self.ld + panel * nr);
            }
        }
        let add = if add { Add::There } else { Add::Nothing };
        for c in 0..unit.channels.len() {
            let (from, to) = (&from[..all.plan.points()], &to[..ay.taps * ax.taps]);
            // SAFETY: D has a row of `nr` elements for each channel, and so have the sums, by the caller's promise.
            unsafe { self.apply(passes, from, to, [c * nr, c * self.ld], nr, add) };
        }
    }

    /// A transform for `n` channels.
    ///
    /// # Safety
    /// Behind each pointer that is not null are so many channels, from `at` on in `from` and in `to`; the latter are this
    /// thread's alone.
    unsafe fn apply(
        &mut self,
        [columns, rows]: [Passes<T>; 2],
        from: &[*mut T],
        to: &[*mut T],
        at: [usize; 2],
        n: usize,
        add: Add<T>,
    ) {
        let (lanes, buffer) = (self.all.kernels.lanes, self.buffer.as_mut_ptr());
        for c in (0..n).step_by(lanes) {
            let n = lanes.min(n - c);
            // SAFETY: the caller's promise; the buffer has a vector for each point of the largest tile, and tables of
            // transforms are handed out for tiers the machine has.
            unsafe {
                (columns.columns)(reading(from), at[0] + c, n, buffer);
                (rows.rows)(buffer, to, at[1] + c, n, add);
            }
        }
    }
}
