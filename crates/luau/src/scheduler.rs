//! Which coroutine runs when: those that are due now, in order, and those that sleep.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use mlua::{MultiValue, Thread};

/// A sleep longer than this counts as for ever.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 86_400);

#[derive(Default)]
pub(crate) struct Scheduler {
    due: VecDeque<(Thread, MultiValue)>,
    /// When, and which; the number keeps those of one instant in order.
    sleeping: BinaryHeap<Reverse<(Instant, u64)>>,
    sleepers: HashMap<u64, (Thread, MultiValue)>,
    next: u64,
}

impl Scheduler {
    /// Resumes it in the next cycle.
    pub(crate) fn defer(&mut self, thread: Thread, args: MultiValue) {
        self.due.push_back((thread, args));
    }

    /// Resumes it after so many seconds.
    pub(crate) fn sleep(&mut self, thread: Thread, seconds: f64, args: MultiValue) {
        let wait = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(LONGEST).min(LONGEST);
        self.next += 1;
        self.sleeping.push(Reverse((Instant::now() + wait, self.next)));
        self.sleepers.insert(self.next, (thread, args));
    }

    /// Forgets a coroutine; true when it was known.
    pub(crate) fn cancel(&mut self, thread: &Thread) -> bool {
        let before = self.due.len() + self.sleepers.len();
        self.due.retain(|(other, _)| other != thread);
        self.sleepers.retain(|_, (other, _)| other != thread);
        before != self.due.len() + self.sleepers.len()
    }

    /// The coroutines whose time has come, in order: one resumption cycle.
    pub(crate) fn take_due(&mut self, now: Instant) -> VecDeque<(Thread, MultiValue)> {
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

    /// Whether any coroutine will run by itself.
    pub(crate) fn is_idle(&self) -> bool {
        self.due.is_empty() && self.sleepers.is_empty()
    }
}
