//! The thread that turns the reactor of the thread face and runs its handlers.
//!
//! It starts with the first `connect`, keeps one thread state of the interpreter for its life, and is stopped and
//! joined at exit, before the interpreter goes: a thread that attaches afterwards would crash.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use sunsocket_net::{Error, ErrorKind, Reactor, Role};

use crate::delivery::Delivery;
use crate::driving::{deliver_ready, end_handler, turn};
use crate::errors;
use crate::locking::lock;

struct Dispatcher {
    reactor: Arc<Reactor>,
    stop: Arc<AtomicBool>,
    /// Of its thread, as `threading.get_ident` has it; 0 until it runs.
    ident: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

/// Touched with the GIL held, which is not released meanwhile: so no other thread holds it when a process forks.
static DISPATCHER: Mutex<Option<Dispatcher>> = Mutex::new(None);

/// The dispatcher was stopped and no other one was started: handlers that still wait for their turn get none.
static STOPPED: AtomicBool = AtomicBool::new(false);
/// The interpreter goes, and nobody would stop another one.
static ENDED: AtomicBool = AtomicBool::new(false);

/// Whether the program has ended, and its handlers with it.
pub(crate) fn has_stopped() -> bool {
    STOPPED.load(Ordering::SeqCst)
}

/// The reactor of the thread face; the first call starts its thread.
pub(crate) fn reactor(py: Python<'_>) -> PyResult<Arc<Reactor>> {
    let mut dispatcher = lock(&DISPATCHER);
    if let Some(dispatcher) = &*dispatcher {
        return Ok(Arc::clone(&dispatcher.reactor));
    }
    if ENDED.load(Ordering::SeqCst) {
        return Err(PyRuntimeError::new_err("cannot connect any more: the program is ending"));
    }
    STOPPED.store(false, Ordering::SeqCst);
    let reactor = Reactor::new(Role::Thread).map_err(|error| errors::no_reactor(py, &error))?;
    let stop = Arc::new(AtomicBool::new(false));
    let ident = Arc::new(AtomicU64::new(0));
    let (turned, asked, told) = (Arc::clone(&reactor), Arc::clone(&stop), Arc::clone(&ident));
    let thread = thread::Builder::new()
        .name("sunsocket".to_owned())
        .spawn(move || run(&turned, &asked, &told))
        .map_err(|error| {
            let text = format!("cannot connect: no thread can be started to deliver messages on ({error})");
            errors::raise(py, &Error::new(ErrorKind::Connect, text))
        })?;
    *dispatcher = Some(Dispatcher { reactor: Arc::clone(&reactor), stop, ident, thread: Some(thread) });
    drop(dispatcher);
    py.import("sunsocket._lifetime")?.call_method0("register")?;
    Ok(reactor)
}

fn run(reactor: &Arc<Reactor>, stop: &AtomicBool, ident: &AtomicU64) {
    Python::attach(|py| {
        let own = py.import("threading").and_then(|threading| threading.call_method0("get_ident")?.extract());
        ident.store(own.unwrap_or(0), Ordering::SeqCst);
        loop {
            turn(py, reactor, None);
            if reactor.is_forked() {
                // A handler forked, and this is the child, in which the rest of the handler has run: its end.
                break;
            }
            let last = stop.load(Ordering::SeqCst);
            let batch = reactor.dispatch();
            let all = deliver_ready(py, reactor);
            // What handlers sent is written with the GIL released.
            py.detach(|| drop(batch));
            // Only now: what closed at exit has its OnClose fired.
            if last && all {
                break;
            }
        }
    });
}

fn current() -> Option<Arc<Reactor>> {
    lock(&DISPATCHER).as_ref().map(|dispatcher| Arc::clone(&dispatcher.reactor))
}

/// Where the open sockets with a handler lead to, which keep the program alive.
#[pyfunction]
pub(crate) fn keepers() -> Vec<String> {
    let Some(reactor) = current() else { return Vec::new() };
    let connections = reactor.open_connections();
    let deliveries = connections.iter().filter_map(|connection| Delivery::of(connection));
    deliveries.filter(|each| each.keeps_alive()).map(|each| each.connection.url().to_string()).collect()
}

/// Closes what is open with 1001, for at the most ``timeout`` seconds, then joins the dispatcher's thread.
///
/// Args:
///     last: Nobody may connect afterwards.
#[pyfunction]
#[pyo3(signature = (timeout, *, last=false))]
pub(crate) fn shut_down(py: Python<'_>, timeout: f64, last: bool) {
    if last {
        ENDED.store(true, Ordering::SeqCst);
    }
    let Some(mut dispatcher) = lock(&DISPATCHER).take() else { return };
    let until = Instant::now() + Duration::try_from_secs_f64(timeout).unwrap_or_default();
    py.detach(|| {
        dispatcher.reactor.close_all(until);
        dispatcher.stop.store(true, Ordering::SeqCst);
        dispatcher.reactor.wake();
        if let Some(thread) = dispatcher.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            // A handler that never returns must not keep the interpreter from ending for ever: it is given as long again.
            if !finishes(&dispatcher.reactor, &thread, timeout.max(1.0)) {
                // One that runs Python code would be cut off in the middle of ours when the interpreter is gone, and abort
                // the process: it is ended by an exception. One that sleeps in the system is left asleep.
                Python::attach(|py| end_handler(py, dispatcher.ident.load(Ordering::SeqCst)));
                finishes(&dispatcher.reactor, &thread, 1.0);
            }
            if thread.is_finished() {
                let _ = thread.join();
            }
        }
        STOPPED.store(true, Ordering::SeqCst);
        dispatcher.reactor.nudge();
    });
}

fn finishes(reactor: &Reactor, thread: &JoinHandle<()>, seconds: f64) -> bool {
    let patience = Instant::now() + Duration::try_from_secs_f64(seconds).unwrap_or_default();
    while !thread.is_finished() && Instant::now() < patience {
        reactor.wake();
        thread::sleep(Duration::from_millis(1));
    }
    thread.is_finished()
}

/// The child of a fork: the thread and its reactor stayed in the parent.
#[pyfunction]
pub(crate) fn after_fork_in_child() {
    Reactor::after_fork_in_child();
    // Not dropped: its locks may be held by threads that do not exist here.
    std::mem::forget(lock(&DISPATCHER).take());
}
