//! Which addresses a host has: the program's own answer, the address itself, or DNS.

use std::net::{IpAddr, SocketAddr};
use std::task::Poll;
use std::time::Instant;

use super::asking::{Pending, Waker};
use super::deadline::Step;
use super::hop::Hop;
use super::names;
use crate::error::{Error, ErrorKind};
use crate::options::Resolve;

/// A host's addresses, known or asked for.
pub(super) enum Lookup {
    /// As the program's table, or the host itself, says.
    Known(Vec<SocketAddr>),
    /// The program's function has been asked.
    Function(Pending<names::OwnAnswer>),
    /// DNS has been asked.
    Name(Pending<names::Answer>),
}

impl Lookup {
    /// Begins to look up the addresses of a host; `waker` is called when they come later.
    pub(super) fn begin(hop: &Hop, own: Option<&Resolve>, waker: &Waker, now: Instant) -> Self {
        match own {
            None => Self::without_program(hop, waker, now),
            Some(Resolve::Table(table)) => match table(hop.host(), hop.port()) {
                Some(addresses) => Self::Known(addresses),
                None => Self::without_program(hop, waker, now),
            },
            Some(Resolve::Function(function)) => {
                Self::Function(names::ask_function(function, hop.host(), hop.port(), waker, now))
            }
        }
    }

    /// Where the program has no answer.
    fn without_program(hop: &Hop, waker: &Waker, now: Instant) -> Self {
        // The system alone knows the interfaces that the zone of an IPv6 address names.
        let host = hop.host_with_zone();
        match host.parse::<IpAddr>() {
            Ok(address) => Self::Known(vec![SocketAddr::new(address, hop.port())]),
            Err(_) => Self::Name(names::ask(host, waker, now)),
        }
    }

    /// Ready: at least one address.
    ///
    /// # Errors
    /// `Connect` when the name is not known; what the program's function ends with.
    pub(super) fn step(
        &mut self,
        hop: &Hop,
        waker: &Waker,
        now: Instant,
    ) -> Poll<Result<Vec<SocketAddr>, Error>> {
        let host = hop.host_with_zone();
        let failed = |text: String| hop.failed(ErrorKind::Connect, text);
        let addresses = loop {
            match self {
                Self::Known(addresses) => break std::mem::take(addresses),
                Self::Function(pending) => match pending.step(now) {
                    None => return Poll::Pending,
                    Some(answer) => match answer? {
                        Some(addresses) => break addresses,
                        None => *self = Self::without_program(hop, waker, now),
                    },
                },
                Self::Name(pending) => match pending.step(now) {
                    None => return Poll::Pending,
                    Some(Ok(mut addresses)) => {
                        addresses.iter_mut().for_each(|address| address.set_port(hop.port()));
                        break addresses;
                    }
                    Some(Err(error)) => {
                        return Poll::Ready(Err(failed(format!(
                            "its host {host:?} was not found ({error}); check the name{}",
                            hop.or_resolve()
                        ))));
                    }
                },
            }
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
            Self::Function(pending) => pending.deadline(),
            Self::Name(pending) => pending.deadline(),
        }
    }

    /// What a time-out interrupts.
    pub(super) fn waits_for(&self) -> Step {
        if matches!(self, Self::Function(_)) { Step::AskProgram } else { Step::Resolve }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};

    use sunsocket_wire::Url;

    use super::*;

    /// What is found for `url` once it is known.
    fn look_up(url: &str) -> Result<Vec<SocketAddr>, Error> {
        let hop = Hop::server(&Url::parse(url).expect("valid"));
        let (sender, answered) = mpsc::channel();
        let waker: Waker = Arc::new(move || {
            let _ = sender.send(());
        });
        let now = Instant::now();
        let mut lookup = Lookup::begin(&hop, None, &waker, now);
        loop {
            if let Poll::Ready(found) = lookup.step(&hop, &waker, now) {
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
