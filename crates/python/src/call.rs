//! Calling a handler in the cheapest way that the running interpreter has.
//!
//! `PyObject_CallOneArg` is not in the stable ABI of 3.11, yet every interpreter since 3.9 exports it: it is looked up
//! when the module is imported. Without it the variadic call of the stable ABI does the same for 9 ns more.

use std::sync::OnceLock;

use pyo3::ffi;
use pyo3::prelude::*;

type CallOneArg = unsafe extern "C" fn(*mut ffi::PyObject, *mut ffi::PyObject) -> *mut ffi::PyObject;

static CALL_ONE_ARG: OnceLock<Option<CallOneArg>> = OnceLock::new();

unsafe extern "C" {
    fn dlsym(handle: *mut std::ffi::c_void, symbol: *const std::ffi::c_char) -> *mut std::ffi::c_void;
}

/// Finds the call, once.
pub(crate) fn look_up() {
    CALL_ONE_ARG.get_or_init(|| {
        // SAFETY: a null handle asks for the symbol in the program and everything it has loaded, and the name ends in
        // a zero byte.
        let found = unsafe { dlsym(std::ptr::null_mut(), c"PyObject_CallOneArg".as_ptr()) };
        // SAFETY: the interpreter exports one function of this name, with this signature, since 3.9; a null pointer
        // becomes None.
        unsafe { std::mem::transmute::<*mut std::ffi::c_void, Option<CallOneArg>>(found) }
    });
}

/// `handler(argument)`. `None`: it raised, and the exception is set in the interpreter.
#[inline]
pub(crate) fn one<'py>(
    handler: &Bound<'py, PyAny>,
    argument: &Bound<'py, PyAny>,
) -> Option<Bound<'py, PyAny>> {
    let py = handler.py();
    let call = CALL_ONE_ARG.get().copied().flatten();
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
