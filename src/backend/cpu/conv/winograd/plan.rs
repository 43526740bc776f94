//! Which tiles cover a result, whether they are worth it, and where a block of them stands in its matrices.

use super::points::MAX_POINTS;
use super::transform::{Grid, Line, MAX_TILE, NOWHERE, Points};
use crate::backend::cpu::conv::Conv;
use crate::backend::cpu::conv::geometry::Image;
use std::ops::Range;

/// Tiles of a block: rows of the products. The block's matrices stay in the caches, and a panel of weights is read once
/// for each.
const BLOCK_TILES: usize = 128;

/// Taps that there are tiles for: with more, points would be as many that sums lose their accuracy.
const MOST_TAPS: usize = 3;

/// Windows that a longer one is taken for, along an axis. Each has weights of its own at all points.
const MOST_PIECES: usize = 2;
/// Channels in all phases up to which longer windows are taken for several: more leave room for few tiles beside weights that have
/// to be made anew for each block of them.
const WIDE_TERMS: usize = 512;

/// One size of tile, somewhere along an axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tile {
    /// Its first output.
    pub start: usize,
    /// Its points, which are also the inputs that it sees in each phase.
    pub points: usize,
}

/// One dimension. A window of k taps that moves by s is s windows that move by 1 over every s-th input, of k / s taps each,
/// rounded up. One of more than 3 taps is several of 2 or 3, side by side. Each of all these is a phase; they are taken to have
/// the same number of taps, the missing ones being 0.
#[derive(Debug)]
pub struct Axis {
    pub inputs: usize,
    pub outputs: usize,
    pub kernel: usize,
    pub stride: usize,
    padding: usize,
    /// Of each phase: 2 or 3.
    pub taps: usize,
    pub phases: usize,
    /// Of the largest tile.
    pub points: usize,
    /// They cover the outputs, perhaps more; larger ones first.
    pub tiles: Vec<Tile>,
}

impl Axis {
    fn new(inputs: usize, outputs: usize, kernel: usize, stride: usize, padding: usize) -> Option<Axis> {
        let taps = kernel.div_ceil(stride.max(1));
        if taps < 2 || outputs == 0 {
            return None;
        }
        let pieces = taps.div_ceil(MOST_TAPS);
        if pieces > MOST_PIECES {
            return None;
        }
        let taps = taps.div_ceil(pieces);
        let mut start = 0;
        let tiles: Vec<Tile> = cover(outputs, taps)
            .into_iter()
            .map(|m| {
                let tile = Tile { start, points: m + taps - 1 };
                start += m;
                tile
            })
            .collect();
        let points = tiles[0].points;
        Some(Axis { inputs, outputs, kernel, stride, padding, taps, phases: stride * pieces, points, tiles })
    }

    /// The first tap of a phase.
    fn shift(&self, phase: usize) -> usize {
        phase % self.stride + phase / self.stride * self.taps * self.stride
    }

    /// The inputs that a tile sees in a phase, `apart` elements from each other; none in the padding.
    fn inputs_at(&self, tile: Tile, phase: usize, apart: usize) -> Line {
        line(tile.points, apart, |i| {
            ((tile.start + i) * self.stride + self.shift(phase))
                .checked_sub(self.padding)
                .filter(|&at| at < self.inputs)
        })
    }

    /// The outputs that a tile gives, as far as there are any.
    fn outputs_at(&self, tile: Tile, apart: usize) -> Line {
        line(self.outputs_of(tile), apart, |i| Some(tile.start + i).filter(|&at| at < self.outputs))
    }

    /// The taps of the window that a phase has.
    pub fn taps_at(&self, phase: usize, apart: usize) -> Line {
        line(self.taps, apart, |t| Some(self.shift(phase) + t * self.stride).filter(|&k| k < self.kernel))
    }

    /// Whether some tile sees each of the inputs, in one phase alone.
    fn covers_inputs(&self) -> bool {
        self.tiles.last().is_some_and(|&last| self.inputs_of(last).end == self.inputs)
            && self.stride == self.phases
    }

    /// Outputs of a tile, in the image or not.
    fn outputs_of(&self, tile: Tile) -> usize {
        tile.points - self.taps + 1
    }

    /// The inputs that a tile sees in all phases, as far as they are not padding.
    pub fn inputs_of(&self, tile: Tile) -> Range<usize> {
        let first = tile.start * self.stride;
        let end = first + (tile.points - 1) * self.stride + self.shift(self.phases - 1) + 1;
        first.saturating_sub(self.padding).min(self.inputs)..end.saturating_sub(self.padding).min(self.inputs)
    }

    /// The outputs of a tile, as far as there are any.
    pub fn outputs_in(&self, tile: Tile) -> Range<usize> {
        tile.start..(tile.start + self.outputs_of(tile)).min(self.outputs)
    }

    /// The number among all points of a tile's point i: the last is infinity for every tile.
    fn slot(&self, tile: Tile, i: usize) -> usize {
        if i + 1 == tile.points { self.points - 1 } else { i }
    }

    /// Points of all tiles together.
    fn all_points(&self) -> usize {
        self.tiles.iter().map(|t| t.points).sum()
    }
}

/// So many lines at the places that `at` names.
fn line(count: usize, apart: usize, at: impl Fn(usize) -> Option<usize>) -> Line {
    std::array::from_fn(|i| if i < count { at(i).map_or(NOWHERE, |at| at * apart) } else { NOWHERE })
}

/// The outputs of tiles that cover `n` of them with the fewest points, larger tiles first. Of covers with as many points the
/// one with more tiles of 3, which are more exact than 4 and cost less than 2.
fn cover(n: usize, taps: usize) -> Vec<usize> {
    let sizes = 2..=MAX_POINTS + 1 - taps;
    // best[i]: points for i outputs, and the first tile.
    let mut best = vec![(0, 0); n + 1];
    for i in 1..=n {
        let with = |m: usize| (best[i.saturating_sub(m)].0 + m + taps - 1, m);
        best[i] = sizes.clone().map(with).min_by_key(|&(points, m)| (points, m.abs_diff(3))).expect("sizes");
    }
    let (mut all, mut left) = (Vec::new(), n);
    while left > 0 {
        all.push(best[left].1);
        left = left.saturating_sub(best[left].1);
    }
    all.sort_unstable_by_key(|&m| std::cmp::Reverse(m));
    all
}

/// How a convolution is computed by tiles.
#[derive(Debug)]
pub struct Plan {
    pub axes: [Axis; 2],
    /// Channels of x and of y in a group.
    pub c: usize,
    pub o: usize,
}

impl Plan {
    /// None where windows have gaps, no two taps that are as far apart as they move, or more than six.
    pub fn possible(conv: &Conv) -> Option<Plan> {
        let options = conv.options;
        let axis = |d: usize, from: usize, to: usize| {
            Axis::new(from, to, conv.kernel[d], options.stride[d], options.padding[d])
        };
        if options.dilation != [1, 1] || conv.count == 0 {
            return None;
        }
        let [c, o] = conv.channels();
        let axes = [axis(0, conv.x.h, conv.y.h)?, axis(1, conv.x.w, conv.y.w)?];
        (c > 0 && o > 0).then_some(Plan { axes, c, o })
    }

    /// None where the direct sums cost less, transforms included. Decided by the sizes of a sample and by the weights',
    /// never by the batch.
    pub fn of(conv: &Conv) -> Option<Plan> {
        /// Operations that a transform spends on a point of a channel, in multiply-adds of the products.
        const TRANSFORM: usize = 25;
        let plan = Plan::possible(conv)?;
        let [y, x] = &plan.axes;
        if plan.axes.iter().any(|a| a.phases > a.stride) && plan.phases() * plan.c.max(plan.o) > WIDE_TERMS {
            return None;
        }
        let points = y.all_points() * x.all_points();
        let (c, o) = (plan.phases() * plan.c, plan.o);
        let tiled = points * c * o + points * (c + o) * TRANSFORM;
        let direct = y.outputs * x.outputs * y.kernel * x.kernel * plan.c * plan.o;
        (direct > tiled + tiled / 8).then_some(plan)
    }

    /// Elements of a group's weights.
    pub fn weights(&self) -> usize {
        self.o * self.c * self.axes[0].kernel * self.axes[1].kernel
    }

    pub fn phases(&self) -> usize {
        self.axes[0].phases * self.axes[1].phases
    }

    /// The phases along both axes.
    pub fn phase(&self, f: usize) -> [usize; 2] {
        [f / self.axes[1].phases, f % self.axes[1].phases]
    }

    /// Whether some tile sees each of the inputs, in one phase alone.
    pub fn covers_inputs(&self) -> bool {
        self.axes.iter().all(Axis::covers_inputs)
    }

    /// Products at different points.
    pub fn points(&self) -> usize {
        self.axes[0].points * self.axes[1].points
    }

    /// Multiply-adds of an image's products.
    pub fn work(&self) -> usize {
        let [y, x] = &self.axes;
        y.all_points() * x.all_points() * self.phases() * self.c * self.o
    }

    /// Tiles of an image.
    pub fn image_tiles(&self) -> usize {
        self.axes[0].tiles.len() * self.axes[1].tiles.len()
    }

    /// Images of a block, where a block has whole ones.
    pub fn block_images(&self) -> usize {
        (BLOCK_TILES / self.image_tiles()).max(1)
    }

    /// The blocks of some rows of tiles, numbered through all images: at most `at_most` whole images each, or rows of one image's
    /// tiles, where it has too many for a block or the range begins or ends in it.
    pub fn blocks(
        &self,
        rows: Range<usize>,
        at_most: usize,
    ) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let (of_image, across) = (self.axes[0].tiles.len(), self.axes[1].tiles.len());
        let step = self.block_images().min(at_most.max(1));
        let strip = if step > 1 { of_image } else { (BLOCK_TILES / across).clamp(1, of_image) };
        let mut at = rows.start;
        std::iter::from_fn(move || {
            let (image, first, left) = (at / of_image, at % of_image, rows.end - at);
            let whole = if first == 0 { step.min(left / of_image) } else { 0 };
            let (images, strip) = if strip == of_image && whole > 0 {
                (image..image + whole, 0..of_image)
            } else {
                (image..image + 1, first..first + strip.min(of_image - first).min(left))
            };
            at += images.len() * strip.len();
            (left > 0).then_some((images, strip))
        })
    }

    /// Rows of an image's tiles.
    pub fn rows(&self) -> usize {
        self.axes[0].tiles.len()
    }

    /// The most tiles that a block has.
    pub fn block_tiles(&self, at_most: usize) -> usize {
        let (rows, across) = (self.axes[0].tiles.len(), self.axes[1].tiles.len());
        let step = self.block_images().min(at_most.max(1));
        if step > 1 { step * rows * across } else { (BLOCK_TILES / across).clamp(1, rows) * across }
    }
}

/// Where the lines of all tiles lie in the images on both sides, counted from an image's first element.
pub struct Lines {
    /// Of x: along each axis, for each tile and phase.
    inputs: [Vec<Line>; 2],
    /// Of y: along each axis, for each tile.
    outputs: [Vec<Line>; 2],
    phases: [usize; 2],
}

impl Lines {
    pub fn new(plan: &Plan, x: Image, y: Image) -> Lines {
        let apart = |image: Image| [image.w * image.c, image.c];
        let along = |d: usize| {
            let axis = &plan.axes[d];
            let inputs = |&tile: &Tile| {
                (0..axis.phases)
                    .map(move |phase| axis.inputs_at(tile, phase, apart(x)[d]))
                    .collect::<Vec<_>>()
            };
            let outputs = |&tile: &Tile| axis.outputs_at(tile, apart(y)[d]);
            (axis.tiles.iter().flat_map(inputs).collect(), axis.tiles.iter().map(outputs).collect())
        };
        let ((y0, o0), (y1, o1)) = (along(0), along(1));
        Lines { inputs: [y0, y1], outputs: [o0, o1], phases: [plan.axes[0].phases, plan.axes[1].phases] }
    }

    /// The inputs of a tile in a phase, behind a first element.
    pub fn inputs<A>(&self, tile: &Placed, phase: [usize; 2], first: *mut A) -> Grid<'_, A> {
        let of = |d: usize| &self.inputs[d][tile.number[d] * self.phases[d] + phase[d]];
        Grid { first, rows: of(0), columns: of(1) }
    }

    /// The outputs of a tile, behind a first element.
    pub fn outputs<A>(&self, tile: &Placed, first: *mut A) -> Grid<'_, A> {
        let of = |d: usize| &self.outputs[d][tile.number[d]];
        Grid { first, rows: of(0), columns: of(1) }
    }
}

/// A tile of a block.
#[derive(Clone, Copy)]
pub struct Placed {
    pub image: usize,
    /// Which of the tiles along each axis.
    pub number: [usize; 2],
    pub y: Tile,
    pub x: Tile,
    /// For its points by row and column: the row among those of all points' matrices.
    pub rows: [usize; MAX_TILE],
}

impl Placed {
    /// The first lines along each axis that earlier tiles see too, where no input is seen in two phases.
    pub fn overlap(&self, plan: &Plan) -> [usize; 2] {
        std::array::from_fn(|d| if self.number[d] > 0 { plan.axes[d].taps - 1 } else { 0 })
    }

    /// The tile's points in a matrix with rows of `ld` elements.
    pub fn points<A>(&self, first: *mut A, ld: usize) -> Points<'_, A> {
        Points { first, rows: &self.rows, across: self.x.points, ld }
    }
}

/// The tiles of a block and their places. The matrix of a point has a row for each tile that has the point, and room for
/// `capacity` of them.
pub struct Block {
    pub tiles: Vec<Placed>,
    /// Rows of each point's matrix.
    pub rows: [usize; MAX_TILE],
    pub capacity: usize,
}

impl Block {
    /// For `images` images and some of the tiles along the first axis.
    pub fn new(plan: &Plan, images: usize, strip: Range<usize>, capacity: usize) -> Block {
        let [y, x] = &plan.axes;
        let mut block = Block { tiles: Vec::new(), rows: [0; MAX_TILE], capacity };
        let at = |image: usize, ty: usize, tx: usize| {
            let number = [ty, tx];
            Placed { image, number, y: y.tiles[ty], x: x.tiles[tx], rows: [0; MAX_TILE] }
        };
        // Image by image, so that neighbours find each other's lines in the cache.
        for image in 0..images {
            for ty in strip.clone() {
                block.tiles.extend((0..x.tiles.len()).map(|tx| at(image, ty, tx)));
            }
        }
        for tile in &mut block.tiles {
            for (i, row) in tile.rows[..tile.y.points * tile.x.points].iter_mut().enumerate() {
                let slot = y.slot(tile.y, i / tile.x.points) * x.points + x.slot(tile.x, i % tile.x.points);
                *row = slot * capacity + block.rows[slot];
                block.rows[slot] += 1;
            }
        }
        block
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::plan_of;
    use super::*;

    #[test]
    fn blocks_go_through_all_rows_once_wherever_a_range_begins() {
        for (size, at_most) in [(14, 9), (14, 1), (70, 9), (7, 100)] {
            let plan = plan_of(size);
            let (of_image, end) = (plan.rows(), 9 * plan.rows());
            for cuts in [vec![0, end], vec![0, of_image * 4 + 1, end], (0..=end).collect()] {
                let mut next = 0;
                for part in cuts.windows(2) {
                    for (images, strip) in plan.blocks(part[0]..part[1], at_most) {
                        assert_eq!(images.start * of_image + strip.start, next, "{size} {at_most} {cuts:?}");
                        assert!(images.len() == 1 || strip == (0..of_image), "{images:?} {strip:?}");
                        let tiles = images.len() * strip.len() * plan.axes[1].tiles.len();
                        assert!((1..=plan.block_tiles(at_most)).contains(&tiles), "{tiles}");
                        next += images.len() * strip.len();
                    }
                    assert_eq!(next, part[1]);
                }
            }
        }
    }

    #[test]
    fn tiles_cover_with_the_fewest_points() {
        for (n, taps, want) in [
            (7, 2, vec![4, 3]),
            (14, 2, vec![4, 4, 3, 3]),
            (16, 2, vec![4; 4]),
            (5, 2, vec![3, 2]),
            (1, 2, vec![2]),
            (8, 3, vec![3, 3, 2]),
            (4, 3, vec![2, 2]),
        ] {
            assert_eq!(cover(n, taps), want, "{n} outputs of {taps} taps");
        }
        for (n, taps) in (1..60).flat_map(|n| [(n, 2), (n, 3)]) {
            assert!(cover(n, taps).iter().sum::<usize>() >= n);
        }
    }
}
