//! `Socket`, the class behind `WebSocket` on both faces.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pyo3::exceptions::{PyOverflowError, PyTimeoutError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use sunsocket_net::{Error, Outcome, State};

use super::pieces::Pieces;
use super::{handshake, sending};
use crate::delivery::{Delivery, Handle, Looker, Value, Waiter};
use crate::loops::futures::Future;
use crate::loops::receiving::Receiving;
use crate::payload::{self, Outgoing};
use crate::threads::waiting::{check_timeout, deadline, receive, receive_many, wait_until};
use crate::{errors, fairness};

/// What `recv_many` gives at the most without a limit: more may be arriving meanwhile.
const MOST_AT_ONCE: usize = 1 << 16;
/// Larger messages are masked and written with the GIL released: the copy takes longer than getting it back.
const RELEASE_FROM: usize = 64 << 10;
/// The same where they may be compressed, which takes ten times as long.
const RELEASE_COMPRESSED_FROM: usize = 4 << 10;

/// One connection, behind ``WebSocket`` on both faces.
#[pyclass(extends = Pieces, subclass, frozen, module = "sunsocket._core", weakref)]
pub(crate) struct Socket {
    delivery: Arc<Delivery>,
    handle: Py<Handle>,
    signal_type: Py<PyType>,
    on_message: OnceLock<Py<PyAny>>,
    on_close: OnceLock<Py<PyAny>>,
    /// What `Send` returns on asyncio when there is room: one object for all.
    ready: Py<PyAny>,
}

impl Socket {
    pub(crate) fn delivery(&self) -> &Arc<Delivery> {
        &self.delivery
    }

    fn check_process(&self, py: Python<'_>) -> PyResult<()> {
        if self.delivery.connection.is_forked() {
            return Err(self.delivery.closed(py));
        }
        Ok(())
    }

    fn raise(&self, py: Python<'_>, error: &Error) -> PyErr {
        sending::raise(py, &self.delivery, error)
    }

    fn signal(slf: &Bound<'_, Self>, name: &str, cell: &OnceLock<Py<PyAny>>) -> PyResult<Py<PyAny>> {
        let py = slf.py();
        if let Some(signal) = cell.get() {
            return Ok(signal.clone_ref(py));
        }
        let signal = slf.get().signal_type.bind(py).call1((slf, name))?.unbind();
        Ok(cell.get_or_init(|| signal).clone_ref(py))
    }

    fn compresses(&self) -> bool {
        self.delivery.connection.handshake_ref().is_some_and(|handshake| handshake.compression.is_some())
    }

    fn closed_property<T>(&self, read: impl FnOnce(sunsocket_net::Closed) -> T) -> Option<T> {
        self.delivery.connection.closed().map(read)
    }
}

#[pymethods]
impl Socket {
    #[new]
    #[classmethod]
    #[pyo3(signature = (handle=None, signal_type=None, ready=None))]
    fn new(
        class: &Bound<'_, PyType>,
        handle: Option<&Bound<'_, PyAny>>,
        signal_type: Option<Py<PyType>>,
        ready: Option<Py<PyAny>>,
    ) -> PyResult<PyClassInitializer<Self>> {
        let handle = handle.and_then(|handle| handle.cast::<Handle>().ok());
        match (handle, signal_type) {
            (Some(handle), Some(signal_type)) => {
                let py = class.py();
                let ready = ready.unwrap_or_else(|| py.None());
                let delivery = Arc::clone(&handle.get().0);
                let pieces = Pieces::new(&delivery, ready.clone_ref(py));
                Ok(PyClassInitializer::from(pieces).add_subclass(Self {
                    delivery,
                    handle: handle.clone().unbind(),
                    signal_type,
                    on_message: OnceLock::new(),
                    on_close: OnceLock::new(),
                    ready,
                }))
            }
            // What a program writes that knows other clients.
            _ => {
                let name = class.name()?;
                Err(PyTypeError::new_err(format!("a {name} is made by {name}.connect(url)")))
            }
        }
    }

    /// Sends one message.
    ///
    /// Args:
    ///     message: A ``str`` is sent as text, bytes-like as binary (RFC 6455 section 5.6). An iterable of either is
    ///         sent as one message in pieces, each as it comes (section 5.4); what others send meanwhile follows it. On
    ///         asyncio it may be an asynchronous iterable, and what is returned has to be awaited. When it raises, the
    ///         connection is closed with 1011, for the message cannot be finished.
    ///     text: True sends bytes that hold UTF-8 as text, False a ``str`` as binary; None goes by the type.
    ///     compress: Whether to compress it, where that was agreed (RFC 7692); None does from 1 KiB on.
    ///
    /// Returns:
    ///     None on the thread face, where it waits while more than the high-water mark is unsent (never inside a
    ///     handler). On asyncio an awaitable, which waits for the same.
    ///
    /// Raises:
    ///     TypeError: The message is none of these.
    ///     ValueError: It is to be text and has no valid UTF-8 form, or it is a buffer of Python objects or pointers.
    ///     ConnectionClosed: The connection is closing or closed.
    #[pyo3(name = "Send", signature = (message, text=None, compress=None))]
    fn send<'py>(
        slf: &Bound<'py, Self>,
        message: &Bound<'py, PyAny>,
        text: Option<bool>,
        compress: Option<bool>,
    ) -> PyResult<Py<PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let outgoing = match Outgoing::new(message, text) {
            Ok(outgoing) => outgoing,
            Err(error) if error.is_instance_of::<PyTypeError>(py) && payload::is_iterable(message) => {
                let hooks = this.delivery.hooks.bind(py);
                return hooks.call_method1("send_pieces", (slf, message, text, compress)).map(Bound::unbind);
            }
            Err(error) => return Err(error),
        };
        let (kind, bytes) = (outgoing.kind(), outgoing.bytes());
        let connection = &this.delivery.connection;
        let is_quick =
            bytes.len() < RELEASE_FROM && !(bytes.len() >= RELEASE_COMPRESSED_FROM && this.compresses());
        // Where another thread sends right now, maybe much, it is waited for without the GIL.
        let at_once = if is_quick { connection.try_send(kind, bytes, compress) } else { None };
        let sent = at_once.unwrap_or_else(|| py.detach(|| connection.send(kind, bytes, compress)));
        sending::sent(py, &this.delivery, &this.ready, sent)
    }

    /// Starts the closing handshake and returns; a second call does nothing (RFC 6455 section 7).
    ///
    /// Messages that were not delivered are discarded, and OnMessage fires no more. Without an answer within
    /// ``close_timeout`` TCP is cut.
    ///
    /// Args:
    ///     code: 1000 to 1003, 1007 to 1014, or 3000 to 4999.
    ///     reason: At most 123 bytes of UTF-8.
    ///
    /// Raises:
    ///     TypeError: The code is no number, or the reason no ``str``.
    ///     ValueError: The code may not be sent, or the reason is too long.
    #[pyo3(name = "Close", signature = (code=1000, reason=""))]
    fn close(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = close_code)] code: u16,
        reason: &str,
    ) -> PyResult<()> {
        if self.delivery.connection.close(code, reason).map_err(|error| errors::raise(py, &error))? {
            self.delivery.end_here();
        }
        Ok(())
    }

    /// The next message; first come, first served. While a handler is connected, a copy of the next that fires.
    ///
    /// On asyncio it returns what is to be awaited.
    ///
    /// Args:
    ///     timeout: Seconds to wait; None waits until the connection closes.
    ///
    /// Raises:
    ///     ValueError: The timeout is negative or no number.
    ///     TimeoutError: No message came in time. Nothing is lost.
    ///     ConnectionClosed: The connection has closed, and every message from before was taken.
    #[pyo3(signature = (timeout=None))]
    fn recv(slf: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        let (py, delivery) = (slf.py(), &slf.get().delivery);
        if delivery.is_async {
            check_timeout(timeout)?;
            return Receiving::begin(slf.as_any(), &slf.get().handle, timeout);
        }
        receive(py, delivery, timeout)
    }

    /// The next messages: waits for the first, then gives all that have arrived. First come, first served.
    ///
    /// On asyncio it is awaited. While a handler is connected, a copy of the next message that fires.
    ///
    /// Args:
    ///     limit: The most messages to give, from 1 up; None gives all that are held, 65,536 at the most.
    ///     timeout: Seconds to wait for the first; None waits until the connection closes.
    ///
    /// Returns:
    ///     One message at least, in the order in which they came.
    ///
    /// Raises:
    ///     TypeError: The limit is no whole number.
    ///     ValueError: The limit is below 1, or the timeout negative or no number.
    ///     TimeoutError: No message came in time. Nothing is lost.
    ///     ConnectionClosed: The connection has closed, and every message from before was taken.
    #[pyo3(signature = (limit=None, timeout=None))]
    fn recv_many(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = batch_limit)] limit: Option<usize>,
        timeout: Option<f64>,
    ) -> PyResult<Vec<Py<PyAny>>> {
        receive_many(py, &self.delivery, limit.unwrap_or(MOST_AT_ONCE), timeout)
    }

    /// The held messages, where nobody else is to be thought of; none otherwise.
    fn _take_many(
        &self,
        py: Python<'_>,
        #[pyo3(from_py_with = batch_limit)] limit: Option<usize>,
    ) -> PyResult<Vec<Py<PyAny>>> {
        self.delivery.connection.pull();
        self.delivery.take_free_many(py, limit.unwrap_or(MOST_AT_ONCE))
    }

    /// `timeout` is only checked: that of the wait that follows.
    fn _send_ping(&self, py: Python<'_>, payload: &Bound<'_, PyAny>, timeout: Option<f64>) -> PyResult<u64> {
        check_timeout(timeout)?;
        let payload = Outgoing::new(payload, None)?;
        self.delivery.connection.ping(payload.bytes()).map_err(|error| self.raise(py, &error))
    }

    fn _wait_pong(&self, py: Python<'_>, number: u64, timeout: Option<f64>) -> PyResult<f64> {
        let connection = &self.delivery.connection;
        let until = deadline(timeout)?;
        let there = wait_until(py, &self.delivery, until, || {
            connection.pong_arrived(number).is_some() || connection.state() == State::Closed
        })?;
        match connection.pong_arrived(number) {
            Some(round_trip) => Ok(round_trip.as_secs_f64()),
            None if there => Err(self.delivery.closed(py)),
            None => Err(PyTimeoutError::new_err("no pong within the timeout")),
        }
    }

    /// Waits until the connection is closed; false when the timeout came first.
    fn _wait_closed(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        wait_until(py, &self.delivery, deadline(timeout)?, || self.delivery.is_over())
    }

    /// Writes out what is corked; on the thread face it waits until everything is handed to the system.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.check_process(py)?;
        let connection = &self.delivery.connection;
        if connection.flush() || self.delivery.is_async {
            return Ok(());
        }
        wait_until(py, &self.delivery, None, || {
            connection.unsent() == 0 || connection.state() == State::Closed
        })?;
        Ok(())
    }

    /// Drops TCP at once, without a closing handshake (close code 1006).
    fn abort(&self) {
        self.delivery.connection.abort();
    }

    /// Fires with each message: ``str`` for text, ``bytes`` for binary.
    #[getter(OnMessage)]
    fn on_message(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Self::signal(slf, "OnMessage", &slf.get().on_message)
    }

    /// Fires once, without arguments, after the last message.
    #[getter(OnClose)]
    fn on_close(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Self::signal(slf, "OnClose", &slf.get().on_close)
    }

    /// Where it leads to, after any redirects, with its query; without user name and password.
    #[getter]
    fn url(&self) -> String {
        self.delivery.connection.url().href()
    }

    /// The subprotocol that the server chose.
    #[getter]
    fn subprotocol(&self) -> Option<String> {
        handshake::subprotocol(&self.delivery.connection)
    }

    /// What was agreed of permessage-deflate: level, memory level, window bits and context takeover of client and server.
    #[getter]
    fn _compression(&self) -> Option<handshake::Compression> {
        handshake::compression(&self.delivery.connection)
    }

    /// The addresses that redirects led away from, in order; empty without any.
    #[getter]
    fn redirects<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        handshake::redirects(py, &self.delivery.connection)
    }

    /// Names and values of the cookies that the server set in the opening handshake (RFC 6265).
    ///
    /// Those of the answer, and of redirects within the same origin before it, as they came; one that could not be
    /// sent again, or that was removed with ``Max-Age``, is left out. ``connect(ws.url, cookies=ws.cookies)`` sends
    /// them. This is no cookie jar: Domain and Expires are not looked at, and of several with one name, for several
    /// paths, the one for ``ws.url`` is here.
    #[getter]
    fn cookies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        handshake::cookies(py, &self.delivery.connection)
    }

    #[getter]
    fn _response_headers(&self) -> Vec<(String, String)> {
        handshake::headers(&self.delivery.connection)
    }

    #[getter]
    fn _state(&self) -> &'static str {
        match self.delivery.connection.state() {
            _ if self.delivery.connection.is_forked() => "CLOSED",
            State::Connecting => "CONNECTING",
            State::Open => "OPEN",
            State::Closing => "CLOSING",
            State::Closed => "CLOSED",
        }
    }

    /// The close code (RFC 6455 section 7.1.5) once it has closed: 1005 without one, 1006 when it was lost.
    #[getter]
    fn close_code(&self) -> Option<u16> {
        self.closed_property(|closed| closed.code)
    }

    /// The close reason, once it has closed.
    #[getter]
    fn close_reason(&self) -> Option<String> {
        self.closed_property(|closed| closed.reason)
    }

    /// What ended the connection, the same object for as long as anybody holds it.
    #[getter]
    fn _failure<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.delivery.failure.of(py, &self.delivery.connection)
    }

    /// Seconds of the last measured round trip of a ping.
    #[getter]
    fn latency(&self) -> Option<f64> {
        self.delivery.connection.latency().as_ref().map(Duration::as_secs_f64)
    }

    /// Our address and port.
    #[getter]
    fn local_address(&self) -> Option<(String, u16)> {
        handshake::address(&self.delivery.connection, |handshake| handshake.local_address)
    }

    /// The server's address and port.
    #[getter]
    fn remote_address(&self) -> Option<(String, u16)> {
        handshake::address(&self.delivery.connection, |handshake| handshake.remote_address)
    }

    // ---- for the asyncio face

    /// The reports of the loop that this socket belongs to; None on the thread face.
    #[getter]
    fn _loop_hooks(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.delivery.is_async.then(|| self.delivery.hooks.clone_ref(py))
    }

    /// A task's place in the queue, for so many messages.
    #[pyo3(signature = (limit=None))]
    fn _queue(&self, #[pyo3(from_py_with = batch_limit)] limit: Option<usize>) -> u64 {
        self.delivery.connection.pull();
        self.delivery.queue(Waiter::Paused, limit.unwrap_or(MOST_AT_ONCE)).into()
    }

    /// What the ticket was given, with which it leaves; None when it waits still.
    fn _collect(&self, py: Python<'_>, ticket: u64) -> PyResult<Option<Vec<Py<PyAny>>>> {
        if !self.delivery.glance.has_handlers() {
            // Where there are, the loop brings a copy of what fires next.
            self.delivery.look(py, Looker::Task)?;
        }
        match self.delivery.collect(ticket.into()) {
            Outcome::Given((first, more)) => {
                Ok(Some([first].into_iter().chain(more).map(|Value(message)| message).collect()))
            }
            Outcome::Waits => Ok(None),
            Outcome::Ended => Err(self.delivery.closed(py)),
        }
    }

    /// Looks for input, for a task that finds nothing and is the first to wait.
    fn _look(&self, ticket: u64) {
        if self.delivery.is_first(ticket.into()) {
            let connection = &self.delivery.connection;
            let there = || connection.has_message() || connection.state() == State::Closed;
            connection.reactor().look_for(fairness::rest(), &there);
        }
    }

    /// Whether a task has gone on for so long with what was ready that others of its loop have their turn first.
    fn _is_others_turn(&self) -> bool {
        let is_over = fairness::is_over();
        if is_over {
            fairness::end();
        }
        is_over
    }

    /// The task that holds the ticket waits by this future from now on.
    fn _wait_on(&self, py: Python<'_>, ticket: u64, future: Py<PyAny>) -> PyResult<()> {
        self.delivery.wait_on(py, ticket.into(), Future::new(future))
    }

    /// The task does not wait any more: it took the message that its future got, or was cancelled.
    fn _settle(&self, ticket: u64, took: bool) {
        self.delivery.settle(ticket.into(), took);
    }

    fn _add_pong(&self, py: Python<'_>, number: u64, future: Py<PyAny>) -> PyResult<()> {
        if self.delivery.connection.state() == State::Closed {
            return Err(self.delivery.closed(py));
        }
        self.delivery.futures.wait_for_pong(number, Future::new(future));
        self.delivery.connection.request_delivery();
        Ok(())
    }

    /// The task that waits by this future, for anything but a message, does not any more.
    fn _forget(&self, future: &Bound<'_, PyAny>) {
        self.delivery.futures.forget(future);
    }

    /// How many wait for a message, and how many tasks for the close, room, a pong or a piece.
    #[getter]
    fn _waiting(&self) -> usize {
        self.delivery.waiting()
    }

    fn _is_full(&self) -> bool {
        self.delivery.connection.is_full()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        Ok(format!("<{} {} {}>", slf.get_type().name()?, this.delivery.connection.url(), this._state()))
    }

    /// For `pickle` and for `copy`.
    fn __reduce__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let name = slf.get_type().name()?;
        Err(PyTypeError::new_err(format!("a {name} cannot be copied or pickled: connect again")))
    }
}

/// How many messages to give at once.
fn batch_limit(limit: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    if limit.is_none() {
        return Ok(None);
    }
    let number: i128 = limit.extract().map_err(|_not_whole| {
        PyTypeError::new_err(format!("a limit is a whole number of messages or None, not {limit:?}"))
    })?;
    match usize::try_from(number) {
        Ok(limit @ 1..) => Ok(Some(limit)),
        _ => Err(PyValueError::new_err(format!(
            "a limit is a number of messages from 1 up, or None; not {number}"
        ))),
    }
}

fn close_code(code: &Bound<'_, PyAny>) -> PyResult<u16> {
    code.extract().map_err(|error: PyErr| {
        if error.is_instance_of::<PyOverflowError>(code.py()) {
            PyValueError::new_err(format!("cannot close with code {code}: close codes go from 1000 to 4999"))
        } else {
            PyTypeError::new_err(format!("a close code is a number from 1000 to 4999, not {code:?}"))
        }
    })
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.delivery.abandoned();
    }
}
