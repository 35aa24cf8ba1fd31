//! Messages to Python and back: text is `str`, binary is `bytes`.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyMemoryView, PyString};
use sunsocket_net::{Message, MessageKind};

use crate::exported;

/// ASCII texts up to this size are decoded as Latin-1.
const LATIN_1_UP_TO: usize = 4 << 10;

/// The Python object for a message.
pub(crate) fn to_python(py: Python<'_>, message: &Message<'_>) -> PyResult<Py<PyAny>> {
    to_object(py, message).ok_or_else(|| PyErr::fetch(py))
}

/// The same; `None`: an exception is set in the interpreter. What goes through a queue in a register costs less than a
/// result of the size of `PyErr`, a tenth of a small message.
#[inline]
pub(crate) fn to_object(py: Python<'_>, message: &Message<'_>) -> Option<Py<PyAny>> {
    let payload: &[u8] = &message.payload;
    let (bytes, len) = (payload.as_ptr().cast(), payload.len() as ffi::Py_ssize_t);
    // SAFETY: pointer and length are those of one slice, the encoding errors' name may be null, and the GIL is held.
    // Each call returns a new reference or null with an exception set. Measured against `PyString::new`: pure ASCII is
    // the common case, and decoding it as Latin-1 is a copy (5 % of a received message) after a look at each byte. A long
    // one is not looked at again, where that can be helped (64 KiB: 2.6 us of 7.5).
    unsafe {
        let object = if message.kind == MessageKind::Binary {
            ffi::PyBytes_FromStringAndSize(bytes, len)
        } else if message.ascii && payload.len() <= LATIN_1_UP_TO {
            ffi::PyUnicode_DecodeLatin1(bytes, len, std::ptr::null())
        } else if message.ascii
            && let Some(text) = exported::ascii_str(payload)
        {
            text
        } else {
            ffi::PyUnicode_DecodeUTF8(bytes, len, std::ptr::null())
        };
        Bound::from_owned_ptr_or_opt(py, object).map(Bound::unbind)
    }
}

/// A message given by the program, borrowed from the Python object where that is possible.
pub(crate) enum Outgoing<'a, 'py> {
    Borrowed(MessageKind, &'a [u8]),
    Copied(MessageKind, Bound<'py, PyBytes>),
}

impl<'a, 'py> Outgoing<'a, 'py> {
    /// `text`: True sends bytes that hold UTF-8 as text, False a str as binary, None as their type says.
    pub(crate) fn new(message: &'a Bound<'py, PyAny>, text: Option<bool>) -> PyResult<Self> {
        if let Ok(message) = message.cast::<PyString>() {
            let bytes = message.to_str().map_err(|_| {
                PyValueError::new_err(
                    "cannot send a str with lone surrogates: it has no UTF-8 form; encode it yourself and send bytes",
                )
            })?;
            let kind = if text == Some(false) { MessageKind::Binary } else { MessageKind::Text };
            return Ok(Self::Borrowed(kind, bytes.as_bytes()));
        }
        let kind = if text == Some(true) { MessageKind::Text } else { MessageKind::Binary };
        let outgoing = if let Ok(message) = message.cast::<PyBytes>() {
            Self::Borrowed(kind, message.as_bytes())
        } else {
            let view = PyMemoryView::from(message).map_err(|_| not_a_message(message))?;
            refuse_addresses(&view.getattr(pyo3::intern!(message.py(), "format"))?.extract::<String>()?)?;
            // It may be changed while the GIL is released, or not be in one piece: send what it holds now.
            Self::Copied(kind, view.call_method0("tobytes")?.cast_into::<PyBytes>()?)
        };
        if text == Some(true) && std::str::from_utf8(outgoing.bytes()).is_err() {
            return Err(PyValueError::new_err("cannot send these bytes as text: they are not valid UTF-8"));
        }
        Ok(outgoing)
    }

    pub(crate) fn kind(&self) -> MessageKind {
        match self {
            Self::Borrowed(kind, _) | Self::Copied(kind, _) => *kind,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Borrowed(_, bytes) => bytes,
            Self::Copied(_, bytes) => bytes.as_bytes(),
        }
    }
}

/// Whether it can be gone through, for a message in pieces. A mapping can, but nobody means its keys.
pub(crate) fn is_iterable(given: &Bound<'_, PyAny>) -> bool {
    let has = |name: &str| given.hasattr(name).unwrap_or(false);
    (has("__iter__") || has("__aiter__")) && !has("keys") && !given.is_instance_of::<PyString>()
}

/// A buffer of Python objects, as numpy's of `dtype=object`, holds their addresses in this process: they mean nothing to a
/// server, and tell it where our memory is.
fn refuse_addresses(format: &str) -> PyResult<()> {
    // PEP 3118: names of fields stand between colons. `Z` before a type is a complex number of it, alone it is a pointer.
    let types: String = format.split(':').step_by(2).collect();
    let complex = ["Zf", "Zd", "Zg"].iter().fold(types.clone(), |types, complex| types.replace(complex, ""));
    // No TypeError: an array can be gone through, but nobody means a message of which each object is a piece.
    match complex.chars().find(|c| "O&PXzZ".contains(*c)) {
        None => Ok(()),
        Some(kind) => Err(PyValueError::new_err(format!(
            "cannot send a buffer that holds {} (buffer format {format:?}): their addresses mean something in this process alone; send what they \
             stand for, as bytes",
            if kind == 'O' { "Python objects" } else { "pointers" }
        ))),
    }
}

fn not_a_message(given: &Bound<'_, PyAny>) -> PyErr {
    let name = given.get_type().name().map_or_else(|_| "?".to_owned(), |name| name.to_string());
    PyTypeError::new_err(format!(
        "a message is a str (sent as text) or bytes-like (sent as binary), or an iterable of those (sent in pieces), not {name}; for JSON send \
         json.dumps(...)"
    ))
}
