//! The classes that Python sees on both faces.

pub(crate) mod handshake;
pub(crate) mod pieces;
pub(crate) mod sending;
pub(crate) mod signal;
pub(crate) mod socket;
