//! The script host: runs a Luau script that is written against the `WebSocket` class.
//!
//! Read in this order: `runtime` (a script from its start to its end), `scheduler` (which coroutine runs when),
//! `prelude.luau` (what yields, written in Luau so that `pcall` sees through it), `signal` and `socket` (the class),
//! `delivery` (a message to its handlers), `globals`.
#![forbid(unsafe_code)]

mod delivery;
mod error;
mod globals;
mod host;
mod json;
mod modules;
mod runtime;
mod scheduler;
mod signal;
mod socket;

pub use runtime::{RunOptions, run};
