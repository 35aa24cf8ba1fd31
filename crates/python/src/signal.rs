//! `OnMessage` and `OnClose`: the signals, and the connections of handlers to them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyTimeoutError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use sunsocket_net::{ListenerId, State, Waited};

use crate::errors;
use crate::face::{Face, Slot, Waiter, Which};
use crate::socket::Socket;

/// ``OnMessage`` or ``OnClose``.
#[pyclass(subclass, module = "sunsocket._core", weakref)]
pub(crate) struct Signal {
    face: Arc<Face>,
    which: Which,
}

#[pymethods]
impl Signal {
    #[new]
    fn new(socket: &Socket, name: &str) -> PyResult<Self> {
        let which = match name {
            "OnMessage" => Which::Message,
            "OnClose" => Which::Close,
            other => return Err(PyValueError::new_err(format!("a socket has no signal {other:?}"))),
        };
        Ok(Self { face: Arc::clone(socket.face()), which })
    }

    /// Calls the handler for each value from the next on. Also a decorator; the name then is the connection's.
    ///
    /// Raises:
    ///     TypeError: The handler cannot be called, or is a coroutine function where handlers run on a thread.
    #[pyo3(name = "Connect")]
    fn connect(&self, handler: &Bound<'_, PyAny>) -> PyResult<SignalConnection> {
        self.add(handler, false)
    }

    /// Calls the handler for the next value alone. Also a decorator.
    ///
    /// Raises:
    ///     TypeError: As for ``Connect``.
    #[pyo3(name = "Once")]
    fn once(&self, handler: &Bound<'_, PyAny>) -> PyResult<SignalConnection> {
        self.add(handler, true)
    }

    /// Waits for the next value; everybody who waits gets the same.
    ///
    /// Args:
    ///     timeout: Seconds to wait; None waits until the connection closes.
    ///
    /// Returns:
    ///     The message; None for ``OnClose``.
    ///
    /// Raises:
    ///     ValueError: The timeout is negative or no number.
    ///     TimeoutError: Nothing came in time. Nothing is lost.
    ///     ConnectionClosed: The connection closed before a message came.
    #[pyo3(name = "Wait", signature = (timeout=None))]
    fn wait(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        let until = deadline(timeout)?;
        match self.which {
            Which::Message => wait_for_message(py, &self.face, until),
            Which::Close => wait_for_close(py, &self.face, until),
        }
    }

    fn _add_future(&self, py: Python<'_>, future: Py<PyAny>) -> PyResult<()> {
        if self.which == Which::Message {
            self.face.connection.pull();
        }
        if !self.face.connection.is_forked() {
            self.face.add_waiter(self.which, Waiter::Future(future));
            return Ok(());
        }
        // Nothing will ever happen here.
        match self.which {
            Which::Message => Err(errors::closed(py, &self.face.connection, None)),
            Which::Close => future.call_method1(py, "set_result", (py.None(),)).map(drop),
        }
    }

    fn _settle(&self, future: &Bound<'_, PyAny>, took: bool) {
        self.face.settle(self.which, future, took);
    }

    fn __repr__(&self) -> String {
        let name = if self.which == Which::Message { "OnMessage" } else { "OnClose" };
        format!("<Signal {name} of {}>", self.face.connection.url())
    }
}

impl Signal {
    fn add(&self, handler: &Bound<'_, PyAny>, once: bool) -> PyResult<SignalConnection> {
        if !handler.is_callable() {
            let name = handler.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "a handler is a function or another callable, not {name}"
            )));
        }
        self.face.hooks.bind(handler.py()).call_method1("check_handler", (handler,))?;
        let id = self.face.add_handler(self.which, Arc::new(handler.clone().unbind()), once);
        Ok(SignalConnection { face: Arc::clone(&self.face), which: self.which, id })
    }
}

/// One handler's place in a signal.
#[pyclass(frozen, module = "sunsocket._core", weakref)]
pub(crate) struct SignalConnection {
    face: Arc<Face>,
    which: Which,
    id: ListenerId,
}

#[pymethods]
impl SignalConnection {
    /// Takes the handler off. It does not run any more, not even for a value that is firing.
    #[pyo3(name = "Disconnect")]
    fn disconnect(&self) {
        self.face.remove_handler(self.which, self.id);
    }

    /// Whether the handler is still on.
    #[getter(Connected)]
    fn connected(&self) -> bool {
        self.face.is_connected(self.which, self.id)
    }

    /// The same.
    #[pyo3(name = "disconnect")]
    fn disconnect_alias(&self) {
        self.disconnect();
    }

    /// The same.
    #[getter(connected)]
    fn connected_alias(&self) -> bool {
        self.connected()
    }

    fn __repr__(&self) -> String {
        format!("<SignalConnection connected={}>", if self.connected() { "True" } else { "False" })
    }
}

/// Refuses a timeout that is none, whether or not there will be anything to wait for.
pub(crate) fn check_timeout(timeout: Option<f64>) -> PyResult<()> {
    match timeout {
        Some(seconds) if seconds.is_nan() || seconds < 0.0 => Err(PyValueError::new_err(format!(
            "a timeout is a number of seconds from 0 up, or None; not {seconds}"
        ))),
        _ => Ok(()),
    }
}

/// When a wait of `timeout` seconds ends. A time that cannot be told is as good as none.
pub(crate) fn deadline(timeout: Option<f64>) -> PyResult<Option<Instant>> {
    check_timeout(timeout)?;
    let wait = timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Ok(wait.and_then(|wait| Instant::now().checked_add(wait)))
}

/// Waits with the GIL released until `ready`, looking after signals. False when `until` came first.
pub(crate) fn wait_until(
    py: Python<'_>,
    face: &Arc<Face>,
    until: Option<Instant>,
    ready: impl Fn() -> bool + Send + Sync,
) -> PyResult<bool> {
    let reactor = face.connection.reactor();
    loop {
        match py.detach(|| reactor.wait(until, &mut || ready())) {
            Waited::Ready => return Ok(true),
            Waited::TimedOut => return Ok(false),
            Waited::Look => py.check_signals()?,
        }
    }
}

fn timed_out(what: &str) -> PyErr {
    PyTimeoutError::new_err(format!(
        "no {what} within the timeout; nothing is lost, it can be waited for again"
    ))
}

/// The next message, of which everybody who waits gets the same.
pub(crate) fn wait_for_message(
    py: Python<'_>,
    face: &Arc<Face>,
    until: Option<Instant>,
) -> PyResult<Py<PyAny>> {
    face.connection.pull();
    let slot = Arc::new(Slot::default());
    face.add_waiter(Which::Message, Waiter::Slot(Arc::clone(&slot)));
    loop {
        if let Some(message) = slot.take() {
            return Ok(message);
        }
        if face.pump(py)? {
            continue;
        }
        if face.connection.state() == State::Closed || face.connection.is_forked() {
            face.remove_slot(Which::Message, &slot);
            return slot.take().map_or_else(|| Err(errors::closed(py, &face.connection, None)), Ok);
        }
        let connection = &face.connection;
        let waited = wait_until(py, face, until, || {
            slot.is_filled() || connection.has_message() || connection.state() == State::Closed
        });
        if !matches!(waited, Ok(true)) {
            face.remove_slot(Which::Message, &slot);
            // Filled while the GIL was away: then it is ours, and would be lost.
            if let Some(message) = slot.take() {
                return Ok(message);
            }
            waited?;
            return Err(timed_out("message"));
        }
    }
}

fn wait_for_close(py: Python<'_>, face: &Arc<Face>, until: Option<Instant>) -> PyResult<Py<PyAny>> {
    if !wait_until(py, face, until, || face.is_over())? {
        return Err(timed_out("close"));
    }
    // The last message comes first. A handler that stays busy, maybe with waiting for this very thread, has its time.
    let patience = Instant::now().checked_add(face.connection.close_timeout());
    let first = [until, patience].into_iter().flatten().min();
    let fired = wait_until(py, face, first, || face.close_has_come())?;
    if fired || first == patience { Ok(py.None()) } else { Err(timed_out("close")) }
}

/// The next message off the hold, or a copy of the next that fires while there is a handler.
pub(crate) fn receive(py: Python<'_>, face: &Arc<Face>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
    check_timeout(timeout)?;
    let connection = &face.connection;
    connection.pull();
    let mut until = None;
    let mut looked = false;
    loop {
        if face.has_message_handler() {
            return wait_for_message(py, face, if looked { until } else { deadline(timeout)? });
        }
        if let Some(message) = face.take(py)? {
            return Ok(message);
        }
        if connection.state() == State::Closed || connection.is_forked() {
            return Err(errors::closed(py, connection, None));
        }
        if !looked {
            // Once with the GIL held: next to a computing thread, getting it back costs far more than a look.
            looked = true;
            until = deadline(timeout)?;
            connection.reactor().look();
            continue;
        }
        let there = wait_until(py, face, until, || {
            connection.has_message() || connection.state() == State::Closed || face.has_message_handler()
        })?;
        if !there {
            return Err(timed_out("message"));
        }
    }
}
