//! What Python knows about one connection, and how its messages reach handlers and those who wait.
//!
//! Who gets a message is decided by [`sunsocket_net::Takers`] alone; this executes what they say, on either face. Read
//! `waiter` (who may wait, and how it is woken), `state` (one connection's side), then `serving` (the execution).

mod serving;
mod state;
mod taking;
mod waiter;

pub(crate) use serving::Looker;
pub(crate) use state::{Delivery, Handle};
pub(crate) use waiter::{Slot, Value, Waiter};
