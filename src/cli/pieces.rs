//! Work that is kept piece by piece, several pieces side by side.

use crate::{Error, Result};
use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// How pieces are done.
pub struct Pieces<'a> {
    /// What they are called, in the plural.
    pub name: &'static str,
    /// At a time.
    pub side: usize,
    /// Threads of each.
    pub threads: usize,
    /// Ends all when it becomes true.
    pub stop: &'a AtomicBool,
    /// Where finished ones are kept.
    pub dir: &'a Path,
}

impl Pieces<'_> {
    /// Does all of them, each in a pool of its own: a thread that waits for a part of its work does not take up another
    /// piece, whose time would then be measured with both.
    ///
    /// # Errors
    /// The first that a piece ends with, which stops the others. If it is [`Error::Stopped`], says what is kept.
    pub fn all<T: Send, R: Send>(
        &self,
        left: impl IntoIterator<Item = T>,
        work: impl Fn(T) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let left = Mutex::new(left.into_iter().collect::<VecDeque<T>>());
        let some = || {
            let mut results = Vec::new();
            let next = || left.lock().expect("nobody panics with the lock").pop_front();
            while let Some(piece) = next() {
                let result = work(piece).inspect_err(|_| self.stop.store(true, Ordering::Relaxed))?;
                results.push(result);
            }
            Ok(results)
        };
        let results = std::thread::scope(|scope| {
            let worker = || scope.spawn(|| crate::threads(self.threads, some));
            let workers: Vec<_> = (0..self.side).map(|_| worker()).collect();
            let join = |w: std::thread::ScopedJoinHandle<_>| w.join().unwrap_or_else(|e| resume_unwind(e));
            workers.into_iter().map(join).collect::<Vec<Result<Vec<R>>>>()
        });
        let mut all = Vec::new();
        // What went wrong first stopped the others.
        let mut failed: Vec<Error> = Vec::new();
        for r in results {
            match r {
                Ok(r) => all.extend(r),
                Err(e) => failed.push(e),
            }
        }
        failed.sort_by_key(|e| matches!(e, Error::Stopped { .. }));
        match failed.into_iter().next() {
            None => Ok(all),
            Some(Error::Stopped { .. }) => {
                let (name, dir) = (self.name, self.dir.display());
                let kept = format!("finished {name} are in {dir}; the same command goes on with the others");
                Err(Error::Stopped { kept })
            }
            Some(e) => Err(e),
        }
    }
}
