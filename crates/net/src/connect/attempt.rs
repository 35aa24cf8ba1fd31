//! One attempt to connect, as a state machine that never waits.
//!
//! ```text
//!            +------------------------- redirect -------------------------+
//!            v                                                            |
//!         resolve ---> dial ---> (tunnel) ---> secure ---> upgrade -------+---> open
//! ```
//!
//! Through a proxy it is the proxy that is looked up, dialled and, if it wants that, secured; then it is asked for a tunnel
//! to the server, over which the rest goes on as it would over TCP.
//!
//! Whoever drives it calls [`Attempt::step`], which goes on as far as it gets without waiting. While that says nothing,
//! the driver waits for what the attempt wants: until one of [`Attempt::each_socket`] is ready, the time is
//! [`Attempt::deadline`], or the waker is called that it was made with. Then it steps again; a step too many does no
//! harm. Dropping an attempt gives it up and leaves nothing behind.
//!
//! There are two drivers: `blocking` on a thread that may wait, and the reactor.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use sunsocket_wire::{AskedAgain, ProxyScheme, Refusal, Target, Tunnel};

use super::asking::Waker;
use super::deadline::{Deadline, Step};
use super::dial::{Dial, Dialed, Tcp};
use super::hop::Hop;
use super::opened::Connected;
use super::prepared::Prepared;
use super::redirect::Route;
use super::resolve::Lookup;
use super::secure::Secure;
use super::tunnel::Tunneling;
use super::upgrade::{Answer, Upgrade};
use crate::entropy;
use crate::error::{Error, ErrorKind, HttpAnswer};
use crate::handshake::Handshake;
use crate::io::Transport;
use crate::options::ConnectOptions;
use crate::proxies::NamedProxy;
use crate::sys::poller::Interest;
use crate::tls::Tls;

/// One connect on its way, from the program's address to an open connection or a failure.
pub(crate) struct Attempt {
    options: Arc<ConnectOptions>,
    prepared: Prepared,
    /// The address where it stands, and those before.
    route: Route,
    /// The server of that address, and the proxy on the way to it.
    server: Hop,
    via: Option<Via>,
    deadline: Deadline,
    waker: Waker,
    stage: Stage,
}

/// The proxy on the way.
struct Via {
    proxy: NamedProxy,
    hop: Hop,
    /// Where the tunnel is to lead.
    target: Target,
    /// What the proxy wants to be asked again with, and how often it has said so.
    again: Option<AskedAgain>,
    refusals: u8,
}

/// How often a proxy is asked again: it may want a digest, and say once that its nonce was too old.
const ASKED_AGAIN: u8 = 2;

/// What it waits for at the address where it stands.
enum Stage {
    /// Nothing was done yet.
    Start,
    /// The server's address, which a proxy is to be told.
    ResolveTarget(Lookup),
    Resolve(Lookup),
    Dial(Dial<Tcp>),
    SecureProxy(Box<Secure>, Ends),
    Tunnel(Box<Tunneling>, Ends),
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
        let server = Hop::server(route.url());
        Self { options, prepared, route, server, via: None, deadline, waker, stage: Stage::Start }
    }

    /// Goes on as far as it gets without waiting. `Some`: it has ended, and there is nothing to step any more.
    pub(crate) fn step(&mut self, now: Instant) -> Option<Result<Connected, Error>> {
        let ended = match self.advance(now) {
            Poll::Ready(ended) => ended,
            // What came in time counts, so the clock is asked last.
            Poll::Pending => {
                let proxy = if self.stage.is_about_hop() { self.hop().proxy_name() } else { None };
                match self.deadline.check(now, self.route.url(), self.stage.step(), proxy) {
                    Ok(()) => return None,
                    Err(error) => Err(error),
                }
            }
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
            Stage::SecureProxy(secure, _) | Stage::Secure(secure, _) => {
                let (socket, interest) = secure.socket();
                tell(socket, interest);
            }
            Stage::Tunnel(tunneling, _) => {
                let (socket, interest) = tunneling.socket();
                tell(socket, interest);
            }
            Stage::Upgrade(upgrade, _) => {
                let (socket, interest) = upgrade.socket();
                tell(socket, interest);
            }
            Stage::Start | Stage::ResolveTarget(_) | Stage::Resolve(_) | Stage::Over => {}
        }
    }

    /// When [`Attempt::step`] is to be called although nothing else has happened.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let own = match &self.stage {
            Stage::ResolveTarget(lookup) | Stage::Resolve(lookup) => lookup.deadline(),
            Stage::Dial(dial) => dial.deadline(),
            Stage::Upgrade(upgrade, _) => upgrade.deadline(),
            Stage::Start | Stage::SecureProxy(..) | Stage::Tunnel(..) | Stage::Secure(..) | Stage::Over => {
                None
            }
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
                Stage::Start => self.begin(now)?,
                Stage::ResolveTarget(mut lookup) => match lookup.step(&self.server, &self.waker, now)? {
                    Poll::Ready(addresses) => self.resolved_target(&addresses, now),
                    Poll::Pending => return self.wait_in(Stage::ResolveTarget(lookup)),
                },
                Stage::Resolve(mut lookup) => match lookup.step(self.hop(), &self.waker, now)? {
                    Poll::Ready(addresses) => {
                        let network = Tcp { from: self.options.local_address };
                        Stage::Dial(Dial::new(&addresses, network, now))
                    }
                    Poll::Pending => return self.wait_in(Stage::Resolve(lookup)),
                },
                Stage::Dial(mut dial) => match dial.step(self.hop(), now)? {
                    Poll::Ready(dialed) => self.dialed(dialed)?,
                    Poll::Pending => return self.wait_in(Stage::Dial(dial)),
                },
                Stage::SecureProxy(mut secure, ends) => match secure.step(self.hop())? {
                    Poll::Ready(()) => self.ask_proxy(secure.into_transport(self.hop())?, ends)?,
                    Poll::Pending => return self.wait_in(Stage::SecureProxy(secure, ends)),
                },
                Stage::Tunnel(mut tunneling, ends) => match tunneling.step() {
                    Poll::Ready(Ok(())) => self.reached(tunneling.into_transport(), ends)?,
                    // On a new connection: what stands in this one behind the refusal is nobody's business.
                    Poll::Ready(Err(refusal)) => self.refused(refusal, now)?,
                    Poll::Pending => return self.wait_in(Stage::Tunnel(tunneling, ends)),
                },
                Stage::Secure(mut secure, ends) => match secure.step(&self.server)? {
                    Poll::Ready(()) => self.secured(secure.into_transport(&self.server)?, ends)?,
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
                        Poll::Ready(Answer::Challenge(response)) => {
                            self.route.take_challenge(&response);
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

    /// Whom TCP leads to.
    fn hop(&self) -> &Hop {
        self.via.as_ref().map_or(&self.server, |via| &via.hop)
    }

    /// Decides whom to reach first for the address where it stands.
    fn begin(&mut self, now: Instant) -> Result<Stage, Error> {
        let url = self.route.url();
        let resolve = self.options.resolve.as_ref();
        (self.server, self.via) = (Hop::server(url), None);
        let Some(proxy) = self.options.proxy.choose(url)? else {
            return Ok(Stage::Resolve(Lookup::begin(&self.server, resolve, &self.waker, now)));
        };
        let hop = Hop::proxy(url, &proxy);
        let looks_up = proxy.url.scheme().resolves_here();
        let target = Target::Host(url.host().to_owned(), url.port());
        self.via = Some(Via { proxy, hop, target, again: None, refusals: 0 });
        Ok(if looks_up {
            Stage::ResolveTarget(Lookup::begin(&self.server, resolve, &self.waker, now))
        } else {
            self.look_up_proxy(now)
        })
    }

    /// The program's `resolve` is about servers: an entry for every host would lead past the proxy.
    fn look_up_proxy(&self, now: Instant) -> Stage {
        Stage::Resolve(Lookup::begin(self.hop(), None, &self.waker, now))
    }

    /// The proxy is told one address, of the family that every proxy knows where there is one.
    fn resolved_target(&mut self, addresses: &[SocketAddr], now: Instant) -> Stage {
        if let Some(via) = &mut self.via
            && let Some(address) = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first())
        {
            via.target = Target::Address(*address);
        }
        self.look_up_proxy(now)
    }

    /// TCP leads to the server, or to the proxy on the way.
    fn dialed(&mut self, Dialed { socket, local, remote }: Dialed<OwnedFd>) -> Result<Stage, Error> {
        let (transport, ends) = (Transport::tcp(socket), Ends { local, remote });
        match &self.via {
            None => self.reached(transport, ends),
            Some(via) if via.proxy.url.scheme() == ProxyScheme::Https => {
                let tls = Tls::new(&self.route.tls_of_proxy(), via.proxy.url.host());
                let tls = tls.map_err(|error| via.hop.failed(ErrorKind::Proxy, error))?;
                Ok(Stage::SecureProxy(Box::new(Secure::new(transport, &tls)?), ends))
            }
            Some(_) => self.ask_proxy(transport, ends),
        }
    }

    /// The transport leads to the proxy, as safely as its address wants it.
    fn ask_proxy(&mut self, transport: Transport, ends: Ends) -> Result<Stage, Error> {
        let Some(via) = &self.via else { return self.reached(transport, ends) };
        let user_agent = self.options.user_agent.as_deref();
        let tunnel =
            Tunnel::new(&via.proxy.url, &via.target, user_agent, via.again.clone(), entropy::nonce());
        let tunnel = tunnel.map_err(|refusal| self.no_tunnel(via, refusal))?;
        Ok(Stage::Tunnel(Box::new(Tunneling::new(transport, tunnel)), ends))
    }

    /// The proxy opens no tunnel, for now or at all.
    fn refused(&mut self, refusal: Refusal, now: Instant) -> Result<Stage, Error> {
        let Some(mut via) = self.via.take() else { return Err(Error::proxy(refusal.text, None)) };
        if refusal.again.is_none() || via.refusals == ASKED_AGAIN {
            return Err(self.no_tunnel(&via, refusal));
        }
        via.refusals += 1;
        via.again = refusal.again;
        self.via = Some(via);
        Ok(self.look_up_proxy(now))
    }

    fn no_tunnel(&self, via: &Via, Refusal { text, response, again }: Refusal) -> Error {
        let more = if again.is_some() { "; it wants the same proof again and again" } else { "" };
        let text = format!("cannot connect to {}: the proxy {} {text}{more}", self.route.url(), via.proxy);
        let answer = response.map(|response| HttpAnswer {
            status: response.status,
            headers: response.headers,
            body: Vec::new(),
        });
        Error::proxy(text, answer)
    }

    /// The transport leads to the server.
    fn reached(&mut self, transport: Transport, ends: Ends) -> Result<Stage, Error> {
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
    fn secured(&mut self, transport: Transport, ends: Ends) -> Result<Stage, Error> {
        let request = self.route.request(entropy::nonce())?;
        Ok(Stage::Upgrade(Box::new(Upgrade::new(transport, request)), ends))
    }
}

impl Stage {
    /// Whether it waits for whom TCP leads to.
    fn is_about_hop(&self) -> bool {
        matches!(self, Self::Resolve(_) | Self::Dial(_) | Self::SecureProxy(..) | Self::Tunnel(..))
    }

    fn step(&self) -> Step {
        match self {
            Self::ResolveTarget(lookup) | Self::Resolve(lookup) => lookup.waits_for(),
            Self::Start => Step::Resolve,
            Self::Dial(_) => Step::Dial,
            Self::Tunnel(..) => Step::Tunnel,
            Self::SecureProxy(..) | Self::Secure(..) => Step::Secure,
            Self::Upgrade(..) | Self::Over => Step::Upgrade,
        }
    }
}
