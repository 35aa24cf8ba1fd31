//! What the opening handshake settled.

use std::net::SocketAddr;

use sunsocket_wire::{DeflateAgreed, Headers, Url};

/// What the opening handshake settled.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// Where it was made: the last address, after any redirects.
    pub url: Url,
    /// The addresses that redirects led away from, in order.
    pub redirects: Vec<Url>,
    /// Names and values of the cookies that the server set, in its answer or in a redirect of the same origin before.
    pub cookies: Vec<(String, String)>,
    /// The subprotocol that the server chose.
    pub subprotocol: Option<String>,
    /// What was agreed of permessage-deflate, if that was.
    pub compression: Option<DeflateAgreed>,
    /// The response's header lines.
    pub headers: Headers,
    /// Our end of the TCP connection.
    pub local_address: SocketAddr,
    /// The server's end of the TCP connection.
    pub remote_address: SocketAddr,
}
