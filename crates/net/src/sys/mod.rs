//! What the engine asks of the operating system, in plain functions: nothing here knows what it is asked for.

pub(crate) mod clock;
pub(crate) mod poller;
pub(crate) mod send_queue;
pub(crate) mod socket;
