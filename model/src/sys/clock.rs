//! A machine that never sleeps.

use std::time::Duration;

pub(crate) fn suspended() -> Duration {
    Duration::ZERO
}

#[derive(Debug)]
pub(crate) struct SleepWatch;

impl SleepWatch {
    pub(crate) fn new(_: Duration) -> Self {
        Self
    }

    pub(crate) fn has_slept(&mut self, _: Duration) -> bool {
        false
    }
}
