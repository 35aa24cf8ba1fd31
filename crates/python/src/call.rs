//! Calling a handler in the cheapest way that the running interpreter has.
//!
//! `PyObject_CallOneArg`, or the variadic call of the stable ABI, which does the same for 9 ns more.

use pyo3::ffi;
use pyo3::prelude::*;

use crate::exported;

/// `handler(argument)`. `None`: it raised, and the exception is set in the interpreter.
#[inline]
pub(crate) fn one<'py>(
    handler: &Bound<'py, PyAny>,
    argument: &Bound<'py, PyAny>,
) -> Option<Bound<'py, PyAny>> {
    let py = handler.py();
    let call = exported::call_one_arg();
    // SAFETY: both objects are alive, the GIL is held (`py`), and either call returns a new reference or null with an
    // exception set. The variadic one ends its arguments with a null pointer.
    unsafe {
        let result = match call {
            Some(call) => call(handler.as_ptr(), argument.as_ptr()),
            None => ffi::PyObject_CallFunctionObjArgs(
                handler.as_ptr(),
                argument.as_ptr(),
                std::ptr::null_mut::<ffi::PyObject>(),
            ),
        };
        Bound::from_owned_ptr_or_opt(py, result)
    }
}
