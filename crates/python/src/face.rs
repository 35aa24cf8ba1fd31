//! What Python knows about one connection, and how its messages reach listeners and waiters, on either face.
//!
//! Messages are popped one by one, at the moment they are fired. Three kinds of taker exist:
//! - **handlers** (`Connect`, `Once`) run on the dispatcher's thread or in the loop; while there is one, the connection
//!   is listened to, and every message fires;
//! - **waiters** (`Wait`, and `recv` while there is a handler) each get a copy of the next message, whoever pops it: a
//!   waiting thread pops for itself and leaves the message in `deferred` for the handlers, so that a `Wait` inside a
//!   handler works and order holds;
//! - **receivers** (`recv` without handlers) take messages off the hold, first come, first served.
//!
//! All state here is touched with the GIL held, which is never released while one of its locks is.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use sunsocket_net::{Connection, ListenerId, Listeners, State};

use crate::{asyncio, dispatcher, payload};

mod delivery;
mod tasks;

/// The program's function.
pub(crate) type Handler = Arc<Py<PyAny>>;

/// Somebody in `Wait`.
pub(crate) enum Waiter {
    /// A thread.
    Slot(Arc<Slot>),
    /// A task.
    Future(Py<PyAny>),
}

/// Where a waiting thread finds its message.
#[derive(Default)]
pub(crate) struct Slot {
    filled: AtomicBool,
    value: Mutex<Option<Py<PyAny>>>,
}

impl Slot {
    pub(crate) fn is_filled(&self) -> bool {
        self.filled.load(Ordering::SeqCst)
    }

    pub(crate) fn take(&self) -> Option<Py<PyAny>> {
        lock(&self.value).take()
    }
}

/// A message on its way into tasks that may be cancelled before they see it.
struct Handed {
    number: u64,
    message: Py<PyAny>,
    /// The futures of those tasks. When none of them takes it, it goes to the next taker.
    to: Vec<Py<PyAny>>,
}

/// Which of the two signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Message,
    Close,
}

/// One connection's Python side.
pub(crate) struct Face {
    pub(crate) connection: Arc<Connection>,
    /// Reports for people and, on asyncio, the loop: see `sunsocket._hooks`.
    pub(crate) hooks: Py<PyAny>,
    /// Whether the face is asyncio's.
    pub(crate) is_async: bool,
    pub(crate) daemon: bool,
    /// The program has no object of it any more.
    abandoned: AtomicBool,
    message: Mutex<Listeners<Handler>>,
    close: Mutex<Listeners<Handler>>,
    /// How many handlers OnMessage has. Mirrors `message`, to be read without its lock.
    message_handlers: AtomicUsize,
    message_waiters: Mutex<Vec<Waiter>>,
    close_waiters: Mutex<Vec<Waiter>>,
    /// Messages that a waiter popped, for the handlers.
    deferred: Mutex<VecDeque<Py<PyAny>>>,
    /// How many messages were taken off the hold.
    taken: AtomicU64,
    handed: Mutex<Vec<Handed>>,
    /// Messages that cancelled tasks gave back, for anybody, in the order of their numbers.
    returned: Mutex<VecDeque<(u64, Py<PyAny>)>>,
    /// `deferred`, `returned` or `message_waiters` may hold something. Set by whoever puts it there, cleared when all three
    /// were seen empty: while it is false a message's way is from the hold to the handlers and nowhere else.
    detour: AtomicBool,
    /// Counts the changes of `message`: what was seen of it stands while this does.
    changes: AtomicUsize,
    /// Somebody is firing messages of this connection, further up the stack or on another thread.
    firing: AtomicBool,
    /// The program began the closing handshake: no message is owed to handlers.
    ended_here: AtomicBool,
    /// OnClose fires, or has: every message that was owed to handlers has fired.
    close_fires: AtomicBool,
    /// asyncio: tasks in `recv`, and futures that wait for the connection to open, for room, for a pong.
    receivers: Mutex<VecDeque<Py<PyAny>>>,
    pub(crate) opening: Mutex<Option<Py<PyAny>>>,
    pub(crate) room: Mutex<Vec<Py<PyAny>>>,
    pub(crate) piece_waiter: Mutex<Option<Py<PyAny>>>,
    pub(crate) pongs: Mutex<Vec<(u64, Py<PyAny>)>>,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Face {
    pub(crate) fn new(
        connection: Arc<Connection>,
        hooks: Py<PyAny>,
        is_async: bool,
        daemon: bool,
    ) -> Arc<Self> {
        let face = Arc::new(Self {
            connection,
            hooks,
            is_async,
            daemon,
            abandoned: AtomicBool::new(false),
            message: Mutex::default(),
            close: Mutex::default(),
            message_handlers: AtomicUsize::new(0),
            message_waiters: Mutex::default(),
            close_waiters: Mutex::default(),
            deferred: Mutex::default(),
            taken: AtomicU64::new(0),
            handed: Mutex::default(),
            returned: Mutex::default(),
            detour: AtomicBool::new(false),
            changes: AtomicUsize::new(0),
            firing: AtomicBool::new(false),
            ended_here: AtomicBool::new(false),
            close_fires: AtomicBool::new(false),
            receivers: Mutex::default(),
            opening: Mutex::default(),
            room: Mutex::default(),
            piece_waiter: Mutex::default(),
            pongs: Mutex::default(),
        });
        let attached: Arc<dyn std::any::Any + Send + Sync> = face.clone();
        face.connection.attach(attached);
        // What was reported before anybody was attached is reported again.
        if face.connection.state() == State::Closed || face.connection.has_message() {
            face.connection.request_delivery();
        }
        face
    }

    /// The Python side of a connection.
    pub(crate) fn of(connection: &Connection) -> Option<Arc<Self>> {
        connection.user()?.downcast::<Self>().ok()
    }

    fn listeners(&self, which: Which) -> MutexGuard<'_, Listeners<Handler>> {
        lock(match which {
            Which::Message => &self.message,
            Which::Close => &self.close,
        })
    }

    fn waiters(&self, which: Which) -> MutexGuard<'_, Vec<Waiter>> {
        lock(match which {
            Which::Message => &self.message_waiters,
            Which::Close => &self.close_waiters,
        })
    }

    // ---- listeners come and go

    pub(crate) fn add_handler(self: &Arc<Self>, which: Which, handler: Handler, once: bool) -> ListenerId {
        let id = {
            let mut listeners = self.listeners(which);
            if once { listeners.once(handler) } else { listeners.connect(handler) }
        };
        if which == Which::Message {
            // Tasks in `recv` get a copy from now on.
            let receivers: Vec<_> = lock(&self.receivers).drain(..).map(Waiter::Future).collect();
            if !receivers.is_empty() {
                self.waiters(which).extend(receivers);
                self.note_detour();
            }
        }
        self.attend();
        if which == Which::Close {
            self.catch_up();
        }
        id
    }

    pub(crate) fn remove_handler(&self, which: Which, id: ListenerId) {
        let removed = self.listeners(which).disconnect(id);
        self.attend();
        // Dropped after the locks: it may run the program's code.
        drop(removed);
    }

    pub(crate) fn is_connected(&self, which: Which, id: ListenerId) -> bool {
        self.listeners(which).is_connected(id)
    }

    pub(crate) fn add_waiter(self: &Arc<Self>, which: Which, waiter: Waiter) {
        self.waiters(which).push(waiter);
        self.note_detour();
        self.attend();
        self.catch_up();
    }

    /// Who comes after the end is told of it soon. Both sides may have let go of each other by then.
    pub(crate) fn catch_up(self: &Arc<Self>) {
        if self.connection.close_was_reported() {
            let attached: Arc<dyn std::any::Any + Send + Sync> = self.clone();
            self.connection.attach(attached);
            self.connection.request_delivery();
        }
    }

    /// A thread does not wait any more.
    pub(crate) fn remove_slot(&self, which: Which, slot: &Arc<Slot>) {
        self.waiters(which)
            .retain(|waiter| !matches!(waiter, Waiter::Slot(other) if Arc::ptr_eq(other, slot)));
    }

    /// A task does not wait any more: it `took` what its future got, or was cancelled.
    pub(crate) fn settle(&self, which: Which, future: &Bound<'_, PyAny>, took: bool) {
        let same = |other: &Py<PyAny>| other.as_ptr() == future.as_ptr();
        let mut gone = Vec::new();
        {
            let mut waiters = self.waiters(which);
            let mut at = 0;
            while at < waiters.len() {
                if matches!(&waiters[at], Waiter::Future(other) if same(other)) {
                    gone.push(waiters.remove(at));
                } else {
                    at += 1;
                }
            }
        }
        if which == Which::Message {
            lock(&self.receivers).retain(|other| !same(other));
        }
        self.attend();
        let done = {
            let mut handed = lock(&self.handed);
            let Some(at) = handed.iter().position(|each| each.to.iter().any(same)) else { return };
            handed[at].to.retain(|other| !same(other));
            if took || handed[at].to.is_empty() { Some(handed.remove(at)) } else { None }
        };
        if let Some(Handed { number, message, .. }) = done
            && !took
        {
            self.give_back(number, message);
        }
    }

    /// Tells the connection whether messages are to be reported. A waiting thread looks for itself; a task cannot.
    fn attend(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
        let handlers = lock(&self.message).len();
        self.message_handlers.store(handlers, Ordering::SeqCst);
        let tasks =
            self.is_async && (!lock(&self.receivers).is_empty() || !lock(&self.message_waiters).is_empty());
        self.connection.listen(handlers > 0 || tasks);
    }

    pub(crate) fn has_message_handler(&self) -> bool {
        self.message_handlers.load(Ordering::SeqCst) > 0
    }

    /// Whether nothing will happen any more in this process.
    pub(crate) fn is_over(&self) -> bool {
        self.connection.state() == State::Closed || self.connection.is_forked()
    }

    /// The program has begun the closing handshake.
    pub(crate) fn end_here(&self) {
        self.ended_here.store(true, Ordering::SeqCst);
    }

    /// Whether a thread that waits for the close need wait no more: it is over, and what is for handlers from before that
    /// has fired. Unless the caller is a handler itself, which that waits for, or none will run any more.
    pub(crate) fn close_has_come(&self) -> bool {
        self.is_over()
            && (self.close_fires.load(Ordering::SeqCst)
                || self.ended_here.load(Ordering::SeqCst)
                || !self.has_message_handler()
                || !self.owes_messages()
                || self.connection.is_forked()
                || self.connection.reactor().is_dispatching_here()
                || dispatcher::has_stopped())
    }

    /// Whether a message waits for handlers or is being fired. Maybe also while somebody is in `Wait`.
    fn owes_messages(&self) -> bool {
        self.detour.load(Ordering::SeqCst)
            || self.connection.has_message()
            || self.firing.load(Ordering::SeqCst)
    }

    /// Whether a handler of either signal is connected.
    pub(crate) fn has_handler(&self) -> bool {
        self.has_message_handler() || !lock(&self.close).is_empty()
    }

    pub(crate) fn has_message(&self) -> bool {
        !lock(&self.returned).is_empty() || self.connection.has_message()
    }

    // ---- messages

    /// A local Close: what was taken off the hold and not fired goes with what is held.
    pub(crate) fn discard(&self) {
        let deferred = std::mem::take(&mut *lock(&self.deferred));
        let returned = std::mem::take(&mut *lock(&self.returned));
        // Outside of the locks: dropping may run the program's code.
        drop((deferred, returned));
    }

    /// Whether the way of a message is from the hold to who asks for it: nobody else is to be thought of.
    pub(crate) fn is_straight(&self) -> bool {
        !self.detour.load(Ordering::Relaxed) && !self.connection.is_listened_to()
    }

    /// Takes the next message off the hold.
    pub(crate) fn take(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        Ok(self.take_numbered(py)?.map(|(_, message)| message))
    }

    fn take_numbered(&self, py: Python<'_>) -> PyResult<Option<(u64, Py<PyAny>)>> {
        if self.detour.load(Ordering::Relaxed) {
            let returned = lock(&self.returned).pop_front();
            if returned.is_some() {
                return Ok(returned);
            }
            self.look_for_detours();
        }
        let message = match self.connection.take(|message| payload::to_object(py, &message)) {
            Some(None) => return Err(PyErr::fetch(py)),
            message => message.flatten(),
        };
        Ok(message.map(|message| (self.taken.fetch_add(1, Ordering::Relaxed), message)))
    }

    /// Every task that got this message was cancelled: it goes to the next taker, before all that came after it.
    fn give_back(&self, number: u64, message: Py<PyAny>) {
        let mut returned = lock(&self.returned);
        let at = returned.partition_point(|(other, _)| *other < number);
        returned.insert(at, (number, message));
        drop(returned);
        self.note_detour();
        self.connection.request_delivery();
    }

    /// For a waiting thread: pops one message for everybody who waits. The handlers get it too, as soon as they may run.
    pub(crate) fn pump(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(message) = self.take(py)? else { return Ok(false) };
        self.fill_waiters(py, &message);
        if self.has_message_handler() {
            lock(&self.deferred).push_back(message);
            self.note_detour();
            self.connection.request_delivery();
        }
        Ok(true)
    }

    /// Gives the message to everybody in `Wait`.
    fn fill_waiters(&self, py: Python<'_>, message: &Py<PyAny>) {
        let waiters = std::mem::take(&mut *self.waiters(Which::Message));
        self.fill(py, waiters, message);
    }

    fn fill(&self, py: Python<'_>, waiters: Vec<Waiter>, value: &Py<PyAny>) {
        for waiter in waiters {
            match waiter {
                Waiter::Slot(slot) => {
                    *lock(&slot.value) = Some(value.clone_ref(py));
                    slot.filled.store(true, Ordering::SeqCst);
                    self.connection.reactor().nudge();
                }
                Waiter::Future(future) => self.resolve(py, &future, Ok(value.clone_ref(py))),
            }
        }
    }

    fn resolve(&self, py: Python<'_>, future: &Py<PyAny>, outcome: Result<Py<PyAny>, PyErr>) {
        asyncio::note_handed_on();
        let future = future.bind(py);
        let resolved = (|| {
            if future.call_method0(pyo3::intern!(py, "done"))?.is_truthy()? {
                return Ok(());
            }
            match outcome {
                Ok(value) => future.call_method1(pyo3::intern!(py, "set_result"), (value,))?,
                Err(error) => {
                    future.call_method1(pyo3::intern!(py, "set_exception"), (error.into_value(py),))?
                }
            };
            Ok(())
        })();
        if let Err(error) = resolved {
            self.report_failure(py, error, None);
        }
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
