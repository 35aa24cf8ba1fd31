//! Firing: messages to handlers and waiters, one by one, then the close.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;

use super::{Face, Which, lock};
use crate::stretch::Turn;
use crate::{asyncio, call, payload};

impl Face {
    /// Everything that is due, in order: opened, messages, closed. Called with the GIL, by the dispatcher or the loop.
    /// Messages that do not fire in this turn fire in the next.
    pub(crate) fn deliver(&self, py: Python<'_>, turn: &mut Turn) {
        let connection = &self.connection;
        if self.is_async {
            self.deliver_to_tasks(py);
        }
        if connection.take_dropped() {
            self.hook(py, "dropped", (connection.url().to_string(),));
        }
        // A handler that waits is up the stack, or another thread: it goes on with what comes here.
        if !self.firing.swap(true, Ordering::SeqCst) {
            let _firing = Firing(&self.firing);
            if !self.fire_messages(py, turn) {
                // The close comes behind them.
                connection.request_delivery();
                return;
            }
        }
        if connection.take_closed() || connection.close_was_reported() {
            if self.is_async {
                // What became due since: nothing comes after the close.
                self.deliver_to_tasks(py);
            }
            self.fire_close(py);
        }
    }

    pub(super) fn note_detour(&self) {
        self.detour.store(true, Ordering::Relaxed);
    }

    pub(super) fn look_for_detours(&self) {
        let detour = !lock(&self.deferred).is_empty()
            || !lock(&self.returned).is_empty()
            || !self.waiters(Which::Message).is_empty();
        self.detour.store(detour, Ordering::Relaxed);
    }

    /// Fires what is held, for as long as there is one handler and nobody else to think of: the common case, with a lock
    /// for each message in place of eight. False: somebody else is to be thought of.
    pub(super) fn fire_straight(&self, py: Python<'_>, turn: &mut Turn) -> bool {
        let changes = self.changes.load(Ordering::Relaxed);
        let Some(handler) = lock(&self.message).sole().map(Arc::clone) else { return false };
        // Both are asked again after each handler, which may have changed either.
        while !self.detour.load(Ordering::Relaxed) && self.changes.load(Ordering::Relaxed) == changes {
            match self.connection.take(|message| payload::to_object(py, &message)) {
                Some(Some(message)) => self.call(py, &handler, Some(message.bind(py))),
                Some(None) => self.report_failure(py, PyErr::fetch(py), None),
                None => return true,
            }
            if turn.is_over() {
                return false;
            }
        }
        false
    }

    /// False: the turn is over, and there may be more.
    pub(super) fn fire_messages(&self, py: Python<'_>, turn: &mut Turn) -> bool {
        while self.has_message_handler() {
            if self.fire_straight(py, turn) {
                return true;
            }
            if turn.is_over() {
                return false;
            }
            if !self.has_message_handler() {
                break;
            }
            let deferred = lock(&self.deferred).pop_front();
            let message = match deferred {
                Some(message) => message,
                None => match self.take(py) {
                    Ok(Some(message)) => {
                        self.fill_waiters(py, &message);
                        message
                    }
                    Ok(None) => return true,
                    Err(error) => {
                        self.report_failure(py, error, None);
                        return true;
                    }
                },
            };
            self.fire(py, message.bind(py));
            self.look_for_detours();
        }
        // Nobody to fire to: what was meant for handlers only is dropped with them.
        lock(&self.deferred).clear();
        if self.is_async {
            self.feed_tasks(py);
        }
        true
    }

    /// Calls one handler after the other.
    pub(super) fn fire(&self, py: Python<'_>, argument: &Bound<'_, PyAny>) {
        let mut firing = lock(&self.message).fire();
        let mut before = usize::MAX;
        loop {
            let next = {
                let mut listeners = lock(&self.message);
                let next = listeners.next(&mut firing);
                before = before.min(listeners.len());
                next
            };
            let Some((_, handler)) = next else { break };
            self.call(py, &handler, Some(argument));
        }
        if before != self.message_handlers.load(Ordering::SeqCst) {
            self.attend();
        }
    }

    pub(super) fn call(&self, py: Python<'_>, handler: &Arc<Py<PyAny>>, argument: Option<&Bound<'_, PyAny>>) {
        let function = handler.bind(py);
        // An exception stays where it is until there is one: a result of that size costs each message.
        let result = match argument {
            Some(argument) => call::one(function, argument),
            None => function.call0().map_err(|error| error.restore(py)).ok(),
        };
        let failure = if result.is_none() { Some(PyErr::fetch(py)) } else { None };
        if let Some(report) = self.connection.reactor().take_busy_report() {
            self.hook(py, "busy", (function.clone(), report.away.as_secs_f64()));
        }
        match result {
            Some(result) if result.is_none() => {}
            Some(result) => {
                asyncio::note_handed_on();
                self.hook(py, "returned", (result, function.clone()));
            }
            None => {
                if let Some(failure) = failure {
                    self.report_failure(py, failure, Some(function));
                }
            }
        }
    }

    pub(super) fn report_failure(&self, py: Python<'_>, error: PyErr, handler: Option<&Bound<'_, PyAny>>) {
        let handler = handler.map_or_else(|| py.None(), |handler| handler.clone().unbind());
        self.hook(py, "failed", (error.into_value(py), handler));
    }

    pub(super) fn hook<'py>(&self, py: Python<'py>, name: &str, args: impl pyo3::call::PyCallArgs<'py>) {
        if let Err(error) = self.hooks.bind(py).call_method1(name, args) {
            // The hooks themselves failed: nothing is left but the interpreter's own way to say so.
            error.write_unraisable(py, Some(self.hooks.bind(py)));
        }
    }

    pub(super) fn fire_close(&self, py: Python<'_>) {
        self.end_tasks(py);
        self.close_fires.store(true, Ordering::SeqCst);
        self.connection.reactor().nudge();
        let none = py.None();
        // Each is taken off before it runs, so that it runs once; those that come while it runs are late and run too.
        loop {
            let waiters = std::mem::take(&mut *self.waiters(Which::Close));
            let handlers = lock(&self.close).clear();
            if waiters.is_empty() && handlers.is_empty() {
                break;
            }
            self.fill(py, waiters, &none);
            for handler in handlers {
                self.call(py, &handler, None);
            }
        }
        if !self.has_message() {
            // Nothing will fire any more: let go of the handlers, which may know the socket.
            let handlers = lock(&self.message).clear();
            self.attend();
            drop(handlers);
        }
        self.connection.reactor().nudge();
    }
}

/// Ends with the firing, by whatever way.
struct Firing<'a>(&'a AtomicBool);

impl Drop for Firing<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}
