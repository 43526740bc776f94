//! The order in which a run sees its data.

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::rng::{Key, Philox, Stream};
use crate::{Error, Result};

/// How far a run has come through its data: all there is to save.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Epochs finished.
    pub epoch: u64,
    /// Examples seen in this epoch.
    pub index: u64,
}

/// Batches of indices, shuffled afresh in every epoch.
///
/// The order of epoch `e` is a Fisher-Yates shuffle of `0..count` by call `e` of the seed's [`Stream::Data`]: a
/// function of `(seed, epoch)` alone, whatever the batch size and whatever came before, so that a [`Position`] and
/// the seed restore it. Each epoch visits `count / batch * batch` examples, each once; the last few, too few for a
/// batch, are left out of that epoch.
#[derive(Clone, Debug)]
pub struct Sampler {
    batch: usize,
    seed: u64,
    position: Position,
    /// The permutation of epoch `position.epoch`.
    order: Vec<u32>,
}

impl Sampler {
    /// Batches of `batch` out of `count` examples, from the start of epoch 0.
    ///
    /// Fails if `batch` is zero or larger than `count`, or if `count` does not fit 32 bits.
    pub fn new(count: usize, batch: usize, seed: u64) -> Result<Sampler> {
        if u32::try_from(count).is_err() {
            let remedy = "at most 4294967295 can be indexed; split the data set".into();
            return Err(Error::Argument { what: "number of examples", value: count.to_string(), remedy });
        }
        if batch == 0 || batch > count {
            let remedy = format!("the data set has {count} examples, so give 1 to {count}");
            return Err(Error::Argument { what: "batch size", value: batch.to_string(), remedy });
        }
        let mut sampler = Sampler { batch, seed, position: Position::default(), order: vec![0; count] };
        sampler.shuffle();
        Ok(sampler)
    }

    /// Examples per batch.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Batches per epoch.
    pub fn batches(&self) -> usize {
        self.order.len() / self.batch
    }

    /// What has been seen so far.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Goes to a position that [`position`](Sampler::position) gave, of this sampler or of an equal one in another
    /// process. Fails if it lies outside of the data set.
    pub fn seek(&mut self, position: Position) -> Result<()> {
        let count = self.order.len();
        if position.index > count as u64 {
            let remedy =
                format!("the data set has {count} examples; resume with the data the run began with");
            return Err(Error::Argument {
                what: "position in the data",
                value: position.index.to_string(),
                remedy,
            });
        }
        let same = position.epoch == self.position.epoch;
        self.position = position;
        if !same {
            self.shuffle();
        }
        Ok(())
    }

    /// The indices of the next batch; begins the next epoch where this one has too few left.
    pub fn next_indices(&mut self) -> &[u32] {
        if self.order.len() - (self.position.index as usize) < self.batch {
            self.position = Position { epoch: self.position.epoch + 1, index: 0 };
            self.shuffle();
        }
        let start = self.position.index as usize;
        self.position.index += self.batch as u64;
        &self.order[start..start + self.batch]
    }

    fn shuffle(&mut self) {
        for (i, slot) in self.order.iter_mut().enumerate() {
            *slot = i as u32;
        }
        let mut rng = Philox::new(Key::new(self.seed, Stream::Data), self.position.epoch);
        self.order.shuffle(&mut rng);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(sampler: &mut Sampler) -> Vec<u32> {
        (0..sampler.batches()).flat_map(|_| sampler.next_indices().to_vec()).collect()
    }

    #[test]
    fn an_epoch_visits_each_kept_example_once_and_epochs_differ() {
        let mut sampler = Sampler::new(103, 10, 7).unwrap();
        let (first, second) = (epoch(&mut sampler), epoch(&mut sampler));
        for seen in [&first, &second] {
            let mut sorted = seen.clone();
            sorted.sort_unstable();
            sorted.dedup();
            assert_eq!(sorted.len(), 100);
            assert!(sorted.iter().all(|&i| i < 103));
        }
        assert_ne!(first, second);
        assert_eq!(sampler.position(), Position { epoch: 1, index: 100 });
    }

    #[test]
    fn the_order_depends_on_seed_and_epoch_alone() {
        let of = |seed, batch| epoch(&mut Sampler::new(96, batch, seed).unwrap());
        assert_eq!(of(3, 8), of(3, 8));
        assert_eq!(of(3, 8), of(3, 32));
        assert_ne!(of(3, 8), of(4, 8));
        assert_ne!(of(3, 8), of(3 + (1 << 32), 8));

        let mut walked = Sampler::new(96, 8, 3).unwrap();
        for _ in 0..5 {
            epoch(&mut walked);
        }
        let mut jumped = Sampler::new(96, 8, 3).unwrap();
        jumped.seek(Position { epoch: 5, index: 0 }).unwrap();
        assert_eq!(epoch(&mut walked), epoch(&mut jumped));
    }

    /// Checkpoints rely on the order staying what it is, also across versions of rand.
    #[test]
    fn the_order_is_pinned() {
        let mut sampler = Sampler::new(10, 10, 1).unwrap();
        assert_eq!(sampler.next_indices(), PINNED[0]);
        assert_eq!(sampler.next_indices(), PINNED[1]);
    }
    const PINNED: [[u32; 10]; 2] = [[3, 2, 4, 5, 0, 7, 6, 8, 9, 1], [5, 9, 0, 8, 6, 3, 2, 7, 4, 1]];

    #[test]
    fn seek_restores_every_position() {
        let mut original = Sampler::new(50, 8, 9).unwrap();
        for _ in 0..20 {
            let mut restored = Sampler::new(50, 8, 9).unwrap();
            restored.seek(original.position()).unwrap();
            for _ in 0..14 {
                let mut copy = original.clone();
                copy.seek(restored.position()).unwrap();
                assert_eq!(copy.next_indices(), restored.next_indices());
            }
            original.next_indices();
        }
    }

    #[test]
    fn impossible_batches_and_positions_are_refused() {
        let text = |r: Result<Sampler>| r.unwrap_err().to_string();
        let large = text(Sampler::new(100, 101, 0));
        assert!(large.contains("batch size '101'") && large.contains("100 examples"), "{large}");
        assert!(text(Sampler::new(100, 0, 0)).contains("batch size '0'"));
        assert!(text(Sampler::new(0, 1, 0)).contains("0 examples"));
        let mut sampler = Sampler::new(100, 100, 0).unwrap();
        let far = sampler.seek(Position { epoch: 0, index: 101 }).unwrap_err().to_string();
        assert!(far.contains("'101'") && far.contains("100 examples"), "{far}");
        sampler.seek(Position { epoch: 0, index: 100 }).unwrap();
        sampler.next_indices();
        assert_eq!(sampler.position(), Position { epoch: 1, index: 100 });
    }
}
