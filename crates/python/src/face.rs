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

use crate::{asyncio, call, errors, payload};

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

    /// Whether a handler of either signal is connected.
    pub(crate) fn has_handler(&self) -> bool {
        self.has_message_handler() || !lock(&self.close).is_empty()
    }

    pub(crate) fn has_message(&self) -> bool {
        !lock(&self.returned).is_empty() || self.connection.has_message()
    }

    // ---- messages

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

    /// Everything that is due, in order: opened, messages, closed. Called with the GIL, by the dispatcher or the loop.
    pub(crate) fn deliver(&self, py: Python<'_>) {
        let connection = &self.connection;
        if self.is_async {
            self.deliver_to_tasks(py);
        }
        if connection.take_dropped() {
            self.hook(py, "dropped", (connection.url().to_string(),));
        }
        // A handler that waits is up the stack, or another thread: it goes on with what comes here.
        if !self.firing.swap(true, Ordering::SeqCst) {
            let _firing = Firing(&self.firing);
            self.fire_messages(py);
        }
        if connection.take_closed() || connection.close_was_reported() {
            self.fire_close(py);
        }
    }

    fn note_detour(&self) {
        self.detour.store(true, Ordering::Relaxed);
    }

    fn look_for_detours(&self) {
        let detour = !lock(&self.deferred).is_empty()
            || !lock(&self.returned).is_empty()
            || !self.waiters(Which::Message).is_empty();
        self.detour.store(detour, Ordering::Relaxed);
    }

    /// Fires what is held, for as long as there is one handler and nobody else to think of: the common case, with a lock
    /// for each message in place of eight. False: somebody else is to be thought of.
    fn fire_straight(&self, py: Python<'_>) -> bool {
        let changes = self.changes.load(Ordering::Relaxed);
        let Some(handler) = lock(&self.message).sole().map(Arc::clone) else { return false };
        // Both are asked again after each handler, which may have changed either.
        while !self.detour.load(Ordering::Relaxed) && self.changes.load(Ordering::Relaxed) == changes {
            match self.connection.take(|message| payload::to_object(py, &message)) {
                Some(Some(message)) => self.call(py, &handler, Some(message.bind(py))),
                Some(None) => self.report_failure(py, PyErr::fetch(py), None),
                None => return true,
            }
        }
        false
    }

    fn fire_messages(&self, py: Python<'_>) {
        while self.has_message_handler() {
            if self.fire_straight(py) {
                return;
            }
            if !self.has_message_handler() {
                break;
            }
            let deferred = lock(&self.deferred).pop_front();
            let message = match deferred {
                Some(message) => message,
                None => match self.take(py) {
                    Ok(Some(message)) => {
                        self.fill_waiters(py, &message);
                        message
                    }
                    Ok(None) => return,
                    Err(error) => {
                        self.report_failure(py, error, None);
                        return;
                    }
                },
            };
            self.fire(py, message.bind(py));
            self.look_for_detours();
        }
        // Nobody to fire to: what was meant for handlers only is dropped with them.
        lock(&self.deferred).clear();
        if self.is_async {
            self.feed_tasks(py);
        }
    }

    /// Calls one handler after the other.
    fn fire(&self, py: Python<'_>, argument: &Bound<'_, PyAny>) {
        let mut firing = lock(&self.message).fire();
        let mut before = usize::MAX;
        loop {
            let next = {
                let mut listeners = lock(&self.message);
                let next = listeners.next(&mut firing);
                before = before.min(listeners.len());
                next
            };
            let Some((_, handler)) = next else { break };
            self.call(py, &handler, Some(argument));
        }
        if before != self.message_handlers.load(Ordering::SeqCst) {
            self.attend();
        }
    }

    fn call(&self, py: Python<'_>, handler: &Arc<Py<PyAny>>, argument: Option<&Bound<'_, PyAny>>) {
        let function = handler.bind(py);
        // An exception stays where it is until there is one: a result of that size costs each message.
        let result = match argument {
            Some(argument) => call::one(function, argument),
            None => function.call0().map_err(|error| error.restore(py)).ok(),
        };
        let failure = if result.is_none() { Some(PyErr::fetch(py)) } else { None };
        if let Some(report) = self.connection.reactor().take_busy_report() {
            self.hook(py, "busy", (function.clone(), report.away.as_secs_f64()));
        }
        match result {
            Some(result) if result.is_none() => {}
            Some(result) => {
                asyncio::note_handed_on();
                self.hook(py, "returned", (result, function.clone()));
            }
            None => {
                if let Some(failure) = failure {
                    self.report_failure(py, failure, Some(function));
                }
            }
        }
    }

    fn report_failure(&self, py: Python<'_>, error: PyErr, handler: Option<&Bound<'_, PyAny>>) {
        let handler = handler.map_or_else(|| py.None(), |handler| handler.clone().unbind());
        self.hook(py, "failed", (error.into_value(py), handler));
    }

    fn hook<'py>(&self, py: Python<'py>, name: &str, args: impl pyo3::call::PyCallArgs<'py>) {
        if let Err(error) = self.hooks.bind(py).call_method1(name, args) {
            // The hooks themselves failed: nothing is left but the interpreter's own way to say so.
            error.write_unraisable(py, Some(self.hooks.bind(py)));
        }
    }

    fn fire_close(&self, py: Python<'_>) {
        self.end_tasks(py);
        let none = py.None();
        // Each is taken off before it runs, so that it runs once; those that come while it runs are late and run too.
        loop {
            let waiters = std::mem::take(&mut *self.waiters(Which::Close));
            let handlers = lock(&self.close).clear();
            if waiters.is_empty() && handlers.is_empty() {
                break;
            }
            self.fill(py, waiters, &none);
            for handler in handlers {
                self.call(py, &handler, None);
            }
        }
        if !self.has_message() {
            // Nothing will fire any more: let go of the handlers, which may know the socket.
            let handlers = lock(&self.message).clear();
            self.attend();
            drop(handlers);
        }
        self.connection.reactor().nudge();
    }

    // ---- asyncio's tasks

    pub(crate) fn add_receiver(self: &Arc<Self>, future: Py<PyAny>) {
        lock(&self.receivers).push_back(future);
        self.attend();
        self.catch_up();
    }

    fn waiting_futures(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        let waiters = self.waiters(Which::Message);
        let futures = waiters.iter().filter_map(|waiter| match waiter {
            Waiter::Future(future) => Some(future.clone_ref(py)),
            Waiter::Slot(_) => None,
        });
        futures.collect()
    }

    /// Gives held messages to the tasks that wait.
    fn feed_tasks(&self, py: Python<'_>) {
        loop {
            let waits = !self.waiters(Which::Message).is_empty();
            let receiver = loop {
                let next = lock(&self.receivers).pop_front();
                match next {
                    Some(future) if is_done(py, &future) => {}
                    next => break next,
                }
            };
            if !waits && receiver.is_none() {
                break;
            }
            match self.take_numbered(py) {
                Ok(Some((number, message))) => {
                    let to = match &receiver {
                        Some(receiver) => vec![receiver.clone_ref(py)],
                        None => self.waiting_futures(py),
                    };
                    lock(&self.handed).push(Handed { number, message: message.clone_ref(py), to });
                    self.fill_waiters(py, &message);
                    if let Some(receiver) = receiver {
                        self.resolve(py, &receiver, Ok(message));
                    }
                }
                Ok(None) => {
                    if let Some(receiver) = receiver {
                        lock(&self.receivers).push_front(receiver);
                    }
                    break;
                }
                Err(error) => {
                    if let Some(receiver) = receiver {
                        self.resolve(py, &receiver, Err(error));
                    }
                }
            }
        }
        self.attend();
    }

    fn deliver_to_tasks(&self, py: Python<'_>) {
        let connection = &self.connection;
        if connection.take_opened()
            && let Some(future) = lock(&self.opening).take()
        {
            let failure = connection.closed().and_then(|closed| closed.error);
            match failure {
                Some(error) if connection.handshake().is_none() => {
                    self.resolve(py, &future, Err(errors::raise(py, &error)));
                }
                _ => self.resolve(py, &future, Ok(py.None())),
            }
        }
        if connection.take_writable() {
            let waiting = std::mem::take(&mut *lock(&self.room));
            for future in waiting {
                self.resolve(py, &future, Ok(py.None()));
            }
        }
        if connection.has_piece() || connection.state() == State::Closed {
            let waiting = lock(&self.piece_waiter).take();
            if let Some(future) = waiting {
                self.resolve(py, &future, Ok(py.None()));
            }
        }
        let answered: Vec<(Py<PyAny>, f64)> = {
            let mut pongs = lock(&self.pongs);
            let waiting = std::mem::take(&mut *pongs);
            let mut answered = Vec::new();
            for (number, future) in waiting {
                match connection.pong_arrived(number) {
                    Some(round_trip) => answered.push((future, round_trip.as_secs_f64())),
                    None => pongs.push((number, future)),
                }
            }
            answered
        };
        for (future, seconds) in answered {
            let seconds = pyo3::types::PyFloat::new(py, seconds).into_any().unbind();
            self.resolve(py, &future, Ok(seconds));
        }
    }

    /// The connection has closed: nobody need wait for what will not come.
    fn end_tasks(&self, py: Python<'_>) {
        if !self.is_async {
            return;
        }
        self.feed_tasks(py);
        let receivers: Vec<Py<PyAny>> = lock(&self.receivers).drain(..).collect();
        let waiters =
            std::mem::take(&mut *self.waiters(Which::Message)).into_iter().filter_map(
                |waiter| match waiter {
                    Waiter::Future(future) => Some(future),
                    Waiter::Slot(_) => None,
                },
            );
        let pongs: Vec<Py<PyAny>> = lock(&self.pongs).drain(..).map(|(_, future)| future).collect();
        for future in receivers.into_iter().chain(waiters).chain(pongs) {
            self.resolve(py, &future, Err(errors::closed(py, &self.connection, None)));
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

/// Ends with the firing, by whatever way.
struct Firing<'a>(&'a AtomicBool);

impl Drop for Firing<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

fn is_done(py: Python<'_>, future: &Py<PyAny>) -> bool {
    future.bind(py).call_method0(pyo3::intern!(py, "done")).and_then(|done| done.is_truthy()).unwrap_or(true)
}
