//! How long a loop's thread has gone on with results that were ready.
//!
//! A task that awaits what is there never returns to its event loop, and everything else there waits. So the stretch is
//! timed: after half a millisecond the next `recv` or `Send` suspends once, for one round of the loop.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// How long results may be ready in a row before the loop has its turn.
const LONGEST: Duration = Duration::from_micros(500);
/// How long handlers may run before other sockets, tasks and signals have their turn.
const FAIR: Duration = Duration::from_millis(5);
/// The clock is read about this often, and at least with every sixteenth result.
const CLOCK: Duration = Duration::from_micros(50);
const MOST_UNTIMED: u32 = 16;

/// Results that were ready on this thread since its loop had its turn.
#[derive(Clone, Copy)]
struct Stretch {
    /// When it began, and when the clock was read last.
    times: Option<(Instant, Instant)>,
    /// Results since then, and after how many it is read again.
    untimed: u32,
    due: u32,
    /// It is the loop's turn.
    over: bool,
}

const NEW: Stretch = Stretch { times: None, untimed: 0, due: 1, over: false };

thread_local! {
    static CURRENT: Cell<Stretch> = const { Cell::new(NEW) };
}

/// The loop has its turn, or is about to.
pub(crate) fn end() {
    CURRENT.set(NEW);
}

/// To be called before each result that is ready. True: it is the loop's turn, until `end` is called.
#[inline]
pub(crate) fn is_over() -> bool {
    let mut stretch = CURRENT.get();
    stretch.untimed += 1;
    if stretch.untimed >= stretch.due && !stretch.over {
        stretch = stretch.timed(Instant::now(), LONGEST);
    }
    CURRENT.set(stretch);
    stretch.over
}

/// What is left of it, for a look at the socket.
pub(crate) fn rest() -> Duration {
    CURRENT.get().times.map_or(LONGEST, |(began, _)| LONGEST.saturating_sub(began.elapsed()))
}

/// The handlers of one delivery.
pub(crate) struct Turn(Stretch);

impl Turn {
    pub(crate) fn begin() -> Self {
        Self(NEW.timed(Instant::now(), FAIR))
    }

    /// To be called after each handler. True: somebody else's turn.
    #[inline]
    pub(crate) fn is_over(&mut self) -> bool {
        let Self(stretch) = self;
        stretch.untimed += 1;
        if stretch.untimed >= stretch.due && !stretch.over {
            *stretch = stretch.timed(Instant::now(), FAIR);
        }
        stretch.over
    }
}

impl Stretch {
    fn timed(self, now: Instant, longest: Duration) -> Self {
        let Some((began, last)) = self.times else {
            return Self { times: Some((now, now)), untimed: 0, ..self };
        };
        let each = now.duration_since(last) / self.untimed;
        let due = CLOCK.as_nanos() / each.as_nanos().max(1);
        Self {
            times: Some((began, now)),
            untimed: 0,
            due: u32::try_from(due).unwrap_or(MOST_UNTIMED).clamp(1, MOST_UNTIMED),
            over: now.duration_since(began) >= longest,
        }
    }
}
