//! The class in an event loop (asyncio, uvloop): the reactor that the loop turns, and what its tasks await.

pub(crate) mod awaitables;
pub(crate) mod futures;
pub(crate) mod reactor;
pub(crate) mod receiving;
