//! A program's option `resolve`: a table, which is looked up without the GIL, or a function.
//!
//! The function runs on a thread that Python started (`sunsocket._resolve`). A thread of ours would not do: where a
//! program ends while the function still runs, CPython ends that thread inside its next call, and with it the process, if
//! there is Rust below that call. A thread of ours only waits for the answer, without the GIL.

use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use sunsocket_net::{Error, ErrorKind, Resolve, ResolveFunction, ResolveTable};

use crate::locking::lock;

/// The option as `sunsocket._options` hands it over.
#[derive(FromPyObject)]
pub(crate) enum Given {
    /// Host and port, then address and port of each entry; the host `*` stands for all.
    Table(Vec<(String, u16, String, u16)>),
    /// It is given host and port, and returns addresses with ports, or None for DNS.
    Function(Py<PyAny>),
}

/// What a function says.
type Answer = PyResult<Option<Vec<SocketAddr>>>;

/// The engine's form of the option, for an attempt to connect to `url`.
///
/// # Errors
/// `ValueError` for an entry whose address is none.
pub(crate) fn resolve(given: Given, url: String) -> PyResult<Resolve> {
    Ok(match given {
        Given::Table(entries) => Resolve::Table(table(entries)?),
        Given::Function(function) => Resolve::Function(on_thread(function, url)),
    })
}

fn table(entries: Vec<(String, u16, String, u16)>) -> PyResult<ResolveTable> {
    let parse = |(host, port, address, its_port): (String, u16, String, u16)| -> PyResult<_> {
        Ok((host, port, socket_address(&address, its_port)?))
    };
    let entries: Vec<_> = entries.into_iter().map(parse).collect::<PyResult<_>>()?;
    Ok(Arc::new(move |host, port| {
        let exact = |name: &str, its_port| name == host && its_port == port;
        let found = entries.iter().find(|(name, its_port, _)| exact(name, *its_port));
        let found = found.or_else(|| entries.iter().find(|(name, ..)| name == "*"));
        found.map(|(_, _, address)| vec![*address])
    }))
}

fn socket_address(address: &str, port: u16) -> PyResult<SocketAddr> {
    let parsed: Result<IpAddr, _> = address.parse();
    let ip = parsed.map_err(|_| PyValueError::new_err(format!("{address:?} is not an IP address")))?;
    Ok(SocketAddr::new(ip, port))
}

fn on_thread(function: Py<PyAny>, url: String) -> ResolveFunction {
    Arc::new(move |host, port| {
        let (sender, receiver) = mpsc::sync_channel(1);
        let failed = |py: Python<'_>, error: PyErr| {
            let text = format!("cannot connect to {url}: resolve raised {error}");
            let cause: Arc<Py<PyAny>> = Arc::new(error.into_value(py).into_any());
            Error::caused(ErrorKind::Connect, text, cause)
        };
        let started = Python::try_attach(|py| {
            let answering = Answering(Mutex::new(Some(sender)));
            let start = py.import("sunsocket._resolve")?.getattr("start")?;
            start.call1((function.bind(py), host, port, answering)).map(drop)
        });
        let answer = match started {
            Some(Ok(())) => receiver.recv().ok(),
            Some(Err(error)) => Some(Err(error)),
            None => None,
        };
        match answer {
            Some(Ok(addresses)) => Ok(addresses),
            Some(Err(error)) => Err(Python::attach(|py| failed(py, error))),
            None => {
                let text =
                    format!("cannot connect to {url}: resolve did not come to its end with the program");
                Err(Error::new(ErrorKind::Connect, text))
            }
        }
    })
}

/// Takes the answer of one call of a ``resolve`` function.
#[pyclass(frozen, module = "sunsocket._core")]
pub(crate) struct Answering(Mutex<Option<SyncSender<Answer>>>);

impl Answering {
    fn send(&self, answer: Answer) {
        if let Some(sender) = lock(&self.0).take() {
            // Who asked may have left with the program.
            let _ = sender.send(answer);
        }
    }
}

#[pymethods]
impl Answering {
    /// The function has returned addresses with ports, or None for DNS.
    fn returned(&self, addresses: Option<Vec<(String, u16)>>) -> PyResult<()> {
        let parse = |(address, port): (String, u16)| socket_address(&address, port);
        let addresses = addresses.map(|addresses| addresses.into_iter().map(parse).collect()).transpose()?;
        self.send(Ok(addresses));
        Ok(())
    }

    /// The function has raised.
    fn raised(&self, error: Bound<'_, PyAny>) {
        self.send(Err(PyErr::from_value(error)));
    }
}
