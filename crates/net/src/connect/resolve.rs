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
        Ok(match host.parse::<IpAddr>() {
            Ok(address) => Self::Known(vec![SocketAddr::new(address, port)]),
            Err(_) => {
                let hurry_at = now.checked_add(names::QUEUE_PATIENCE);
                Self::Asked { question: names::ask(host, waker), hurry_at }
            }
        })
    }

    /// Ready: at least one address.
    ///
    /// # Errors
    /// `Connect` when the name is not known.
    pub(super) fn step(&mut self, url: &Url, now: Instant) -> Poll<Result<Vec<SocketAddr>, Error>> {
        let (host, port) = (url.host(), url.port());
        let failed =
            |text: String| Error::new(ErrorKind::Connect, format!("cannot connect to {url}: {text}"));
        let addresses = match self {
            Self::Known(addresses) => std::mem::take(addresses),
            Self::Asked { question, hurry_at } => match question.take() {
                None => {
                    if hurry_at.take_if(|at| now >= *at).is_some() {
                        names::hurry(host);
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
