//! What the opening handshake settled, as the socket's read-only properties have it.

use std::net::SocketAddr;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use sunsocket_net::{Connection, Handshake, Url};

pub(super) fn subprotocol(connection: &Connection) -> Option<String> {
    connection.handshake_ref()?.subprotocol.clone()
}

/// Level, memory level, window bits and context takeover of client and server.
pub(super) type Compression = (u8, u8, u8, u8, bool, bool);

pub(super) fn compression(connection: &Connection) -> Option<Compression> {
    let agreed = connection.handshake_ref()?.compression?;
    Some((
        agreed.level,
        agreed.memory_level,
        agreed.client_window_bits,
        agreed.server_window_bits,
        !agreed.client_no_context_takeover,
        !agreed.server_no_context_takeover,
    ))
}

pub(super) fn redirects<'py>(py: Python<'py>, connection: &Connection) -> PyResult<Bound<'py, PyTuple>> {
    let handshake = connection.handshake_ref();
    let redirects = handshake.map(|handshake| handshake.redirects.as_slice()).unwrap_or_default();
    PyTuple::new(py, redirects.iter().map(Url::href))
}

pub(super) fn cookies<'py>(py: Python<'py>, connection: &Connection) -> PyResult<Bound<'py, PyDict>> {
    let cookies = PyDict::new(py);
    if let Some(handshake) = connection.handshake_ref() {
        for (name, value) in &handshake.cookies {
            cookies.set_item(name, value)?;
        }
    }
    Ok(cookies)
}

pub(super) fn headers(connection: &Connection) -> Vec<(String, String)> {
    let Some(handshake) = connection.handshake_ref() else { return Vec::new() };
    handshake.headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// One end of the TCP connection: address and port.
pub(super) fn address(
    connection: &Connection,
    end: impl FnOnce(&Handshake) -> SocketAddr,
) -> Option<(String, u16)> {
    let address = end(connection.handshake_ref()?);
    Some((address.ip().to_string(), address.port()))
}
