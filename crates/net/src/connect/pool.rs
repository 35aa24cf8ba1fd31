//! Threads for what may take long and cannot be interrupted: the system's resolver, and a program's own function.
//!
//! - [`FEW`] threads are started on demand. Jobs wait for a network far more than for a processor.
//! - A job that is still in the queue after [`QUEUE_PATIENCE`] may have one more thread ([`Job::hurry`]), up to [`MOST`]
//!   in all: slow jobs delay others by a second, and bind no more than that many threads. Past it a job waits for as
//!   long as whoever wants it does.
//! - A job that nobody wants any more is not begun; one that was begun is left to finish.
//! - A thread that has had nothing to do for [`IDLE`] ends.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Threads that are started without hesitation.
pub(super) const FEW: usize = 8;
/// Threads at the most, however slow the jobs are.
pub(super) const MOST: usize = 64;
/// How long a job stays in the queue before it may have one more thread.
pub(super) const QUEUE_PATIENCE: Duration = Duration::from_secs(1);
/// How long a thread waits for the next job.
const IDLE: Duration = Duration::from_secs(5);

/// Threads that share a queue.
pub(super) struct Pool {
    /// What its threads are called.
    name: &'static str,
    state: Mutex<State>,
    /// There is a job in the queue.
    queued: Condvar,
}

/// A job that was handed in.
#[derive(Clone)]
pub(super) struct Job {
    pool: Arc<Pool>,
    id: u64,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Queued>,
    next_id: u64,
    /// While there is something in the queue there is one at least.
    threads: usize,
    /// Threads that wait for a job.
    idle: usize,
}

struct Queued {
    id: u64,
    /// Runs the job, or finds that nobody wants it any more.
    run: Box<dyn FnOnce() + Send>,
}

impl Pool {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, state: Mutex::default(), queued: Condvar::new() }
    }

    /// Has a thread run `run`, sooner or later.
    ///
    /// # Errors
    /// The operating system's, when there is no thread and none can be started: `run` was dropped.
    pub(super) fn submit(self: &Arc<Self>, run: impl FnOnce() + Send + 'static) -> io::Result<Job> {
        let mut state = self.state();
        let id = state.next_id;
        state.next_id += 1;
        state.queue.push_back(Queued { id, run: Box::new(run) });
        if state.idle >= state.queue.len() {
            self.queued.notify_one();
        } else if state.threads < FEW
            && let Err(error) = self.start_thread(&mut state)
            && state.threads == 0
        {
            let queued = state.queue.pop_back();
            drop(state);
            drop(queued);
            return Err(error);
        }
        drop(state);
        Ok(Job { pool: Arc::clone(self), id })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start_thread(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        let pool = Arc::clone(self);
        thread::Builder::new().name(self.name.to_owned()).spawn(move || pool.work())?;
        state.threads += 1;
        Ok(())
    }

    /// What each thread does.
    fn work(&self) {
        let mut state = self.state();
        loop {
            if let Some(queued) = state.queue.pop_front() {
                drop(state);
                (queued.run)();
                state = self.state();
                continue;
            }
            state.idle += 1;
            let (woken, waited) =
                self.queued.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if waited.timed_out() && state.queue.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}

impl Job {
    /// [`QUEUE_PATIENCE`] is over. Where no thread can be started, those that there are come to the job in the end.
    pub(super) fn hurry(&self) {
        let mut state = self.pool.state();
        if state.threads < MOST && state.queue.iter().any(|queued| queued.id == self.id) {
            let _ = self.pool.start_thread(&mut state);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// Jobs that the test ends one by one.
    struct Bench {
        pool: Arc<Pool>,
        begun: Receiver<(usize, Sender<()>)>,
        begin: Sender<(usize, Sender<()>)>,
    }

    impl Bench {
        fn new() -> Self {
            let (begin, begun) = channel();
            Self { pool: Arc::new(Pool::new("test")), begun, begin }
        }

        /// A job that goes on until the test ends it, or is over.
        fn submit(&self, number: usize) -> Job {
            let begin = self.begin.clone();
            let run = move || {
                let (end, ended) = channel();
                // Both fail when the test is over.
                let _ = begin.send((number, end));
                let _ = ended.recv();
            };
            self.pool.submit(run).expect("threads")
        }

        fn next_begun(&self) -> (usize, Sender<()>) {
            self.begun.recv_timeout(Duration::from_secs(10)).expect("a job begins")
        }

        fn threads(&self) -> usize {
            self.pool.state().threads
        }
    }

    #[test]
    fn slow_jobs_keep_others_waiting_until_they_hurry() {
        let bench = Bench::new();
        let _slow: Vec<_> = (0..FEW).map(|number| bench.submit(number)).collect();
        let _ends: Vec<_> = (0..FEW).map(|_| bench.next_begun()).collect();
        let late = bench.submit(FEW);
        assert!(bench.begun.try_recv().is_err());
        assert_eq!(bench.threads(), FEW);
        late.hurry();
        let (number, _end) = bench.next_begun();
        assert_eq!(number, FEW);
        // It runs: another thread would not help.
        late.hurry();
        assert_eq!(bench.threads(), FEW + 1);
    }

    #[test]
    fn threads_have_a_bound_and_the_queue_goes_on_in_its_order() {
        let bench = Bench::new();
        let jobs: Vec<_> = (0..MOST + 3).map(|number| bench.submit(number)).collect();
        jobs.iter().for_each(Job::hurry);
        let mut ends: Vec<_> = (0..MOST).map(|_| bench.next_begun().1).collect();
        assert_eq!(bench.threads(), MOST);
        assert!(bench.begun.try_recv().is_err());
        drop(ends.pop());
        assert_eq!(bench.next_begun().0, MOST);
    }

    #[test]
    fn an_idle_thread_takes_the_next_job() {
        let bench = Bench::new();
        for number in 0..FEW * 2 {
            bench.submit(number);
            drop(bench.next_begun());
            while bench.pool.state().idle == 0 {
                thread::yield_now();
            }
        }
        assert_eq!(bench.threads(), 1);
    }
}
