//! The forward pass and the input gradient: transform, multiply at every point, transform back.
//!
//! ```text
//! rows of tiles or panels, cut among threads (of the adjoint whole images)
//!   block of tiles                 their lines of x (forward) or of y (adjoint), at the points: V [point][tile][k]
//!     point                        M [point][tile][n] = V U, a product of its own
//!   block of tiles                 M back: outputs of y, or lines of x that neighbours add up
//! ```
//!
//! Everything between the transforms belongs to one thread. Where the weights at the points would be larger than the
//! images, each part makes the panels that it multiplies by just before it does, in a scratch that stays in its cache;
//! parts are panels then, and each transforms all images. Blocks of terms are the same either way, and so are the sums.

use super::plan::{Block, Lines, Placed, Plan};
use super::reach::{Matrices, spread_out, touch};
use super::tiers::Transformable;
use super::transform::{Add, MAX_TILE, Then};
use super::weights::{Direction, Weights};
use crate::backend::cpu::Buffer;
use crate::backend::cpu::conv::Ending;
use crate::backend::cpu::conv::correlate::{Out, scratch};
use crate::backend::cpu::conv::geometry::Image;
use crate::backend::cpu::gemm::{cut, fork, wanted};
use crate::backend::cpu::packed::Packed;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of a part's scratch, if a block has several images: with every thread's, less than the images of a wide network.
const PART_BYTES: usize = 7 << 20;

/// Of the images' size: what the weights at the points may exceed it by. 64 -> 128 channels at 25 points for each phase are
/// 3.28 MB, and a batch of 64 of the 14 x 14 images beside them 3.21 MB.
const MARGIN: usize = 16;

/// A pass between images and the group's channels in them.
pub struct Product<'a, T: 'static> {
    pub plan: &'a Plan,
    pub weights: Weights<'a, T>,
    pub count: usize,
    /// What is read, from the group's first channel of the first image on.
    pub src: *const T,
    pub src_image: Image,
    /// Of the adjoint a bias alone, as its sums are whole only when the last tile is done.
    pub end: Ending<'a, T>,
    /// The group's first channel of the first image.
    pub out: Out<T>,
    pub out_image: Image,
    /// Where the weights at the points are kept, and where the group's weights start in their storage.
    pub packed: Option<(&'a Packed, usize)>,
}

// SAFETY: `src` is only read, and `out` is an `Out`.
unsafe impl<T: Sync> Sync for Product<'_, T> {}

/// The scratch of a part.
struct Scratch<'a, T> {
    v: &'a mut [T],
    m: &'a mut [T],
    /// A unit's block of weights, where they are not made beforehand.
    u: &'a mut [T],
    make: &'a mut [T],
    /// Between the passes of a transform.
    buffer: &'a mut [T],
}

impl<T: Transformable> Product<'_, T> {
    /// # Safety
    /// `src` and `out` have `count` images of their sizes, with the group's channels from there on; nobody else
    /// accesses those of `out`.
    pub unsafe fn run(&self) {
        let w = &self.weights;
        let parts = wanted(self.count.saturating_mul(self.plan.work()));
        let images = self.count.saturating_mul(self.src_image.len().max(self.out_image.len()));
        let ahead = w.len() <= images + images / MARGIN;
        let units = w.units();
        let (across, along) = if ahead {
            let across = parts.min(self.count);
            (across, (parts / across).clamp(1, units))
        } else {
            let along = parts.min(units);
            ((parts / along).clamp(1, self.count), along)
        };
        let made = ahead.then(|| match self.packed {
            Some((packed, first)) => packed.get_or_make(w.key(first), || self.make()),
            None => Arc::new(self.make()),
        });
        let columns = if ahead { units.div_ceil(along) } else { 1 } * w.panels() * w.kernels.nr();
        let (ldv, ldm) = (spread_out(w.k()), spread_out(columns));
        let longest = w.blocks().iter().map(Range::len).max().unwrap_or(0);
        let u = if ahead { 0 } else { w.block_len(longest) };
        let image = self.plan.image_tiles() * self.plan.points() * (ldv + ldm);
        let fitting = (PART_BYTES / size_of::<T>()).saturating_sub(u) / image;
        let at_most = self.count.div_ceil(across).min(fitting.max(1));
        let capacity = self.plan.block_tiles(at_most) | 1;
        let rows = self.plan.points() * capacity;
        let lens = [
            rows * ldv,
            rows * ldm,
            u,
            if ahead { 0 } else { w.scratch_len().next_multiple_of(16) },
            MAX_TILE * w.kernels.lanes,
        ];
        let lines = match w.direction {
            Direction::Forward => Lines::new(self.plan, self.src_image, self.out_image),
            Direction::Adjoint => Lines::new(self.plan, self.out_image, self.src_image),
        };
        // Rows of tiles have pixels of their own in the result. In that of the adjoint neighbours share some.
        let whole = if w.direction == Direction::Forward { 1 } else { self.plan.rows() };
        let (mut buffer, len) = scratch::<T>(across * along, lens.iter().sum());
        fork(0..across * along, buffer.as_mut_slice(), len, &|part, all| {
            let mut rest = all;
            let [v, m, u, make, buffer] = lens.map(|len| {
                let (first, others) = std::mem::take(&mut rest).split_at_mut(len);
                rest = others;
                first
            });
            let rows = cut(self.count * self.plan.rows() / whole, across, part / along);
            let rows = rows.start * whole..rows.end * whole;
            let units = cut(units, along, part % along);
            let mut part = Part {
                all: self,
                made: made.as_ref().map(|b| b.as_slice()),
                lines: &lines,
                scratch: Scratch { v, m, u, make, buffer },
                ldv,
                ldm,
            };
            // SAFETY: the caller's promise; parts have different rows of tiles or units.
            unsafe { part.run(rows, units, at_most, capacity) };
        });
    }

    /// All weights at the points.
    fn make(&self) -> Buffer {
        let w = &self.weights;
        let mut made = Buffer::of(T::DTYPE, w.len());
        let to = Out(made.as_mut_slice::<T>().as_mut_ptr());
        let blocks = w.blocks();
        let items = w.units() * blocks.len();
        // As long as a few multiply-adds for each element.
        let parts = wanted(w.len() * 4).min(items);
        let (mut own, len) = scratch::<T>(parts, w.scratch_len());
        fork(0..parts, own.as_mut_slice(), len, &|part, own| {
            for item in cut(items, parts, part) {
                let (unit, terms) = (item / blocks.len(), &blocks[item % blocks.len()]);
                let at = unit * w.unit_len() + w.blocks_len(terms.start);
                // SAFETY: items have different blocks, of this length, inside the buffer.
                let dst =
                    unsafe { std::slice::from_raw_parts_mut(to.get().add(at), w.block_len(terms.len())) };
                w.fill(unit, terms, dst, own);
            }
        });
        made
    }
}

/// Some rows of tiles and units, on this thread.
struct Part<'a, T: 'static> {
    all: &'a Product<'a, T>,
    made: Option<&'a [T]>,
    lines: &'a Lines,
    scratch: Scratch<'a, T>,
    ldv: usize,
    ldm: usize,
}

impl<T: Transformable> Part<'_, T> {
    /// # Safety
    /// As [`Product::run`], for the pixels of these rows of tiles, numbered through all images, and the channels of these units.
    unsafe fn run(&mut self, rows: Range<usize>, units: Range<usize>, at_most: usize, capacity: usize) {
        let (plan, w) = (self.all.plan, &self.all.weights);
        let (mut last, mut block) = ((0, 0..0), None);
        for (images, strip) in plan.blocks(rows, at_most) {
            let of = (images.len(), strip.clone());
            if of != last {
                block = Some(Block::new(plan, images.len(), strip.clone(), capacity));
                last = of;
            }
            let block = block.as_ref().expect("just made");
            // SAFETY: the caller's promise; tiles name lines of images and rows of V and M.
            unsafe {
                if w.direction == Direction::Adjoint && strip.start == 0 && !self.writes_all() {
                    self.clear(images.clone(), &units);
                }
                for tile in &block.tiles {
                    let image = images.start + tile.image;
                    if tile.x.start == 0 {
                        let lines = match w.direction {
                            Direction::Forward => plan.axes[0].inputs_of(tile.y),
                            Direction::Adjoint => plan.axes[0].outputs_in(tile.y),
                        };
                        touch(self.all.src, self.all.src_image, image, lines);
                    }
                    match w.direction {
                        Direction::Forward => self.gather(tile, image),
                        Direction::Adjoint => self.spread(tile, image),
                    }
                }
                // Made beforehand, all units follow each other in M; otherwise one after the other is done.
                let step = if self.made.is_some() { units.len().max(1) } else { 1 };
                for first in units.clone().step_by(step) {
                    let units = first..(first + step).min(units.end);
                    self.multiply(block, &units);
                    for tile in &block.tiles {
                        let image = images.start + tile.image;
                        match w.direction {
                            Direction::Forward => self.read(tile, image, &units),
                            Direction::Adjoint => self.scatter(tile, image, &units),
                        }
                    }
                }
            }
        }
    }

    /// Whether tiles write every pixel of the adjoint's images, so that nothing need be there before.
    fn writes_all(&self) -> bool {
        self.all.end.is_none() && self.all.plan.covers_inputs()
    }

    /// The channels of the result that a unit has.
    fn channels(&self, unit: usize) -> Range<usize> {
        let w = &self.all.weights;
        unit * w.kernels.nr()..((unit + 1) * w.kernels.nr()).min(w.channels())
    }

    /// V of a tile of x: B^T d B in every phase.
    ///
    /// # Safety
    /// `src` has the image.
    unsafe fn gather(&mut self, tile: &Placed, image: usize) {
        let (plan, w, all) = (self.all.plan, &self.all.weights, self.all);
        let gather = &w.transforms.gather;
        let maps = [&gather[tile.y.points - 3], &gather[tile.x.points - 3]];
        let (chunk, buffer) = (w.chunk(), self.scratch.buffer.as_mut_ptr());
        for f in 0..plan.phases() {
            for c in (0..plan.c).step_by(chunk) {
                let width = chunk.min(plan.c - c);
                // SAFETY: the image has `c` channels from the group's first on, rows of V `k` elements.
                unsafe {
                    let src = all.src.add(image * all.src_image.len() + c).cast_mut();
                    let from = self.lines.inputs(tile, plan.phase(f), src);
                    let to = self.scratch.v.as_mut_ptr().add(c * plan.phases() + f * width);
                    w.transforms.inward(maps, from, tile.points(to, self.ldv), width, buffer);
                }
            }
        }
    }

    /// V of a tile of y: A y A^T.
    ///
    /// # Safety
    /// `src` has the image.
    unsafe fn spread(&mut self, tile: &Placed, image: usize) {
        let (plan, w, all) = (self.all.plan, &self.all.weights, self.all);
        let ([ay, ax], spread) = (&plan.axes, &w.transforms.spread);
        let maps = [&spread[ay.taps - 2][tile.y.points - 3], &spread[ax.taps - 2][tile.x.points - 3]];
        // SAFETY: the image has `o` channels from the group's first on, rows of V `k` elements.
        unsafe {
            let src = all.src.add(image * all.src_image.len()).cast_mut();
            let to = tile.points(self.scratch.v.as_mut_ptr(), self.ldv);
            let from = self.lines.outputs(tile, src);
            w.transforms.inward(maps, from, to, plan.o, self.scratch.buffer.as_mut_ptr());
        }
    }

    /// The outputs of a tile: A^T m A + bias, perhaps rectified.
    ///
    /// # Safety
    /// `out` has the image; these units of it are this thread's.
    unsafe fn read(&mut self, tile: &Placed, image: usize, units: &Range<usize>) {
        let (plan, w, all) = (self.all.plan, &self.all.weights, self.all);
        let ([ay, ax], read) = (&plan.axes, &w.transforms.read);
        let maps = [&read[ay.taps - 2][tile.y.points - 3], &read[ax.taps - 2][tile.x.points - 3]];
        let channels = self.channels(units.start).start..self.channels(units.end - 1).end;
        let end = all.end.of(channels.clone());
        let add = end.bias.map_or(Add::Nothing, |b| Add::Values(b.as_ptr()));
        let then = Then { add, slope: end.slope };
        // SAFETY: rows of M have the units' columns, the image the group's channels.
        unsafe {
            let out = all.out.get().add(image * all.out_image.len() + channels.start);
            let from = tile.points(self.scratch.m.as_mut_ptr(), self.ldm);
            let to = self.lines.outputs(tile, out);
            w.transforms.outward(maps, from, to, channels.len(), self.scratch.buffer.as_mut_ptr(), then);
        }
    }

    /// What a tile adds to x: B m B^T in every phase.
    ///
    /// # Safety
    /// `out` has the image; these units of it are this thread's.
    unsafe fn scatter(&mut self, tile: &Placed, image: usize, units: &Range<usize>) {
        let (plan, w, all) = (self.all.plan, &self.all.weights, self.all);
        let scatter = &w.transforms.scatter;
        let add = if self.writes_all() { Add::Overlapping(tile.overlap(plan)) } else { Add::There };
        let maps = [&scatter[tile.y.points - 3], &scatter[tile.x.points - 3]];
        let buffer = self.scratch.buffer.as_mut_ptr();
        for f in 0..plan.phases() {
            for unit in units.clone() {
                let column = ((unit - units.start) * w.panels() + f) * w.kernels.nr();
                let channels = self.channels(unit);
                // SAFETY: rows of M have the units' columns, the image the group's channels.
                unsafe {
                    let out = all.out.get().add(image * all.out_image.len() + channels.start);
                    let from = tile.points(self.scratch.m.as_mut_ptr().add(column), self.ldm);
                    let to = self.lines.inputs(tile, plan.phase(f), out);
                    w.transforms.outward(maps, from, to, channels.len(), buffer, Then { add, slope: None });
                }
            }
        }
    }

    /// M = V U for some units.
    fn multiply(&mut self, block: &Block, units: &Range<usize>) {
        let all = self.all;
        let w = &all.weights;
        let (nr, terms) = (w.kernels.nr(), w.blocks());
        let blocks = terms.len();
        let points = all.plan.points();
        match self.made {
            Some(made) => {
                for (p, b) in (0..points).flat_map(|p| (0..blocks).map(move |b| (p, b))) {
                    for unit in units.clone() {
                        let u = &made[unit * w.unit_len() + w.blocks_len(terms[b].start)..];
                        let column = (unit - units.start) * w.panels() * nr;
                        self.point(block, p, &terms[b], column, &u[..w.block_len(terms[b].len())]);
                    }
                }
            }
            None => {
                let u = std::mem::take(&mut self.scratch.u);
                for (unit, terms) in units.clone().flat_map(|unit| terms.iter().map(move |t| (unit, t))) {
                    w.fill(unit, terms, u, self.scratch.make);
                    let column = (unit - units.start) * w.panels() * nr;
                    for p in 0..points {
                        self.point(block, p, terms, column, &u[..w.block_len(terms.len())]);
                    }
                }
                self.scratch.u = u;
            }
        }
    }

    /// One point's product for one unit and one block of terms.
    fn point(&mut self, block: &Block, p: usize, terms: &Range<usize>, column: usize, u: &[T]) {
        let w = &self.all.weights;
        let (nr, points) = (w.kernels.nr(), self.all.plan.points());
        let (rows, first) = (block.rows[p], p * block.capacity);
        assert!(self.scratch.v.len() >= (first + rows) * self.ldv && self.ldv >= terms.end);
        assert!(self.scratch.m.len() >= (first + rows) * self.ldm && self.ldm >= column + w.panels() * nr);
        for panel in 0..w.panels() {
            let at = Matrices {
                a: self.scratch.v[first * self.ldv + terms.start..].as_ptr(),
                ars: self.ldv,
                aks: 1,
                b: u[(panel * points + p) * w.point_len(terms.len())..][..terms.len() * nr].as_ptr(),
                ldb: nr,
                c: self.scratch.m[first * self.ldm + column + panel * nr..].as_mut_ptr(),
                ldc: self.ldm,
            };
            // SAFETY: V and M have these rows, as just checked; the panel has as many rows as there are terms.
            unsafe { at.multiply(w.kernels, rows, terms.len(), terms.start > 0) };
        }
    }

    /// Writes the bias, or 0, to some units' channels of images.
    ///
    /// # Safety
    /// `out` has the images; these units of them are this thread's.
    unsafe fn clear(&mut self, images: Range<usize>, units: &Range<usize>) {
        let image = self.all.out_image;
        let channels = self.channels(units.start).start..self.channels(units.end - 1).end;
        for pixel in images.start * image.pixels()..images.end * image.pixels() {
            // SAFETY: the caller's promise.
            let to = unsafe {
                let first = self.all.out.get().add(pixel * image.c + channels.start);
                std::slice::from_raw_parts_mut(first, channels.len())
            };
            match self.all.end.bias {
                Some(bias) => to.copy_from_slice(&bias[channels.clone()]),
                None => to.fill(T::ZERO),
            }
        }
    }
}
