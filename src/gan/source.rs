//! Where real samples come from. A batch is drawn, and its pictures decoded, while the step before it is computed.

use crate::Result;
use crate::Tensor;
use crate::backend::cpu::ahead::{Ahead, Draw};
use crate::data::{Dataset, Loader, Position, Samples};
use crate::tensor::Unwritten;
use std::sync::Arc;

/// Where real samples come from.
pub(super) enum Source {
    /// Pictures in an order that is shuffled.
    Pictures(Pictures),
    /// Points of a distribution in the plane.
    Plane(Ahead<Plane>),
}

/// A distribution in the plane, its points divided by `scale`.
pub(super) struct Plane {
    pub samples: Samples,
    pub scale: f32,
    pub batch: usize,
}

impl Draw for Plane {
    type Room = Unwritten<f32>;
    type Item = Tensor;
    fn room(&self) -> Unwritten<f32> {
        Unwritten::new(&[self.batch, 2])
    }
    fn draw(&mut self, room: Unwritten<f32>) -> Tensor {
        let points = self.samples.take(self.batch);
        room.write(|out| {
            out.iter_mut().zip(points.as_flattened()).for_each(|(x, point)| *x = point / self.scale);
        })
    }
}

/// Batches of a data set.
pub(super) struct Pictures {
    data: Arc<Dataset>,
    batches: Ahead<Batches>,
    position: Position,
    labels: Vec<i64>,
}

/// What batches are made of.
struct Batches {
    loader: Loader,
    /// What a sample is behind the batch.
    sample: Vec<usize>,
}

struct Batch {
    images: Tensor,
    labels: Vec<i64>,
    /// The loader's, behind this batch.
    position: Position,
}

impl Draw for Batches {
    type Room = Unwritten<f32>;
    type Item = Batch;
    fn room(&self) -> Unwritten<f32> {
        let shape: Vec<usize> = [self.loader.batch()].iter().chain(&self.sample).copied().collect();
        Unwritten::new(&shape)
    }
    fn draw(&mut self, room: Unwritten<f32>) -> Batch {
        let (data, mut labels) = (self.loader.dataset().clone(), Vec::new());
        let images = room.write(|out| {
            let indices = self.loader.next_batch(out);
            if let Some(all) = &data.labels {
                labels.extend(indices.iter().map(|&i| all[i as usize] as i64));
            }
        });
        Batch { images, labels, position: self.loader.position() }
    }
}

impl Pictures {
    pub fn new(loader: Loader, sample: Vec<usize>) -> Pictures {
        let (data, position) = (loader.dataset().clone(), loader.position());
        Pictures { data, batches: Ahead::new(Batches { loader, sample }), position, labels: Vec::new() }
    }

    /// The next batch, on the CPU.
    pub fn next(&mut self) -> Tensor {
        let batch = self.batches.next();
        (self.labels, self.position) = (batch.labels, batch.position);
        batch.images
    }

    /// The classes of the last batch, if the data has any.
    pub fn labels(&self) -> &[i64] {
        &self.labels
    }

    /// What batches are taken from.
    pub fn dataset(&self) -> &Arc<Dataset> {
        &self.data
    }

    /// What has been seen so far.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Goes to a position; fails if it lies outside of the data set.
    pub fn seek(&mut self, position: Position) -> Result<()> {
        let loader = &mut self.batches.source().loader;
        // Also where that fails: a batch that was drawn ahead is to be drawn again.
        loader.seek(self.position)?;
        loader.seek(position)?;
        self.position = position;
        Ok(())
    }

    /// The same with samples of another shape.
    #[cfg(test)]
    pub fn with_sample(&mut self, sample: &[usize]) {
        self.batches.source().sample = sample.to_vec();
    }
}
