//! Whether to look again before sleeping, for how long, and when to leave it.
//!
//! Waking a sleeping core costs more than looking: while answers come within some tens of microseconds, looking for
//! up to 50 of them gives 2.5 times the round trips at the same CPU time. Looking in vain is CPU time lost, so the
//! decision follows what happened: each short wait earns a credit, each look in vain costs four and, without credit,
//! a pause from looking that doubles. An idle program pays for a handful of looks and then none.

use std::sync::OnceLock;
use std::time::Duration;

/// How long to look.
pub(crate) const LOOK: Duration = Duration::from_micros(50);
/// A wait that ended this soon would have been caught, or nearly, by a look: sleeping and waking make it longer.
const SHORT: Duration = Duration::from_micros(120);
const MOST_CREDIT: u32 = 8;
const ENOUGH: u32 = 2;
const FIRST_PAUSE: u32 = 16;
const LONGEST_PAUSE: u32 = 4096;

#[derive(Debug)]
pub(crate) struct Spin {
    credit: u32,
    /// Waits still to pass without a look.
    pause: u32,
    /// The length of the next pause.
    next_pause: u32,
}

impl Spin {
    pub(crate) fn new() -> Self {
        Self { credit: 0, pause: 0, next_pause: FIRST_PAUSE }
    }

    /// Whether this wait begins with a look.
    pub(crate) fn should_look(&mut self) -> bool {
        if !is_on() {
            return false;
        }
        if self.pause > 0 {
            self.pause -= 1;
            return false;
        }
        self.credit > ENOUGH
    }

    /// The look found something.
    pub(crate) fn found(&mut self) {
        self.credit = (self.credit + 1).min(MOST_CREDIT);
        self.next_pause = FIRST_PAUSE;
    }

    /// The look found nothing.
    pub(crate) fn missed(&mut self) {
        self.credit = self.credit.saturating_sub(4);
        if self.credit <= ENOUGH {
            self.pause = self.next_pause;
            self.next_pause = (self.next_pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// A wait without a look took `slept`.
    pub(crate) fn slept(&mut self, slept: Duration) {
        if slept < SHORT {
            self.credit = (self.credit + 1).min(MOST_CREDIT);
        } else {
            self.credit = self.credit.saturating_sub(1);
        }
    }
}

/// For measurements: `SUNSOCKET_SPIN=0` in the environment turns looking off, for the life of the process.
fn is_on() -> bool {
    static ON: OnceLock<bool> = OnceLock::new();
    *ON.get_or_init(|| std::env::var_os("SUNSOCKET_SPIN").is_none_or(|value| value != "0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_waits_earn_a_look_and_misses_lose_it_for_longer_and_longer() {
        let mut spin = Spin::new();
        assert!(!spin.should_look());
        (0..3).for_each(|_| spin.slept(Duration::from_micros(60)));
        assert!(spin.should_look());
        spin.missed();
        assert_eq!((0..16).filter(|_| spin.should_look()).count(), 0);
        (0..4).for_each(|_| spin.slept(Duration::from_micros(60)));
        assert!(spin.should_look());
        spin.missed();
        assert_eq!((0..32).filter(|_| spin.should_look()).count(), 0);
    }

    #[test]
    fn an_idle_program_does_not_look() {
        let mut spin = Spin::new();
        (0..100).for_each(|_| spin.slept(Duration::from_millis(5)));
        assert!(!spin.should_look());
    }
}
