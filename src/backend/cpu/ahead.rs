//! What is drawn one after the other, the next of it by a thread that has nothing else to do.

use super::par;
use crate::local;
use std::mem::replace;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

/// A source of items that can be made on any thread.
pub(crate) trait Draw: Send + 'static {
    /// What an item needs and the thread that asks for it provides, such as memory: when that is taken must not hang on when
    /// another thread comes to it, or the pool would hold more at one time than at another.
    type Room: Send;
    /// What is drawn.
    type Item: Send;
    /// Room for the next item.
    fn room(&self) -> Self::Room;
    /// The next item, made by this thread alone. If it shared the work out, it might have to wait for a thread that has meanwhile
    /// begun something of another owner, who waits for this.
    fn draw(&mut self, room: Self::Room) -> Self::Item;
}

/// Draws from a source. From the first draw on, the next item is made while the last one is used, if the pool has another
/// thread; which items there are does not depend on it.
pub(crate) struct Ahead<S: Draw>(State<S>);

enum State<S: Draw> {
    Here(S),
    /// The source is with a task, which gives it back.
    Asked(Arc<Task<(S, S::Item)>>),
    /// A draw has panicked.
    Lost,
}

impl<S: Draw> Ahead<S> {
    /// Nothing is drawn yet.
    pub fn new(source: S) -> Ahead<S> {
        Ahead(State::Here(source))
    }

    /// The next item.
    pub fn next(&mut self) -> S::Item {
        let (mut source, item) = match replace(&mut self.0, State::Lost) {
            State::Here(mut source) => {
                let room = source.room();
                let item = source.draw(room);
                (source, item)
            }
            State::Asked(task) => task.take(),
            State::Lost => panic!("drawn from after a draw that failed"),
        };
        self.0 = if par::threads() > 1 && !cfg!(miri) {
            let room = source.room();
            State::Asked(Task::begin(move || {
                let item = source.draw(room);
                (source, item)
            }))
        } else {
            State::Here(source)
        };
        item
    }

    /// The source, without the item that was asked for ahead, which it will not draw again.
    pub fn source(&mut self) -> &mut S {
        if let State::Asked(_) = self.0
            && let State::Asked(task) = replace(&mut self.0, State::Lost)
        {
            self.0 = State::Here(task.take().0);
        }
        match &mut self.0 {
            State::Here(source) => source,
            _ => panic!("asked for after a draw that failed"),
        }
    }
}

/// Something to be computed once, by whoever comes to it first.
struct Task<R> {
    progress: Mutex<Progress<R>>,
    made: Condvar,
}

enum Progress<R> {
    Waiting(Box<dyn FnOnce() -> R + Send>),
    Begun,
    Made(std::thread::Result<R>),
}

impl<R: Send + 'static> Task<R> {
    /// Gives it to the pool.
    fn begin(f: impl FnOnce() -> R + Send + 'static) -> Arc<Task<R>> {
        let progress = Mutex::new(Progress::Waiting(Box::new(f)));
        let task = Arc::new(Task { progress, made: Condvar::new() });
        let same = task.clone();
        rayon::spawn(move || local::aside(|| same.run()));
        task
    }

    fn progress(&self) -> MutexGuard<'_, Progress<R>> {
        self.progress.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Computes it, unless someone has begun.
    fn run(&self) {
        let mut progress = self.progress();
        let f = match replace(&mut *progress, Progress::Begun) {
            Progress::Waiting(f) => f,
            other => return *progress = other,
        };
        drop(progress);
        // A pool ends the process over a panic in what it was given; whoever takes the result is to have it.
        let made = catch_unwind(AssertUnwindSafe(f));
        *self.progress() = Progress::Made(made);
        self.made.notify_all();
    }

    /// The result, computed here if nobody has begun: a pool whose threads are all busy, or but one, is no reason to wait.
    fn take(&self) -> R {
        self.run();
        let mut progress = self.progress();
        loop {
            match replace(&mut *progress, Progress::Begun) {
                Progress::Made(result) => return result.unwrap_or_else(|panic| resume_unwind(panic)),
                other => *progress = other,
            }
            progress = self.made.wait(progress).unwrap_or_else(|e| e.into_inner());
        }
    }
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;
    use crate::threads;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::time::Duration;

    /// Counts; tells when it draws, and panics at a number.
    struct Count {
        next: usize,
        bad: usize,
        tells: Sender<usize>,
    }

    impl Draw for Count {
        type Room = usize;
        type Item = (usize, usize);
        fn room(&self) -> usize {
            self.next * 10
        }
        fn draw(&mut self, room: usize) -> (usize, usize) {
            assert_ne!(self.next, self.bad, "a number it cannot draw");
            self.tells.send(self.next).unwrap();
            self.next += 1;
            (self.next - 1, room)
        }
    }

    fn count(bad: usize) -> (Ahead<Count>, Receiver<usize>) {
        let (tells, told) = channel();
        (Ahead::new(Count { next: 0, bad, tells }), told)
    }

    #[test]
    fn the_items_are_the_same_on_any_threads() {
        for n in [1, 2, 3] {
            let (mut ahead, _told) = count(usize::MAX);
            threads(n, || {
                for i in 0..300 {
                    assert_eq!(ahead.next(), (i, i * 10), "{n} threads");
                }
                // What was made ahead is dropped.
                ahead.source().next = 1000;
                assert_eq!(ahead.next(), (1000, 10_000), "{n} threads");
            });
        }
    }

    #[test]
    fn the_next_item_is_made_before_it_is_asked_for_where_there_is_a_thread_for_it() {
        let (mut ahead, told) = count(usize::MAX);
        threads(2, move || {
            ahead.next();
            let wait = || told.recv_timeout(Duration::from_secs(60)).unwrap();
            assert_eq!((wait(), wait()), (0, 1));
        });
        let (mut ahead, told) = count(usize::MAX);
        threads(1, || ahead.next());
        drop(ahead);
        assert_eq!(told.iter().collect::<Vec<_>>(), [0], "nobody to make it");
    }

    #[test]
    fn a_panic_reaches_who_asks_for_the_item() {
        let (mut ahead, _told) = count(1);
        threads(2, || {
            ahead.next();
            for message in ["a number it cannot draw", "drawn from after a draw that failed"] {
                let panic = catch_unwind(AssertUnwindSafe(|| ahead.next())).unwrap_err();
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap();
                assert!(text.contains(message), "{text}");
            }
        });
    }
}
