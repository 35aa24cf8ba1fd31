//! One connection as a state machine: bytes and messages in, frames and messages out. Nothing here reads, writes, waits or
//! looks at a clock; time comes in as an argument, so that a test can move it.
//!
//! The two directions of a WebSocket are nearly independent, and so are the two halves, [`Receiving`] and [`Sending`]: each
//! has a lock of its own around it (`connection`), so that a thread that inflates keeps no sender waiting. What the outside
//! has to do for a connection is never asked for from in here. It follows from the [`word`], whose bits the halves state
//! after each call, and from their deadlines; `Reactor::apply` compares that with what is registered.

pub(crate) mod batch;
pub(crate) mod buffer_pool;
pub(crate) mod chunk;
pub(crate) mod closing;
pub(crate) mod gathering;
pub(crate) mod hold;
pub(crate) mod keep_alive;
pub(crate) mod outbox;
pub(crate) mod pieces;
pub(crate) mod receive;
pub(crate) mod send;
mod sending_pieces;
#[cfg(test)]
mod tests;
pub(crate) mod word;

pub(crate) use self::receive::Receiving;
pub(crate) use self::send::Sending;
