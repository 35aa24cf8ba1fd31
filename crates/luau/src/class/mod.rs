//! What a script holds: the socket, its signals, and the connections of handlers to them.

pub(crate) mod object;
pub(crate) mod send;
pub(crate) mod signal;
pub(crate) mod socket;
