//! Who turns the reactor, and how long to look before sleeping.
//!
//! A reactor has one owner for life: a thread of its own (the dispatcher, the script host) or a foreign event loop. A thread
//! that waits for something turns it in the owner's place ([`leader`]); the [`guardian`] does when the owner is away.

pub(crate) mod guardian;
pub(crate) mod leader;
pub(crate) mod spin;
