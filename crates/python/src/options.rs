//! Keywords of `connect`, checked in Python (`sunsocket._options`), to the engine's options.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use sunsocket_net::{
    ConnectOptions, Credentials, DeflateOffer, HeldLimit, Proxies, ProxyEnvironment, ProxyUrl, WriteLimit,
};

use crate::{errors, resolve};

/// Checked options of one connect.
#[pyclass(frozen, module = "sunsocket._core")]
pub(crate) struct Options(Arc<ConnectOptions>);

impl Options {
    pub(crate) fn get(&self) -> Arc<ConnectOptions> {
        Arc::clone(&self.0)
    }
}

fn seconds(name: &str, value: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(value)
        .map_err(|_| PyValueError::new_err(format!("{name} is a number of seconds from 0 up, not {value}")))
}

#[pymethods]
impl Options {
    #[new]
    #[pyo3(signature = (url, *, headers, auth, cookies, max_redirects, redirect_headers, subprotocols, origin, user_agent, local_address, proxy, ca_file, ca_data, cert_file, cert_data, key_file, key_data, pins, only_tls_1_3,
                        server_hostname, verify, open_timeout, close_timeout, ping_interval, ping_timeout,
                        compression, max_message_size, max_fragment_size, max_held, write_limit, resolve))]
    #[expect(clippy::too_many_arguments, reason = "keywords, each checked and named in one place in Python")]
    fn new(
        py: Python<'_>,
        url: &str,
        headers: Vec<(String, String)>,
        auth: Option<(String, String)>,
        cookies: Vec<(String, String)>,
        max_redirects: usize,
        redirect_headers: Vec<String>,
        subprotocols: Vec<String>,
        origin: Option<String>,
        user_agent: Option<String>,
        local_address: Option<(&str, u16)>,
        proxy: Option<&str>,
        ca_file: Option<PathBuf>,
        ca_data: Option<Vec<u8>>,
        cert_file: Option<PathBuf>,
        cert_data: Option<Vec<u8>>,
        key_file: Option<PathBuf>,
        key_data: Option<Vec<u8>>,
        pins: Vec<[u8; 32]>,
        only_tls_1_3: bool,
        server_hostname: Option<String>,
        verify: bool,
        open_timeout: Option<f64>,
        close_timeout: f64,
        ping_interval: Option<f64>,
        ping_timeout: Option<f64>,
        compression: Option<Offer>,
        max_message_size: Option<usize>,
        max_fragment_size: Option<usize>,
        max_held: (usize, usize),
        write_limit: (usize, usize),
        resolve: Option<resolve::Given<'_>>,
    ) -> PyResult<Self> {
        let mut options = ConnectOptions::new(url).map_err(|error| errors::raise(py, &error))?;
        options.headers = headers;
        options.auth = auth.map(|(user, password)| credentials(user, password)).transpose()?;
        options.cookies = cookies;
        options.max_redirects = max_redirects;
        options.redirect_headers = redirect_headers;
        options.subprotocols = subprotocols;
        options.origin = origin;
        if user_agent.as_deref() != Some("") {
            options.user_agent = user_agent.or(options.user_agent);
        } else {
            options.user_agent = None;
        }
        options.local_address = local_address.map(socket_address).transpose()?;
        options.proxy = proxies(proxy)?;
        options.tls.ca_file = ca_file;
        options.tls.ca_data = ca_data;
        options.tls.cert_file = cert_file;
        options.tls.cert_data = cert_data;
        options.tls.key_file = key_file;
        options.tls.key_data = key_data;
        options.tls.pins = pins;
        options.tls.only_tls_1_3 = only_tls_1_3;
        options.tls.server_hostname = server_hostname;
        options.tls.verify = verify;
        options.open_timeout = open_timeout.map(|value| seconds("open_timeout", value)).transpose()?;
        options.close_timeout = seconds("close_timeout", close_timeout)?;
        options.ping_interval = ping_interval.map(|value| seconds("ping_interval", value)).transpose()?;
        options.ping_timeout = ping_timeout.map(|value| seconds("ping_timeout", value)).transpose()?;
        options.compression = compression.map(offer);
        options.max_message_size = max_message_size.unwrap_or(usize::MAX);
        options.max_fragment_size = max_fragment_size.unwrap_or(usize::MAX);
        options.max_held = HeldLimit { messages: max_held.0, bytes: max_held.1 };
        options.write_limit = WriteLimit { high: write_limit.0, low: write_limit.1 };
        let url = options.url.to_string();
        options.resolve = resolve.map(|given| resolve::resolve(given, url)).transpose()?;
        Ok(Self(Arc::new(options)))
    }
}

fn socket_address((ip, port): (&str, u16)) -> PyResult<SocketAddr> {
    let wrong = |_| PyValueError::new_err(format!("local_address: {ip:?} is no IP address of this machine"));
    Ok(SocketAddr::new(ip.parse().map_err(wrong)?, port))
}

fn credentials(user: String, password: String) -> PyResult<Credentials> {
    Credentials::new(user, password).map_err(|error| PyValueError::new_err(format!("auth: {error}")))
}

/// Which proxy: an address, "auto" for what the environment says, or none.
///
/// # Errors
/// `ValueError`: the address is none.
pub(crate) fn proxies(given: Option<&str>) -> PyResult<Proxies> {
    Ok(match given {
        None => Proxies::None,
        Some("auto") => Proxies::Environment(Arc::new(ProxyEnvironment::current())),
        Some(address) => {
            let parsed = ProxyUrl::parse(address);
            Proxies::Given(parsed.map_err(|error| PyValueError::new_err(format!("proxy: {error}")))?)
        }
    })
}

/// Whether a cookie of this name and value can be sent.
#[pyfunction]
pub(crate) fn is_cookie(name: &str, value: &str) -> bool {
    sunsocket_net::is_cookie(name, value)
}

/// Level, memory level, window bits and context takeover of the client and of the server.
pub(crate) type Offer = (u8, u8, Option<u8>, u8, bool, bool);

pub(crate) fn offer(offer: Offer) -> DeflateOffer {
    let (level, memory_level, client_window_bits, server_window_bits, client_takeover, server_takeover) =
        offer;
    DeflateOffer {
        level,
        memory_level,
        client_window_bits,
        server_window_bits,
        client_no_context_takeover: !client_takeover,
        server_no_context_takeover: !server_takeover,
    }
}
