//! The one border where the engine's errors become Python's exceptions.

use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyTuple, PyWeakrefMethods, PyWeakrefReference};
use sunsocket_net::{Closed, Connection, Error, ErrorKind};

use crate::locking::lock;

/// `sunsocket._errors`, which holds the classes.
fn classes(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module =
        MODULE.get_or_try_init(py, || PyModule::import(py, "sunsocket._errors").map(Bound::unbind))?;
    Ok(module.bind(py))
}

fn build<'py>(py: Python<'py>, class: &str, args: impl pyo3::call::PyCallArgs<'py>) -> PyErr {
    let made = classes(py).and_then(|classes| classes.getattr(class)?.call1(args));
    match made {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// The exception for what failed.
pub(crate) fn raise(py: Python<'_>, error: &Error) -> PyErr {
    let text = error.to_string();
    let class = match error.kind() {
        ErrorKind::InvalidUrl => "InvalidURL",
        ErrorKind::InvalidArgument => return pyo3::exceptions::PyValueError::new_err(text),
        ErrorKind::Connect | ErrorKind::Cancelled => "ConnectError",
        ErrorKind::Proxy => {
            let status = error.answer().map(|answer| answer.status);
            return build(py, "ProxyError", (text, status));
        }
        ErrorKind::Tls => "TLSError",
        ErrorKind::ConnectTimeout => "ConnectTimeout",
        ErrorKind::MessageTooBig => "MessageTooBig",
        ErrorKind::Protocol => "ProtocolError",
        ErrorKind::Lost | ErrorKind::Timeout => "ConnectionLost",
        ErrorKind::Closed => return build(py, "ConnectionClosed", (text, 1006, "", py.None())),
        ErrorKind::Handshake => {
            let Some(answer) = error.answer() else {
                return build(
                    py,
                    "HandshakeError",
                    (text, py.None(), PyTuple::empty(py), PyBytes::new(py, b"")),
                );
            };
            let headers: Vec<(&str, &str)> = answer.headers.iter().collect();
            return build(
                py,
                "HandshakeError",
                (text, answer.status, headers, PyBytes::new(py, &answer.body)),
            );
        }
    };
    let exception = build(py, class, (text,));
    if let Some(cause) = error.cause().and_then(|cause| cause.downcast_ref::<Py<PyAny>>()) {
        exception.set_cause(py, Some(PyErr::from_value(cause.bind(py).clone())));
    }
    exception
}

/// The first connect of a process, or of a loop, found no descriptors for what all its connections share.
pub(crate) fn no_reactor(py: Python<'_>, error: &std::io::Error) -> PyErr {
    let text = format!(
        "cannot connect: the operating system gives no descriptors to wait for connections with ({error}); close what is \
         not needed, or raise the limit on open files (ulimit -n)"
    );
    raise(py, &Error::new(ErrorKind::Connect, text))
}

/// What ended a connection, as an exception: the same one for as long as anybody holds it. Not held here, for it may come to
/// hold the socket, by the frames of its traceback.
#[derive(Default)]
pub(crate) struct Failure(Mutex<Option<Py<PyWeakrefReference>>>);

impl Failure {
    /// `None` while the connection is open, and after a clean close.
    pub(crate) fn of<'py>(&self, py: Python<'py>, connection: &Connection) -> Option<Bound<'py, PyAny>> {
        let error = connection.closed()?.error?;
        if let Some(made) = self.made(py) {
            return Some(made);
        }
        // Outside of the lock: this runs Python code, and others may do the same meanwhile.
        let exception = raise(py, &error).into_value(py).into_bound(py).into_any();
        let reference = PyWeakrefReference::new(&exception).ok();
        if let Some(made) = self.made(py) {
            return Some(made);
        }
        let before = std::mem::replace(&mut *lock(&self.0), reference.map(Bound::unbind));
        drop(before);
        Some(exception)
    }

    fn made<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        lock(&self.0).as_ref()?.bind(py).upgrade()
    }
}

/// What a connection raises that cannot be used because it is closing, closed or of another process: `ConnectionLost` where
/// it ended without a closing handshake.
pub(crate) fn closed(
    py: Python<'_>,
    connection: &Connection,
    failure: &Failure,
    text: Option<String>,
) -> PyErr {
    let closed = connection.closed();
    let text = text.unwrap_or_else(|| describe(connection, closed.as_ref()));
    let (code, reason, by_peer) = match &closed {
        Some(closed) => (closed.code, closed.reason.as_str(), Some(closed.by_peer)),
        None => (1006, "", None),
    };
    let cause = failure.of(py, connection);
    let class = if cause.is_some() { "ConnectionLost" } else { "ConnectionClosed" };
    let exception = build(py, class, (text, code, reason, by_peer));
    if let Some(cause) = cause {
        exception.set_cause(py, Some(PyErr::from_value(cause)));
    }
    exception
}

fn describe(connection: &Connection, closed: Option<&Closed>) -> String {
    let url = connection.url();
    match closed {
        _ if connection.is_forked() => {
            format!(
                "the connection to {url} was opened before this process was forked; connect again in the child"
            )
        }
        Some(Closed { error: Some(error), .. }) => format!("the connection has ended: {error}"),
        Some(closed) => format!("the connection to {url} was closed {}", closed.by_whom()),
        None => format!("the connection to {url} is closing"),
    }
}
