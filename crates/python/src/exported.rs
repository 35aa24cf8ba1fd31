//! Functions that CPython exports and that are not in the stable ABI of 3.11: looked up when the module is imported.
//!
//! Whoever uses one has another way for an interpreter that does not have it.

use std::ffi::{CStr, c_char, c_void};
use std::sync::OnceLock;

use pyo3::ffi;

type CallOneArg = unsafe extern "C" fn(*mut ffi::PyObject, *mut ffi::PyObject) -> *mut ffi::PyObject;
type NewStr = unsafe extern "C" fn(ffi::Py_ssize_t, u32) -> *mut ffi::PyObject;

static CALL_ONE_ARG: OnceLock<Option<CallOneArg>> = OnceLock::new();
static NEW_STR: OnceLock<Option<NewStr>> = OnceLock::new();

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, symbol: *const c_char) -> *mut c_void;
}

/// Finds them, once. The GIL is held.
pub(crate) fn look_up() {
    CALL_ONE_ARG.get_or_init(|| {
        // SAFETY: the interpreter exports one function of this name, with this signature, since 3.9; a null pointer
        // becomes None.
        unsafe { std::mem::transmute::<*mut c_void, Option<CallOneArg>>(find(c"PyObject_CallOneArg")) }
    });
    NEW_STR.get_or_init(|| {
        // SAFETY: as above, since 3.3.
        let found = unsafe { std::mem::transmute::<*mut c_void, Option<NewStr>>(find(c"PyUnicode_New")) };
        found.filter(|new| can_be_filled(*new))
    });
}

fn find(name: &CStr) -> *mut c_void {
    // SAFETY: a null handle asks for the symbol in the program and everything it has loaded; the name ends in a zero byte.
    unsafe { dlsym(std::ptr::null_mut(), name.as_ptr()) }
}

/// `PyObject_CallOneArg`.
#[inline]
pub(crate) fn call_one_arg() -> Option<CallOneArg> {
    CALL_ONE_ARG.get().copied().flatten()
}

/// A new `str` of these bytes, all of them ASCII and at least two; null with an exception set when there is no memory.
/// `None`: this interpreter has no such way.
///
/// # Safety
/// The GIL is held.
pub(crate) unsafe fn ascii_str(bytes: &[u8]) -> Option<*mut ffi::PyObject> {
    let new = NEW_STR.get().copied().flatten()?;
    // SAFETY: the caller holds the GIL, and the bytes are as `fill` wants them.
    Some(unsafe { fill(new, bytes) })
}

/// # Safety
/// The GIL is held, `new` is `PyUnicode_New`, and the bytes are at least two (shorter ones are shared objects).
unsafe fn fill(new: NewStr, bytes: &[u8]) -> *mut ffi::PyObject {
    // SAFETY: a `str` of characters up to 127 keeps them in a row, one byte each, and that row is its UTF-8 form: asking
    // for this gives where it is. Nobody else has seen the object yet, so nobody minds that it is written to.
    unsafe {
        let object = new(bytes.len() as ffi::Py_ssize_t, 127);
        if object.is_null() {
            return object;
        }
        let row = ffi::PyUnicode_AsUTF8AndSize(object, std::ptr::null_mut());
        if row.is_null() {
            ffi::Py_DECREF(object);
            return std::ptr::null_mut();
        }
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), row.cast_mut().cast(), bytes.len());
        object
    }
}

/// Whether a string comes out as it was filled.
fn can_be_filled(new: NewStr) -> bool {
    // SAFETY: the GIL is held while a module is imported; `fill` gives a new reference or null with an exception set, and
    // a row that is not where it should be would be another object's that is asked again here.
    unsafe {
        let object = fill(new, b"sunsocket");
        if object.is_null() {
            ffi::PyErr_Clear();
            return false;
        }
        let equal = ffi::PyUnicode_CompareWithASCIIString(object, c"sunsocket".as_ptr()) == 0;
        ffi::Py_DECREF(object);
        equal
    }
}
