//! `Socket`, the class behind `WebSocket` on both faces, and `connect` for threads.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use pyo3::exceptions::{PyRuntimeError, PyTimeoutError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyType;
use sunsocket_net::{Error, ErrorKind, Room, State};

use crate::face::{Face, lock};
use crate::options::Options;
use crate::payload::{self, Outgoing};
use crate::receiving::Receiving;
use crate::signal::{deadline, receive, wait_until};
use crate::{dispatcher, errors};

/// Larger messages are masked and written with the GIL released: the copy takes longer than getting it back.
const RELEASE_FROM: usize = 64 << 10;
/// The same where they may be compressed, which takes ten times as long.
const RELEASE_COMPRESSED_FROM: usize = 4 << 10;

/// An open connection on its way into a `Socket`; no program can make one.
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
    fn new(handle: &Handle, signal_type: Py<PyType>, ready: Py<PyAny>) -> Self {
        Self {
            face: Arc::clone(&handle.0),
            signal_type,
            on_message: OnceLock::new(),
            on_close: OnceLock::new(),
            ready,
        }
    }

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

    #[pyo3(name = "Close", signature = (code=1000, reason=""))]
    fn close(&self, py: Python<'_>, code: u16, reason: &str) -> PyResult<()> {
        self.face.connection.close(code, reason).map_err(|error| errors::raise(py, &error))
    }

    /// On asyncio it returns what is to be awaited.
    #[pyo3(signature = (timeout=None))]
    fn recv(slf: &Bound<'_, Self>, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
        let (py, face) = (slf.py(), &slf.get().face);
        if face.is_async {
            return Receiving::begin(slf, timeout);
        }
        receive(py, face, timeout)
    }

    fn _send_ping(&self, py: Python<'_>, payload: &Bound<'_, PyAny>) -> PyResult<u64> {
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
        let connection = &self.face.connection;
        wait_until(py, &self.face, deadline(timeout)?, || connection.state() == State::Closed)
    }

    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.check_process(py)?;
        let connection = &self.face.connection;
        if connection.flush() || self.face.is_async {
            return Ok(());
        }
        wait_until(py, &self.face, None, || connection.unsent() == 0 || connection.state() == State::Closed)?;
        Ok(())
    }

    fn abort(&self) {
        self.face.connection.abort();
    }

    #[getter(OnMessage)]
    fn on_message(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Self::signal(slf, "OnMessage", &slf.get().on_message)
    }

    #[getter(OnClose)]
    fn on_close(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Self::signal(slf, "OnClose", &slf.get().on_close)
    }

    #[getter]
    fn url(&self) -> String {
        self.face.connection.url().to_string()
    }

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

    #[getter]
    fn close_code(&self) -> Option<u16> {
        self.closed_property(|closed| closed.code)
    }

    #[getter]
    fn close_reason(&self) -> Option<String> {
        self.closed_property(|closed| closed.reason)
    }

    #[getter]
    fn error(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let error = self.face.connection.closed()?.error?;
        Some(errors::raise(py, &error).into_value(py).into_any())
    }

    #[getter]
    fn latency(&self) -> Option<f64> {
        self.face.connection.latency().as_ref().map(Duration::as_secs_f64)
    }

    #[getter]
    fn local_address(&self) -> Option<(String, u16)> {
        let address = self.face.connection.handshake()?.local_address;
        Some((address.ip().to_string(), address.port()))
    }

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

    fn _remove_receiver(&self, future: &Bound<'_, PyAny>) {
        self.face.remove_future(crate::face::Which::Message, future);
    }

    fn _give_back(&self, message: Py<PyAny>) {
        self.face.give_back(message);
    }

    fn _add_pong(&self, py: Python<'_>, number: u64, future: Py<PyAny>) -> PyResult<()> {
        if self.face.connection.state() == State::Closed {
            return Err(errors::closed(py, &self.face.connection, None));
        }
        lock(&self.face.pongs).push((number, future));
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

    fn __copy__(slf: &Bound<'_, Self>) -> PyResult<Py<PyAny>> {
        Err(PyTypeError::new_err(format!("a {} cannot be copied: connect again", slf.get_type().name()?)))
    }
}

impl Socket {
    /// A callable that registers a future to be told of room.
    fn face_room(&self, py: Python<'_>) -> Py<PyAny> {
        let face = Arc::clone(&self.face);
        let add = pyo3::types::PyCFunction::new_closure(py, None, None, move |args, _| -> PyResult<()> {
            let future = args.get_item(0)?.unbind();
            lock(&face.room).push(future);
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
