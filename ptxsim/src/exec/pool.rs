//! Threads that wait for launches: making new ones for each would cost more than a small kernel does.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};

/// One launch: what to run, how many helpers may still begin, and how many have not ended.
struct Job {
    work: *const (dyn Fn() + Sync),
    open: AtomicUsize,
    left: Mutex<usize>,
    done: Condvar,
}

// SAFETY: the pointer is to a `Sync` function, and is followed only between `open` being taken and `left` being
// given back, during which `run` keeps the function alive.
unsafe impl Send for Job {}
// SAFETY: as above.
unsafe impl Sync for Job {}

#[derive(Default)]
struct Pool {
    /// The latest job, and how many threads there are.
    job: Mutex<(Option<Arc<Job>>, usize)>,
    wake: Condvar,
}

fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(Pool::default)
}

/// Ends a helper's part even if it panics.
struct Part<'a>(&'a Job);

impl Drop for Part<'_> {
    fn drop(&mut self) {
        let mut left = self.0.left.lock().unwrap_or_else(|e| e.into_inner());
        *left -= 1;
        self.0.done.notify_all();
    }
}

fn take(count: &AtomicUsize) -> bool {
    count.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| n.checked_sub(1)).is_ok()
}

fn helper() {
    let pool = pool();
    let mut seen: Option<Arc<Job>> = None;
    loop {
        let job = {
            let mut state = pool.job.lock().unwrap_or_else(|e| e.into_inner());
            loop {
                let new = state.0.as_ref().filter(|j| seen.as_ref().is_none_or(|s| !Arc::ptr_eq(s, j)));
                if let Some(job) = new {
                    break job.clone();
                }
                state = pool.wake.wait(state).unwrap_or_else(|e| e.into_inner());
            }
        };
        if take(&job.open) {
            let part = Part(&job);
            // SAFETY: `run` waits for every part that was opened before the function goes.
            let work = unsafe { &*job.work };
            // A panic is the launch's: what it counted is lost, its blocks are not run; others go on.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            drop(part);
        }
        seen = Some(job);
    }
}

/// Runs `work` on the calling thread and on up to `threads - 1` others, and waits for all.
pub fn run(threads: usize, work: &(dyn Fn() + Sync)) {
    let helpers = threads.saturating_sub(1);
    if helpers == 0 {
        return work();
    }
    let pool = pool();
    // SAFETY: only the lifetime is lost; no helper follows the pointer after this function returns, since it
    // closes the job and waits for those that began.
    let work_ptr: *const (dyn Fn() + Sync) = unsafe { std::mem::transmute::<&(dyn Fn() + Sync), _>(work) };
    let job = Arc::new(Job {
        work: work_ptr,
        open: AtomicUsize::new(helpers),
        left: Mutex::new(helpers),
        done: Condvar::new(),
    });
    {
        let mut state = pool.job.lock().unwrap_or_else(|e| e.into_inner());
        state.0 = Some(job.clone());
        while state.1 < helpers {
            let made = std::thread::Builder::new().name("ptxsim".into()).spawn(helper);
            if made.is_err() {
                break;
            }
            state.1 += 1;
        }
        pool.wake.notify_all();
    }
    let closing = Closing(&job);
    work();
    drop(closing);
}

/// Lets no more helpers begin, and waits for those that did; also when the caller's own part panics.
struct Closing<'a>(&'a Job);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        let mut never = 0;
        while take(&self.0.open) {
            never += 1;
        }
        let mut left = self.0.left.lock().unwrap_or_else(|e| e.into_inner());
        *left -= never;
        while *left > 0 {
            left = self.0.done.wait(left).unwrap_or_else(|e| e.into_inner());
        }
    }
}
