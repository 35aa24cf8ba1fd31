//! TCP to the first address that answers: Happy Eyeballs (RFC 8305).

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, connect, getpeername, getsockname, ipproto, socket_with, sockopt,
};
use sunsocket_wire::Url;

use super::patience::Patience;
use crate::error::{Error, ErrorKind};

/// How long an attempt goes unrivalled (section 8 of RFC 8305 recommends 250 ms).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// An attempt under way.
struct Attempt {
    socket: OwnedFd,
    address: SocketAddr,
}

/// Connects to one of the addresses.
///
/// # Errors
/// `Connect` with what each address said; what [`Patience`] ends with.
pub(super) fn dial(
    url: &Url,
    addresses: &[SocketAddr],
    patience: &mut Patience<'_>,
) -> Result<(OwnedFd, SocketAddr), Error> {
    let mut waiting = interleave(addresses).into_iter();
    let mut under_way: Vec<Attempt> = Vec::new();
    let mut refusals: Vec<String> = Vec::new();
    let mut next_at = Instant::now();
    loop {
        if (under_way.is_empty() || Instant::now() >= next_at)
            && let Some(address) = waiting.next()
        {
            match start(address) {
                Ok(socket) => {
                    under_way.push(Attempt { socket, address });
                    next_at = Instant::now() + ATTEMPT_DELAY;
                }
                Err(error) => refusals.push(format!("{address}: {error}")),
            }
            continue;
        }
        if under_way.is_empty() {
            return Err(Error::new(ErrorKind::Connect, explain(url, &refusals)));
        }
        let descriptors: Vec<_> =
            under_way.iter().map(|attempt| (attempt.socket.as_fd(), PollFlags::OUT)).collect();
        let rival = (waiting.len() > 0).then_some(next_at);
        patience.wait(&descriptors, rival)?;
        let mut failed = false;
        let mut at = 0;
        while let Some(attempt) = under_way.get(at) {
            match outcome(attempt) {
                Some(Ok(())) => {
                    let Attempt { socket, address } = under_way.swap_remove(at);
                    // A message is written whole: holding it back for more (Nagle) only delays it.
                    let _ = sockopt::set_tcp_nodelay(&socket, true);
                    return Ok((socket, address));
                }
                Some(Err(error)) => {
                    refusals.push(format!("{}: {error}", attempt.address));
                    under_way.remove(at);
                    failed = true;
                }
                None => at += 1,
            }
        }
        if failed {
            next_at = Instant::now();
        }
    }
}

fn explain(url: &Url, refusals: &[String]) -> String {
    let hint = if refusals.iter().all(|refusal| refusal.contains("refused")) {
        "; is the server running, and on this port?"
    } else {
        ""
    };
    format!("cannot connect to {url}: no address answers ({}){hint}", refusals.join(", "))
}

/// Families in turn, IPv6 first (section 4 of RFC 8305).
fn interleave(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let (mut six, mut four): (Vec<_>, Vec<_>) = addresses.iter().copied().partition(SocketAddr::is_ipv6);
    six.dedup();
    four.dedup();
    let mut ordered = Vec::with_capacity(addresses.len());
    let longest = six.len().max(four.len());
    for at in 0..longest {
        ordered.extend(six.get(at));
        ordered.extend(four.get(at));
    }
    ordered
}

/// Begins to connect.
pub(super) fn start(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    match connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

/// `None`: still under way.
fn outcome(attempt: &Attempt) -> Option<io::Result<()>> {
    match sockopt::socket_error(&attempt.socket) {
        Ok(Err(error)) | Err(error) => Some(Err(error.into())),
        // No error yet: connected when it has a peer.
        Ok(Ok(())) => {
            getpeername(&attempt.socket).ok()?;
            // A port of this machine that nobody listens on may have been given to this very socket, which then met
            // itself (TCP's simultaneous open): that is nobody, too.
            let is_itself = local_address(&attempt.socket).is_ok_and(|local| local == attempt.address);
            Some(if is_itself { Err(io::ErrorKind::ConnectionRefused.into()) } else { Ok(()) })
        }
    }
}

/// Our end.
pub(super) fn local_address(socket: &OwnedFd) -> io::Result<SocketAddr> {
    let address = getsockname(socket)?;
    SocketAddr::try_from(address).map_err(|_| io::Error::other("the socket has no internet address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns_and_ipv6_begins() {
        let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let addresses: Vec<_> =
            ["1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1", "[::1]:1", "[::2]:1"].map(address).into();
        let expected: Vec<_> =
            ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "3.3.3.3:1"].map(address).into();
        assert_eq!(interleave(&addresses), expected);
    }
    #[test]
    fn a_socket_that_met_itself_has_met_nobody() {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, Some(ipproto::TCP))
            .expect("a socket");
        rustix::net::bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = local_address(&socket).expect("bound");
        let _ = connect(&socket, &address);
        let outcome = outcome(&Attempt { socket, address });
        let error = outcome.expect("decided").expect_err("nobody");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
