//! Which addresses a host has: the program's own answer, the address itself, or DNS.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use std::{io, thread};

use rustix::event::{EventfdFlags, PollFlags, eventfd};
use sunsocket_wire::Url;

use super::patience::Patience;
use crate::error::{Error, ErrorKind};
use crate::options::Resolve;
use crate::reactor::lock;

/// At least one address.
///
/// # Errors
/// `Connect` when the name is not known; what the program's own answer ends with; what [`Patience`] ends with.
pub(super) fn resolve(
    url: &Url,
    own: Option<&Resolve>,
    patience: &mut Patience<'_>,
) -> Result<Vec<SocketAddr>, Error> {
    let (host, port) = (url.host(), url.port());
    let failed = |text: String| Error::new(ErrorKind::Connect, format!("cannot connect to {url}: {text}"));
    let answer = own.map_or(Ok(None), |own| own(host, port))?;
    let addresses = match answer {
        Some(addresses) => addresses,
        None => match host.parse::<IpAddr>() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => ask_system(host, port, patience)?.map_err(|error| {
                failed(format!(
                    "its host {host:?} was not found ({error}); check the name, or give it with resolve"
                ))
            })?,
        },
    };
    if addresses.is_empty() {
        return Err(failed(format!("its host {host:?} has no address")));
    }
    Ok(addresses)
}

/// The system's resolver cannot be interrupted: it runs on a thread of its own, which is left to finish.
fn ask_system(
    host: &str,
    port: u16,
    patience: &mut Patience<'_>,
) -> Result<io::Result<Vec<SocketAddr>>, Error> {
    let answer = Arc::new(Mutex::new(None));
    let ready = match eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK) {
        Ok(ready) => Arc::new(ready),
        Err(error) => return Ok(Err(error.into())),
    };
    let (host, answer_there, ready_there) = (host.to_owned(), Arc::clone(&answer), Arc::clone(&ready));
    let asking = thread::Builder::new().name("sunsocket-dns".to_owned()).spawn(move || {
        let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
        *lock(&answer_there) = Some(found);
        let _ = rustix::io::write(&*ready_there, &1u64.to_ne_bytes());
    });
    if let Err(error) = asking {
        return Ok(Err(error));
    }
    loop {
        if let Some(found) = lock(&answer).take() {
            return Ok(found);
        }
        patience.wait(&[(ready.as_fd(), PollFlags::IN)], None)?;
    }
}
