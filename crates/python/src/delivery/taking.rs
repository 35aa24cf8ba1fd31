//! Taking held messages at once, where nobody else is to be thought of: no handler, nobody who came before.

use pyo3::prelude::*;

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
        let Some(first) = self.take_free(py)? else { return Ok(Vec::new()) };
        let mut messages = vec![first];
        while messages.len() < limit {
            match self.connection.take(|message| payload::to_object(py, &message)) {
                Some(Some(message)) => messages.push(message),
                Some(None) => {
                    PyErr::fetch(py).write_unraisable(py, None);
                    break;
                }
                None => break,
            }
        }
        Ok(messages)
    }
}
