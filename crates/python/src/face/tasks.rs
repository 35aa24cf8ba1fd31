//! asyncio's tasks: futures that get messages, and what else tasks wait for.

use std::sync::Arc;

use pyo3::prelude::*;
use sunsocket_net::State;

use super::{Face, Handed, Waiter, Which, lock};
use crate::errors;

/// Tasks that wait for a pong, or did, from which on they are looked through whenever they have doubled.
const FORGET_FROM: usize = 16;

impl Face {
    pub(crate) fn add_receiver(self: &Arc<Self>, future: Py<PyAny>) {
        lock(&self.receivers).push_back(future);
        self.attend();
        self.catch_up();
    }

    /// A task waits for the pong of a ping. Now and then those that do not wait any more, after a time-out, are forgotten:
    /// their pong may never come.
    pub(crate) fn add_pong(&self, py: Python<'_>, number: u64, future: Py<PyAny>) {
        let waiting = {
            let mut pongs = lock(&self.pongs);
            pongs.push((number, future));
            if pongs.len() < FORGET_FROM || !pongs.len().is_power_of_two() {
                return;
            }
            std::mem::take(&mut *pongs)
        };
        // Outside of the lock: it runs the program's code.
        let (gone, waiting): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|(_, future)| is_done(py, future));
        lock(&self.pongs).extend(waiting);
        drop(gone);
    }

    pub(super) fn waiting_futures(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        let waiters = self.waiters(Which::Message);
        let futures = waiters.iter().filter_map(|waiter| match waiter {
            Waiter::Future(future) => Some(future.clone_ref(py)),
            Waiter::Slot(_) => None,
        });
        futures.collect()
    }

    /// Gives held messages to the tasks that wait.
    pub(super) fn feed_tasks(&self, py: Python<'_>) {
        loop {
            let waits = !self.waiters(Which::Message).is_empty();
            let receiver = loop {
                let next = lock(&self.receivers).pop_front();
                match next {
                    Some(future) if is_done(py, &future) => {}
                    next => break next,
                }
            };
            if !waits && receiver.is_none() {
                break;
            }
            match self.take_numbered(py) {
                Ok(Some((number, message))) => {
                    let to = match &receiver {
                        Some(receiver) => vec![receiver.clone_ref(py)],
                        None => self.waiting_futures(py),
                    };
                    lock(&self.handed).push(Handed { number, message: message.clone_ref(py), to });
                    self.fill_waiters(py, &message);
                    if let Some(receiver) = receiver {
                        self.resolve(py, &receiver, Ok(message));
                    }
                }
                Ok(None) => {
                    if let Some(receiver) = receiver {
                        lock(&self.receivers).push_front(receiver);
                    }
                    break;
                }
                Err(error) => {
                    if let Some(receiver) = receiver {
                        self.resolve(py, &receiver, Err(error));
                    }
                }
            }
        }
        self.attend();
    }

    pub(super) fn deliver_to_tasks(&self, py: Python<'_>) {
        let connection = &self.connection;
        if connection.take_opened()
            && let Some(future) = lock(&self.opening).take()
        {
            let failure = connection.closed().and_then(|closed| closed.error);
            match failure {
                Some(error) if connection.handshake().is_none() => {
                    self.resolve(py, &future, Err(errors::raise(py, &error)));
                }
                _ => self.resolve(py, &future, Ok(py.None())),
            }
        }
        if connection.take_writable() {
            let waiting = std::mem::take(&mut *lock(&self.room));
            for future in waiting {
                self.resolve(py, &future, Ok(py.None()));
            }
        }
        if connection.has_piece() || connection.state() == State::Closed {
            let waiting = lock(&self.piece_waiter).take();
            if let Some(future) = waiting {
                self.resolve(py, &future, Ok(py.None()));
            }
        }
        let answered: Vec<(Py<PyAny>, f64)> = {
            let mut pongs = lock(&self.pongs);
            let waiting = std::mem::take(&mut *pongs);
            let mut answered = Vec::new();
            for (number, future) in waiting {
                match connection.pong_arrived(number) {
                    Some(round_trip) => answered.push((future, round_trip.as_secs_f64())),
                    None => pongs.push((number, future)),
                }
            }
            answered
        };
        for (future, seconds) in answered {
            let seconds = pyo3::types::PyFloat::new(py, seconds).into_any().unbind();
            self.resolve(py, &future, Ok(seconds));
        }
    }

    /// The connection has closed: nobody need wait for what will not come.
    pub(super) fn end_tasks(&self, py: Python<'_>) {
        if !self.is_async {
            return;
        }
        self.feed_tasks(py);
        let receivers: Vec<Py<PyAny>> = lock(&self.receivers).drain(..).collect();
        let waiters =
            std::mem::take(&mut *self.waiters(Which::Message)).into_iter().filter_map(
                |waiter| match waiter {
                    Waiter::Future(future) => Some(future),
                    Waiter::Slot(_) => None,
                },
            );
        let pongs: Vec<Py<PyAny>> = lock(&self.pongs).drain(..).map(|(_, future)| future).collect();
        for future in receivers.into_iter().chain(waiters).chain(pongs) {
            self.resolve(py, &future, Err(errors::closed(py, &self.connection, None)));
        }
    }
}

fn is_done(py: Python<'_>, future: &Py<PyAny>) -> bool {
    future.bind(py).call_method0(pyo3::intern!(py, "done")).and_then(|done| done.is_truthy()).unwrap_or(true)
}
