//! The script host's entry.

use pyo3::prelude::*;

/// Runs a Luau script.
#[pyfunction]
pub(crate) fn run_script() -> PyResult<i32> {
    Err(pyo3::exceptions::PyNotImplementedError::new_err("not yet"))
}
