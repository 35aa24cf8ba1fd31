//! Futures of a loop: how a task is woken, and what tasks wait for beside messages.

use std::cell::Cell;
use std::sync::{Arc, Mutex};

use pyo3::prelude::*;
use pyo3::types::PyFloat;
use sunsocket_net::{Connection, Reactor, State};

use crate::errors::{self, Failure};
use crate::locking::lock;

thread_local! {
    /// Something was delivered that the loop has to go on with: a future's result, a coroutine of a handler.
    static HANDED_ON: Cell<bool> = const { Cell::new(false) };
}

/// Says so.
pub(crate) fn note_handed_on() {
    HANDED_ON.set(true);
}

/// Whether that was said since this was asked last.
pub(super) fn take_handed_on() -> bool {
    HANDED_ON.replace(false)
}

thread_local! {
    /// The reactor that this thread's loop turned last, by its place in memory.
    static TURNED: Cell<usize> = const { Cell::new(0) };
}

/// Says so.
pub(super) fn note_turned(reactor: &Arc<Reactor>) {
    TURNED.set(Arc::as_ptr(reactor) as usize);
}

/// Whether it is this one. Where it is not, the loop may be the same all the same: it has to be asked.
pub(super) fn is_turned_here(reactor: &Arc<Reactor>) -> bool {
    TURNED.get() == Arc::as_ptr(reactor) as usize
}

/// A future that a task of the loop awaits.
pub(crate) struct Future(Py<PyAny>);

impl Future {
    pub(crate) fn new(future: Py<PyAny>) -> Self {
        Self(future)
    }

    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        Self(self.0.clone_ref(py))
    }

    fn is(&self, future: &Bound<'_, PyAny>) -> bool {
        self.0.as_ptr() == future.as_ptr()
    }

    /// Whether nobody awaits it any more: it has a result, or was cancelled.
    pub(crate) fn is_done(&self, py: Python<'_>) -> PyResult<bool> {
        self.0.bind(py).call_method0(pyo3::intern!(py, "done"))?.is_truthy()
    }

    /// Wakes its task. False: it was done already.
    pub(crate) fn wake(&self, py: Python<'_>, outcome: PyResult<Py<PyAny>>) -> PyResult<bool> {
        note_handed_on();
        if self.is_done(py)? {
            return Ok(false);
        }
        let future = self.0.bind(py);
        match outcome {
            Ok(value) => future.call_method1(pyo3::intern!(py, "set_result"), (value,))?,
            Err(error) => future.call_method1(pyo3::intern!(py, "set_exception"), (error.into_value(py),))?,
        };
        Ok(true)
    }
}

/// What the tasks of one connection wait for beside messages. Who does not wait any more is taken off by `forget`.
#[derive(Default)]
pub(crate) struct Futures {
    /// The connection to open.
    pub(crate) opening: Mutex<Option<Future>>,
    /// Room, or the end of a message that is sent in pieces.
    room: Mutex<Vec<Future>>,
    /// The next piece of the message that is being received in pieces.
    piece: Mutex<Option<Future>>,
    /// The pongs of pings, by number.
    pongs: Mutex<Vec<(u64, Future)>>,
}

impl Futures {
    pub(crate) fn wait_for_room(&self, future: Future) {
        lock(&self.room).push(future);
    }

    pub(crate) fn wait_for_piece(&self, future: Future) {
        let before = lock(&self.piece).replace(future);
        drop(before);
    }

    pub(crate) fn wait_for_pong(&self, number: u64, future: Future) {
        lock(&self.pongs).push((number, future));
    }

    /// How many wait.
    pub(crate) fn count(&self) -> usize {
        let pieces = usize::from(lock(&self.piece).is_some());
        lock(&self.room).len() + pieces + lock(&self.pongs).len()
    }

    /// The task does not wait any more.
    pub(crate) fn forget(&self, future: &Bound<'_, PyAny>) {
        let room: Vec<_> = lock(&self.room).extract_if(.., |other| other.is(future)).collect();
        let pongs: Vec<_> = lock(&self.pongs).extract_if(.., |(_, other)| other.is(future)).collect();
        let piece = lock(&self.piece).take_if(|other| other.is(future));
        // Outside of the locks: dropping may run the program's code.
        drop((room, pongs, piece));
    }

    /// Wakes everybody whose wait is over. `failed` is told what a future raised.
    pub(crate) fn bring(
        &self,
        py: Python<'_>,
        connection: &Connection,
        failure: &Failure,
        failed: &dyn Fn(PyErr),
    ) {
        let wake = |future: Future, outcome| {
            if let Err(error) = future.wake(py, outcome) {
                failed(error);
            }
        };
        if connection.take_opened()
            && let Some(future) = lock(&self.opening).take()
        {
            match connection.closed().and_then(|closed| closed.error) {
                Some(error) if connection.handshake_ref().is_none() => {
                    wake(future, Err(errors::raise(py, &error)));
                }
                _ => wake(future, Ok(py.None())),
            }
        }
        if connection.take_writable() {
            let waiting = std::mem::take(&mut *lock(&self.room));
            waiting.into_iter().for_each(|future| wake(future, Ok(py.None())));
        }
        let closed = connection.state() == State::Closed;
        if closed || connection.has_piece() {
            let waiting = lock(&self.piece).take();
            waiting.into_iter().for_each(|future| wake(future, Ok(py.None())));
        }
        if lock(&self.pongs).is_empty() {
            return;
        }
        let arrived = |number| connection.pong_arrived(number);
        let over: Vec<_> =
            lock(&self.pongs).extract_if(.., |(number, _)| closed || arrived(*number).is_some()).collect();
        for (number, future) in over {
            match arrived(number) {
                Some(round_trip) => {
                    let seconds = PyFloat::new(py, round_trip.as_secs_f64()).into_any().unbind();
                    wake(future, Ok(seconds));
                }
                None => wake(future, Err(errors::closed(py, connection, failure, None))),
            }
        }
    }
}
