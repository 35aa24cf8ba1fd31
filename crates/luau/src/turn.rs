//! How long those have run whom others wait for: coroutines that are due, and the handlers of sockets.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// After so long coroutines give way to sockets: whatever they do, messages are read and answered.
pub(crate) const COROUTINES: Duration = Duration::from_millis(5);
/// So long sockets have their turn, whatever else is due.
const SOCKETS: Duration = Duration::from_millis(2);
/// How often the clock is asked on behalf of a coroutine that does not yield, and after how many questions at the latest.
const LOOK: Duration = Duration::from_millis(1);
const MOST: u32 = 64;

pub(crate) struct Turn {
    /// When it began, as far as anybody has asked.
    began: Cell<Option<Instant>>,
    looked: Cell<Instant>,
    /// How many questions there are from one look at the clock to the next, and how many of them are left.
    questions: Cell<u32>,
    left: Cell<u32>,
}

impl Turn {
    pub(crate) fn new() -> Self {
        let looked = Cell::new(Instant::now());
        Self { began: Cell::new(None), looked, questions: Cell::new(1), left: Cell::new(1) }
    }

    /// A turn begins. `None`: when somebody asks for the first time, so that it costs no look at the clock.
    pub(crate) fn begin(&self, now: Option<Instant>) {
        self.began.set(now);
    }

    fn has_lasted(&self, long: Duration, now: Instant) -> bool {
        let began = self.began.get().unwrap_or(now);
        self.began.set(Some(began));
        now >= began + long
    }

    /// Whether sockets have had their turn.
    pub(crate) fn is_over_for_sockets(&self, now: Instant) -> bool {
        self.has_lasted(SOCKETS, now)
    }

    /// Whether a coroutine that would go on without yielding is to give way. To be asked each time.
    pub(crate) fn is_over_for_coroutine(&self) -> bool {
        let left = self.left.get();
        if left > 1 {
            self.left.set(left - 1);
            return false;
        }
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.looked.replace(now));
        let each = passed / self.questions.get();
        let questions = LOOK.as_nanos() / each.as_nanos().max(1);
        let questions = u32::try_from(questions).unwrap_or(MOST).clamp(1, MOST);
        self.questions.set(questions);
        self.left.set(questions);
        self.has_lasted(COROUTINES, now)
    }
}
