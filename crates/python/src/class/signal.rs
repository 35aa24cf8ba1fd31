//! `OnMessage` and `OnClose`: the signals, and the connections of handlers to them.

use std::sync::Arc;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use sunsocket_net::{ListenerId, Which};

use super::socket::Socket;
use crate::delivery::Delivery;
use crate::loops::futures::Future;
use crate::threads::waiting::{deadline, wait_for_close, wait_for_message};

/// ``OnMessage`` or ``OnClose``.
#[pyclass(subclass, module = "sunsocket._core", weakref)]
pub(crate) struct Signal {
    delivery: Arc<Delivery>,
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
        Ok(Self { delivery: Arc::clone(socket.delivery()), which })
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
            Which::Message => wait_for_message(py, &self.delivery, until),
            Which::Close => wait_for_close(py, &self.delivery, until),
        }
    }

    /// The reports of the loop that the socket belongs to; None on the thread face.
    #[getter]
    fn _loop_hooks(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.delivery.is_async.then(|| self.delivery.hooks.clone_ref(py))
    }

    /// A task waits; returns its ticket.
    fn _add_future(&self, py: Python<'_>, future: Py<PyAny>) -> PyResult<u64> {
        let connection = &self.delivery.connection;
        if self.which == Which::Message {
            connection.pull();
        }
        if connection.is_forked() {
            // Nothing will ever happen here.
            match self.which {
                Which::Message => return Err(self.delivery.closed(py)),
                Which::Close => drop(future.call_method1(py, "set_result", (py.None(),))?),
            }
        }
        Ok(self.delivery.wait(self.which, Future::new(future)).into())
    }

    fn _settle(&self, ticket: u64, took: bool) {
        self.delivery.settle(ticket.into(), took);
    }

    fn __repr__(&self) -> String {
        let name = if self.which == Which::Message { "OnMessage" } else { "OnClose" };
        format!("<Signal {name} of {}>", self.delivery.connection.url())
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
        let prepared = self.delivery.hooks.bind(handler.py()).call_method1("prepare_handler", (handler,))?;
        let id = self.delivery.connect(self.which, Arc::new(prepared.unbind()), once);
        Ok(SignalConnection { delivery: Arc::clone(&self.delivery), which: self.which, id })
    }
}

/// One handler's place in a signal.
#[pyclass(frozen, module = "sunsocket._core", weakref)]
pub(crate) struct SignalConnection {
    delivery: Arc<Delivery>,
    which: Which,
    id: ListenerId,
}

#[pymethods]
impl SignalConnection {
    /// Takes the handler off. It does not run any more, not even for a value that is firing.
    #[pyo3(name = "Disconnect")]
    fn disconnect(&self) {
        self.delivery.disconnect(self.which, self.id);
    }

    /// Whether the handler is still on.
    #[getter(Connected)]
    fn connected(&self) -> bool {
        self.delivery.is_connected(self.which, self.id)
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
