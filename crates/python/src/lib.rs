//! `sunsocket._core`: everything that Python sees of the engine. Conversion, the GIL and the classes; nothing about the
//! protocol, and no rule that both languages promise (those live in `sunsocket-net`).
//!
//! Locks: the GIL comes first. No lock of the engine is held while waiting for the GIL, and the GIL is not held across
//! a system call that may block.

mod asyncio;
mod awaitables;
mod call;
mod dispatcher;
mod errors;
mod exported;
mod face;
mod options;
mod payload;
mod receiving;
mod resolve;
mod script;
mod signal;
mod socket;
mod stretch;

use pyo3::prelude::*;

#[pymodule]
mod _core {
    #[pymodule_export]
    use super::asyncio::LoopReactor;
    #[pymodule_export]
    use super::dispatcher::{after_fork_in_child, keepers, shut_down, wait_for_keepers};
    #[pymodule_export]
    use super::options::Options;
    #[pymodule_export]
    use super::resolve::Answering;
    #[pymodule_export]
    use super::script::{check_script_options, run_script};
    #[pymodule_export]
    use super::signal::{Signal, SignalConnection};
    #[pymodule_export]
    use super::socket::{Handle, Socket, connect};

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::exported::look_up();
        let py = module.py();
        module.add("Ready", super::awaitables::ready_type(py)?)?;
        module.add("Receiving", super::receiving::receiving_type(py)?)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
