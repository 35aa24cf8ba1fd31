//! Taking held messages at once, where nobody else is to be thought of: no handler, nobody who came before.

use pyo3::prelude::*;
use sunsocket_net::HeldLimit;

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
        if !self.glance.is_free() {
            return Ok(Vec::new());
        }
        let most = HeldLimit { messages: limit, bytes: usize::MAX };
        let Some(mut taken) = self.connection.take_many(most) else { return Ok(Vec::new()) };
        let mut messages = Vec::with_capacity(taken.len());
        messages.extend(taken.iter().map_while(|message| payload::to_object(py, &message)));
        let all = messages.len() == taken.len();
        taken.read(messages.len() + usize::from(!all));
        if !all {
            let error = PyErr::fetch(py);
            if messages.is_empty() {
                return Err(error);
            }
            error.write_unraisable(py, None);
        }
        Ok(messages)
    }
}
