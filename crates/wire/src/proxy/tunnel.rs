//! A tunnel that is asked for, whatever the protocol.

use std::net::SocketAddr;

use super::http::{AskedAgain, Http};
use super::socks4::Socks4;
use super::socks5::Socks5;
use super::url::{ProxyScheme, ProxyUrl};
use crate::response::Response;

/// Where a tunnel is to lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A host, which the proxy looks up: a name, or an IP address without brackets.
    Host(String, u16),
    /// An address that was looked up here.
    Address(SocketAddr),
}

/// Why there is no tunnel: what the proxy did, in words that follow "the proxy ...".
#[derive(Clone, Debug)]
pub struct Refusal {
    /// "answered 403 Forbidden", "speaks no SOCKS5".
    pub text: String,
    /// What an HTTP proxy answered.
    pub response: Option<Box<Response>>,
    /// It wants proof in another form: ask again, on a new connection, with this.
    pub again: Option<AskedAgain>,
}

impl Refusal {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), response: None, again: None }
    }
}

/// Asks a proxy for a tunnel. The order of calls: what [`Tunnel::transmit`] gives is sent, what comes is given to
/// [`Tunnel::receive`], and so on until that says that the tunnel is open, or why it is not.
#[derive(Debug)]
pub struct Tunnel(Protocol);

#[derive(Debug)]
enum Protocol {
    Http(Http),
    Socks4(Socks4),
    Socks5(Socks5),
}

impl Tunnel {
    /// Asks `proxy` for a tunnel to `target`. `again`: what an earlier refusal said. `nonce` is 16 random bytes.
    ///
    /// # Errors
    /// This proxy cannot be asked for that.
    pub fn new(
        proxy: &ProxyUrl,
        target: &Target,
        user_agent: Option<&str>,
        again: Option<AskedAgain>,
        nonce: [u8; 16],
    ) -> Result<Self, Refusal> {
        let credentials = proxy.credentials();
        Ok(Self(match proxy.scheme() {
            ProxyScheme::Http | ProxyScheme::Https => {
                Protocol::Http(Http::new(target, credentials, user_agent, again, nonce))
            }
            ProxyScheme::Socks4 | ProxyScheme::Socks4a => Protocol::Socks4(Socks4::new(target, credentials)?),
            ProxyScheme::Socks5 | ProxyScheme::Socks5h => Protocol::Socks5(Socks5::new(target, credentials)?),
        }))
    }

    /// What is to be sent now; empty while an answer is awaited.
    pub fn transmit(&mut self) -> Vec<u8> {
        std::mem::take(match &mut self.0 {
            Protocol::Http(http) => &mut http.out,
            Protocol::Socks4(socks) => &mut socks.out,
            Protocol::Socks5(socks) => &mut socks.out,
        })
    }

    /// Takes what has come of the proxy's answer out of `input`. True: the tunnel is open, and nothing may be left in `input`.
    ///
    /// # Errors
    /// The proxy opens no tunnel.
    pub fn receive(&mut self, input: &mut Vec<u8>) -> Result<bool, Refusal> {
        let is_open = match &mut self.0 {
            Protocol::Http(http) => http.receive(input)?,
            Protocol::Socks4(socks) => socks.receive(input)?,
            Protocol::Socks5(socks) => socks.receive(input)?,
        };
        if is_open && !input.is_empty() {
            // Neither TLS nor a WebSocket has the server speak first: whoever wrote this is not it.
            return Err(Refusal::new(
                "sent bytes behind its answer, before anything was asked of the server",
            ));
        }
        Ok(is_open)
    }
}

/// What an HTTP server would say to somebody who speaks SOCKS.
pub(super) fn looks_like_http(input: &[u8]) -> bool {
    !input.is_empty() && b"HTTP/".starts_with(&input[..input.len().min(5)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tunnel(proxy: &str) -> Tunnel {
        let proxy = ProxyUrl::parse(proxy).expect("valid");
        let target = Target::Host("h.test".to_owned(), 80);
        Tunnel::new(&proxy, &target, None, None, [0; 16]).expect("can be asked")
    }

    #[test]
    fn every_protocol_opens_a_tunnel_and_nothing_may_come_behind_it() {
        for (proxy, answers) in [
            ("http://p", &[&b"HTTP/1.1 200 OK\r\n\r\n"[..]][..]),
            ("https://p", &[b"HTTP/1.1 200 OK\r\n\r\n"]),
            ("socks4a://p", &[&[0, 90, 0, 0, 0, 0, 0, 0]]),
            ("socks5h://p", &[&[5, 0], &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]]),
        ] {
            for behind in [&b""[..], b"x"] {
                let mut tunnel = tunnel(proxy);
                let (last, before) = answers.split_last().expect("one");
                for answer in before {
                    assert!(!tunnel.transmit().is_empty());
                    assert!(!tunnel.receive(&mut answer.to_vec()).expect("goes on"));
                }
                assert!(!tunnel.transmit().is_empty());
                assert!(tunnel.transmit().is_empty(), "it waits for the answer");
                match tunnel.receive(&mut [last, behind].concat()) {
                    Ok(open) => assert!(open && behind.is_empty(), "{proxy}"),
                    Err(refusal) => {
                        assert!(!behind.is_empty() && refusal.text.contains("behind its answer"), "{proxy}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_a_protocol_cannot_do_is_said_before_anything_is_sent() {
        let target = Target::Address("[::1]:80".parse().expect("an address"));
        let long = Target::Host("x".repeat(300), 80);
        for (proxy, target) in [("socks4://p", &target), ("socks5h://p", &long)] {
            let proxy = ProxyUrl::parse(proxy).expect("valid");
            assert!(Tunnel::new(&proxy, target, None, None, [0; 16]).is_err());
        }
    }
}
