//! `sunsocket._core`: everything that Python sees of the engine. Conversion, the GIL and the classes; nothing about the
//! protocol, and no rule that both languages promise (those live in `sunsocket-net`).
//!
//! Locks: the GIL comes first. No lock of the engine is held while waiting for the GIL, and the GIL is not held across
//! a system call that may block.

mod call;
mod class;
mod delivery;
mod driving;
mod errors;
mod exported;
mod fairness;
mod keepers;
mod locking;
mod loops;
mod options;
mod payload;
mod resolve;
mod script;
mod signals;
mod threads;

use pyo3::prelude::*;

#[pymodule]
mod _core {
    #[pymodule_export]
    use super::class::pieces::Pieces;
    #[pymodule_export]
    use super::class::sending::RoomQueue;
    #[pymodule_export]
    use super::class::signal::{Signal, SignalConnection};
    #[pymodule_export]
    use super::class::socket::Socket;
    #[pymodule_export]
    use super::delivery::Handle;
    #[pymodule_export]
    use super::keepers::watch_keepers;
    #[pymodule_export]
    use super::loops::reactor::LoopReactor;
    #[pymodule_export]
    use super::options::Options;
    #[pymodule_export]
    use super::options::is_cookie;
    #[pymodule_export]
    use super::resolve::{Answering, Asker};
    #[pymodule_export]
    use super::script::{check_proxy, check_script_options, run_script};
    #[pymodule_export]
    use super::threads::connecting::connect;
    #[pymodule_export]
    use super::threads::dispatcher::{after_fork_in_child, keepers, shut_down};

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        super::exported::look_up();
        let py = module.py();
        module.add("Ready", super::loops::awaitables::ready_type(py)?)?;
        module.add("Receiving", super::loops::receiving::receiving_type(py)?)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
