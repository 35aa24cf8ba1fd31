//! Threads that wait: for a message, for the close, for anything else of a connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyTimeoutError, PyValueError};
use pyo3::prelude::*;
use sunsocket_net::{Outcome, Ticket, Waited};

use super::dispatcher;
use crate::delivery::{Delivery, Looker, Slot, Value, Waiter};

/// Refuses a timeout that is none, whether or not there will be anything to wait for.
pub(crate) fn check_timeout(timeout: Option<f64>) -> PyResult<()> {
    match timeout {
        Some(seconds) if seconds.is_nan() || seconds < 0.0 => Err(PyValueError::new_err(format!(
            "a timeout is a number of seconds from 0 up, or None; not {seconds}"
        ))),
        _ => Ok(()),
    }
}

/// When a wait of `timeout` seconds ends. A time that cannot be told is as good as none.
pub(crate) fn deadline(timeout: Option<f64>) -> PyResult<Option<Instant>> {
    check_timeout(timeout)?;
    let wait = timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Ok(wait.and_then(|wait| Instant::now().checked_add(wait)))
}

/// Waits with the GIL released until `ready`, looking after signals. False when `until` came first.
pub(crate) fn wait_until(
    py: Python<'_>,
    delivery: &Delivery,
    until: Option<Instant>,
    ready: impl Fn() -> bool + Send + Sync,
) -> PyResult<bool> {
    let reactor = delivery.connection.reactor();
    loop {
        match py.detach(|| reactor.wait(until, &mut || ready())) {
            Waited::Ready => return Ok(true),
            Waited::TimedOut => return Ok(false),
            Waited::Look => py.check_signals()?,
        }
    }
}

fn timed_out(what: &str) -> PyErr {
    PyTimeoutError::new_err(format!(
        "no {what} within the timeout; nothing is lost, it can be waited for again"
    ))
}

/// A thread's place among those who wait for a message, until it leaves.
struct Place<'a> {
    delivery: &'a Delivery,
    slot: Arc<Slot>,
    ticket: Ticket,
    has_left: bool,
}

impl<'a> Place<'a> {
    /// In the queue of those who receive, for up to `limit` messages.
    fn to_receive(delivery: &'a Delivery, limit: usize) -> Self {
        let slot = Slot::new();
        let ticket = delivery.queue(Waiter::Thread(Arc::clone(&slot)), limit);
        Self { delivery, slot, ticket, has_left: false }
    }

    /// Among those who share the next message.
    fn to_share(delivery: &'a Delivery) -> Self {
        let slot = Slot::new();
        let ticket = delivery.share(Waiter::Thread(Arc::clone(&slot)));
        Self { delivery, slot, ticket, has_left: false }
    }

    /// What it was given. `None`: nothing yet.
    fn collect(&mut self, py: Python<'_>) -> PyResult<Option<(Value, Vec<Value>)>> {
        let outcome = self.delivery.collect(self.ticket);
        self.has_left = !matches!(outcome, Outcome::Waits);
        match outcome {
            Outcome::Given(given) => Ok(Some(given)),
            Outcome::Waits => Ok(None),
            Outcome::Ended => Err(self.delivery.closed(py)),
        }
    }

    /// Waits until it is given something.
    fn wait(mut self, py: Python<'_>, until: Option<Instant>) -> PyResult<(Value, Vec<Value>)> {
        let (delivery, connection) = (self.delivery, &self.delivery.connection);
        loop {
            delivery.look(py, Looker::Thread(&self.slot))?;
            if let Some(given) = self.collect(py)? {
                return Ok(given);
            }
            let (slot, glance) = (&self.slot, &delivery.glance);
            let waited = wait_until(py, delivery, until, || {
                let something = || connection.has_message_for(glance) || delivery.is_over();
                slot.is_told() || (!glance.is_held_up() && something())
            });
            if !matches!(waited, Ok(true)) {
                // Given while the GIL was away: then it is ours.
                if let Some(given) = self.collect(py)? {
                    return Ok(given);
                }
                waited?;
                return Err(timed_out("message"));
            }
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.has_left {
            self.delivery.settle(self.ticket, false);
        }
        Slot::keep_for_later(Arc::clone(&self.slot));
    }
}

/// The next message, of which everybody who waits gets the same.
pub(crate) fn wait_for_message(
    py: Python<'_>,
    delivery: &Delivery,
    until: Option<Instant>,
) -> PyResult<Py<PyAny>> {
    delivery.connection.pull();
    let (Value(message), _) = Place::to_share(delivery).wait(py, until)?;
    Ok(message)
}

/// The next message for the caller alone, or a copy of the next that fires while there is a handler.
pub(crate) fn receive(py: Python<'_>, delivery: &Delivery, timeout: Option<f64>) -> PyResult<Py<PyAny>> {
    check_timeout(timeout)?;
    delivery.connection.pull();
    if let Some(message) = delivery.take_free(py)? {
        return Ok(message);
    }
    let until = deadline(timeout)?;
    if look_first(delivery)
        && let Some(message) = delivery.take_free(py)?
    {
        return Ok(message);
    }
    let (Value(message), _) = Place::to_receive(delivery, 1).wait(py, until)?;
    Ok(message)
}

/// The same with all that has arrived by then, up to `limit`.
pub(crate) fn receive_many(
    py: Python<'_>,
    delivery: &Delivery,
    limit: usize,
    timeout: Option<f64>,
) -> PyResult<Vec<Py<PyAny>>> {
    check_timeout(timeout)?;
    delivery.connection.pull();
    let mut messages = delivery.take_free_many(py, limit)?;
    if !messages.is_empty() {
        return Ok(messages);
    }
    let until = deadline(timeout)?;
    if look_first(delivery) {
        messages = delivery.take_free_many(py, limit)?;
        if !messages.is_empty() {
            return Ok(messages);
        }
    }
    let (first, more) = Place::to_receive(delivery, limit).wait(py, until)?;
    messages.extend([first].into_iter().chain(more).map(|Value(message)| message));
    Ok(messages)
}

/// A look at the socket, for whoever would be the first to wait. Once with the GIL held: next to a computing thread,
/// getting it back costs far more than a look.
fn look_first(delivery: &Delivery) -> bool {
    let is_free = delivery.glance.is_free();
    if is_free {
        delivery.connection.reactor().look();
    }
    is_free
}

/// Waits for the close, and for what came before it to be fired.
pub(crate) fn wait_for_close(
    py: Python<'_>,
    delivery: &Delivery,
    until: Option<Instant>,
) -> PyResult<Py<PyAny>> {
    if !wait_until(py, delivery, until, || delivery.is_over())? {
        return Err(timed_out("close"));
    }
    // The last message comes first. A handler that stays busy, maybe with waiting for this very thread, has its time.
    let allowance = Instant::now().checked_add(delivery.connection.close_timeout());
    let first = [until, allowance].into_iter().flatten().min();
    let fired = wait_until(py, delivery, first, || close_has_come(delivery))?;
    if fired || first == allowance { Ok(py.None()) } else { Err(timed_out("close")) }
}

/// Whether a thread that waits for the close need wait no more: it is over, and what is for handlers from before that
/// has fired. Unless the caller is a handler itself, which that waits for, or none will run any more.
fn close_has_come(delivery: &Delivery) -> bool {
    let (connection, glance) = (&delivery.connection, &delivery.glance);
    delivery.is_over()
        && (glance.close_fires()
            || glance.has_ended_here()
            || !glance.has_handlers()
            || !(glance.owes() || connection.has_message())
            || connection.is_forked()
            || connection.reactor().is_dispatching_here()
            || dispatcher::has_stopped())
}
