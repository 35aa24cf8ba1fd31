//! Taking held messages at once, where nobody else is to be thought of: no handler, nobody who came before.

use std::sync::Arc;

use pyo3::prelude::*;
use sunsocket_net::{Connection, HeldLimit};

use super::state::Delivery;
use crate::payload;

impl Delivery {
    /// The next held message.
    pub(crate) fn take_free(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        if !self.glance.is_free() {
            return Ok(None);
        }
        match self.connection.take(|message| payload::to_object(py, &message)) {
            Some(None) => Err(PyErr::fetch(py)),
            message => Ok(message.flatten()),
        }
    }

    /// The held messages, up to `limit`. One that cannot be made ends the row; it is an error only where it is the first.
    pub(crate) fn take_free_many(&self, py: Python<'_>, limit: usize) -> PyResult<Vec<Py<PyAny>>> {
        let mut messages = Vec::new();
        if self.glance.is_free()
            && let Err(error) = take_many(py, &self.connection, limit, |message| messages.push(message))
        {
            if messages.is_empty() {
                return Err(error);
            }
            error.write_unraisable(py, None);
        }
        Ok(messages)
    }
}

/// Takes the held messages together, up to `most`, and passes each on.
///
/// # Errors
/// One could not be made; those before it were passed on, and those behind it stay held.
pub(super) fn take_many(
    py: Python<'_>,
    connection: &Arc<Connection>,
    most: usize,
    mut pass_on: impl FnMut(Py<PyAny>),
) -> PyResult<()> {
    let most = HeldLimit { messages: most, bytes: usize::MAX };
    let Some(mut taken) = connection.take_many(most) else { return Ok(()) };
    let mut read = 0;
    let mut failure = None;
    for message in taken.iter() {
        read += 1;
        let Some(message) = payload::to_object(py, &message) else {
            failure = Some(PyErr::fetch(py));
            break;
        };
        pass_on(message);
    }
    taken.read(read);
    failure.map_or(Ok(()), Err)
}
