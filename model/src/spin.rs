//! `crates/net/src/spin.rs` without a clock: whether to look before sleeping is decided anew each time, so that both ways
//! are gone in short scenarios too.

use std::time::Duration;

use shuttle::rand::Rng;

/// How long to look.
pub(crate) const LOOK: Duration = Duration::from_micros(50);

#[derive(Debug)]
pub(crate) struct Spin;

impl Spin {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn should_look(&mut self) -> bool {
        shuttle::rand::thread_rng().gen_ratio(1, 2)
    }

    pub(crate) fn found(&mut self) {}

    pub(crate) fn missed(&mut self) {}

    pub(crate) fn slept(&mut self, _slept: Duration) {}
}
