//! Doing what the takers say: messages to handlers and to those who wait, then the close.

use std::sync::Arc;

use pyo3::prelude::*;
use sunsocket_net::{Asker, Connection, Next, Source, State, Ticket};

use super::state::{Delivery, Handler};
use super::taking::take_many;
use super::waiter::{Slot, Value, Waiter};
use crate::fairness::Turn;
use crate::locking::lock;
use crate::loops::futures;
use crate::{call, payload};

/// The hold, as whoever asks sees it.
struct Hold<'a, 'py> {
    py: Python<'py>,
    connection: &'a Arc<Connection>,
    asker: Asker,
}

impl Source for Hold<'_, '_> {
    type Message = Value;
    type Error = PyErr;

    fn has_closed(&mut self) -> bool {
        match self.asker {
            // That it has closed is reported once, and not while a message is owed.
            Asker::Driver => self.connection.take_closed() || self.connection.close_was_reported(),
            Asker::Waiter => self.connection.state() == State::Closed || self.connection.is_forked(),
        }
    }

    fn take(&mut self) -> PyResult<Option<Value>> {
        match self.connection.take(|message| payload::to_object(self.py, &message)) {
            Some(None) => Err(PyErr::fetch(self.py)),
            message => Ok(message.flatten().map(Value)),
        }
    }

    fn take_more(&mut self, most: usize, pass_on: &mut dyn FnMut(Value)) -> PyResult<()> {
        take_many(self.py, self.connection, most, |message| pass_on(Value(message)))
    }
}

/// Who looks for itself.
#[derive(Clone, Copy)]
pub(crate) enum Looker<'a> {
    /// A thread, with its own slot.
    Thread(&'a Arc<Slot>),
    /// A task, on its loop's thread.
    Task,
}

/// How far a delivery came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Served {
    /// There is nothing to do, until something happens.
    All,
    /// Others have their turn first.
    Some,
    /// So has the loop, with the tasks that were given something.
    Paused,
}

impl Delivery {
    /// Everything that is due, in order: opened, messages, closed. Called with the GIL, by the dispatcher or the loop.
    /// What is not done in this turn is done in the next. True: not before the loop has had its turn; the caller asks for
    /// the delivery then.
    #[must_use]
    pub(crate) fn deliver(&self, py: Python<'_>, turn: &mut Turn) -> bool {
        if self.is_async {
            self.bring(py);
        }
        if self.connection.take_dropped() {
            self.hook(py, "dropped", (self.connection.url().to_string(),));
        }
        // A handler that waits is up the stack: it goes on with what comes here.
        let asker = if self.takers().begin_turn() { Asker::Driver } else { Asker::Waiter };
        let ends = EndsTurn(self, asker);
        let closed_before = self.glance.close_fires();
        let served = self.serve(py, asker, turn);
        drop(ends);
        self.tell_if_idle(py);
        match served {
            Served::Some => self.connection.request_delivery(),
            Served::All if self.glance.close_fires() => self.has_ended(closed_before),
            Served::All | Served::Paused => {}
        }
        served == Served::Paused
    }

    /// What tasks of the loop wait for beside messages, and what threads gave them.
    fn bring(&self, py: Python<'_>) {
        let failed = |error| self.report_failure(py, error, None);
        self.futures.bring(py, &self.connection, &self.failure, &failed);
        let handovers = std::mem::take(&mut *lock(&self.handovers));
        for (waiter, given) in handovers {
            match given {
                Some((ticket, message)) => self.give(py, ticket, waiter, message),
                None => self.end(py, waiter),
            }
        }
    }

    fn serve(&self, py: Python<'_>, asker: Asker, turn: &mut Turn) -> Served {
        let mut hold = Hold { py, connection: &self.connection, asker };
        let closed_before = self.glance.close_fires();
        loop {
            if asker == Asker::Driver && self.glance.may_be_straight() {
                match self.fire_straight(py, turn) {
                    Straightness::NothingHeld => return Served::All,
                    Straightness::TurnIsOver => return Served::Some,
                    Straightness::Ended => {}
                }
            }
            let next = self.takers().next(asker, &mut hold);
            let next = match next {
                Ok(Some(next)) => next,
                Ok(None) => return Served::All,
                Err(error) => {
                    self.report_failure(py, error, None);
                    continue;
                }
            };
            match next {
                Next::Give(ticket, waiter, message) => self.give(py, ticket, waiter, message),
                Next::Call(handler, Value(message)) => {
                    self.call(py, &handler, Some(message.bind(py)));
                    if turn.is_over() {
                        return Served::Some;
                    }
                }
                Next::End(waiter) => self.end(py, waiter),
                Next::CallClose(handler) => {
                    if !closed_before {
                        // Every message was fired: that is what threads wait for, and not for these.
                        self.connection.reactor().nudge();
                    }
                    self.call(py, &handler, None);
                }
                // A task goes on in the loop's next round. A thread has to come by itself.
                Next::Pause if self.is_async => return Served::Paused,
                Next::Pause => {}
            }
        }
    }

    /// OnClose has fired. Nothing will fire any more once everything is taken: handlers, which may know the socket, go.
    fn has_ended(&self, before: bool) {
        if !self.has_message() {
            let handlers = self.takers().let_go();
            self.update_interest();
            drop(handlers);
        }
        if !before {
            self.connection.reactor().nudge();
        }
    }

    /// For a thread that waits, and for a task that goes on: everybody who waits gets what is there, each in its turn.
    ///
    /// # Errors
    /// A message could not be made.
    pub(crate) fn look(&self, py: Python<'_>, looker: Looker<'_>) -> PyResult<()> {
        let mut hold = Hold { py, connection: &self.connection, asker: Asker::Waiter };
        while let Some(next) = { self.takers().next(Asker::Waiter, &mut hold)? } {
            let (waiter, given) = match next {
                Next::Give(ticket, waiter, message) => (waiter, Some((ticket, message))),
                Next::End(waiter) => (waiter, None),
                Next::Call(..) | Next::CallClose(_) | Next::Pause => continue,
            };
            match (looker, waiter) {
                // Its holder is about to see what became of it.
                (Looker::Thread(own), Waiter::Thread(slot)) if Arc::ptr_eq(own, &slot) => slot.tell(),
                // Its future belongs to the loop's thread.
                (Looker::Thread(_), waiter @ Waiter::Task(_)) => {
                    lock(&self.handovers).push((waiter, given));
                    self.connection.request_delivery();
                }
                (_, waiter) => match given {
                    Some((ticket, message)) => self.give(py, ticket, waiter, message),
                    None => self.end(py, waiter),
                },
            }
        }
        if self.glance.owes() && self.glance.has_handlers() {
            // They get it too, as soon as they may run.
            self.connection.request_delivery();
        }
        Ok(())
    }

    fn give(&self, py: Python<'_>, ticket: Ticket, waiter: Waiter, Value(message): Value) {
        match waiter {
            Waiter::Thread(slot) => {
                slot.tell();
                self.connection.reactor().nudge();
            }
            Waiter::Task(future) => match future.wake(py, Ok(message)) {
                Ok(true) => {}
                // It was cancelled: the next one gets the message.
                Ok(false) => drop(self.takers().leave(ticket)),
                Err(error) => self.report_failure(py, error, None),
            },
            Waiter::Paused | Waiter::Closing(_) => {}
        }
    }

    fn end(&self, py: Python<'_>, waiter: Waiter) {
        let woken = match waiter {
            Waiter::Thread(slot) => {
                slot.tell();
                self.connection.reactor().nudge();
                return;
            }
            Waiter::Task(future) => future.wake(py, Err(self.closed(py))),
            Waiter::Closing(future) => future.wake(py, Ok(py.None())),
            Waiter::Paused => return,
        };
        if let Err(error) = woken {
            self.report_failure(py, error, None);
        }
    }

    /// Fires what is held, for as long as there is one handler and nobody else to think of: the common case, with one lock
    /// for each message.
    fn fire_straight(&self, py: Python<'_>, turn: &mut Turn) -> Straightness {
        let sole = self.takers().sole_handler();
        let Some((handler, straight)) = sole else { return Straightness::Ended };
        while straight.holds() {
            match self.connection.take(|message| payload::to_object(py, &message)) {
                Some(Some(message)) => self.call(py, &handler, Some(message.bind(py))),
                Some(None) => self.report_failure(py, PyErr::fetch(py), None),
                // What comes now is reported anew, unless it was the end.
                None if self.connection.state() != State::Closed => return Straightness::NothingHeld,
                None => return Straightness::Ended,
            }
            if turn.is_over() {
                return Straightness::TurnIsOver;
            }
        }
        Straightness::Ended
    }

    fn call(&self, py: Python<'_>, handler: &Handler, argument: Option<&Bound<'_, PyAny>>) {
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
                futures::note_handed_on();
                self.hook(py, "returned", (result, function.clone()));
            }
            None => {
                if let Some(failure) = failure {
                    self.report_failure(py, failure, Some(function));
                }
            }
        }
    }

    fn report_failure(&self, py: Python<'_>, error: PyErr, handler: Option<&Bound<'_, PyAny>>) {
        let handler = handler.map_or_else(|| py.None(), |handler| handler.clone().unbind());
        self.hook(py, "failed", (error.into_value(py), handler));
    }

    fn hook<'py>(&self, py: Python<'py>, name: &str, args: impl pyo3::call::PyCallArgs<'py>) {
        if let Err(error) = self.hooks.bind(py).call_method1(name, args) {
            // The hooks themselves failed: nothing is left but the interpreter's own way to say so.
            error.write_unraisable(py, Some(self.hooks.bind(py)));
        }
    }
}

/// How firing to the one handler ended.
enum Straightness {
    /// There may be others to think of, or the end.
    Ended,
    NothingHeld,
    TurnIsOver,
}

/// Ends with the delivery, by whatever way.
struct EndsTurn<'a>(&'a Delivery, Asker);

impl Drop for EndsTurn<'_> {
    fn drop(&mut self) {
        let Self(delivery, asker) = self;
        let needs_reports = {
            let mut takers = delivery.takers();
            if *asker == Asker::Driver {
                takers.end_turn();
            }
            takers.needs_reports()
        };
        delivery.connection.listen(needs_reports);
    }
}
