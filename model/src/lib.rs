//! Checks what the reactor's threads may do to each other, over many orders in which they can run.
//!
//! The sources are those of `sunsocket-net` itself, compiled a second time (`borrowed`). What they stand on
//! is replaced: `sync` (shuttle's locks, atomics and threads, and a clock that only the model moves), `sys` and
//! `io` (a kernel of a few lines, with no descriptor in it), `spin` (which tosses a coin) and `connect` (nobody is
//! dialled here).
//!
//! What a wait is for, it has to be told: a wait of 50 ms or more never times out in the model. In the program such a
//! time-out only bounds how late a signal (SIGINT) is seen; a wake-up that is lost would hide behind it as a delay.
//! Here it is a deadlock, which shuttle reports. Shorter waits (the owner's grace period, the pace of a stream of sends)
//! are part of the protocol, and end.
//!
//! Shuttle explores sequentially consistent orders. What weaker orderings would allow is not seen here: nearly all of
//! these atomics are `SeqCst` for that reason.
#![forbid(unsafe_code)]
// These are the borrowed files': they have more users at home, and are public there.
#![allow(dead_code, unreachable_pub, unused_imports)]

mod connect;
mod io;
mod pipe;
pub mod scenarios;
mod spin;
mod sync;
mod sys;
mod world;

/// What is borrowed, as it stands.
#[path = "../../crates/net/src"]
mod borrowed {
    pub(crate) mod connection;
    pub(crate) mod entropy;
    pub(crate) mod error;
    pub(crate) mod fork;
    pub(crate) mod handshake;
    pub(crate) mod options;
    pub(crate) mod proxies;
    pub(crate) mod reactor;
    pub(crate) mod session;
    pub(crate) mod takers;

    pub(crate) mod drive {
        pub(crate) mod guardian;
        pub(crate) mod leader;

        pub(crate) use crate::spin;
    }
}

// The borrowed files name each other by these.
use borrowed::{
    connection, drive, entropy, error, fork, handshake, options, proxies, reactor, session, takers,
};
