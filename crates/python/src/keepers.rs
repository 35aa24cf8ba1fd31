//! Who waits at the end of the program for the sockets that keep it alive: told when one of them may not any more, so
//! that an idle program sleeps.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::prelude::*;

use crate::locking::lock;

static WATCHED: AtomicBool = AtomicBool::new(false);
static TOLD: Mutex<Option<Py<PyAny>>> = Mutex::new(None);

/// Has ``changed`` called whenever an open socket may have stopped to keep the program alive.
#[pyfunction]
pub(crate) fn watch_keepers(changed: Py<PyAny>) {
    let before = lock(&TOLD).replace(changed);
    WATCHED.store(true, Ordering::SeqCst);
    drop(before);
}

/// Whether anybody is to be told.
pub(crate) fn are_watched() -> bool {
    WATCHED.load(Ordering::Relaxed)
}

/// Tells it.
pub(crate) fn tell(py: Python<'_>) {
    let told = lock(&TOLD).as_ref().map(|told| told.clone_ref(py));
    if let Some(told) = told
        && let Err(error) = told.call0(py)
    {
        error.write_unraisable(py, None);
    }
}
