//! How a product is shared among threads. No result depends on it.

use crate::backend::cpu::par;
use std::ops::Range;

/// Multiply-adds that are worth a thread: half a MFLOP, about 2 us. Waking one takes as long. Small under
/// Miri, so that products are shared there.
const GRAIN: usize = if cfg!(miri) { 1 << 10 } else { 1 << 18 };

/// Number of threads for so many multiply-adds; 1 below two grains.
pub(in crate::backend::cpu) fn wanted(madds: usize) -> usize {
    let grains = madds / GRAIN;
    // Asked last: the first question starts rayon's global pool.
    if grains < 2 { 1 } else { grains.min(par::threads()) }
}

/// A grid of parts over the rows and columns of C.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Grid {
    /// Parts the rows are cut into.
    pub rows: usize,
    /// Parts the columns are cut into.
    pub cols: usize,
}

impl Grid {
    /// Cuts the longer side into pieces of at least a tile, and the other one only if there are threads left.
    /// A part of the columns packs its own slice of B, and keeps it in its core's cache.
    pub fn new(m: usize, n: usize, mr: usize, nr: usize, threads: usize) -> Grid {
        let (row_tiles, panels) = (m.div_ceil(mr).max(1), n.div_ceil(nr).max(1));
        if n >= m {
            let cols = threads.min(panels);
            Grid { rows: (threads / cols).min(row_tiles), cols }
        } else {
            let rows = threads.min(row_tiles);
            Grid { rows, cols: (threads / rows).min(panels) }
        }
    }

    /// Number of parts.
    pub fn parts(self) -> usize {
        self.rows * self.cols
    }

    /// Rows and columns of a part of an m x n matrix; columns are cut between panels of nr.
    pub fn part(self, index: usize, m: usize, n: usize, nr: usize) -> (Range<usize>, Range<usize>) {
        let rows = cut(m, self.rows, index / self.cols);
        let panels = cut(n.div_ceil(nr), self.cols, index % self.cols);
        (rows, panels.start * nr..(panels.end * nr).min(n))
    }
}

/// A side of something to compute: its length, and the units that cuts lie between.
pub(in crate::backend::cpu) type Side = (usize, usize);

/// How many pieces each of two sides is cut into, at most `parts` together, so that the largest part is smallest; of equal
/// ones the grid that cuts the second side more often. Both sides have at least one element.
pub(in crate::backend::cpu) fn balanced(parts: usize, sides: [Side; 2]) -> [usize; 2] {
    let units = sides.map(|(len, unit)| len.div_ceil(unit));
    let grids = (1..=parts.clamp(1, units[1])).rev().map(|s| [(parts / s).clamp(1, units[0]), s]);
    grids.min_by_key(|&grid| largest(grid, sides)).unwrap_or([1, 1])
}

/// Elements of the largest part of such a grid.
pub(in crate::backend::cpu) fn largest(grid: [usize; 2], sides: [Side; 2]) -> usize {
    let piece = |pieces: usize, (len, unit): Side| (len.div_ceil(unit).div_ceil(pieces) * unit).min(len);
    piece(grid[0], sides[0]) * piece(grid[1], sides[1])
}

/// The i-th of `parts` nearly equal pieces of 0..len.
pub(in crate::backend::cpu) fn cut(len: usize, parts: usize, i: usize) -> Range<usize> {
    // Widened, as len * parts may exceed usize on 32-bit machines.
    let at = |i: usize| (len as u128 * i as u128 / parts as u128) as usize;
    at(i)..at(i + 1)
}

/// Runs f(i, its piece of the scratch) for i in `parts`, in parallel in the current pool. Each piece has `len`
/// elements.
pub(in crate::backend::cpu) fn fork<A: Send>(
    parts: Range<usize>,
    scratch: &mut [A],
    len: usize,
    f: &(impl Fn(usize, &mut [A]) + Sync),
) {
    match parts.len() {
        0 => {}
        1 => f(parts.start, &mut scratch[..len]),
        count => {
            let middle = parts.start + count / 2;
            let (left, right) = scratch.split_at_mut(count / 2 * len);
            par::join(|| fork(parts.start..middle, left, len, f), || fork(middle..parts.end, right, len, f));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_tile_the_matrix_without_overlap() {
        let sizes = [(13, 33), (1, 1), (5, 700), (64, 512), (512, 64), (300, 300), (1000, 1)];
        for (m, n) in sizes.into_iter().take(if cfg!(miri) { 2 } else { sizes.len() }) {
            for threads in 1..=9 {
                let grid = Grid::new(m, n, 12, 32, threads);
                assert!(grid.parts() <= threads && grid.parts() >= 1);
                let mut seen = vec![0u8; m * n];
                for p in 0..grid.parts() {
                    let (rows, cols) = grid.part(p, m, n, 32);
                    assert!(!rows.is_empty() && !cols.is_empty(), "{grid:?} {p} of {m} x {n}");
                    for i in rows {
                        seen[i * n..][cols.clone()].iter_mut().for_each(|s| *s += 1);
                    }
                }
                assert!(seen.iter().all(|&s| s == 1), "{grid:?} on {m} x {n}");
            }
        }
    }

    #[test]
    fn the_longer_side_is_cut_first() {
        assert_eq!(Grid::new(64, 512, 12, 32, 2), Grid { rows: 1, cols: 2 });
        assert_eq!(Grid::new(512, 64, 12, 32, 2), Grid { rows: 2, cols: 1 });
        assert_eq!(Grid::new(64, 64, 12, 32, 8), Grid { rows: 4, cols: 2 });
        assert_eq!(wanted(GRAIN), 1);
    }

    #[test]
    fn the_largest_part_is_smallest() {
        for (parts, sides, want) in [
            (1, [(5, 1), (5, 1)], [1, 1]),
            (2, [(800, 8), (64, 32)], [1, 2]),
            (2, [(800, 8), (96, 32)], [2, 1]),
            // The second panel is half full.
            (2, [(800, 8), (48, 32)], [2, 1]),
            (2, [(1, 1), (96, 32)], [1, 2]),
            (4, [(4, 1), (4, 1)], [1, 4]),
            (4, [(4, 1), (6, 1)], [2, 2]),
            (16, [(2, 1), (3, 1)], [2, 3]),
            (0, [(3, 1), (3, 1)], [1, 1]),
        ] {
            assert_eq!(balanced(parts, sides), want, "{parts} parts of {sides:?}");
        }
    }

    #[test]
    fn every_part_gets_its_own_scratch() {
        let mut scratch = vec![usize::MAX; 7 * 3 + 2];
        fork(4..11, &mut scratch, 3, &|i, s| {
            assert_eq!(s.len(), 3);
            s.fill(i);
        });
        let want: Vec<usize> = (0..21).map(|x| 4 + x / 3).chain([usize::MAX; 2]).collect();
        assert_eq!(scratch, want);
    }
}
