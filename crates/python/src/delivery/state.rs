//! One connection's Python side, as long as either of the two lives.
//!
//! All state here is touched with the GIL held, which is never released while one of its locks is; what threads look at
//! while they wait without the GIL is the takers' glance.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use pyo3::prelude::*;
use sunsocket_net::{Connection, Glance, ListenerId, Outcome, State, Takers, Ticket, Which};

use super::waiter::{Value, Waiter};
use crate::errors::{self, Failure};
use crate::keepers;
use crate::locking::lock;
use crate::loops::futures::{Future, Futures};

/// The program's function.
pub(crate) type Handler = Arc<Py<PyAny>>;

/// An open connection on its way into a ``Socket``.
#[pyclass(frozen, module = "sunsocket._core")]
pub(crate) struct Handle(pub(crate) Arc<Delivery>);

/// A task that a thread has given a message, or whose wait it has ended.
pub(super) type Handover = (Waiter, Option<(Ticket, Value)>);

/// One connection's Python side.
pub(crate) struct Delivery {
    pub(crate) connection: Arc<Connection>,
    /// Reports for people and, on asyncio, the loop: see `sunsocket._hooks`.
    pub(crate) hooks: Py<PyAny>,
    /// Whether the face is asyncio's.
    pub(crate) is_async: bool,
    pub(crate) daemon: bool,
    /// The program has no object of it any more.
    abandoned: AtomicBool,
    takers: Mutex<Takers<Value, Handler, Waiter>>,
    pub(crate) glance: Arc<Glance>,
    /// What ended the connection, as an exception.
    pub(crate) failure: Failure,
    /// asyncio: what else tasks wait for.
    pub(crate) futures: Futures,
    /// asyncio: what threads have given to tasks, which only the loop's thread may wake.
    pub(super) handovers: Mutex<Vec<Handover>>,
}

impl Delivery {
    pub(crate) fn new(
        connection: Arc<Connection>,
        hooks: Py<PyAny>,
        is_async: bool,
        daemon: bool,
    ) -> Arc<Self> {
        let takers = Takers::new();
        let glance = Arc::clone(takers.glance());
        let delivery = Arc::new(Self {
            connection,
            hooks,
            is_async,
            daemon,
            abandoned: AtomicBool::new(false),
            takers: Mutex::new(takers),
            glance,
            failure: Failure::default(),
            futures: Futures::default(),
            handovers: Mutex::default(),
        });
        delivery.attach();
        // What was reported before anybody was attached is reported again.
        if delivery.connection.state() == State::Closed || delivery.connection.has_message() {
            delivery.connection.request_delivery();
        }
        delivery
    }

    /// The Python side of a connection.
    pub(crate) fn of(connection: &Connection) -> Option<Arc<Self>> {
        connection.user()?.downcast::<Self>().ok()
    }

    fn attach(self: &Arc<Self>) {
        let attached: Arc<dyn Any + Send + Sync> = self.clone();
        self.connection.attach(attached);
    }

    pub(super) fn takers(&self) -> MutexGuard<'_, Takers<Value, Handler, Waiter>> {
        lock(&self.takers)
    }

    // ---- handlers come and go

    pub(crate) fn connect(self: &Arc<Self>, which: Which, handler: Handler, once: bool) -> ListenerId {
        let id = self.takers().connect(which, handler, once);
        match which {
            Which::Message => self.update_interest(),
            Which::Close => self.catch_up(),
        }
        id
    }

    pub(crate) fn disconnect(&self, which: Which, id: ListenerId) {
        let removed = self.takers().disconnect(which, id);
        self.update_interest();
        // Dropped after the locks: it may run the program's code.
        drop(removed);
        if keepers::are_watched() {
            Python::attach(|py| self.tell_if_idle(py));
        }
    }

    pub(crate) fn is_connected(&self, which: Which, id: ListenerId) -> bool {
        self.takers().is_connected(which, id)
    }

    /// Whether a handler of either signal is connected.
    pub(crate) fn has_handler(&self) -> bool {
        self.takers().has_handler()
    }

    /// Tells the connection whether messages are to be reported. A waiting thread looks for itself; a task cannot.
    pub(crate) fn update_interest(&self) {
        let needs_reports = self.takers().needs_reports();
        self.connection.listen_for(needs_reports, &self.glance);
    }

    /// Who comes after the end is told of it soon. Both sides may have let go of each other by then.
    pub(crate) fn catch_up(self: &Arc<Self>) {
        if self.connection.close_was_reported() {
            self.attach();
            self.connection.request_delivery();
        }
    }

    // ---- who waits

    /// A place in the queue of `recv`, for up to `limit` messages.
    pub(crate) fn queue(&self, waiter: Waiter, limit: usize) -> Ticket {
        self.takers().receive(waiter, limit)
    }

    /// A thread's place among those who share the next message.
    pub(crate) fn share(&self, waiter: Waiter) -> Ticket {
        self.takers().wait(waiter)
    }

    /// A task waits for the next value of a signal.
    pub(crate) fn wait(self: &Arc<Self>, which: Which, future: Future) -> Ticket {
        let ticket = match which {
            Which::Message => self.takers().wait(Waiter::Task(future)),
            Which::Close => self.takers().wait_for_close(Waiter::Closing(future)),
        };
        self.update_interest();
        self.catch_up();
        ticket
    }

    /// The task that holds the ticket waits by a future from now on.
    pub(crate) fn wait_on(self: &Arc<Self>, py: Python<'_>, ticket: Ticket, future: Future) -> PyResult<()> {
        let outcome = self.takers().replace(ticket, Waiter::Task(future.clone_ref(py)));
        match outcome {
            Outcome::Waits => {
                self.update_interest();
                self.catch_up();
            }
            Outcome::Given(Value(message)) => drop(future.wake(py, Ok(message))?),
            Outcome::Ended => drop(future.wake(py, Err(self.closed(py)))?),
        }
        Ok(())
    }

    /// What became of the ticket: its messages, if it was given any, with which it leaves.
    pub(crate) fn collect(&self, ticket: Ticket) -> Outcome<(Value, Vec<Value>)> {
        let (outcome, released) = {
            let mut takers = self.takers();
            let held_up = self.glance.is_held_up();
            let outcome = takers.collect_all(ticket);
            (outcome, held_up && !self.glance.is_held_up())
        };
        if released {
            self.release();
        }
        outcome
    }

    /// The ticket's holder leaves: it `took` what it was given, or goes without. What it did not take is for others.
    pub(crate) fn settle(&self, ticket: Ticket, took: bool) {
        let (returned, released) = {
            let mut takers = self.takers();
            let held_up = self.glance.is_held_up();
            let returned = if took {
                takers.took(ticket);
                false
            } else {
                takers.leave(ticket)
            };
            (returned, held_up && !self.glance.is_held_up())
        };
        self.update_interest();
        if returned {
            // Whoever delivers gives it to the next, of whatever kind.
            self.connection.request_delivery();
        }
        if released {
            self.release();
        }
    }

    /// Those in `Wait` may look for the next message again.
    fn release(&self) {
        self.connection.reactor().nudge();
    }

    /// How many threads and tasks wait for anything of this connection.
    pub(crate) fn waiting(&self) -> usize {
        self.takers().waiting() + self.futures.count()
    }

    pub(crate) fn is_first(&self, ticket: Ticket) -> bool {
        self.takers().is_first(ticket)
    }

    // ---- the end

    /// What is raised because the connection is closing, closed or of another process.
    pub(crate) fn closed(&self, py: Python<'_>) -> PyErr {
        errors::closed(py, &self.connection, &self.failure, None)
    }

    /// Whether this socket keeps the program alive: it is open, and has a handler.
    pub(crate) fn keeps_alive(&self) -> bool {
        !self.daemon && self.has_handler() && self.connection.state() != State::Closed
    }

    /// To be called when that may have changed.
    pub(super) fn tell_if_idle(&self, py: Python<'_>) {
        if keepers::are_watched() && !self.keeps_alive() {
            keepers::tell(py);
        }
    }

    /// Whether nothing will happen any more in this process.
    pub(crate) fn is_over(&self) -> bool {
        self.connection.state() == State::Closed || self.connection.is_forked()
    }

    /// A local Close: what was taken off the hold and not fired goes with what is held.
    pub(crate) fn end_here(&self) {
        let discarded = self.takers().discard();
        // Outside of the lock: dropping may run the program's code.
        drop(discarded);
    }

    pub(crate) fn has_message(&self) -> bool {
        self.connection.has_message_for(&self.glance)
    }

    /// Whether both sides can let go of each other: nothing will happen any more that anybody could hear of.
    pub(crate) fn is_done(&self) -> bool {
        self.connection.close_was_reported()
            && !self.has_handler()
            && (self.abandoned.load(Ordering::SeqCst) || !self.has_message())
    }

    /// The Python object was dropped: an open connection that nobody can hear any more is closed quietly.
    pub(crate) fn abandoned(&self) {
        self.abandoned.store(true, Ordering::SeqCst);
        if self.is_done() {
            // Messages that nobody took before the end kept both sides together until now.
            drop(self.connection.detach());
            return;
        }
        if !self.has_handler() && self.connection.state() == State::Open && !self.connection.is_forked() {
            // 1001 may be sent and an empty reason fits: there is nothing to fail.
            let _ = self.connection.close(1001, "");
        }
    }
}
