//! Which addresses a host has: the program's own answer, the address itself, or DNS.

use std::net::{IpAddr, SocketAddr};
use std::task::Poll;
use std::time::Instant;

use sunsocket_wire::Url;

use super::asking::{Question, Waker};
use super::names;
use crate::error::{Error, ErrorKind};
use crate::options::Resolve;

/// A host's addresses, known or asked for.
pub(super) enum Lookup {
    /// As the program, or the host itself, says.
    Known(Vec<SocketAddr>),
    /// DNS has been asked.
    Asked {
        question: Question<names::Answer>,
        /// When it is asked to hurry; `None` when it was.
        hurry_at: Option<Instant>,
    },
}

impl Lookup {
    /// Begins to look up the addresses of `url`; `waker` is called when they come later.
    ///
    /// # Errors
    /// What the program's own answer ends with.
    pub(super) fn begin(
        url: &Url,
        own: Option<&Resolve>,
        waker: &Waker,
        now: Instant,
    ) -> Result<Self, Error> {
        let (host, port) = (url.host(), url.port());
        if let Some(addresses) = own.map_or(Ok(None), |own| own(host, port))? {
            return Ok(Self::Known(addresses));
        }
        // The system alone knows the interfaces that the zone of an IPv6 address names.
        let host = url.host_with_zone();
        Ok(match host.parse::<IpAddr>() {
            Ok(address) => Self::Known(vec![SocketAddr::new(address, port)]),
            Err(_) => {
                let hurry_at = now.checked_add(names::QUEUE_PATIENCE);
                Self::Asked { question: names::ask(&host, waker), hurry_at }
            }
        })
    }

    /// Ready: at least one address.
    ///
    /// # Errors
    /// `Connect` when the name is not known.
    pub(super) fn step(&mut self, url: &Url, now: Instant) -> Poll<Result<Vec<SocketAddr>, Error>> {
        let (host, port) = (url.host_with_zone(), url.port());
        let failed =
            |text: String| Error::new(ErrorKind::Connect, format!("cannot connect to {url}: {text}"));
        let addresses = match self {
            Self::Known(addresses) => std::mem::take(addresses),
            Self::Asked { question, hurry_at } => match question.take() {
                None => {
                    if hurry_at.take_if(|at| now >= *at).is_some() {
                        names::hurry(&host);
                    }
                    return Poll::Pending;
                }
                Some(Ok(mut addresses)) => {
                    addresses.iter_mut().for_each(|address| address.set_port(port));
                    addresses
                }
                Some(Err(error)) => {
                    return Poll::Ready(Err(failed(format!(
                        "its host {host:?} was not found ({error}); check the name, or give it with resolve"
                    ))));
                }
            },
        };
        if addresses.is_empty() {
            return Poll::Ready(Err(failed(format!("its host {host:?} has no address"))));
        }
        Poll::Ready(Ok(addresses))
    }

    /// When [`Lookup::step`] has something to do although no answer has come.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Known(_) => None,
            Self::Asked { hurry_at, .. } => *hurry_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use super::*;

    /// What is found for `url` once it is known.
    fn look_up(url: &str) -> Result<Vec<SocketAddr>, Error> {
        let url = Url::parse(url).expect("valid");
        let (sender, answered) = mpsc::channel();
        let waker: Waker = Arc::new(move || {
            let _ = sender.send(());
        });
        let now = Instant::now();
        let mut lookup = Lookup::begin(&url, None, &waker, now)?;
        loop {
            if let Poll::Ready(found) = lookup.step(&url, now) {
                return found;
            }
            answered.recv().expect("an answer comes");
        }
    }

    #[test]
    fn the_zone_of_an_address_is_the_scope_of_what_is_connected_to() {
        for (zone, scope) in [("lo", 1), ("7", 7)] {
            let found =
                look_up(&format!("ws://[fe80::1%25{zone}]:9/")).expect("the loopback device is the first");
            let [SocketAddr::V6(address)] = found.as_slice() else { panic!("{found:?}") };
            assert_eq!((address.scope_id(), address.port()), (scope, 9));
            assert_eq!(address.ip().to_string(), "fe80::1");
        }
        let error = look_up("ws://[fe80::1%25nowhere]/").expect_err("no such interface").to_string();
        assert!(error.contains("\"fe80::1%nowhere\" was not found"), "{error}");
    }
}
