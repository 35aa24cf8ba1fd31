//! The reactor that a foreign loop turns: the loop watches one descriptor and calls `process`.

use std::cell::Cell;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::prelude::*;
use sunsocket_net::{Reactor, Role};

use super::futures::{self, Future};
use crate::delivery::{Delivery, Handle};
use crate::driving::{deliver_ready, end_handler, turn};
use crate::locking::lock;
use crate::options::Options;
use crate::{errors, fairness};

/// The reactor that a foreign loop turns.
#[pyclass(frozen, module = "sunsocket._core", weakref)]
pub(crate) struct LoopReactor {
    reactor: Arc<Reactor>,
    /// The thread that is in `process`, as `threading.get_ident` has it; 0: none is.
    busy: AtomicU64,
}

/// Ends with `process`, by whatever way.
struct Busy<'a>(&'a AtomicU64, u64);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.store(self.1, Ordering::SeqCst);
    }
}

thread_local! {
    /// `threading.get_ident`, once it was asked for.
    static IDENT: Cell<u64> = const { Cell::new(0) };
}

fn ident(py: Python<'_>) -> u64 {
    if IDENT.get() == 0 {
        let own = py.import("threading").and_then(|threading| threading.call_method0("get_ident")?.extract());
        IDENT.set(own.unwrap_or(0));
    }
    IDENT.get()
}

#[pymethods]
impl LoopReactor {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        let reactor = Reactor::new(Role::Foreign).map_err(|error| errors::no_reactor(py, &error))?;
        Ok(Self { reactor, busy: AtomicU64::new(0) })
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
        let outer = self.busy.swap(ident(py), Ordering::SeqCst);
        let _busy = Busy(&self.busy, outer);
        futures::note_turned(&self.reactor);
        let report = self.reactor.take_busy_report();
        fairness::end();
        let since = Instant::now();
        turn(py, &self.reactor, Some(since));
        loop {
            futures::take_handed_on();
            let batch = self.reactor.dispatch();
            let all = deliver_ready(py, &self.reactor);
            drop(batch);
            // A task that was just given something is not to wait for our looking.
            if !all || futures::take_handed_on() || !self.reactor.linger(since) {
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
        // Files of certificates may be slow to read.
        let connection =
            py.detach(|| self.reactor.connect(options.get())).map_err(|error| errors::raise(py, &error))?;
        let delivery = Delivery::new(connection, hooks, true, true);
        *lock(&delivery.futures.opening) = Some(Future::new(future));
        // It may have ended before the future was there.
        delivery.connection.request_delivery();
        Ok(Handle(delivery))
    }

    /// Ends what a handler runs here on another thread, by an exception, and waits for that ``timeout`` seconds.
    fn end_handler(&self, py: Python<'_>, timeout: f64) {
        let now = Instant::now();
        let until = now + Duration::try_from_secs_f64(timeout).unwrap_or_default();
        let mut again = now;
        while Instant::now() < until {
            let busy = self.busy.load(Ordering::SeqCst);
            if busy == 0 || busy == ident(py) {
                return;
            }
            // Again and again: behind one handler there may be others.
            if Instant::now() >= again {
                end_handler(py, busy);
                again = Instant::now() + Duration::from_millis(200);
            }
            py.detach(|| thread::sleep(Duration::from_millis(1)));
        }
    }

    /// Whether this is the child of a fork, in which nothing happens any more.
    fn is_forked(&self) -> bool {
        self.reactor.is_forked()
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
