//! Messages in pieces, as `sunsocket._pieces` sends and receives them.

use std::sync::Arc;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use sunsocket_net::State;

use super::sending;
use crate::delivery::Delivery;
use crate::loops::futures::Future;
use crate::payload::{self, Outgoing};
use crate::threads::waiting::{deadline, wait_until};

/// The part of a socket that sends and receives messages in pieces.
#[pyclass(subclass, frozen, module = "sunsocket._core")]
pub(crate) struct Pieces {
    delivery: Arc<Delivery>,
    ready: Py<PyAny>,
}

impl Pieces {
    pub(super) fn new(delivery: &Arc<Delivery>, ready: Py<PyAny>) -> Self {
        Self { delivery: Arc::clone(delivery), ready }
    }
}

#[pymethods]
impl Pieces {
    // ---- sent

    /// Begins a message in pieces, of the kind that `first` has; false while another one is under way.
    fn _begin_pieces(
        &self,
        py: Python<'_>,
        first: &Bound<'_, PyAny>,
        text: Option<bool>,
        compress: Option<bool>,
    ) -> PyResult<bool> {
        let kind = Outgoing::new(first, text)?.kind();
        let begun = self.delivery.connection.begin_pieces(kind, compress);
        begun.map_err(|error| sending::raise(py, &self.delivery, &error))
    }

    /// Sends the next piece; returns what ``Send`` does.
    fn _send_piece(&self, py: Python<'_>, piece: &Bound<'_, PyAny>, last: bool) -> PyResult<Py<PyAny>> {
        let piece = Outgoing::new(piece, None)?;
        let (connection, bytes) = (&self.delivery.connection, piece.bytes());
        let sent = py.detach(|| connection.send_piece(bytes, last));
        sending::sent(py, &self.delivery, &self.ready, sent)
    }

    /// Whether a message is being sent in pieces.
    #[getter]
    fn _is_sending_pieces(&self) -> bool {
        let connection = &self.delivery.connection;
        connection.is_sending_pieces() && connection.state() == State::Open
    }

    /// Waits until none is.
    fn _wait_pieces(&self, py: Python<'_>) -> PyResult<()> {
        wait_until(py, &self.delivery, None, || !self._is_sending_pieces()).map(drop)
    }

    /// A future that is told when none is.
    fn _add_room(&self, future: Py<PyAny>) {
        self.delivery.futures.wait_for_room(Future::new(future));
    }

    // ---- received

    /// Begins to read one message in pieces.
    fn _begin_stream(&self, py: Python<'_>) -> PyResult<()> {
        if self.delivery.glance.has_handlers() {
            return Err(PyRuntimeError::new_err(
                "recv_streaming takes messages itself: disconnect the handlers of OnMessage first",
            ));
        }
        // A thread may be inflating what comes right now: it is waited for without the GIL.
        let connection = &self.delivery.connection;
        if !py.detach(|| connection.begin_stream()) {
            return Err(PyRuntimeError::new_err(
                "a message is being received in pieces already: finish that first",
            ));
        }
        Ok(())
    }

    /// The next piece, and whether it is the last; None when there is none yet.
    fn _take_piece(&self, py: Python<'_>) -> PyResult<Option<(Py<PyAny>, bool)>> {
        let connection = &self.delivery.connection;
        // Before the hold is looked at: a piece that came with the end is no end.
        let is_over = self.delivery.is_over();
        if let Some((piece, last)) = connection.take_piece(|piece| payload::to_python(py, &piece)) {
            return Ok(Some((piece?, last)));
        }
        if is_over { Err(self.delivery.closed(py)) } else { Ok(None) }
    }

    /// Waits for a piece; false when the timeout came first.
    fn _wait_piece(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        let delivery = &self.delivery;
        wait_until(py, delivery, deadline(timeout)?, || {
            delivery.connection.has_piece() || delivery.connection.state() == State::Closed
        })
    }

    /// A future that is told of the next piece, or of the end.
    fn _add_piece_waiter(&self, future: Py<PyAny>) {
        self.delivery.futures.wait_for_piece(Future::new(future));
        self.delivery.catch_up();
        self.delivery.connection.request_delivery();
    }

    /// Ends what ``begin_stream`` began; the rest of a message that is not ``complete`` is thrown away.
    fn _end_stream(&self, py: Python<'_>, complete: bool) {
        let connection = &self.delivery.connection;
        py.detach(|| connection.end_stream(complete));
    }
}
