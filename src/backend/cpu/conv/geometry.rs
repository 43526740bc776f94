//! Which element of the input meets which tap for which output pixel, as offsets into a padded image.

use super::super::gemm::Run;
use crate::backend::ConvOptions;

/// Terms after which a tile's sums go to C: the slice of a weight panel that passes meanwhile (256 KiB of f32 on
/// AVX-512) stays in L2. A constant, because it decides how sums are rounded.
const KC: usize = 2048;

/// A dense channels-last image: its sizes and channels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::backend::cpu) struct Image {
    pub h: usize,
    pub w: usize,
    /// Channels, of all groups.
    pub c: usize,
}

impl Image {
    /// Elements.
    pub fn len(self) -> usize {
        self.h * self.w * self.c
    }

    pub fn pixels(self) -> usize {
        self.h * self.w
    }
}

/// How the images a kernel reads lie in its scratch: with a border of zeros, one group's channels of each pixel
/// together. Or, where there is no border, how they lie in the operand itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Padded {
    pub top: usize,
    pub left: usize,
    /// Between the starts of neighbouring pixels.
    pub pixel: usize,
    /// Between the starts of rows.
    pub row: usize,
    /// Between the starts of images.
    pub image: usize,
    /// Whether there is a copy at all.
    pub copied: bool,
}

impl Padded {
    /// For images of which rows `-before.0 .. h + after.0` are read, and columns likewise; `spread` more elements between
    /// pixels if they are copied, so that pixels a power of two apart do not share a few sets of the cache.
    pub fn new(
        image: Image,
        channels: usize,
        before: [usize; 2],
        after: [usize; 2],
        spread: usize,
    ) -> Padded {
        if before == [0, 0] && after == [0, 0] {
            let (pixel, row) = (image.c, image.w * image.c);
            return Padded { top: 0, left: 0, pixel, row, image: image.len(), copied: false };
        }
        let pixel = channels + spread;
        let row = (before[1] + image.w + after[1]) * pixel;
        let image = (before[0] + image.h + after[0]) * row;
        Padded { top: before[0], left: before[1], pixel, row, image, copied: true }
    }
}

/// One dimension of the window: for the taps in order, the first input coordinate each one reads.
pub(super) struct Axis {
    /// Size of the input.
    pub size: usize,
    pub stride: usize,
    pub padding: usize,
    pub dilation: usize,
    pub taps: usize,
    /// Number of positions of the window.
    pub outputs: usize,
}

impl Axis {
    /// Both dimensions of a convolution from images of sizes `from` to images of sizes `to`.
    pub fn both(from: [usize; 2], to: [usize; 2], taps: [usize; 2], o: &ConvOptions) -> [Axis; 2] {
        std::array::from_fn(|d| Axis {
            size: from[d],
            stride: o.stride[d],
            padding: o.padding[d],
            dilation: o.dilation[d],
            taps: taps[d],
            outputs: to[d],
        })
    }

    /// How far the windows reach over the input, before its start and behind its end.
    pub fn reach(&self) -> (usize, usize) {
        let last = (self.outputs.max(1) - 1) * self.stride + (self.taps - 1) * self.dilation;
        (self.padding, (last + 1).saturating_sub(self.padding + self.size))
    }

    /// [`Axis::adjoint_taps`] of every phase there are inputs in.
    pub fn phases(&self) -> Vec<Vec<(usize, isize)>> {
        (0..self.stride.min(self.size)).map(|phase| self.adjoint_taps(phase)).collect()
    }

    /// How far the phases reach over the adjoint's operand, before its start and behind its end.
    pub fn adjoint_reach(&self, phases: &[Vec<(usize, isize)>]) -> (usize, usize) {
        let (mut before, mut after) = (0, 0);
        for (phase, taps) in phases.iter().enumerate() {
            let last = (self.size - 1 - phase) / self.stride;
            if let (Some(&(_, first)), Some(&(_, end))) = (taps.first(), taps.last()) {
                before = before.max(-first);
                after = after.max(end + last as isize - (self.outputs as isize - 1));
            }
        }
        (before as usize, after.max(0) as usize)
    }

    /// For the inputs p with p mod stride = `phase`: the taps that reach them, each with the position of the window it belongs to
    /// relative to p / stride, by ascending position.
    pub fn adjoint_taps(&self, phase: usize) -> Vec<(usize, isize)> {
        let s = self.stride as isize;
        let mut taps: Vec<(usize, isize)> = (0..self.taps)
            .map(|t| (t, (phase + self.padding) as isize - (t * self.dilation) as isize))
            .filter(|(_, at)| at.rem_euclid(s) == 0)
            .map(|(t, at)| (t, at.div_euclid(s)))
            .collect();
        taps.sort_by_key(|&(_, at)| at);
        taps
    }
}

/// A set of output pixels of which all see the same taps: all pixels of a convolution, or those of one phase of its
/// adjoint.
pub(super) struct Phase {
    /// Per output pixel of an image: where its window starts in the padded image.
    pub rows: Vec<usize>,
    /// Per output pixel of an image: where its first channel goes, from the image's first element.
    pub outs: Vec<usize>,
    /// The window's terms, in blocks of about [`KC`].
    pub blocks: Vec<Vec<Run>>,
}

impl Phase {
    /// For as many images as there are in a group, `a` and `c` apart.
    pub fn repeated(&self, images: usize, a: usize, c: usize) -> (Vec<usize>, Vec<usize>) {
        let all = |offsets: &[usize], step: usize| {
            (0..images).flat_map(|i| offsets.iter().map(move |x| i * step + x)).collect()
        };
        (all(&self.rows, a), all(&self.outs, c))
    }
}

/// Runs that follow each other without a gap in A and in B as one, `aks` and `ldb` being the strides along them.
pub(super) fn merged(runs: impl IntoIterator<Item = Run>, aks: usize, ldb: usize) -> Vec<Run> {
    let mut all: Vec<Run> = Vec::new();
    for run in runs.into_iter().filter(|r| r.len > 0) {
        match all.last_mut() {
            Some(l) if l.a + l.len * aks == run.a && l.b + l.len * ldb == run.b => l.len += run.len,
            _ => all.push(run),
        }
    }
    all
}

/// Runs cut into blocks of [`KC`] terms. No runs give one empty block: a sum of nothing is still written.
pub(super) fn blocks(runs: Vec<Run>, aks: usize, ldb: usize) -> Vec<Vec<Run>> {
    let total: usize = runs.iter().map(|r| r.len).sum();
    let count = total.div_ceil(KC).max(1);
    let (mut all, mut block, mut room) = (Vec::with_capacity(count), Vec::new(), KC);
    for mut run in runs {
        while run.len > 0 {
            if room == 0 {
                all.push(std::mem::take(&mut block));
                room = KC;
            }
            let len = run.len.min(room);
            block.push(Run { len, ..run });
            room -= len;
            run = Run { a: run.a + len * aks, b: run.b + len * ldb, len: run.len - len };
        }
    }
    all.push(block);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(a: usize, b: usize, len: usize) -> Run {
        Run { a, b, len }
    }

    #[test]
    fn runs_without_gaps_become_one() {
        assert_eq!(
            merged([run(0, 0, 4), run(4, 8, 4), run(10, 16, 4)], 1, 2),
            [run(0, 0, 8), run(10, 16, 4)]
        );
        assert_eq!(merged([run(0, 0, 4), run(4, 9, 4)], 1, 2).len(), 2);
    }

    #[test]
    fn blocks_hold_all_terms_in_order() {
        let cut = blocks(vec![run(5, 0, KC - 1), run(9000, 100, 3), run(0, 7, KC)], 2, 3);
        assert_eq!(cut.len(), 3);
        assert_eq!(cut[0], [run(5, 0, KC - 1), run(9000, 100, 1)]);
        assert_eq!(cut[1], [run(9002, 103, 2), run(0, 7, KC - 2)]);
        assert_eq!(cut[2], [run(2 * (KC - 2), 7 + 3 * (KC - 2), 2)]);
        assert_eq!(blocks(vec![], 1, 1), [vec![]]);
    }

    #[test]
    fn the_taps_of_a_phase_are_those_that_reach_it() {
        // Kernel 4, stride 2, padding 1: rows 2i see taps 3 and 1 at i - 1 and i, rows 2i + 1 taps 2 and 0 at i and i + 1.
        let axis = Axis { size: 14, stride: 2, padding: 1, dilation: 1, taps: 4, outputs: 7 };
        assert_eq!(axis.adjoint_taps(0), [(3, -1), (1, 0)]);
        assert_eq!(axis.adjoint_taps(1), [(2, 0), (0, 1)]);
        assert_eq!(axis.reach(), (1, 1));
        // Stride beyond the kernel: some phases see nothing.
        let gaps = Axis { size: 9, stride: 3, padding: 0, dilation: 1, taps: 2, outputs: 3 };
        assert!(gaps.adjoint_taps(2).is_empty());
    }
}
