//! Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
//! SC 2011).
//!
//! A block of four 32-bit numbers is a function of a key and a counter and of nothing else, so that any element
//! of any draw can be computed by any thread: element `i` of a tensor's call `c` comes from the block with counter
//! `(i / 4, c)`. A stream's whole state is its key and the number of calls made.

use rand::rand_core::{Infallible, TryRng};

/// The key of a stream: a user's seed and what the numbers are for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key([u32; 2]);

impl Key {
    /// Streams of one seed are independent of each other, and so are those of two seeds below 2^56. The key is
    /// (seed, stream); what a seed has above 32 bits stands above the stream's 8, and its top byte is mixed in.
    pub fn new(seed: u64, stream: Stream) -> Key {
        let (low, high) = (seed as u32, (seed >> 32) as u32);
        Key([low ^ (high >> 24).wrapping_mul(0x9E37_79B9), high << 8 | stream as u32])
    }

    /// The two words of the Philox key.
    pub fn words(self) -> [u32; 2] {
        self.0
    }
}

/// What a stream of random numbers is for. Each purpose has its own, so that changing one (drawing more noise,
/// say) leaves the others as they were.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u32)]
pub enum Stream {
    /// Anything without a purpose of its own.
    General = 0,
    /// Initial weights.
    Init = 1,
    /// The order of the training data; the samples of a synthetic distribution.
    Data = 2,
    /// Latent vectors in training.
    Noise = 3,
    /// Dropout masks.
    Dropout = 4,
    /// The interpolation coefficients of gradient penalties.
    Penalty = 5,
    /// The fixed latent vectors of sample grids, and those of `ganvil sample`.
    Samples = 6,
    /// The classes that a conditional generator is to draw in training.
    Labels = 7,
    /// Noise on what D sees.
    InstanceNoise = 8,
    /// Which labels are flipped.
    LabelFlips = 9,
    /// Alterations of pictures.
    Augmentation = 10,
}

/// The block of random words for a 128-bit counter.
#[inline(always)]
pub fn philox4x32_10(counter: [u32; 4], key: Key) -> [u32; 4] {
    const M0: u32 = 0xD251_1F53;
    const M1: u32 = 0xCD9E_8D57;
    const W0: u32 = 0x9E37_79B9;
    const W1: u32 = 0xBB67_AE85;
    let [mut k0, mut k1] = key.0;
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    for _ in 0..10 {
        let p0 = M0 as u64 * c0 as u64;
        let p1 = M1 as u64 * c2 as u64;
        (c0, c1, c2, c3) = ((p1 >> 32) as u32 ^ c1 ^ k0, p1 as u32, (p0 >> 32) as u32 ^ c3 ^ k1, p0 as u32);
        k0 = k0.wrapping_add(W0);
        k1 = k1.wrapping_add(W1);
    }
    [c0, c1, c2, c3]
}

/// The counter of block `block` of call `call`.
#[inline(always)]
pub fn counter(block: u64, call: u64) -> [u32; 4] {
    [block as u32, (block >> 32) as u32, call as u32, (call >> 32) as u32]
}

/// One call's numbers as a sequential generator for rand and rand_distr, for what is drawn on the host: shuffles,
/// initial weights, mixtures.
#[derive(Clone, Debug)]
pub struct Philox {
    key: Key,
    call: u64,
    block: u64,
    words: [u32; 4],
    used: usize,
}

impl Philox {
    /// The words of call `call` of a stream, from the first.
    pub fn new(key: Key, call: u64) -> Philox {
        Philox { key, call, block: 0, words: [0; 4], used: 4 }
    }

    fn word(&mut self) -> u32 {
        if self.used == 4 {
            self.words = philox4x32_10(counter(self.block, self.call), self.key);
            self.block += 1;
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }
}

// rand's core generator trait (`RngCore` up to rand 0.9) is implemented for every infallible `TryRng`.
impl TryRng for Philox {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.word())
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.word() as u64 | (self.word() as u64) << 32)
    }
    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for chunk in dst.chunks_mut(4) {
            chunk.copy_from_slice(&self.word().to_le_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::RngExt;
    use rand::seq::SliceRandom;
    use rand_distr::{Distribution, StandardNormal};
    use std::collections::HashSet;

    /// The vectors for philox4x32 with 10 rounds in `kat_vectors` of Random123, the authors' distribution.
    #[test]
    fn known_answers() {
        let answers = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, words) in answers {
            assert_eq!(philox4x32_10(counter, Key(key)), words);
        }
    }

    #[test]
    fn the_generator_yields_the_words_of_consecutive_blocks() {
        let key = Key::new(7 << 32 | 1, Stream::Data);
        let mut rng = Philox::new(key, 5);
        let words: Vec<u32> = (0..10).map(|_| rng.random()).collect();
        let blocks = (0..3).flat_map(|b| philox4x32_10(counter(b, 5), key));
        assert_eq!(words, blocks.take(10).collect::<Vec<_>>());
        let mut rng = Philox::new(key, 5);
        assert_eq!(rng.random::<u64>(), words[0] as u64 | (words[1] as u64) << 32);
        let mut bytes = [0; 6];
        rng.fill(&mut bytes);
        assert_eq!(bytes[..4], words[2].to_le_bytes());
        assert_eq!(bytes[4..], words[3].to_le_bytes()[..2]);
    }

    const STREAMS: [Stream; 7] = [
        Stream::General,
        Stream::Init,
        Stream::Data,
        Stream::Noise,
        Stream::Dropout,
        Stream::Penalty,
        Stream::Samples,
    ];

    #[test]
    fn streams_and_seeds_have_keys_of_their_own() {
        let seeds = (0..1000).chain((0..56).map(|bit| 1 << bit)).chain((0..56).map(|bit| (1 << bit) - 1));
        let seeds: HashSet<u64> = seeds.collect();
        let keys: HashSet<Key> = seeds.iter().flat_map(|&s| STREAMS.map(|t| Key::new(s, t))).collect();
        assert_eq!(keys.len(), seeds.len() * STREAMS.len());
    }

    #[test]
    fn streams_are_disjoint() {
        // A block is 128 bits: among two million a chance repetition has a probability of 1e-26.
        let mut seen = HashSet::new();
        for (seed, stream) in [0, 1, 1 << 40].into_iter().flat_map(|s| STREAMS.map(|t| (s, t))) {
            let key = Key::new(seed, stream);
            for (call, block) in (0..5).flat_map(|c| (0..20_000).map(move |b| (c, b))) {
                let fresh = seen.insert(philox4x32_10(counter(block, call), key));
                assert!(fresh, "seed {seed}, {stream:?}: block {block} of call {call} came before");
            }
        }
    }

    #[test]
    fn rand_shuffles_and_samples_with_it() {
        let shuffled = |call| {
            let mut order: Vec<usize> = (0..1000).collect();
            order.shuffle(&mut Philox::new(Key::new(3, Stream::Data), call));
            order
        };
        assert_eq!(shuffled(0), shuffled(0));
        assert_ne!(shuffled(0), shuffled(1));
        let mut sorted = shuffled(0);
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..1000));

        let rng = Philox::new(Key::new(3, Stream::Init), 0);
        let n = 100_000;
        let z: Vec<f64> = StandardNormal.sample_iter(rng).take(n).collect();
        let mean = z.iter().sum::<f64>() / n as f64;
        let variance = z.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / n as f64;
        assert!(mean.abs() < 4.0 / (n as f64).sqrt(), "mean {mean}");
        assert!((variance - 1.0).abs() < 4.0 * (2.0 / n as f64).sqrt(), "variance {variance}");
    }
}
