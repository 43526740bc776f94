//! A run's sample grids: their files, and by how much G's samples change from one to another.

use crate::Result;
use crate::gan::run::Run;
use crate::gan::trainer::Trainer;
use crate::report::{GridStyle, encode_grid, grid_change};
use std::fs;
use std::path::PathBuf;

/// Real images in a grid.
pub(super) const REALS: usize = 64;

/// Steps between two sample grids that are compared: after fewer, an average of G may look the same.
const COMPARE_AFTER: u64 = 100;

/// The grids of a run, known by the step that they were drawn after.
pub(super) struct Grids<'a> {
    run: &'a Run,
    /// Steps between two that come at regular times.
    every: u64,
    /// Real images that a step looks at.
    batches: u64,
    /// The present step, and the real images seen.
    now: (u64, u64),
}

impl Grids<'_> {
    /// Of a run at the step that its trainer is at.
    pub(super) fn of<'a>(run: &'a Run, trainer: &Trainer) -> Grids<'a> {
        let config = trainer.config();
        Grids {
            run,
            every: config.sample_every,
            batches: (config.batch * config.step.n_d) as u64,
            now: (trainer.steps(), trainer.gan().images),
        }
    }

    /// Real images seen after a step, counted from now: a run may have been taken up with another batch.
    fn images(&self, step: u64) -> u64 {
        let (now, images) = self.now;
        let between = now.abs_diff(step) * self.batches;
        if step < now { images.saturating_sub(between) } else { images + between }
    }

    /// The thousands of images in a name.
    fn kimg(&self, step: u64) -> String {
        format!("kimg-{:07.1}", self.images(step) as f64 / 1000.0)
    }

    /// A grid's file. It is named by the images seen; where so few are between two grids that one of those at regular times
    /// would have the same name, by the step as well.
    pub(super) fn path(&self, step: u64) -> PathBuf {
        let name = self.kimg(step);
        let behind = match step % self.every {
            0 => self.every,
            steps => steps,
        };
        let neighbours = [step.checked_sub(behind), Some(step - step % self.every + self.every)];
        let shared = neighbours.into_iter().flatten().any(|other| self.kimg(other) == name);
        let step = if shared { format!("-step-{step:08}") } else { String::new() };
        self.run.dir().join(format!("samples/{name}{step}.png"))
    }

    /// By how much the newest of the grids that come at regular times has changed, where it is newer than step `since`. Both
    /// grids are read from the run's folder, so that a resumed run compares the same.
    pub(super) fn change(&self, since: u64) -> Option<f64> {
        let newest = self.now.0 - self.now.0 % self.every;
        let before = newest.checked_sub(self.every * COMPARE_AFTER.div_ceil(self.every))?;
        let file = |step: u64| fs::read(self.path(step)).ok();
        if newest <= since { None } else { grid_change(&file(before)?, &file(newest)?) }
    }
}

/// The PNG of a grid of pictures of so many channels, rows and columns.
pub(super) fn encode(images: &[f32], image: [usize; 3], columns: usize) -> Result<Vec<u8>> {
    let [channels, rows, cols] = image;
    let shape = [images.len() / (channels * rows * cols), channels, rows, cols];
    encode_grid(images, shape, &GridStyle { columns, ..GridStyle::default() })
}
