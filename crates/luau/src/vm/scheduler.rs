//! Which coroutine runs when: those that are due now, in order, and those that sleep.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mlua::{MultiValue, Thread, thread::ThreadStatus};

use super::suspension::Suspension;

/// A sleep longer than this counts as for ever.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A coroutine that is to be resumed.
pub(crate) enum Sleeper {
    /// Whatever it waits for by then.
    Thread(Thread),
    /// If it has not gone on meanwhile.
    Suspended(Rc<Suspension>),
}

impl Sleeper {
    fn thread(&self) -> &Thread {
        match self {
            Self::Thread(thread) => thread,
            Self::Suspended(suspension) => &suspension.thread,
        }
    }

    fn is_alive(&self) -> bool {
        match self {
            // One that runs right now may yield, and then be resumed.
            Self::Thread(thread) => {
                matches!(
                    thread.status(),
                    ThreadStatus::Resumable | ThreadStatus::Running | ThreadStatus::Normal
                )
            }
            Self::Suspended(suspension) => suspension.waits(),
        }
    }

    /// The coroutine to resume now; `None`: it has given that up.
    pub(crate) fn wake(self) -> Option<Thread> {
        match self {
            Self::Thread(thread) => Some(thread),
            Self::Suspended(suspension) => suspension.wake().then(|| suspension.thread.clone()),
        }
    }
}

#[derive(Default)]
pub(crate) struct Scheduler {
    due: VecDeque<(Sleeper, MultiValue)>,
    /// When, and which; the number keeps those of one instant in order.
    sleeping: BinaryHeap<Reverse<(Instant, u64)>>,
    sleepers: HashMap<u64, (Sleeper, MultiValue)>,
    next: u64,
}

impl Scheduler {
    /// Resumes it in the next cycle.
    pub(crate) fn defer(&mut self, thread: Thread, args: MultiValue) {
        self.due.push_back((Sleeper::Thread(thread), args));
    }

    /// Resumes it in the next cycle, with what it waited for.
    pub(crate) fn wake(&mut self, suspension: Rc<Suspension>, args: MultiValue) {
        self.due.push_back((Sleeper::Suspended(suspension), args));
    }

    /// Resumes it after so many seconds.
    pub(crate) fn sleep(&mut self, sleeper: Sleeper, seconds: f64, args: MultiValue) {
        let wait = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(LONGEST).min(LONGEST);
        self.next += 1;
        self.sleeping.push(Reverse((Instant::now() + wait, self.next)));
        self.sleepers.insert(self.next, (sleeper, args));
    }

    /// Forgets a coroutine.
    pub(crate) fn cancel(&mut self, thread: &Thread) {
        self.due.retain(|(other, _)| other.thread() != thread);
        self.sleepers.retain(|_, (other, _)| other.thread() != thread);
    }

    /// The coroutines whose time has come, in order: one resumption cycle.
    pub(crate) fn take_due(&mut self, now: Instant) -> VecDeque<(Sleeper, MultiValue)> {
        let mut due = std::mem::take(&mut self.due);
        while let Some(Reverse((at, number))) = self.sleeping.peek().copied() {
            if at > now && self.sleepers.contains_key(&number) {
                break;
            }
            self.sleeping.pop();
            due.extend(self.sleepers.remove(&number));
        }
        due
    }

    /// When the next sleeper is due; `None` when nobody sleeps.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        self.sleeping.peek().map(|Reverse((at, _))| *at)
    }

    pub(crate) fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Whether no coroutine will run by itself: none is due, and none that sleeps is alive.
    pub(crate) fn is_idle(&self) -> bool {
        self.due.is_empty() && !self.sleepers.values().any(|(sleeper, _)| sleeper.is_alive())
    }
}
