//! What the clocks say of a machine that sleeps.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// How long the machine has slept since it was started: the clock that `Instant` reads stands still meanwhile, the one
/// that counts from the start of the machine goes on.
pub(crate) fn suspended() -> Duration {
    // In this order: what passes between the two calls makes it less, never more.
    let awake = since_start(ClockId::Monotonic);
    since_start(ClockId::Boottime).saturating_sub(awake)
}

fn since_start(clock: ClockId) -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
    let (seconds, nanos) = (u64::try_from(tv_sec), u32::try_from(tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

/// Notices that the machine has slept.
#[derive(Debug)]
pub(crate) struct SleepWatch {
    slept: Duration,
}

/// Less than this is the difference of two readings, or a nap that no server notices.
const WORTH_A_PING: Duration = Duration::from_secs(1);

impl SleepWatch {
    pub(crate) fn new(suspended: Duration) -> Self {
        Self { slept: suspended }
    }

    /// Whether the machine has slept since this was asked last.
    pub(crate) fn has_slept(&mut self, suspended: Duration) -> bool {
        let slept = suspended.saturating_sub(self.slept) >= WORTH_A_PING;
        self.slept = self.slept.max(suspended);
        slept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_is_noticed_once() {
        let second = Duration::from_secs(1);
        let mut watch = SleepWatch::new(100 * second);
        assert!(!watch.has_slept(100 * second + second / 2));
        assert!(watch.has_slept(400 * second));
        assert!(!watch.has_slept(400 * second));
        assert!(!watch.has_slept(399 * second));
    }

    #[test]
    fn a_machine_that_is_awake_does_not_sleep() {
        let mut watch = SleepWatch::new(suspended());
        assert!(!watch.has_slept(suspended()));
    }
}
