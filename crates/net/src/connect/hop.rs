//! Whom an attempt has to reach first: the server itself, or a proxy on the way to it. What fails there is told of either.

use std::fmt;

use sunsocket_wire::Url;

use crate::error::{Error, ErrorKind};
use crate::proxies::NamedProxy;

/// One end of a TCP connection that is to be made.
#[derive(Clone, Debug)]
pub(super) struct Hop {
    host: String,
    /// As the operating system looks it up.
    host_with_zone: String,
    port: u16,
    /// The proxy that it is.
    proxy: Option<String>,
    /// The server's address, as errors have it.
    server: String,
}

impl Hop {
    pub(super) fn server(url: &Url) -> Self {
        Self {
            host: url.host().to_owned(),
            host_with_zone: url.host_with_zone().into_owned(),
            port: url.port(),
            proxy: None,
            server: url.to_string(),
        }
    }

    /// `proxy`, on the way to `url`.
    pub(super) fn proxy(url: &Url, proxy: &NamedProxy) -> Self {
        Self {
            host: proxy.url.host().to_owned(),
            host_with_zone: proxy.url.host_with_zone().into_owned(),
            port: proxy.url.port(),
            proxy: Some(proxy.to_string()),
            server: url.to_string(),
        }
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn host_with_zone(&self) -> &str {
        &self.host_with_zone
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// What it is.
    pub(super) fn noun(&self) -> &'static str {
        if self.proxy.is_none() { "the server" } else { "the proxy" }
    }

    /// What else to try where its name is not known.
    pub(super) fn or_resolve(&self) -> &'static str {
        if self.proxy.is_none() { ", or give it with resolve" } else { "" }
    }

    /// It cannot be reached. Of a proxy that is always a failure of kind `Proxy`.
    pub(super) fn failed(&self, kind: ErrorKind, what: impl fmt::Display) -> Error {
        let server = &self.server;
        match &self.proxy {
            None => Error::new(kind, format!("cannot connect to {server}: {what}")),
            Some(proxy) => {
                let text = format!("cannot connect to {server}: the proxy {proxy} cannot be reached: {what}");
                Error::new(ErrorKind::Proxy, text)
            }
        }
    }

    /// What to try where TLS is spoken to somebody who does not speak it.
    pub(super) fn without_tls(&self) -> &'static str {
        match &self.proxy {
            None => "if it is a plain server, use ws:// in place of wss://",
            Some(_) => "if it wants no TLS, write http:// in place of https:// in its address",
        }
    }

    /// The proxy, if it is one, as errors have it.
    pub(super) fn proxy_name(&self) -> Option<&str> {
        self.proxy.as_deref()
    }
}
