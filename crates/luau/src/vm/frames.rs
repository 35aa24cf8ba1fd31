//! The frame clock: the moments at which coroutines go on that wait for a time.
//!
//! As on Roblox, whose `task.wait` goes on at the first Heartbeat that finds its time over, time is waited for in frames.
//! So a loop around `task.wait()` turns once a frame, and the host wakes once for all whose time is over in the same one.
//! Nothing ticks: which frame a moment belongs to is computed, and the host sleeps until the first that somebody waits for.

use std::time::{Duration, Instant};

/// Nanoseconds in a second.
const SECOND: u128 = 1_000_000_000;

pub(crate) struct Frames {
    /// When frame 0 began.
    began: Instant,
    per_second: u32,
}

impl Frames {
    pub(crate) fn new(began: Instant, per_second: u32) -> Self {
        Self { began, per_second: per_second.max(1) }
    }

    /// The frame that has begun last at that time.
    pub(crate) fn at(&self, time: Instant) -> u64 {
        let passed = time.saturating_duration_since(self.began).as_nanos();
        u64::try_from(passed * u128::from(self.per_second) / SECOND).unwrap_or(u64::MAX)
    }

    /// When a frame begins. Rounded up, so that [`Frames::at`] says the same.
    pub(crate) fn begin(&self, frame: u64) -> Instant {
        let passed = (u128::from(frame) * SECOND).div_ceil(u128::from(self.per_second));
        let nanos = u64::try_from(passed).unwrap_or(u64::MAX);
        self.began + Duration::from_nanos(nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_begins_when_it_is_the_last_that_has_begun() {
        let began = Instant::now();
        for per_second in [1, 7, 59, 60, 144, 1000] {
            let frames = Frames::new(began, per_second);
            let ten_years = 315_360_000 * u64::from(per_second);
            for frame in (0..500).chain([1_000_000, ten_years]) {
                let begin = frames.begin(frame);
                assert_eq!(frames.at(begin), frame, "{per_second} Hz");
                if frame > 0 {
                    assert_eq!(frames.at(begin - Duration::from_nanos(1)), frame - 1, "{per_second} Hz");
                }
            }
        }
    }

    #[test]
    fn sixty_frames_are_a_second() {
        let began = Instant::now();
        let frames = Frames::new(began, 60);
        assert_eq!(frames.begin(60), began + Duration::from_secs(1));
        assert_eq!(frames.at(began + Duration::from_millis(16)), 0);
        assert_eq!(frames.at(began + Duration::from_millis(17)), 1);
    }
}
