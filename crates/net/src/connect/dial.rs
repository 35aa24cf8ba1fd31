//! TCP to the first address that answers: Happy Eyeballs (RFC 8305).
//!
//! The addresses are tried in an order in which the families take turns. A connection that does not answer within
//! 250 ms gets a rival, and one that is refused is followed by the next at once. [`Dial`] is that order alone: time
//! comes in as an argument and sockets are somebody else's ([`Network`]), so that tests need neither.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::Poll;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, connect, getpeername, getsockname, ipproto, socket_with,
    sockopt,
};

use super::hop::Hop;
use crate::error::{Error, ErrorKind, in_words};

/// How long a connection goes unrivalled (section 8 of RFC 8305 recommends 250 ms).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// What dialling needs of the operating system.
pub(super) trait Network {
    /// A TCP connection that was started.
    type Socket;

    /// Starts to connect, and does not wait.
    ///
    /// # Errors
    /// The operating system's, for an address that cannot be connected to, or when no descriptor is left.
    fn start(&mut self, address: SocketAddr) -> io::Result<Self::Socket>;

    /// How the connection to `address` came out; `Ok` is our own end. Pending: it is still under way.
    fn outcome(&mut self, socket: &Self::Socket, address: SocketAddr) -> Poll<io::Result<SocketAddr>>;
}

/// A TCP connection that was made.
#[derive(Debug)]
pub(super) struct Dialed<S> {
    pub(super) socket: S,
    /// Our end.
    pub(super) local: SocketAddr,
    /// The address that answered.
    pub(super) remote: SocketAddr,
}

/// The race of one host's addresses.
#[derive(Debug)]
pub(super) struct Dial<N: Network> {
    network: N,
    /// Addresses that were not tried yet.
    waiting: VecDeque<SocketAddr>,
    under_way: Vec<(N::Socket, SocketAddr)>,
    refusals: Vec<(SocketAddr, io::Error)>,
    /// When the next address is tried although others are under way.
    next_at: Instant,
}

impl<N: Network> Dial<N> {
    pub(super) fn new(addresses: &[SocketAddr], network: N, now: Instant) -> Self {
        let waiting = interleave(addresses).into();
        Self { network, waiting, under_way: Vec::new(), refusals: Vec::new(), next_at: now }
    }

    /// Takes in how the connections came out, and starts those that are due.
    ///
    /// # Errors
    /// `Connect` with what each address said, when none is left.
    pub(super) fn step(&mut self, hop: &Hop, now: Instant) -> Poll<Result<Dialed<N::Socket>, Error>> {
        let mut looked = 0;
        loop {
            // One that was just started is looked at, too: on the loopback device it is decided already.
            if let Some(dialed) = self.look_from(looked, now) {
                return Poll::Ready(Ok(dialed));
            }
            if !self.under_way.is_empty() && now < self.next_at {
                break;
            }
            let Some(address) = self.waiting.pop_front() else { break };
            looked = self.under_way.len();
            match self.network.start(address) {
                Ok(socket) => {
                    self.under_way.push((socket, address));
                    self.next_at = now + ATTEMPT_DELAY;
                }
                Err(error) => self.refusals.push((address, error)),
            }
        }
        if self.under_way.is_empty() {
            return Poll::Ready(Err(hop.failed(ErrorKind::Connect, explain(hop, &self.refusals))));
        }
        Poll::Pending
    }

    /// The sockets to be told of, each when it can be written to: connected, or refused.
    pub(super) fn sockets(&self) -> impl Iterator<Item = &N::Socket> {
        self.under_way.iter().map(|(socket, _)| socket)
    }

    /// When [`Dial::step`] has something to do although no socket is ready.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (!self.waiting.is_empty()).then_some(self.next_at)
    }

    /// Looks at the connections under way from that one on; the first that was made wins.
    fn look_from(&mut self, mut at: usize, now: Instant) -> Option<Dialed<N::Socket>> {
        while let Some((socket, address)) = self.under_way.get(at) {
            match self.network.outcome(socket, *address) {
                Poll::Ready(Ok(local)) => {
                    let (socket, remote) = self.under_way.swap_remove(at);
                    return Some(Dialed { socket, local, remote });
                }
                Poll::Ready(Err(error)) => {
                    self.refusals.push((*address, error));
                    self.under_way.remove(at);
                    self.next_at = now;
                }
                Poll::Pending => at += 1,
            }
        }
        None
    }
}

fn explain(hop: &Hop, refusals: &[(SocketAddr, io::Error)]) -> String {
    let all_refuse = refusals.iter().all(|(_, error)| error.kind() == io::ErrorKind::ConnectionRefused);
    let hint = if all_refuse {
        format!("; is {} running, and on this port?", hop.noun())
    } else if refusals.iter().any(|(_, error)| is_out_of_descriptors(error)) {
        "; close what is not needed, or raise the limit on open files (ulimit -n)".to_owned()
    } else {
        String::new()
    };
    let said: Vec<String> =
        refusals.iter().map(|(address, error)| format!("{address}: {}", in_words(error))).collect();
    format!("no address answers ({}){hint}", said.join(", "))
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
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

/// The operating system's TCP.
#[derive(Debug)]
pub(super) struct Tcp {
    /// Which of this machine's addresses to connect from, if that matters.
    pub(super) from: Option<SocketAddr>,
}

impl Network for Tcp {
    type Socket = OwnedFd;

    fn start(&mut self, address: SocketAddr) -> io::Result<OwnedFd> {
        let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        if let Some(from) = self.from {
            if from.is_ipv6() != address.is_ipv6() {
                return Err(io::Error::other(format!("not reached from local_address {}", from.ip())));
            }
            bind(&socket, &from).map_err(|error| {
                let error = io::Error::from(error);
                io::Error::other(format!("local_address {from} cannot be used: {}", in_words(&error)))
            })?;
        }
        match connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(socket),
            Err(error) => Err(error.into()),
        }
    }

    fn outcome(&mut self, socket: &OwnedFd, address: SocketAddr) -> Poll<io::Result<SocketAddr>> {
        // Connected when it has a peer.
        if getpeername(socket).is_err() {
            return match sockopt::socket_error(socket) {
                Ok(Ok(())) => Poll::Pending,
                Ok(Err(error)) | Err(error) => Poll::Ready(Err(error.into())),
            };
        }
        let local = local_address(socket.as_fd())?;
        // A port of this machine that nobody listens on may have been given to this very socket, which then met itself
        // (TCP's simultaneous open): that is nobody, too.
        if local == address {
            return Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into()));
        }
        // A message is written whole: holding it back for more (Nagle) only delays it.
        let _ = sockopt::set_tcp_nodelay(socket, true);
        Poll::Ready(Ok(local))
    }
}

fn local_address(socket: BorrowedFd<'_>) -> io::Result<SocketAddr> {
    let address = getsockname(socket)?;
    SocketAddr::try_from(address).map_err(|_| io::Error::other("the socket has no internet address"))
}

#[cfg(test)]
mod tests {
    use sunsocket_wire::Url;

    use super::*;

    /// A network in which each address does what its table says, and that keeps the order of what was asked.
    #[derive(Default)]
    struct Table {
        started: Vec<SocketAddr>,
        /// Addresses that cannot even be started, that refuse, and that answer.
        impossible: Vec<SocketAddr>,
        refusing: Vec<SocketAddr>,
        answering: Vec<SocketAddr>,
    }

    impl Network for &mut Table {
        type Socket = SocketAddr;

        fn start(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
            if self.impossible.contains(&address) {
                return Err(Errno::NETUNREACH.into());
            }
            self.started.push(address);
            Ok(address)
        }

        fn outcome(&mut self, socket: &SocketAddr, address: SocketAddr) -> Poll<io::Result<SocketAddr>> {
            assert_eq!(*socket, address);
            if self.refusing.contains(&address) {
                Poll::Ready(Err(Errno::CONNREFUSED.into()))
            } else if self.answering.contains(&address) {
                Poll::Ready(Ok(([127, 0, 0, 1], 1).into()))
            } else {
                Poll::Pending
            }
        }
    }

    fn addresses<const COUNT: usize>(texts: [&str; COUNT]) -> [SocketAddr; COUNT] {
        texts.map(|text| text.parse().expect("an address"))
    }

    fn hop() -> Hop {
        Hop::server(&Url::parse("ws://example.test/").expect("valid"))
    }

    #[test]
    fn families_take_turns_and_ipv6_begins() {
        let given = addresses(["1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1", "[::1]:1", "[::2]:1"]);
        let expected = addresses(["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "3.3.3.3:1"]);
        assert_eq!(interleave(&given), expected);
    }

    #[test]
    fn a_silent_address_gets_a_rival_after_its_time_and_not_before() {
        let all = addresses(["1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1"]);
        let mut network = Table::default();
        let start = Instant::now();
        let mut dial = Dial::new(&all, &mut network, start);
        for (milliseconds, started) in [(0, 1), (249, 1), (250, 2), (260, 2), (500, 3), (9999, 3)] {
            let now = start + Duration::from_millis(milliseconds);
            assert!(dial.step(&hop(), now).is_pending());
            assert_eq!(dial.network.started, all[..started], "after {milliseconds} ms");
            assert_eq!(dial.sockets().count(), started);
        }
        // None is left to be tried: only the sockets have something to tell.
        assert_eq!(dial.deadline(), None);
    }

    #[test]
    fn a_rival_s_time_is_told_beforehand() {
        let mut network = Table::default();
        let start = Instant::now();
        let mut dial = Dial::new(&addresses(["1.1.1.1:1", "2.2.2.2:1"]), &mut network, start);
        assert!(dial.step(&hop(), start).is_pending());
        assert_eq!(dial.deadline(), Some(start + Duration::from_millis(250)));
    }

    #[test]
    fn the_next_address_follows_a_refusal_at_once() {
        let all = addresses(["1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1"]);
        let mut network = Table { refusing: all[..1].into(), ..Table::default() };
        let start = Instant::now();
        let mut dial = Dial::new(&all, &mut network, start);
        assert!(dial.step(&hop(), start).is_pending());
        assert_eq!(dial.network.started, all[..2]);
        // The second is refused while it is unrivalled: it, too, is followed at once.
        dial.network.refusing.push(all[1]);
        assert!(dial.step(&hop(), start + Duration::from_millis(10)).is_pending());
        assert_eq!(dial.network.started, all);
        assert_eq!(dial.sockets().collect::<Vec<_>>(), [&all[2]]);
    }

    #[test]
    fn the_first_that_answers_wins_also_when_it_was_started_last() {
        let all = addresses(["1.1.1.1:1", "2.2.2.2:1", "3.3.3.3:1"]);
        let mut network = Table { impossible: all[..1].into(), ..Table::default() };
        let start = Instant::now();
        let mut dial = Dial::new(&all, &mut network, start);
        assert!(dial.step(&hop(), start).is_pending());
        assert_eq!(dial.network.started, all[1..2], "what cannot be started costs no time");
        dial.network.answering.push(all[2]);
        let Poll::Ready(Ok(dialed)) = dial.step(&hop(), start + Duration::from_millis(250)) else {
            panic!("the third answers");
        };
        assert_eq!((dialed.socket, dialed.remote), (all[2], all[2]));
    }

    #[test]
    fn when_all_have_failed_each_is_quoted() {
        let all = addresses(["1.1.1.1:1", "2.2.2.2:1"]);
        let mut network =
            Table { impossible: all[..1].into(), refusing: all[1..].into(), ..Table::default() };
        let mut dial = Dial::new(&all, &mut network, Instant::now());
        let Poll::Ready(Err(error)) = dial.step(&hop(), Instant::now()) else { panic!("nobody is left") };
        assert_eq!(error.kind(), ErrorKind::Connect);
        let text = error.to_string();
        for words in ["ws://example.test/", "1.1.1.1:1: network", "2.2.2.2:1: connection refused"] {
            assert!(text.contains(words), "{words:?} is not in: {text}");
        }
        assert!(!text.contains("running"), "not all of them refused: {text}");
    }

    #[test]
    fn an_address_of_this_machine_is_connected_from() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let server = listener.local_addr().expect("bound");
        let mut network = Tcp { from: Some(([127, 0, 0, 9], 0).into()) };
        let _socket = network.start(server).expect("started");
        let (_stream, client) = listener.accept().expect("somebody connects");
        assert_eq!(client.ip(), std::net::IpAddr::from([127, 0, 0, 9]));
        let error = network.start("[::1]:9".parse().expect("an address")).expect_err("another family");
        assert_eq!(error.to_string(), "not reached from local_address 127.0.0.9");
        network.from = Some(([192, 0, 2, 1], 0).into());
        let error = network.start(server).expect_err("not of this machine").to_string();
        assert!(error.contains("local_address 192.0.2.1:0 cannot be used"), "{error}");
    }

    #[test]
    fn a_socket_that_met_itself_has_met_nobody() {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, Some(ipproto::TCP))
            .expect("a socket");
        bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let address = local_address(socket.as_fd()).expect("bound");
        let _ = connect(&socket, &address);
        let Poll::Ready(Err(error)) = Tcp { from: None }.outcome(&socket, address) else {
            panic!("decided: nobody")
        };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
