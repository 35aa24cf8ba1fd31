//! One attempt to connect, as a state machine that never waits.
//!
//! ```text
//!            +------------------------- redirect -------------------------+
//!            v                                                            |
//!         resolve ---> dial ---> (tunnel) ---> secure ---> upgrade -------+---> open
//! ```
//!
//! Whoever drives it calls [`Attempt::step`], which goes on as far as it gets without waiting. While that says nothing,
//! the driver waits for what the attempt wants: until one of [`Attempt::each_socket`] is ready, the time is
//! [`Attempt::deadline`], or the waker is called that it was made with. Then it steps again; a step too many does no
//! harm. Dropping an attempt gives it up and leaves nothing behind.
//!
//! There are two drivers: `blocking` on a thread that may wait, and the reactor. To reach a server through a proxy, dial
//! the proxy in place of the host, and ask it for the host between `dial` and `secure`: [`Attempt::dialed`].

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use super::asking::Waker;
use super::deadline::{Deadline, Step};
use super::dial::{Dial, Dialed, Tcp};
use super::opened::Connected;
use super::prepared::Prepared;
use super::redirect::Route;
use super::resolve::Lookup;
use super::secure::Secure;
use super::upgrade::{Answer, Upgrade};
use crate::entropy;
use crate::error::{Error, ErrorKind};
use crate::handshake::Handshake;
use crate::io::Transport;
use crate::options::ConnectOptions;
use crate::sys::poller::Interest;
use crate::tls::Tls;

/// One connect on its way, from the program's address to an open connection or a failure.
pub(crate) struct Attempt {
    options: Arc<ConnectOptions>,
    prepared: Prepared,
    /// The address where it stands, and those before.
    route: Route,
    deadline: Deadline,
    waker: Waker,
    stage: Stage,
}

/// What it waits for at the address where it stands.
enum Stage {
    /// Nothing was done yet.
    Start,
    Resolve(Lookup),
    Dial(Dial<Tcp>),
    Secure(Box<Secure>, Ends),
    Upgrade(Box<Upgrade>, Ends),
    /// It is open or has failed.
    Over,
}

/// Both ends of the TCP connection.
#[derive(Clone, Copy)]
struct Ends {
    local: SocketAddr,
    remote: SocketAddr,
}

impl Attempt {
    /// Nothing is done yet. `waker` is called, from any thread, when an answer has come that the attempt waits for.
    pub(crate) fn new(prepared: Prepared, options: Arc<ConnectOptions>, waker: Waker, now: Instant) -> Self {
        let route = Route::new(Arc::clone(&options));
        let deadline = Deadline::new(options.open_timeout, now);
        Self { options, prepared, route, deadline, waker, stage: Stage::Start }
    }

    /// Goes on as far as it gets without waiting. `Some`: it has ended, and there is nothing to step any more.
    pub(crate) fn step(&mut self, now: Instant) -> Option<Result<Connected, Error>> {
        let ended = match self.advance(now) {
            Poll::Ready(ended) => ended,
            // What came in time counts, so the clock is asked last.
            Poll::Pending => match self.deadline.check(now, self.route.url(), self.stage.step()) {
                Ok(()) => return None,
                Err(error) => Err(error),
            },
        };
        self.stage = Stage::Over;
        Some(ended.map_err(|error| self.route.explain(&error)))
    }

    /// The sockets to be told of, each with what it has to be ready for.
    pub(crate) fn each_socket<'a>(&'a self, tell: &mut dyn FnMut(BorrowedFd<'a>, Interest)) {
        match &self.stage {
            Stage::Dial(dial) => {
                dial.sockets().for_each(|socket| tell(socket.as_fd(), Interest { read: false, write: true }));
            }
            Stage::Secure(secure, _) => {
                let (socket, interest) = secure.socket();
                tell(socket, interest);
            }
            Stage::Upgrade(upgrade, _) => {
                let (socket, interest) = upgrade.socket();
                tell(socket, interest);
            }
            Stage::Start | Stage::Resolve(_) | Stage::Over => {}
        }
    }

    /// When [`Attempt::step`] is to be called although nothing else has happened.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let own = match &self.stage {
            Stage::Resolve(lookup) => lookup.deadline(),
            Stage::Dial(dial) => dial.deadline(),
            Stage::Upgrade(upgrade, _) => upgrade.deadline(),
            Stage::Start | Stage::Secure(..) | Stage::Over => None,
        };
        [own, self.deadline.at()].into_iter().flatten().min()
    }

    /// The failure to report when the program has given it up.
    pub(crate) fn given_up(&self) -> Error {
        let text = format!("connecting to {} was given up by the program", self.route.url());
        self.route.explain(&Error::new(ErrorKind::Cancelled, text))
    }

    /// The failure to report when its driver cannot go on.
    pub(crate) fn failed(&self, why: &str) -> Error {
        let text = format!("cannot connect to {}: {why}", self.route.url());
        self.route.explain(&Error::new(ErrorKind::Connect, text))
    }

    /// Goes from stage to stage until one has to wait.
    fn advance(&mut self, now: Instant) -> Poll<Result<Connected, Error>> {
        loop {
            // A stage that has to wait is put back.
            self.stage = match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Start => {
                    let resolve = self.options.resolve.as_ref();
                    Stage::Resolve(Lookup::begin(self.route.url(), resolve, &self.waker, now))
                }
                Stage::Resolve(mut lookup) => match lookup.step(self.route.url(), &self.waker, now)? {
                    Poll::Ready(addresses) => Stage::Dial(Dial::new(&addresses, Tcp, now)),
                    Poll::Pending => return self.wait_in(Stage::Resolve(lookup)),
                },
                Stage::Dial(mut dial) => match dial.step(self.route.url(), now)? {
                    Poll::Ready(dialed) => self.dialed(dialed)?,
                    Poll::Pending => return self.wait_in(Stage::Dial(dial)),
                },
                Stage::Secure(mut secure, ends) => match secure.step(self.route.url())? {
                    Poll::Ready(()) => self.secured(secure.into_transport(self.route.url())?, ends)?,
                    Poll::Pending => return self.wait_in(Stage::Secure(secure, ends)),
                },
                Stage::Upgrade(mut upgrade, ends) => {
                    match upgrade.step(&self.route, now, self.deadline.at())? {
                        Poll::Ready(Answer::Accepted(accepted, headers, leftover)) => {
                            self.route.store_cookies(&headers);
                            let (redirects, cookies) = self.route.end();
                            let handshake = Handshake {
                                url: self.route.url().clone(),
                                redirects,
                                cookies,
                                subprotocol: accepted.subprotocol,
                                compression: accepted.deflate,
                                headers,
                                local_address: ends.local,
                                remote_address: ends.remote,
                            };
                            let transport = upgrade.into_transport();
                            return Poll::Ready(Ok(Connected { transport, handshake, leftover }));
                        }
                        // The socket is dropped, with whatever the server still had to say.
                        Poll::Ready(Answer::Elsewhere(response)) => {
                            self.route.follow(response)?;
                            Stage::Start
                        }
                        Poll::Pending => return self.wait_in(Stage::Upgrade(upgrade, ends)),
                    }
                }
                Stage::Over => return Poll::Pending,
            };
        }
    }

    fn wait_in(&mut self, stage: Stage) -> Poll<Result<Connected, Error>> {
        self.stage = stage;
        Poll::Pending
    }

    /// TCP leads to the host of the URL. (Through a proxy it would lead to the proxy, and this would be the place to ask
    /// it for a tunnel to the host, on a stage of its own.)
    fn dialed(&self, Dialed { socket, local, remote }: Dialed<OwnedFd>) -> Result<Stage, Error> {
        let (transport, ends) = (Transport::tcp(socket), Ends { local, remote });
        let url = self.route.url();
        if !url.is_secure() {
            return self.secured(transport, ends);
        }
        let secure = match &self.prepared.tls {
            Some(tls) if self.route.is_first() => Secure::new(transport, tls)?,
            _ => Secure::new(transport, &Tls::new(&self.route.tls(), url.host())?)?,
        };
        Ok(Stage::Secure(Box::new(secure), ends))
    }

    /// The stream is as safe as the URL wants it: time for the opening handshake.
    fn secured(&self, transport: Transport, ends: Ends) -> Result<Stage, Error> {
        let request = self.route.request(entropy::nonce())?;
        Ok(Stage::Upgrade(Box::new(Upgrade::new(transport, request)), ends))
    }
}

impl Stage {
    fn step(&self) -> Step {
        match self {
            Self::Resolve(lookup) => lookup.waits_for(),
            Self::Start => Step::Resolve,
            Self::Dial(_) => Step::Dial,
            Self::Secure(..) => Step::Secure,
            Self::Upgrade(..) | Self::Over => Step::Upgrade,
        }
    }
}
