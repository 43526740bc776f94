//! Batches of pictures as a network takes them.

use std::sync::Arc;

use super::{Dataset, Position, Sampler, to_units};
use crate::Result;
use crate::error::misuse;

/// Shuffled batches of a [`Dataset`] as floats in \[-1, 1\]; the order is that of [`Sampler`].
#[derive(Clone, Debug)]
pub struct Loader {
    data: Arc<Dataset>,
    sampler: Sampler,
}

impl Loader {
    /// Batches of `batch` pictures, from the start of epoch 0. Fails if `batch` is zero or exceeds the data set.
    pub fn new(data: Arc<Dataset>, batch: usize, seed: u64) -> Result<Loader> {
        let sampler = Sampler::new(data.images.count, batch, seed)?;
        Ok(Loader { data, sampler })
    }

    /// What the batches are taken from.
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.data
    }

    /// Pictures per batch.
    pub fn batch(&self) -> usize {
        self.sampler.batch()
    }

    /// Batches per epoch; what is left over is dropped.
    pub fn batches(&self) -> usize {
        self.sampler.batches()
    }

    /// Floats per batch, `batch * channels * rows * cols`.
    pub fn len_of_batch(&self) -> usize {
        self.batch() * self.data.images.area()
    }

    /// What has been seen so far; with the seed and the data, the whole state.
    pub fn position(&self) -> Position {
        self.sampler.position()
    }

    /// Goes to a position that [`position`](Loader::position) gave. Fails if it lies outside of the data set.
    pub fn seek(&mut self, position: Position) -> Result<()> {
        self.sampler.seek(position)
    }

    /// Writes the next batch to `out`, `(batch, channels, rows, cols)` row-major, each pixel `v / 127.5 - 1`, and
    /// returns which pictures it holds: where there are labels, `i`'s is the i-th of `dataset().labels`.
    ///
    /// On this thread alone: batches are drawn beside other work.
    ///
    /// Panics unless `out` holds [`len_of_batch`](Loader::len_of_batch) floats.
    #[track_caller]
    pub fn next_batch(&mut self, out: &mut [f32]) -> &[u32] {
        let (images, wanted) = (&self.data.images, self.len_of_batch());
        if out.len() != wanted {
            let (batch, [channels, rows, cols]) = (self.batch(), images.shape());
            misuse!(
                "next_batch",
                "buffer of {} floats; {batch} x {channels} x {rows} x {cols} need {wanted}",
                out.len()
            );
        }
        let (indices, area) = (self.sampler.next_indices(), images.area());
        for (&i, out) in indices.iter().zip(out.chunks_exact_mut(area)) {
            to_units(images.image(i as usize), out);
        }
        indices
    }
}
