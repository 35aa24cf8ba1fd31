//! Objects to be awaited whose result is mostly there: their slots are called by the interpreter directly.
//!
//! A class of PyO3's cannot have the slot `am_send`, and its `__next__` has to raise StopIteration to return a value:
//! measured with a flood of small messages, `await recv()` then takes 0.52 us, more than a coroutine function (0.39). So
//! the class is PyO3's, and a type derived from it has the slots. From Python 3.12 on the interpreter asks for
//! `tp_iternext` alone.

use std::ffi::{CStr, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::PyClass;
use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::pyclass::boolean_struct::True;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyTuple, PyType};

use crate::fairness;

/// How an awaited object goes on.
pub(crate) enum Step<'py> {
    /// It suspends.
    Yields(Bound<'py, PyAny>),
    /// It is over, with this result.
    Ends(Bound<'py, PyAny>),
}

/// What an awaited object does.
pub(crate) trait Awaited: PyClass<Frozen = True> + Sync {
    /// With its module.
    const FULL_NAME: &'static CStr;
    const DOC: &'static CStr;

    /// The result, where it is there already. Must drop no `Py`, only `Bound`: the interpreter calls it without the
    /// bookkeeping that PyO3 does elsewhere.
    fn result<'py>(slf: &Bound<'py, Self>) -> Option<PyResult<Bound<'py, PyAny>>>;

    /// The same where it is not: anything may be done here.
    fn go_on<'py>(slf: &Bound<'py, Self>, value: &Bound<'py, PyAny>) -> PyResult<Step<'py>>;

    /// What `await` steps through: the object itself, or another one. May run no code of the program.
    fn begin<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Ok(slf.as_any().clone())
    }
}

/// The type of awaited objects that is derived from the class `T`.
pub(crate) fn derive<T: Awaited>(py: Python<'_>) -> PyResult<Bound<'_, PyType>> {
    let slot = |slot: c_int, function: *mut c_void| ffi::PyType_Slot { slot, pfunc: function };
    let mut slots = [
        slot(ffi::Py_am_await, begin::<T> as *mut c_void),
        slot(ffi::Py_tp_iter, itself as *mut c_void),
        slot(ffi::Py_tp_iternext, next::<T> as *mut c_void),
        slot(ffi::Py_am_send, send::<T> as *mut c_void),
        slot(ffi::Py_tp_doc, <T as Awaited>::DOC.as_ptr().cast_mut().cast()),
        slot(0, ptr::null_mut()),
    ];
    let mut spec = ffi::PyType_Spec {
        name: T::FULL_NAME.as_ptr(),
        basicsize: 0,
        itemsize: 0,
        flags: ffi::Py_TPFLAGS_DEFAULT as _,
        slots: slots.as_mut_ptr(),
    };
    let bases = PyTuple::new(py, [py.get_type::<T>()])?;
    // SAFETY: name and docstring live for ever, the slots end with a zero and their functions have the signatures that
    // the slots ask for; a size of 0 takes over the base's. It returns a new reference to a type, or null with an exception set.
    unsafe {
        let made = ffi::PyType_FromSpecWithBases(&raw mut spec, bases.as_ptr());
        Ok(Bound::from_owned_ptr_or_err(py, made)?.cast_into_unchecked())
    }
}

unsafe extern "C" fn begin<T: Awaited>(slf: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the interpreter holds the GIL and gives an object that is alive, of the type that has this slot.
    let slf = unsafe { Borrowed::from_ptr(Python::assume_attached(), slf).cast_unchecked::<T>() };
    match T::begin(&slf) {
        Ok(object) => object.into_ptr(),
        Err(error) => {
            error.restore(slf.py());
            ptr::null_mut()
        }
    }
}

unsafe extern "C" fn itself(slf: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: the interpreter gives an object that is alive and holds the GIL.
    unsafe { ffi::Py_NewRef(slf) }
}

unsafe extern "C" fn send<T: Awaited>(
    slf: *mut ffi::PyObject,
    value: *mut ffi::PyObject,
    result: *mut *mut ffi::PyObject,
) -> ffi::PySendResult {
    // SAFETY: the interpreter holds the GIL, gives objects that are alive while this runs, `slf` of the type that has this
    // slot, and a place for the result.
    let (slf, value, result) = unsafe {
        let py = Python::assume_attached();
        let slf = Borrowed::from_ptr(py, slf).cast_unchecked::<T>();
        (slf, Borrowed::from_ptr(py, value), &mut *result)
    };
    *result = ptr::null_mut();
    let step = match T::result(&slf) {
        Some(there) if value.is_none() => there.map(Step::Ends),
        // `attach` does the bookkeeping. A panic must not go through the interpreter.
        _ => Python::attach(|_py| {
            catch_unwind(AssertUnwindSafe(|| T::go_on(&slf, &value)))
                .unwrap_or_else(|_panic| Err(PyRuntimeError::new_err("sunsocket panicked")))
        }),
    };
    match step {
        Ok(Step::Ends(value)) => {
            *result = value.into_ptr();
            ffi::PySendResult::PYGEN_RETURN
        }
        Ok(Step::Yields(value)) => {
            *result = value.into_ptr();
            ffi::PySendResult::PYGEN_NEXT
        }
        Err(error) => {
            error.restore(slf.py());
            ffi::PySendResult::PYGEN_ERROR
        }
    }
}

unsafe extern "C" fn next<T: Awaited>(slf: *mut ffi::PyObject) -> *mut ffi::PyObject {
    let mut result = ptr::null_mut();
    // SAFETY: as for `send`, which this is with None. What it returns is ours; StopIteration takes its own reference to the
    // value. A value that is a tuple would be taken apart: none of ours is.
    unsafe {
        match send::<T>(slf, ffi::Py_None(), &raw mut result) {
            ffi::PySendResult::PYGEN_RETURN => {
                if result != ffi::Py_None() {
                    ffi::PyErr_SetObject(ffi::PyExc_StopIteration, result);
                }
                ffi::Py_DECREF(result);
                ptr::null_mut()
            }
            ffi::PySendResult::PYGEN_NEXT => result,
            ffi::PySendResult::PYGEN_ERROR => ptr::null_mut(),
        }
    }
}

/// A step as the method `send` tells it.
pub(crate) fn told<'py>(step: Step<'py>) -> PyResult<Bound<'py, PyAny>> {
    match step {
        Step::Yields(value) => Ok(value),
        Step::Ends(value) => Err(PyStopIteration::new_err(value.unbind())),
    }
}

/// What `Send` returns on asyncio when there is room: awaiting it returns at once, or after a round of the loop where it
/// has had no turn for long.
#[pyclass(frozen, subclass, name = "ReadyBase", module = "sunsocket._core")]
pub(crate) struct Ready;

#[pymethods]
impl Ready {
    #[new]
    fn new() -> Self {
        Self
    }
}

impl Awaited for Ready {
    const FULL_NAME: &'static CStr = c"sunsocket._core.Ready";
    const DOC: &'static CStr =
        c"What ``Send`` returns on asyncio when there is room: awaiting it returns at once, or gives the loop its turn.";

    fn result<'py>(slf: &Bound<'py, Self>) -> Option<PyResult<Bound<'py, PyAny>>> {
        Some(Ok(slf.py().None().into_bound(slf.py())))
    }

    fn go_on<'py>(slf: &Bound<'py, Self>, _value: &Bound<'py, PyAny>) -> PyResult<Step<'py>> {
        Ok(Step::Ends(slf.py().None().into_bound(slf.py())))
    }

    fn begin<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        if fairness::is_over() {
            // `attach` does the bookkeeping, as above.
            return Python::attach(|_py| Bound::new(slf.py(), Pause::default()).map(Bound::into_any));
        }
        Ok(slf.as_any().clone())
    }
}

/// One round of the loop. The object that is ready is everybody's, so it cannot remember that it has suspended.
#[pyclass(frozen, module = "sunsocket._core")]
#[derive(Default)]
struct Pause {
    over: AtomicBool,
}

#[pymethods]
impl Pause {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        fairness::end();
        (!self.over.swap(true, Ordering::Relaxed)).then(|| py.None())
    }
}

/// The type of the one object that is ready.
pub(crate) fn ready_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static TYPE: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    Ok(TYPE.get_or_try_init(py, || derive::<Ready>(py).map(Bound::unbind))?.bind(py))
}
