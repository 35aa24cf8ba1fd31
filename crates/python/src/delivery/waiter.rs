//! Who waits for a message or for the close: a thread, a task, or a task that pauses.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;
use sunsocket_net as net;

use crate::loops::futures::Future;

/// A message as Python has it: an exact `str` or `bytes`.
pub(crate) struct Value(pub(crate) Py<PyAny>);

impl Clone for Value {
    fn clone(&self) -> Self {
        // Cheap where the GIL is held, as everywhere here.
        Python::attach(|py| Self(self.0.clone_ref(py)))
    }
}

/// Somebody who waits.
pub(crate) enum Waiter {
    /// A thread, which looks for itself and is told when it need look.
    Thread(Arc<Slot>),
    /// A task in `recv` or `OnMessage.Wait`.
    Task(Future),
    /// A task in `OnClose.Wait`.
    Closing(Future),
    /// A task that gives others of its loop their turn, or has only begun, and looks when it goes on.
    Paused,
}

impl net::Waiter for Waiter {
    fn needs_driver(&self) -> bool {
        matches!(self, Self::Task(_))
    }
}

/// Where a waiting thread sees that its wait is over. What it waited for is with the takers, under its ticket.
#[derive(Default)]
pub(crate) struct Slot {
    told: AtomicBool,
}

thread_local! {
    /// One that nobody else knows, for the next wait: a message costs no allocation.
    static SPARE: Cell<Option<Arc<Slot>>> = const { Cell::new(None) };
}

impl Slot {
    pub(crate) fn new() -> Arc<Self> {
        let slot = SPARE.take().filter(|spare| Arc::strong_count(spare) == 1).unwrap_or_default();
        slot.told.store(false, Ordering::Relaxed);
        slot
    }

    /// Its wait is over.
    pub(crate) fn keep_for_later(slot: Arc<Self>) {
        SPARE.set(Some(slot));
    }

    pub(crate) fn tell(&self) {
        self.told.store(true, Ordering::Release);
    }

    pub(crate) fn is_told(&self) -> bool {
        self.told.load(Ordering::Acquire)
    }
}
