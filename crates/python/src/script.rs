//! The script host's entry: options from the command line, and the signals that end a script.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use pyo3::exceptions::{PyKeyboardInterrupt, PyValueError};
use pyo3::prelude::*;
use sunsocket_luau::{RunOptions, run};
use sunsocket_net::{ConnectOptions, Resolve};

use crate::errors;
use crate::options::{Offer, offer, proxies};
use crate::signals::Watch;

/// Runs a Luau script to its end and returns the exit status.
///
/// SIGINT, SIGTERM and SIGHUP close its sockets with 1001 and end it with 128 and their number; a second one ends the
/// process at once. 141: nobody reads standard output any more; whoever called ends by SIGPIPE.
#[pyfunction]
#[pyo3(signature = (path, args, *, resolve, ca_data, server_hostname, verify, headers, compression, max_redirects, redirect_headers, proxy, color, fps, exit_on_error))]
#[expect(clippy::too_many_arguments, reason = "keywords, one for each option of the command")]
pub(crate) fn run_script(
    py: Python<'_>,
    path: PathBuf,
    args: Vec<Vec<u8>>,
    resolve: Vec<(String, u16, String)>,
    ca_data: Option<Vec<u8>>,
    server_hostname: Option<String>,
    verify: bool,
    headers: Vec<(String, String)>,
    compression: Option<Offer>,
    max_redirects: usize,
    redirect_headers: Vec<String>,
    proxy: Option<&str>,
    color: bool,
    fps: u32,
    exit_on_error: bool,
) -> PyResult<i32> {
    let resolve = table(resolve)?;
    let proxy = proxies(proxy)?;
    py.detach(|| {
        let options = RunOptions {
            path,
            args,
            configure: Box::new(move |options| {
                let scheme = if options.url.is_secure() { "wss://*" } else { "ws://*" };
                options.resolve = resolver(&resolve, scheme);
                options.proxy.clone_from(&proxy);
                options.tls.ca_data.clone_from(&ca_data);
                options.tls.server_hostname.clone_from(&server_hostname);
                options.tls.verify = verify;
                options.headers.extend(headers.iter().cloned());
                options.compression = compression.map(offer);
                options.max_redirects = max_redirects;
                options.redirect_headers.clone_from(&redirect_headers);
            }),
            color,
            fps,
            exit_on_error,
        };
        let raised = Rc::new(RefCell::new(None));
        let seen = Rc::clone(&raised);
        let _watch = Watch::begin();
        let status = run(options, move || {
            Watch::came().or_else(|| {
                // A Ctrl-C from just before, or a signal that Python has a handler for.
                let error = Python::attach(|py| py.check_signals()).err()?;
                seen.replace(Some(error));
                Some(libc::SIGINT)
            })
        });
        match raised.take() {
            // Ctrl-C is what the exit status says; another signal handler's exception is its own.
            Some(error) if !Python::attach(|py| error.is_instance_of::<PyKeyboardInterrupt>(py)) => {
                Err(error)
            }
            _ => Ok(status),
        }
    })
}

/// Whether connections could go through this proxy.
///
/// Raises:
///     ValueError: It is not the address of one.
#[pyfunction]
pub(crate) fn check_proxy(proxy: &str) -> PyResult<()> {
    proxies(Some(proxy)).map(drop)
}

/// Whether a script's connections could have these headers and trust these certificates (PEM).
///
/// Raises:
///     ValueError: A header that cannot be sent, or that the handshake writes.
///     TLSError: These are no certificates.
#[pyfunction]
#[pyo3(signature = (*, headers, ca_data))]
pub(crate) fn check_script_options(
    py: Python<'_>,
    headers: Vec<(String, String)>,
    ca_data: Option<Vec<u8>>,
) -> PyResult<()> {
    // Only wss looks at certificates, and without any given it would read the system's.
    let url = if ca_data.is_some() { "wss://localhost/" } else { "ws://localhost/" };
    let checked = ConnectOptions::new(url).and_then(|mut options| {
        options.headers = headers;
        options.tls.ca_data = ca_data;
        options.check()
    });
    checked.map_err(|error| errors::raise(py, &error))
}

type Entry = (String, u16, SocketAddr);

fn table(entries: Vec<(String, u16, String)>) -> PyResult<Arc<[Entry]>> {
    let parse = |(host, port, address): (String, u16, String)| match address.parse() {
        Ok(address) => Ok((host.to_ascii_lowercase(), port, address)),
        Err(_) => Err(PyValueError::new_err(format!("{address:?} is not an IP address with a port"))),
    };
    entries.into_iter().map(parse).collect()
}

/// Entries are `(host, port, address)`; the hosts `ws://*` and `wss://*` stand for all of their scheme.
fn resolver(table: &Arc<[Entry]>, scheme: &'static str) -> Option<Resolve> {
    if table.is_empty() {
        return None;
    }
    let table = Arc::clone(table);
    Some(Resolve::Table(Arc::new(move |host, port| {
        let found =
            table.iter().find(|(name, its_port, _)| name == scheme || (name == host && *its_port == port));
        found.map(|(_, _, address)| vec![*address])
    })))
}
