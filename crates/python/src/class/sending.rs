//! What sending leads to: an error, room for more, or a wait for that.

use std::sync::Arc;

use pyo3::prelude::*;
use sunsocket_net::{Error, ErrorKind, Room};

use crate::delivery::Delivery;
use crate::errors;
use crate::loops::futures::Future;
use crate::threads::waiting::wait_until;

/// The exception for what could not be sent.
pub(super) fn raise(py: Python<'_>, delivery: &Delivery, error: &Error) -> PyErr {
    match error.kind() {
        ErrorKind::Closed => {
            errors::closed(py, &delivery.connection, &delivery.failure, Some(error.to_string()))
        }
        _ => errors::raise(py, error),
    }
}

/// What `Send` returns, after it has waited where it may. `ready`: what that is in a loop, where there is room.
pub(super) fn sent(
    py: Python<'_>,
    delivery: &Arc<Delivery>,
    ready: &Py<PyAny>,
    sent: Result<Room, Error>,
) -> PyResult<Py<PyAny>> {
    let connection = &delivery.connection;
    match sent {
        Ok(Room::Plenty) if delivery.is_async => Ok(ready.clone_ref(py)),
        Ok(Room::Plenty) => Ok(py.None()),
        Ok(Room::Full) if delivery.is_async => {
            let room = RoomQueue(Arc::clone(delivery));
            delivery.hooks.bind(py).call_method1("room_waiter", (room,)).map(Bound::unbind)
        }
        Ok(Room::Full) => {
            if !connection.reactor().is_dispatching_here() {
                connection.sender_waits();
                wait_until(py, delivery, None, || !connection.is_full())?;
            }
            Ok(py.None())
        }
        Err(error) => Err(raise(py, delivery, &error)),
    }
}

/// Where tasks wait for room.
#[pyclass(frozen, module = "sunsocket._core")]
pub(crate) struct RoomQueue(Arc<Delivery>);

#[pymethods]
impl RoomQueue {
    /// A future that is told of room.
    fn enter(&self, future: Py<PyAny>) {
        let Self(delivery) = self;
        delivery.futures.wait_for_room(Future::new(future));
        delivery.connection.sender_waits();
        if !delivery.connection.is_full() {
            delivery.connection.request_room_report();
        }
    }

    /// The task does not wait any more.
    fn leave(&self, future: &Bound<'_, PyAny>) {
        self.0.futures.forget(future);
    }
}
