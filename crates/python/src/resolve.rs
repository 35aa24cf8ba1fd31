//! A program's option `resolve`: a table, which is looked up without the GIL, or a function.
//!
//! A function runs on a thread that Python started (`sunsocket._resolve`, which says why). The engine's thread puts the
//! question on a queue and waits for the answer; it never takes the GIL.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use sunsocket_net::{Error, ErrorKind, Resolve, ResolveFunction, ResolveTable};

use crate::locking::lock;

/// The option as `sunsocket._options` hands it over.
#[derive(FromPyObject)]
pub(crate) enum Given<'py> {
    /// Host and port, then address and port of each entry; the host `*` stands for all.
    Table(Vec<(String, u16, String, u16)>),
    /// Who takes questions, and the function: given host and port, it returns addresses with ports, or None for DNS.
    Function(Bound<'py, Asker>, Py<PyAny>),
}

/// The engine's form of the option, for an attempt to connect to `url`.
///
/// # Errors
/// `ValueError` for an entry whose address is none.
pub(crate) fn resolve(given: Given<'_>, url: String) -> PyResult<Resolve> {
    Ok(match given {
        Given::Table(entries) => Resolve::Table(table(entries)?),
        Given::Function(asker, function) => {
            Resolve::Function(function_of(Arc::clone(&asker.get().questions), Arc::new(function), url))
        }
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

/// What a function says.
type Answer = Result<Option<Vec<SocketAddr>>, Error>;

/// Asks on one of the engine's threads, which waits.
fn function_of(questions: Arc<Questions>, function: Arc<Py<PyAny>>, url: String) -> ResolveFunction {
    let url = Arc::new(url);
    Arc::new(move |host, port| {
        let (sender, receiver) = mpsc::sync_channel(1);
        questions.put(Question {
            function: Arc::clone(&function),
            host: host.to_owned(),
            port,
            answering: Answering { sender: Mutex::new(Some(sender)), url: Arc::clone(&url) },
        });
        receiver.recv().unwrap_or_else(|_| {
            let text = format!("cannot connect to {url}: resolve gave no answer, for the program is ending");
            Err(Error::new(ErrorKind::Connect, text))
        })
    })
}

struct Question {
    function: Arc<Py<PyAny>>,
    host: String,
    port: u16,
    answering: Answering,
}

#[derive(Default)]
struct Questions {
    queue: Mutex<VecDeque<Question>>,
    asked: Condvar,
}

impl Questions {
    fn put(&self, question: Question) {
        lock(&self.queue).push_back(question);
        self.asked.notify_one();
    }

    fn take(&self) -> Question {
        let mut queue = lock(&self.queue);
        loop {
            if let Some(question) = queue.pop_front() {
                return question;
            }
            queue = self.asked.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Where the engine's questions to ``resolve`` functions come in.
#[pyclass(frozen, module = "sunsocket._core")]
pub(crate) struct Asker {
    questions: Arc<Questions>,
}

#[pymethods]
impl Asker {
    #[new]
    fn new() -> Self {
        Self { questions: Arc::default() }
    }

    /// Waits for the next question: the function, host and port, and what takes the answer.
    fn next(&self, py: Python<'_>) -> (Py<PyAny>, String, u16, Answering) {
        let Question { function, host, port, answering } = py.detach(|| self.questions.take());
        (function.clone_ref(py), host, port, answering)
    }
}

/// Takes the answer of one call of a ``resolve`` function.
#[pyclass(frozen, module = "sunsocket._core")]
pub(crate) struct Answering {
    sender: Mutex<Option<SyncSender<Answer>>>,
    url: Arc<String>,
}

impl Answering {
    fn send(&self, answer: Answer) {
        if let Some(sender) = lock(&self.sender).take() {
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
    fn raised(&self, error: &Bound<'_, PyAny>) {
        let raised = PyErr::from_value(error.clone());
        let text = format!("cannot connect to {}: resolve raised {raised}", self.url);
        let cause: Arc<Py<PyAny>> = Arc::new(error.clone().unbind());
        self.send(Err(Error::caused(ErrorKind::Connect, text, cause)));
    }
}
