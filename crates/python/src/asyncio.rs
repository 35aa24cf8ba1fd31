//! The reactor that a foreign loop turns: the loop watches one descriptor and calls `process`.

use std::cell::Cell;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use sunsocket_net::{Reactor, Role};

use crate::dispatcher::{deliver_ready, turn};
use crate::errors;
use crate::face::{Face, lock};
use crate::options::Options;
use crate::socket::Handle;
use crate::stretch;

thread_local! {
    /// Something was delivered that the loop has to go on with: a future's result, a coroutine of a handler.
    static HANDED_ON: Cell<bool> = const { Cell::new(false) };
}

/// Says so.
pub(crate) fn note_handed_on() {
    HANDED_ON.set(true);
}

/// The reactor that a foreign loop turns.
#[pyclass(frozen, module = "sunsocket._core", weakref)]
pub(crate) struct LoopReactor {
    reactor: Arc<Reactor>,
}

#[pymethods]
impl LoopReactor {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        let reactor = Reactor::new(Role::Foreign).map_err(|error| errors::no_reactor(py, &error))?;
        Ok(Self { reactor })
    }

    /// The descriptor to watch for reading.
    fn fileno(&self) -> i32 {
        self.reactor.descriptor().as_raw_fd()
    }

    /// To be called when the descriptor is readable: reads, runs handlers, writes.
    ///
    /// Returns:
    ///     The seconds for which the loop was away, if the guardian had to stand in; otherwise None.
    fn process(&self, py: Python<'_>) -> Option<f64> {
        let report = self.reactor.take_busy_report();
        stretch::end();
        let since = Instant::now();
        turn(py, &self.reactor, Some(since));
        loop {
            HANDED_ON.set(false);
            let batch = self.reactor.dispatch();
            let all = deliver_ready(py, &self.reactor);
            drop(batch);
            // A task that was just given something is not to wait for our looking.
            if !all || HANDED_ON.get() || !self.reactor.linger(since) {
                break;
            }
        }
        report.map(|report| report.away.as_secs_f64())
    }

    /// Starts to connect; ``future`` gets None or the exception. The handle may be used before.
    fn connect(
        &self,
        py: Python<'_>,
        options: &Options,
        hooks: Py<PyAny>,
        future: Py<PyAny>,
    ) -> PyResult<Handle> {
        let connection = self.reactor.connect(options.get()).map_err(|error| errors::raise(py, &error))?;
        let face = Face::new(connection, hooks, true, true);
        *lock(&face.opening) = Some(future);
        // It may have ended before the future was there.
        face.connection.request_delivery();
        Ok(Handle(face))
    }

    /// How many connections have a socket.
    fn open_count(&self) -> usize {
        self.reactor.open_connections().len()
    }

    /// Closes everything with 1001, for at the most ``timeout`` seconds.
    fn close_all(&self, py: Python<'_>, timeout: f64) {
        let until = Instant::now() + Duration::try_from_secs_f64(timeout).unwrap_or_default();
        py.detach(|| self.reactor.close_all(until));
    }
}
