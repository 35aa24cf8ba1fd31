//! What `recv` returns on asyncio: a coroutine by its methods, for `create_task` and all that want one.
//!
//! Awaited, it takes a message that is there; otherwise it looks for one, and then waits by a future of the loop. Only with a
//! time-out is that left to a coroutine (`aio.WebSocket._wait_message`): in a thousand tasks that wait one message each,
//! the coroutine took a tenth of the CPU time. Nothing is taken before it is awaited, so one that is dropped loses nothing.

use std::cell::Cell;
use std::ffi::CStr;
use std::ptr;
use std::sync::{Arc, Mutex};

use pyo3::exceptions::{PyBaseException, PyRuntimeError, PyRuntimeWarning, PyTypeError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};
use sunsocket_net::{Outcome, State, Ticket};

use super::awaitables::{Awaited, Step, derive, told};
use super::futures::{Future, is_turned_here};
use crate::delivery::{Delivery, Handle, Looker, Value, Waiter};
use crate::locking::lock;
use crate::{fairness, payload};

#[pyclass(frozen, subclass, name = "ReceivingBase", module = "sunsocket._core")]
pub(crate) struct Receiving {
    stage: Mutex<Stage>,
}

enum Stage {
    /// Nothing was taken.
    Begins(Begun),
    Waits(Waiting),
    Over,
}

/// A `recv` that waits.
struct Waiting {
    /// What is stepped through: a future's iterator, or the coroutine with a time-out.
    steps: Py<PyAny>,
    /// What the future's outcome belongs to, and the socket, which is kept alive. The coroutine looks after both itself.
    place: Option<(Place, Py<PyAny>)>,
}

/// A `recv` that has not begun to wait.
struct Begun {
    /// Kept alive meanwhile: an open socket that nobody holds is closed.
    socket: Py<PyAny>,
    handle: Py<Handle>,
    timeout: Option<f64>,
    /// What keeps its place while it gives others of the loop their turn.
    place: Option<Place>,
    awaited: bool,
}

/// A place in the queue, which is left when this is dropped.
struct Place {
    delivery: Arc<Delivery>,
    ticket: Option<Ticket>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            Python::attach(|_py| self.delivery.settle(ticket, false));
        }
    }
}

impl Begun {
    fn delivery(&self) -> &Arc<Delivery> {
        &self.handle.get().0
    }
}

thread_local! {
    /// One that is over, for the next `recv`: a message costs no allocation.
    static SPARE: Cell<Option<Py<Receiving>>> = const { Cell::new(None) };
}

/// One that is over may be the next one.
fn keep_for_later(over: &Bound<'_, Receiving>) {
    let spare = SPARE.take().unwrap_or_else(|| over.clone().unbind());
    SPARE.set(Some(spare));
}

impl Receiving {
    /// What `recv` returns.
    pub(crate) fn begin(
        socket: &Bound<'_, PyAny>,
        handle: &Py<Handle>,
        timeout: Option<f64>,
    ) -> PyResult<Py<PyAny>> {
        let py = socket.py();
        // SAFETY: the object is alive and the GIL is held.
        let is_ours_alone = |spare: &Py<Self>| unsafe { ffi::Py_REFCNT(spare.as_ptr()) == 1 };
        // If nobody else knows it, nobody sees that it is used again.
        let spare = SPARE.take().filter(is_ours_alone);
        let receiving = match spare {
            Some(spare) => spare.into_bound(py),
            None => receiving_type(py)?.call0()?.cast_into::<Self>()?,
        };
        let begun = Begun {
            socket: socket.clone().unbind(),
            handle: handle.clone_ref(py),
            timeout,
            place: None,
            awaited: false,
        };
        receiving.get().put(Stage::Begins(begun));
        Ok(receiving.into_any().unbind())
    }

    fn put(&self, stage: Stage) {
        // Dropped outside of the lock: it may run the program's code.
        let before = std::mem::replace(&mut *lock(&self.stage), stage);
        drop(before);
    }

    fn take(&self) -> Stage {
        std::mem::replace(&mut *lock(&self.stage), Stage::Over)
    }

    /// What is stepped through, if it waits.
    fn steps<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        match &*lock(&self.stage) {
            Stage::Waits(waiting) => Some(waiting.steps.bind(py).clone()),
            _ => None,
        }
    }

    /// Goes on waiting.
    fn send_on<'py>(slf: &Bound<'py, Self>, value: &Bound<'py, PyAny>) -> PyResult<Step<'py>> {
        let (py, this) = (slf.py(), slf.get());
        let Some(steps) = this.steps(py) else {
            return Err(PyRuntimeError::new_err("cannot await the same recv() twice"));
        };
        let mut result = ptr::null_mut();
        // SAFETY: both objects are alive and the GIL is held; a result is a new reference, an error has an exception set.
        let step = unsafe {
            match ffi::PyIter_Send(steps.as_ptr(), value.as_ptr(), &raw mut result) {
                ffi::PySendResult::PYGEN_NEXT => return Ok(Step::Yields(Bound::from_owned_ptr(py, result))),
                ffi::PySendResult::PYGEN_RETURN => Ok(Step::Ends(Bound::from_owned_ptr(py, result))),
                ffi::PySendResult::PYGEN_ERROR => Err(PyErr::fetch(py)),
            }
        };
        // Where there is none, what was left of the ticket goes with the stage: a message that it was given goes to the next.
        if let (Stage::Waits(Waiting { place: Some((mut place, _)), .. }), true) = (this.take(), step.is_ok())
            && let Some(ticket) = place.ticket.take()
        {
            place.delivery.settle(ticket, true);
            keep_for_later(slf);
        }
        step
    }
}

impl Awaited for Receiving {
    const FULL_NAME: &'static CStr = c"sunsocket._core.Receiving";
    const DOC: &'static CStr = c"What ``recv`` returns on asyncio: a coroutine by its methods.";

    fn result<'py>(slf: &Bound<'py, Self>) -> Option<PyResult<Bound<'py, PyAny>>> {
        let py = slf.py();
        let (message, begun) = {
            let mut stage = lock(&slf.get().stage);
            let Stage::Begins(begun) = &*stage else { return None };
            let delivery = begun.delivery();
            if begun.place.is_some() || !delivery.glance.is_free() || fairness::is_over() {
                return None;
            }
            delivery.connection.pull();
            let message = delivery.connection.take(|message| payload::to_object(py, &message))?;
            (message, std::mem::replace(&mut *stage, Stage::Over))
        };
        if let Stage::Begins(Begun { socket, handle, .. }) = begun {
            drop((socket.into_bound(py), handle.into_bound(py)));
        }
        keep_for_later(slf);
        Some(message.map(|message| message.into_bound(py)).ok_or_else(|| PyErr::fetch(py)))
    }

    fn go_on<'py>(slf: &Bound<'py, Self>, value: &Bound<'py, PyAny>) -> PyResult<Step<'py>> {
        let (py, this) = (slf.py(), slf.get());
        let mut begun = match this.take() {
            Stage::Begins(begun) if value.is_none() => begun,
            begins @ Stage::Begins(_) => {
                this.put(begins);
                return Err(PyTypeError::new_err(
                    "can't send non-None value to a recv() that waits for nothing",
                ));
            }
            stage => {
                this.put(stage);
                return Self::send_on(slf, value);
            }
        };
        begun.awaited = true;
        check_loop(py, begun.delivery())?;
        begun.delivery().connection.pull();
        if fairness::is_over() {
            fairness::end();
            begun.enter();
            this.put(Stage::Begins(begun));
            return Ok(Step::Yields(value.clone()));
        }
        if let Some(message) = begun.take_now(py)? {
            return Ok(Step::Ends(message.into_bound(py)));
        }
        fairness::end();
        begun.enter();
        this.put(Stage::Waits(begun.wait(py)?));
        Self::send_on(slf, value)
    }
}

/// Refuses what another loop awaits: who looks for messages wakes tasks, and those of a loop only its own thread may.
fn check_loop(py: Python<'_>, delivery: &Delivery) -> PyResult<()> {
    if is_turned_here(delivery.connection.reactor()) {
        return Ok(());
    }
    delivery.hooks.bind(py).call_method0(pyo3::intern!(py, "check")).map(drop)
}

impl Begun {
    /// Its place in the queue.
    fn enter(&mut self) -> &mut Place {
        let delivery = &self.handle.get().0;
        self.place.get_or_insert_with(|| {
            let ticket = Some(delivery.queue(Waiter::Paused, 1));
            Place { delivery: Arc::clone(delivery), ticket }
        })
    }

    /// Waits, with the place that it has.
    fn wait(mut self, py: Python<'_>) -> PyResult<Waiting> {
        let place = self.enter();
        let ticket = place.ticket;
        if self.timeout.is_some() {
            let args = (self.timeout, ticket.map(u64::from));
            let steps = self.socket.bind(py).call_method1(pyo3::intern!(py, "_wait_message"), args)?.unbind();
            // From here on the coroutine looks after the ticket: it begins at once.
            self.enter().ticket = None;
            return Ok(Waiting { steps, place: None });
        }
        let Self { socket, handle, place, .. } = self;
        let delivery = &handle.get().0;
        let future = delivery.hooks.bind(py).call_method0(pyo3::intern!(py, "future"))?;
        if let Some(ticket) = ticket {
            delivery.wait_on(py, ticket, Future::new(future.clone().unbind()))?;
        }
        let steps = future.call_method0(pyo3::intern!(py, "__await__"))?.unbind();
        Ok(Waiting { steps, place: place.map(|place| (place, socket)) })
    }

    /// The next held message that is this one's. Looks for input where that may help: once, and for a moment where an
    /// answer is likely.
    fn take_now(&mut self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let delivery = Arc::clone(self.delivery());
        let connection = &delivery.connection;
        if delivery.glance.has_handlers() {
            // The loop brings a copy of what fires next.
            return Ok(None);
        }
        let place = self.enter();
        if let Some(message) = place.look(py)? {
            return Ok(Some(message));
        }
        // Who waits already is served first, and looks for itself.
        if place.ticket.is_some_and(|ticket| delivery.is_first(ticket)) {
            let there = || connection.has_message() || connection.state() == State::Closed;
            connection.reactor().look_for(fairness::rest(), &there);
            return place.look(py);
        }
        Ok(None)
    }
}

impl Place {
    /// Serves those who wait, and takes what is this one's.
    fn look(&mut self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let Some(ticket) = self.ticket else { return Ok(None) };
        self.delivery.look(py, Looker::Task)?;
        let outcome = self.delivery.collect(ticket);
        if !matches!(outcome, Outcome::Waits) {
            self.ticket = None;
        }
        match outcome {
            Outcome::Given((Value(message), _)) => Ok(Some(message)),
            Outcome::Waits => Ok(None),
            Outcome::Ended => Err(self.delivery.closed(py)),
        }
    }
}

#[pymethods]
impl Receiving {
    #[new]
    fn new() -> Self {
        Self { stage: Mutex::new(Stage::Over) }
    }

    /// Goes on; ends with StopIteration, which has the message.
    fn send<'py>(slf: &Bound<'py, Self>, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        told(Self::go_on(slf, value)?)
    }

    /// Goes on with an exception.
    #[pyo3(signature = (*args))]
    fn throw<'py>(&self, args: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        let Some(steps) = self.steps(args.py()) else {
            self.put(Stage::Over);
            return Err(thrown(args)?);
        };
        let result = steps.call_method1(pyo3::intern!(args.py(), "throw"), args);
        if result.is_err() {
            self.put(Stage::Over);
        }
        result
    }

    /// Ends it; nothing that has come is lost.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        match self.take() {
            Stage::Waits(Waiting { steps, .. }) => {
                steps.bind(py).call_method0(pyo3::intern!(py, "close")).map(drop)
            }
            Stage::Begins(_) | Stage::Over => Ok(()),
        }
    }

    #[getter]
    fn __name__(&self) -> &'static str {
        "recv"
    }

    #[getter]
    fn __qualname__(&self) -> &'static str {
        "WebSocket.recv"
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match self.stage.try_lock().as_deref() {
            Ok(Stage::Begins(begun)) => visit.call(&begun.socket),
            Ok(Stage::Waits(Waiting { steps, place })) => {
                visit.call(steps)?;
                place.iter().try_for_each(|(_, socket)| visit.call(socket))
            }
            _ => Ok(()),
        }
    }

    fn __clear__(&self) {
        self.put(Stage::Over);
    }
}

/// The exception that `throw` was given: an instance, or a class and a value.
fn thrown(args: &Bound<'_, PyTuple>) -> PyResult<PyErr> {
    let kind = args.get_item(0)?;
    let value = args.get_item(1).ok().filter(|value| !value.is_none());
    Ok(match value {
        Some(value) if value.is_instance_of::<PyBaseException>() => PyErr::from_value(value),
        Some(value) => PyErr::from_value(kind.call1((value,))?),
        None => PyErr::from_value(kind),
    })
}

/// The thread's exception, put aside for as long as this lives. Of whatever class: `PyErr::take` would unwind with one.
struct OnItsWay([*mut ffi::PyObject; 3]);

impl OnItsWay {
    /// The GIL has to be held until it is dropped.
    fn put_aside() -> Self {
        let [mut kind, mut value, mut traceback] = [ptr::null_mut(); 3];
        // SAFETY: the caller holds the GIL, and these are places for the three parts, which are ours from here on.
        unsafe { ffi::PyErr_Fetch(&raw mut kind, &raw mut value, &raw mut traceback) };
        Self([kind, value, traceback])
    }
}

impl Drop for OnItsWay {
    fn drop(&mut self) {
        let [kind, value, traceback] = self.0;
        // SAFETY: the GIL is held, and it takes back what it gave.
        unsafe { ffi::PyErr_Restore(kind, value, traceback) };
    }
}

impl Drop for Receiving {
    fn drop(&mut self) {
        if let Stage::Begins(Begun { awaited: false, .. }) = &self.take() {
            Python::attach(|py| {
                // An exception that is on its way, for which this is dropped, goes on afterwards.
                let on_its_way = OnItsWay::put_aside();
                let kind = py.get_type::<PyRuntimeWarning>();
                if let Err(error) = PyErr::warn(py, &kind, c"WebSocket.recv() was never awaited", 1) {
                    error.write_unraisable(py, None);
                }
                drop(on_its_way);
            });
        }
    }
}

pub(crate) fn receiving_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    Ok(TYPE.get_or_try_init(py, || derive::<Receiving>(py).map(Bound::unbind))?.bind(py))
}
