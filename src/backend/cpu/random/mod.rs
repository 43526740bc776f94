//! Filling buffers with random numbers.
//!
//! Element `i` comes from Philox block `i / 4` of the call (see [`crate::rng`]), whatever the length of the draw
//! and the number of threads, and by the same IEEE operations on every tier: the bits are the same everywhere.
//! Numbers are made in f32, scaling included; f64 buffers get them widened.

mod box_muller;
#[cfg(test)]
mod tests;

use super::par;
use super::simd::{Kernel, Tier, tier, vectorize_on};
use crate::backend::Random;
use crate::rng::{Key, counter, philox4x32_10};
use box_muller::standard_normals;

/// Blocks computed side by side.
const LANES: usize = 64;
/// Elements of that many blocks.
const GROUP: usize = 4 * LANES;
/// Elements, whole groups of them, below which a draw is not divided among threads: some 20 us of normals.
const GRAIN: usize = if cfg!(miri) { GROUP } else { 1 << 15 };

/// Fills `out`: its element i is number i of call `call` of the stream `key`.
///
/// - Uniform: lo + u (hi - lo) with u = (top 24 bits of word i % 4) / 2^24; what rounding lifts to hi becomes the
///   float below hi. `lo`, `hi` and their difference are rounded to f32 first and must be finite there.
/// - Bernoulli: `value` where word i % 4 is less than p 2^32 (rounded to an integer), else 0; never at p = 0 and
///   always at p = 1.
/// - Normal: mean + std z, rounded after the product and after the sum; z is defined in [`box_muller`].
pub(crate) fn fill<T: From<f32> + Send>(what: Random, key: Key, call: u64, out: &mut [T]) {
    fill_on(tier(), what, key, call, out);
}

fn fill_on<T: From<f32> + Send>(tier: Tier, what: Random, key: Key, call: u64, out: &mut [T]) {
    let source = Source { tier, key, call };
    match what {
        Random::Uniform { lo, hi } => source.fill(Uniform::new(lo as f32, hi as f32), 0, out),
        Random::Normal { mean, std } => source.fill(Normal { mean: mean as f32, std: std as f32 }, 0, out),
        Random::Bernoulli { p, value } => source.fill(Bernoulli::new(p, value as f32), 0, out),
    }
}

/// Where the words come from.
#[derive(Clone, Copy)]
struct Source {
    tier: Tier,
    key: Key,
    call: u64,
}

impl Source {
    /// Fills `out` from block `first` on, a multiple of [`LANES`].
    fn fill<D: Draw, T: From<f32> + Send>(self, draw: D, first: u64, out: &mut [T]) {
        if out.len() <= GRAIN {
            let Source { tier, key, call } = self;
            return vectorize_on(tier, Fill { draw, key, call, first, out });
        }
        let half = (out.len() / 2).next_multiple_of(GROUP);
        let (left, right) = out.split_at_mut(half);
        par::join(|| self.fill(draw, first, left), || self.fill(draw, first + half as u64 / 4, right));
    }
}

/// Turns the four words of a block into four numbers.
trait Draw: Copy + Send + Sync {
    fn numbers(self, words: [u32; 4]) -> [f32; 4];
}

#[derive(Clone, Copy)]
struct Uniform {
    lo: f32,
    width: f32,
    /// The largest number below hi.
    below: f32,
}

impl Uniform {
    fn new(lo: f32, hi: f32) -> Uniform {
        debug_assert!((hi - lo).is_finite(), "uniform numbers from {lo} to {hi}");
        Uniform { lo, width: hi - lo, below: hi.next_down().max(lo) }
    }
}

impl Draw for Uniform {
    #[inline(always)]
    fn numbers(self, words: [u32; 4]) -> [f32; 4] {
        words.map(|w| {
            // 24 bits fit a positive i32, which every tier converts with one instruction.
            let u = (w >> 8) as i32 as f32 * (1.0 / 16_777_216.0);
            let x = self.lo + u * self.width;
            if x > self.below { self.below } else { x }
        })
    }
}

#[derive(Clone, Copy)]
struct Normal {
    mean: f32,
    std: f32,
}

impl Draw for Normal {
    #[inline(always)]
    fn numbers(self, words: [u32; 4]) -> [f32; 4] {
        let [a, b, c, d] = words;
        let ([z0, z1], [z2, z3]) = (standard_normals(a, b), standard_normals(c, d));
        [z0, z1, z2, z3].map(|z| self.mean + self.std * z)
    }
}

#[derive(Clone, Copy)]
struct Bernoulli {
    /// The largest word that gives `value`.
    last: u32,
    value: f32,
}

impl Bernoulli {
    fn new(p: f64, value: f32) -> Bernoulli {
        debug_assert!((0.0..=1.0).contains(&p), "a probability of {p}");
        // 0 to 2^32 words give `value`; for none of them there is no last word, but a value of 0 does.
        match (p * 4_294_967_296.0).round() as u64 {
            0 => Bernoulli { last: 0, value: 0.0 },
            n => Bernoulli { last: (n - 1).min(u32::MAX as u64) as u32, value },
        }
    }
}

impl Draw for Bernoulli {
    #[inline(always)]
    fn numbers(self, words: [u32; 4]) -> [f32; 4] {
        words.map(|w| if w <= self.last { self.value } else { 0.0 })
    }
}

/// The numbers of blocks `first..` of a call, `first` a multiple of [`LANES`].
struct Fill<'a, D, T> {
    draw: D,
    key: Key,
    call: u64,
    first: u64,
    out: &'a mut [T],
}

impl<D: Draw, T: From<f32>> Kernel for Fill<'_, D, T> {
    type Output = ();
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Fill { draw, key, call, first, out } = self;
        let mut numbers = [[0.0; LANES]; 4];
        for (block, out) in (first..).step_by(LANES).zip(out.chunks_mut(GROUP)) {
            group(draw, key, call, block, &mut numbers);
            interleave(&numbers, out);
        }
    }
}

/// `out[4 l + j] = numbers[j][l]`, for as many as `out` holds.
#[inline(always)]
fn interleave<T: From<f32>>(numbers: &[[f32; LANES]; 4], out: &mut [T]) {
    let (blocks, rest) = out.as_chunks_mut::<4>();
    let [n0, n1, n2, n3] = numbers;
    let rows = n0.iter().zip(n1).zip(n2.iter().zip(n3)).map(|((a, b), (c, d))| [*a, *b, *c, *d]);
    let mut rows = rows.map(|row| row.map(T::from));
    for (out, row) in blocks.iter_mut().zip(&mut rows) {
        *out = row;
    }
    for (out, x) in rest.iter_mut().zip(rows.next().into_iter().flatten()) {
        *out = x;
    }
}

/// The numbers of blocks `block..block + LANES`: number `j` of each in row `j`.
#[inline(always)]
fn group<D: Draw>(draw: D, key: Key, call: u64, block: u64, numbers: &mut [[f32; LANES]; 4]) {
    let [low, c1, c2, c3] = counter(block, call);
    let [n0, n1, n2, n3] = numbers;
    for lane in 0..LANES {
        // `block` is a multiple of LANES: no carry.
        let words = philox4x32_10([low | lane as u32, c1, c2, c3], key);
        [n0[lane], n1[lane], n2[lane], n3[lane]] = draw.numbers(words);
    }
}
