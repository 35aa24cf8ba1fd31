//! Turning a reactor and delivering what it brings, for the dispatcher and for loops. A panic is a defect of ours, which
//! must not become a silent hang.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Instant;

use pyo3::prelude::*;
use sunsocket_net::{Connection, Reactor};

use crate::delivery::Delivery;
use crate::fairness::Turn;

/// The owner's turn. A panic is a defect of ours, which must not become a silent hang: it is reported, and every
/// connection is dropped, so that everybody who waits hears of it.
pub(crate) fn turn(py: Python<'_>, reactor: &Reactor, until: Option<Instant>) {
    let turned = panic::catch_unwind(AssertUnwindSafe(|| match until {
        None => py.detach(|| reactor.turn(None)),
        // Only a look, which does not pay to let go of the GIL.
        until => reactor.turn(until),
    }));
    if let Err(payload) = turned {
        reactor.open_connections().iter().for_each(Connection::abort);
        panicked(py, "all connections were dropped", &*payload);
    }
}

fn panicked(py: Python<'_>, outcome: &str, payload: &(dyn Any + Send)) {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("no text");
    let logged =
        py.import("sunsocket._log").and_then(|log| log.call_method1("panicked", (outcome, text)).map(drop));
    if let Err(error) = logged {
        error.write_unraisable(py, None);
    }
}

/// Delivers to the connections that are ready, one after the other. False: it took so long that others come first; the
/// rest stays ready.
pub(crate) fn deliver_ready(py: Python<'_>, reactor: &Reactor) -> bool {
    let mut turn = Turn::begin();
    let mut paused = Vec::new();
    let mut all = true;
    while let Some(connection) = reactor.next_ready() {
        // One that is not attached yet is no loss: `Delivery::new` asks for what is missed here.
        if let Some(delivery) = Delivery::of(&connection) {
            match panic::catch_unwind(AssertUnwindSafe(|| delivery.deliver(py, &mut turn))) {
                Ok(false) => {}
                Ok(true) => paused.push(Arc::clone(&connection)),
                Err(payload) => {
                    connection.abort();
                    panicked(py, &format!("the connection to {} was dropped", connection.url()), &*payload);
                }
            }
            if delivery.is_done() {
                // The cycle between both sides ends here.
                drop(connection.detach());
            }
        }
        if turn.is_over() {
            all = false;
            break;
        }
    }
    // Only now: they would be the next again.
    paused.iter().for_each(Connection::request_delivery);
    all
}

/// Raises `_lifetime.ProgramEnded` in the thread. Not where this one is traced: until the other takes the exception,
/// CPython 3.11 comes no further here.
pub(crate) fn end_handler(py: Python<'_>, ident: u64) {
    let trace = py.import("sys").and_then(|sys| sys.call_method0("gettrace"));
    if !trace.is_ok_and(|trace| trace.is_none()) {
        return;
    }
    let Ok(kind) = py.import("sunsocket._lifetime").and_then(|module| module.getattr("ProgramEnded")) else {
        return;
    };
    // SAFETY: the GIL is held and the class is alive; a thread that is gone by now is not found.
    unsafe { pyo3::ffi::PyThreadState_SetAsyncExc(ident as std::ffi::c_long, kind.as_ptr()) };
}
