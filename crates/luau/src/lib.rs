//! The script host: runs a Luau script that is written against the `WebSocket` class.
//!
//! Read in this order: `runtime` (a script from its start to its end), `cycle` and `turn` (what is due, and for how long),
//! `vm` (coroutines, errors, output; it knows no socket), `session` (what one script has), `socket` (one connection's side),
//! `delivery` (a message to its handlers), `class` (what a script holds), `globals` with the files of `prelude` (what yields,
//! written in Luau so that `pcall` sees through it). What each message pays for more than once goes by Luau's own interface for C instead of mlua's: `ahead`,
//! `class::send` and `vm::interrupt`, with the figures there.
#![deny(unsafe_code)]

mod advice;
mod ahead;
mod class;
mod cycle;
mod delivery;
mod globals;
mod hints;
mod json;
mod memory;
mod modules;
mod runtime;
mod session;
mod socket;
mod turn;
mod vm;

pub use runtime::{RunOptions, run};
