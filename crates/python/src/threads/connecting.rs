//! `connect` for threads: on the calling thread, which may be interrupted.

use pyo3::prelude::*;

use super::dispatcher;
use crate::delivery::{Delivery, Handle};
use crate::errors;
use crate::options::Options;

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
        (Ok(connection), None) => Ok(Handle(Delivery::new(connection, hooks, false, daemon))),
        (Err(error), None) => Err(errors::raise(py, &error)),
    }
}
