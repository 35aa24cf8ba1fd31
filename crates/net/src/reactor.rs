//! One turn: wait, read, write, fire timers. Who turns is `leader`'s question.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::connection::Connection;
use crate::error::Error;
use crate::options::ConnectOptions;

/// Who turns a reactor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A thread of its own, which sleeps in [`Reactor::turn`] (the dispatcher, the script host).
    Thread,
    /// A foreign event loop that watches [`Reactor::descriptor`] and calls `turn` with a time that is past.
    Foreign,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// What was waited for is there.
    Ready,
    /// The time is over.
    TimedOut,
    /// Neither: look whether a signal (SIGINT) came in, then wait again. Comes at least every 100 ms or on EINTR.
    Look,
}

/// The guardian had to step in while the owner was away.
#[derive(Clone, Copy, Debug)]
pub struct BusyReport {
    /// How long the owner was away, to about a tenth of a second.
    pub away: Duration,
}

/// Sockets, timers and the connections that they belong to.
pub struct Reactor {}

/// While this lives, the thread that made it delivers to handlers: what it sends is corked, and the guardian watches.
pub struct Dispatch<'a> {
    _reactor: &'a Reactor,
}

#[allow(unused_variables, clippy::todo)]
impl Reactor {
    /// A reactor with no connections.
    ///
    /// # Errors
    /// The operating system's, when it has no descriptors or threads left.
    pub fn new(role: Role) -> io::Result<Arc<Self>> {
        todo!()
    }
    /// Starts to connect and returns at once (on a thread of its own); the connection becomes ready when that ended
    /// ([`Connection::take_opened`]).
    ///
    /// # Errors
    /// `InvalidArgument` before anything is sent.
    pub fn connect(self: &Arc<Self>, options: ConnectOptions) -> Result<Arc<Connection>, Error> {
        todo!()
    }
    /// Connects on the calling thread and returns the open connection. `interrupted` is asked at least every 100 ms and on
    /// EINTR; true gives up with `Cancelled`.
    ///
    /// # Errors
    /// What failed, by kind.
    pub fn connect_here(
        self: &Arc<Self>,
        options: ConnectOptions,
        interrupted: &mut dyn FnMut() -> bool,
    ) -> Result<Arc<Connection>, Error> {
        todo!()
    }
    /// The owner's turn: sleeps until a connection is ready, `wake` is called, a signal interrupts, or `until` (`None`: no
    /// end; a time that is past: only looks). Returns with whatever is ready, maybe nothing.
    pub fn turn(&self, until: Option<Instant>) {
        todo!()
    }
    /// The next connection with something to report, in order of occurrence.
    pub fn next_ready(&self) -> Option<Arc<Connection>> {
        todo!()
    }
    /// Marks the calling thread as delivering until the guard is dropped. May be nested (a handler that waits).
    pub fn dispatch(&self) -> Dispatch<'_> {
        todo!()
    }
    /// Whether the calling thread is inside `dispatch` of this reactor.
    pub fn is_dispatching_here(&self) -> bool {
        todo!()
    }
    /// How long the guardian had to stand in since the last call, if it had to. Cheap: asked after each handler.
    pub fn take_busy_report(&self) -> Option<BusyReport> {
        todo!()
    }
    /// Waits until `ready` says true; the calling thread turns the reactor itself when nobody else does. For threads that
    /// are not the owner, and for the owner inside a handler.
    pub fn wait(&self, until: Option<Instant>, ready: &mut dyn FnMut() -> bool) -> Waited {
        todo!()
    }
    /// One look for input without sleeping, after flushing what is corked (cheap; may be called with the GIL held).
    pub fn look(&self) {
        todo!()
    }
    /// Makes the owner's `turn` return soon. From any thread.
    pub fn wake(&self) {
        todo!()
    }
    /// Readable when `turn` has something to do. For foreign loops.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        todo!()
    }
    /// Connections that are not closed.
    pub fn open_connections(&self) -> Vec<Arc<Connection>> {
        todo!()
    }
    /// Starts closing every connection with 1001 and turns until all are closed or `until`; the rest are aborted.
    pub fn close_all(&self, until: Instant) {
        todo!()
    }
    /// The child of a fork: no connection made before may be used in it, and nothing of theirs is touched.
    pub fn after_fork_in_child() {
        todo!()
    }
}
