//! `Socket`, the class behind `WebSocket` on both faces, and `connect` for threads.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pyo3::exceptions::{PyOverflowError, PyRuntimeError, PyTimeoutError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyType};
use sunsocket_net::{Error, ErrorKind, Room, State, Url};

use crate::face::{Face, lock};
use crate::options::Options;
use crate::payload::{self, Outgoing};
use crate::receiving::Receiving;
use crate::signal::{check_timeout, deadline, receive, wait_until};
use crate::{dispatcher, errors};

/// Larger messages are masked and written with the GIL released: the copy takes longer than getting it back.
const RELEASE_FROM: usize = 64 << 10;
/// The same where they may be compressed, which takes ten times as long.
const RELEASE_COMPRESSED_FROM: usize = 4 << 10;

/// An open connection on its way into a ``Socket``.
#[pyclass(frozen, module = "sunsocket._core")]
pub(crate) struct Handle(pub(crate) Arc<Face>);

/// Connects on the calling thread; messages will be delivered by the dispatcher.
#[pyfunction]
#[pyo3(signature = (options, hooks, daemon))]
pub(crate) fn connect(py: Python<'_>, options: &Options, hooks: Py<PyAny>, daemon: bool) -> PyResult<Handle> {
    let reactor = dispatcher::reactor(py)?;
    let options = options.get();
    let mut raised = None;
    let connected = py.detach(|| {
        reactor.connect_here(options, &mut || {
            Python::attach(|py| match py.check_signals() {
                Ok(()) => false,
                Err(error) => {
                    raised = Some(error);
                    true
                }
            })
        })
    });
    match (connected, raised) {
        (_, Some(error)) => Err(error),
        (Ok(connection), None) => Ok(Handle(Face::new(connection, hooks, false, daemon))),
        (Err(error), None) => Err(errors::raise(py, &error)),
    }
}

/// One connection, behind ``WebSocket`` on both faces.
#[pyclass(subclass, frozen, module = "sunsocket._core", weakref)]
pub(crate) struct Socket {
    face: Arc<Face>,
    signal_type: Py<PyType>,
    on_message: OnceLock<Py<PyAny>>,
    on_close: OnceLock<Py<PyAny>>,
    /// What `Send` returns on asyncio when there is room: one object for all.
    ready: Py<PyAny>,
}

impl Socket {
    pub(crate) fn face(&self) -> &Arc<Face> {
        &self.face
    }

    fn check_process(&self, py: Python<'_>) -> PyResult<()> {
        if self.face.connection.is_forked() {
            return Err(errors::closed(py, &self.face.connection, None));
        }
        Ok(())
    }

    fn raise(&self, py: Python<'_>, error: &Error) -> PyErr {
        match error.kind() {
            ErrorKind::Closed => errors::closed(py, &self.face.connection, Some(error.to_string())),
            _ => errors::raise(py, error),
        }
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
        self.face.connection.handshake_ref().is_some_and(|handshake| handshake.compression.is_some())
    }

    /// What `Send` returns, after it has waited where it may.
    fn sent(&self, py: Python<'_>, sent: Result<Room, Error>) -> PyResult<Py<PyAny>> {
        let connection = &self.face.connection;
        match sent {
            Ok(Room::Plenty) if self.face.is_async => Ok(self.ready.clone_ref(py)),
            Ok(Room::Plenty) => Ok(py.None()),
            Ok(Room::Full) if self.face.is_async => {
                self.face.hooks.bind(py).call_method1("room_waiter", (self.face_room(py),)).map(Bound::unbind)
            }
            Ok(Room::Full) => {
                if !connection.reactor().is_dispatching_here() {
                    connection.sender_waits();
                    wait_until(py, &self.face, None, || !connection.is_full())?;
                }
                Ok(py.None())
            }
            Err(error) => Err(self.raise(py, &error)),
        }
    }

    fn closed_property<T>(&self, read: impl FnOnce(sunsocket_net::Closed) -> T) -> Option<T> {
        self.face.connection.closed().map(read)
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
    ) -> PyResult<Self> {
        let handle = handle.and_then(|handle| handle.cast::<Handle>().ok());
        match (handle, signal_type) {
            (Some(handle), Some(signal_type)) => Ok(Self {
                face: Arc::clone(&handle.get().0),
                signal_type,
                on_message: OnceLock::new(),
                on_close: OnceLock::new(),
                ready: ready.unwrap_or_else(|| class.py().None()),
            }),
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
                let hooks = this.face.hooks.bind(py);
                return hooks.call_method1("send_pieces", (slf, message, text, compress)).map(Bound::unbind);
            }
            Err(error) => return Err(error),
        };
        let (kind, bytes) = (outgoing.kind(), outgoing.bytes());
        let connection = &this.face.connection;
        let sent =
            if bytes.len() < RELEASE_FROM && !(bytes.len() >= RELEASE_COMPRESSED_FROM && this.compresses()) {
                connection.send(kind, bytes, compress)
            } else {
                py.detach(|| connection.send(kind, bytes, compress))
            };
        this.sent(py, sent)
    }

    /// Begins a message in pieces, of the kind that `first` has; false while another one is under way.
    fn _begin_pieces(
        &self,
        py: Python<'_>,
        first: &Bound<'_, PyAny>,
        text: Option<bool>,
        compress: Option<bool>,
    ) -> PyResult<bool> {
        let kind = Outgoing::new(first, text)?.kind();
        self.face.connection.begin_pieces(kind, compress).map_err(|error| self.raise(py, &error))
    }

    fn _send_piece(&self, py: Python<'_>, piece: &Bound<'_, PyAny>, last: bool) -> PyResult<Py<PyAny>> {
        let piece = Outgoing::new(piece, None)?;
        let connection = &self.face.connection;
        let bytes = piece.bytes();
        let sent = py.detach(|| connection.send_piece(bytes, last));
        self.sent(py, sent)
    }

    #[getter]
    fn _is_sending_pieces(&self) -> bool {
        self.face.connection.is_sending_pieces() && self.face.connection.state() == State::Open
    }

    /// Waits until no message is being sent in pieces.
    fn _wait_pieces(&self, py: Python<'_>) -> PyResult<()> {
        wait_until(py, &self.face, None, || !self._is_sending_pieces()).map(drop)
    }

    /// Begins to read one message in pieces.
    fn _begin_stream(&self) -> PyResult<()> {
        if self.face.has_message_handler() {
            return Err(PyRuntimeError::new_err(
                "recv_streaming takes messages itself: disconnect the handlers of OnMessage first",
            ));
        }
        if !self.face.connection.begin_stream() {
            return Err(PyRuntimeError::new_err(
                "a message is being received in pieces already: finish that first",
            ));
        }
        Ok(())
    }

    /// The next piece, and whether it is the last; None when there is none yet.
    fn _take_piece(&self, py: Python<'_>) -> PyResult<Option<(Py<PyAny>, bool)>> {
        let connection = &self.face.connection;
        if let Some((piece, last)) = connection.take_piece(|piece| payload::to_python(py, &piece)) {
            return Ok(Some((piece?, last)));
        }
        if connection.state() == State::Closed || connection.is_forked() {
            return Err(errors::closed(py, connection, None));
        }
        Ok(None)
    }

    /// Waits for a piece; false when the timeout came first.
    fn _wait_piece(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let connection = &self.face.connection;
        wait_until(py, &self.face, deadline(timeout)?, || {
            connection.has_piece() || connection.state() == State::Closed
        })
    }

    fn _end_stream(&self, complete: bool) {
        self.face.connection.end_stream(complete);
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
        if self.face.connection.close(code, reason).map_err(|error| errors::raise(py, &error))? {
            self.face.end_here();
            self.face.discard();
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
        let (py, face) = (slf.py(), &slf.get().face);
        if face.is_async {
            check_timeout(timeout)?;
            return Receiving::begin(slf, timeout);
        }
        receive(py, face, timeout)
    }

    /// `timeout` is only checked: that of the wait that follows.
    fn _send_ping(&self, py: Python<'_>, payload: &Bound<'_, PyAny>, timeout: Option<f64>) -> PyResult<u64> {
        check_timeout(timeout)?;
        let payload = Outgoing::new(payload, None)?;
        self.face.connection.ping(payload.bytes()).map_err(|error| self.raise(py, &error))
    }

    fn _wait_pong(&self, py: Python<'_>, number: u64, timeout: Option<f64>) -> PyResult<f64> {
        let connection = &self.face.connection;
        let until = deadline(timeout)?;
        let there = wait_until(py, &self.face, until, || {
            connection.pong_arrived(number).is_some() || connection.state() == State::Closed
        })?;
        match connection.pong_arrived(number) {
            Some(round_trip) => Ok(round_trip.as_secs_f64()),
            None if there => Err(errors::closed(py, connection, None)),
            None => Err(PyTimeoutError::new_err("no pong within the timeout")),
        }
    }

    /// Waits until the connection is closed; false when the timeout came first.
    fn _wait_closed(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        wait_until(py, &self.face, deadline(timeout)?, || self.face.is_over())
    }

    /// Writes out what is corked; on the thread face it waits until everything is handed to the system.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.check_process(py)?;
        let connection = &self.face.connection;
        if connection.flush() || self.face.is_async {
            return Ok(());
        }
        wait_until(py, &self.face, None, || connection.unsent() == 0 || connection.state() == State::Closed)?;
        Ok(())
    }

    /// Drops TCP at once, without a closing handshake (close code 1006).
    fn abort(&self) {
        self.face.connection.abort();
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
        self.face.connection.url().href()
    }

    /// The subprotocol that the server chose.
    #[getter]
    fn subprotocol(&self) -> Option<String> {
        self.face.connection.handshake().and_then(|handshake| handshake.subprotocol)
    }

    /// What was agreed of permessage-deflate: level, memory level, window bits and context takeover of client and server.
    #[getter]
    fn _compression(&self) -> Option<(u8, u8, u8, u8, bool, bool)> {
        let agreed = self.face.connection.handshake_ref()?.compression?;
        Some((
            agreed.level,
            agreed.memory_level,
            agreed.client_window_bits,
            agreed.server_window_bits,
            !agreed.client_no_context_takeover,
            !agreed.server_no_context_takeover,
        ))
    }

    /// The addresses that redirects led away from, in order; empty without any.
    #[getter]
    fn redirects<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let handshake = self.face.connection.handshake_ref();
        let redirects = handshake.map(|handshake| handshake.redirects.as_slice()).unwrap_or_default();
        PyTuple::new(py, redirects.iter().map(Url::href))
    }

    /// Names and values of the cookies that the server set in the opening handshake (RFC 6265).
    ///
    /// Those of the answer, and of redirects within the same origin before it, as they came; one that could not be
    /// sent again, or that was removed with ``Max-Age``, is left out. ``connect(ws.url, cookies=ws.cookies)`` sends
    /// them. This is no cookie jar: Domain and Expires are not looked at, and of several with one name, for several
    /// paths, the one for ``ws.url`` is here.
    #[getter]
    fn cookies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let cookies = PyDict::new(py);
        if let Some(handshake) = self.face.connection.handshake_ref() {
            for (name, value) in &handshake.cookies {
                cookies.set_item(name, value)?;
            }
        }
        Ok(cookies)
    }

    #[getter]
    fn _response_headers(&self) -> Vec<(String, String)> {
        let headers = self.face.connection.handshake().map(|handshake| handshake.headers).unwrap_or_default();
        headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[getter]
    fn _state(&self) -> &'static str {
        match self.face.connection.state() {
            _ if self.face.connection.is_forked() => "CLOSED",
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

    /// What ended the connection; None while it is open and after a clean close.
    #[getter]
    fn error(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let error = self.face.connection.closed()?.error?;
        Some(errors::raise(py, &error).into_value(py).into_any())
    }

    /// Seconds of the last measured round trip of a ping.
    #[getter]
    fn latency(&self) -> Option<f64> {
        self.face.connection.latency().as_ref().map(Duration::as_secs_f64)
    }

    /// Our address and port.
    #[getter]
    fn local_address(&self) -> Option<(String, u16)> {
        let address = self.face.connection.handshake()?.local_address;
        Some((address.ip().to_string(), address.port()))
    }

    /// The server's address and port.
    #[getter]
    fn remote_address(&self) -> Option<(String, u16)> {
        let address = self.face.connection.handshake()?.remote_address;
        Some((address.ip().to_string(), address.port()))
    }

    #[getter]
    fn _close_timeout(&self) -> f64 {
        self.face.connection.close_timeout().as_secs_f64()
    }

    // ---- for the asyncio face

    /// A task waits for a message: its future gets one, first come, first served, or a copy while there is a handler.
    fn _add_receiver(&self, future: Py<PyAny>) {
        if self.face.has_message_handler() {
            self.face.add_waiter(crate::face::Which::Message, crate::face::Waiter::Future(future));
        } else {
            self.face.add_receiver(future);
        }
    }

    /// The task does not wait any more: it took the message that its future got, or was cancelled.
    fn _settle(&self, future: &Bound<'_, PyAny>, took: bool) {
        self.face.settle(crate::face::Which::Message, future, took);
    }

    fn _add_pong(&self, py: Python<'_>, number: u64, future: Py<PyAny>) -> PyResult<()> {
        if self.face.connection.state() == State::Closed {
            return Err(errors::closed(py, &self.face.connection, None));
        }
        self.face.add_pong(py, number, future);
        self.face.connection.request_delivery();
        Ok(())
    }

    /// A future that is told of the next piece, or of the end.
    fn _add_piece_waiter(&self, future: Py<PyAny>) {
        *lock(&self.face.piece_waiter) = Some(future);
        self.face.catch_up();
        self.face.connection.request_delivery();
    }

    /// A future that is told of room, and of the end of a message in pieces.
    fn _add_room(&self, future: Py<PyAny>) {
        lock(&self.face.room).push(future);
    }

    fn _is_full(&self) -> bool {
        self.face.connection.is_full()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let this = slf.get();
        Ok(format!("<{} {} {}>", slf.get_type().name()?, this.face.connection.url(), this._state()))
    }

    /// For `pickle` and for `copy`.
    fn __reduce__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        let name = slf.get_type().name()?;
        Err(PyTypeError::new_err(format!("a {name} cannot be copied or pickled: connect again")))
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

impl Socket {
    /// A callable that registers a future to be told of room.
    fn face_room(&self, py: Python<'_>) -> Py<PyAny> {
        let face = Arc::clone(&self.face);
        let add = pyo3::types::PyCFunction::new_closure(py, None, None, move |args, _| -> PyResult<()> {
            let future = args.get_item(0)?.unbind();
            lock(&face.room).push(future);
            face.connection.sender_waits();
            if !face.connection.is_full() {
                face.connection.request_room_report();
            }
            Ok(())
        });
        add.map_or_else(|error| error.into_value(py).into_any(), |add| add.into_any().unbind())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.face.abandoned();
    }
}
