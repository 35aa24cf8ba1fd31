//! `crates/net/src/sys` without an operating system.

pub(crate) mod clock;
pub(crate) mod poller;
pub(crate) mod send_queue;
