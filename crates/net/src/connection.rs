//! One connection as its language sees it: a handle that any thread may call.
//!
//! The moving parts are joined in `link` (socket, framing, unsent bytes: behind one lock) and `inbox` (messages that
//! wait: behind another). What is asked on every message is an atomic beside them. Nothing here runs foreign code while
//! a lock is held, except the copying that `take` is given.

use std::any::Any;
use std::net::SocketAddr;
use std::time::Duration;

use sunsocket_wire::{DeflateAgreed, Headers, Url, valid_close_code_to_send};

use crate::connect::{Cancel, Connected};
use crate::error::{Error, ErrorKind, in_words};
use crate::inbox::Inbox;
use crate::link::Link;
use crate::options::ConnectOptions;
use crate::reactor::{Reactor, lock};
use crate::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use crate::sync::{Arc, Instant, Mutex, MutexGuard, OnceLock};

mod receiving;
mod sending;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// DNS, TCP, TLS or the opening handshake are under way.
    Connecting,
    /// Messages may be sent and received.
    Open,
    /// The closing handshake is under way.
    Closing,
    /// Nothing more will happen.
    Closed,
}

/// How a connection ended.
#[derive(Clone, Debug)]
pub struct Closed {
    /// The close code: the peer's, ours where we failed the connection, 1005 for a Close without code, 1006 for a lost
    /// connection (RFC 6455 7.1.5).
    pub code: u16,
    /// The close reason.
    pub reason: String,
    /// Whether the peer began the closing handshake.
    pub by_peer: bool,
    /// What ended the connection; `None` after a clean closing handshake.
    pub error: Option<Error>,
}

impl Closed {
    /// Who closed with which code and reason, to follow "was closed": after a closing handshake both are the peer's,
    /// also when this side began it.
    #[must_use]
    pub fn by_whom(&self) -> String {
        let reason = if self.reason.is_empty() { String::new() } else { format!(" ({})", self.reason) };
        if self.by_peer {
            format!("by the server with code {}{reason}", self.code)
        } else {
            format!("by this side; the server answered with code {}{reason}", self.code)
        }
    }
}

/// What the opening handshake settled.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// Where it was made: the last address, after any redirects.
    pub url: Url,
    /// The addresses that redirects led away from, in order.
    pub redirects: Vec<Url>,
    /// Names and values of the cookies that the server set, in its answer or in a redirect of the same origin before.
    pub cookies: Vec<(String, String)>,
    /// The subprotocol that the server chose.
    pub subprotocol: Option<String>,
    /// What was agreed of permessage-deflate, if that was.
    pub compression: Option<DeflateAgreed>,
    /// The response's header lines.
    pub headers: Headers,
    /// Our end of the TCP connection.
    pub local_address: SocketAddr,
    /// The server's end of the TCP connection.
    pub remote_address: SocketAddr,
}

/// How full the write buffer is after a `send`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// At or below the high-water mark: go on.
    Plenty,
    /// Above it: wait for room before the next message (never inside a handler).
    Full,
}

/// One WebSocket connection. Every method may be called from any thread; none of them runs foreign code.
pub struct Connection {
    id: u64,
    /// Where the program wanted to connect to.
    asked_url: Url,
    reactor: Arc<Reactor>,
    pub(crate) close_timeout: Duration,
    state: AtomicU8,
    /// Somebody listens for messages, so that new ones are to be reported.
    pub(crate) listening: AtomicBool,
    /// Somebody has pulled messages.
    pulled: AtomicBool,
    /// On the reactor's ready list.
    ready: AtomicBool,
    /// Senders are to wait. Mirrors the outbox, to be read without its lock.
    pub(crate) full: AtomicBool,
    /// Reading waits for room in the inbox. Mirrors the link, to be read without its lock.
    pub(crate) paused: AtomicBool,
    /// A message is being sent in pieces. Mirrors the link, to be read without its lock.
    pub(crate) sending_pieces: AtomicBool,
    /// The server broke the protocol behind messages that are still to be delivered. Set until the connection is failed.
    pub(crate) failing: AtomicBool,
    /// Somebody reads one message in pieces.
    streaming: AtomicBool,
    pub(crate) opened_due: AtomicBool,
    pub(crate) writable_due: AtomicBool,
    close_reported: AtomicBool,
    pub(crate) inbox: Mutex<Inbox>,
    link: Mutex<Link>,
    pub(crate) handshake: OnceLock<Handshake>,
    pub(crate) closed: OnceLock<Closed>,
    user: Mutex<Option<Arc<dyn Any + Send + Sync>>>,
    /// Gives connecting up. It holds a descriptor, so it goes when connecting is over.
    cancel: Mutex<Option<Arc<Cancel>>>,
}

impl Connection {
    /// A connection that is to be opened, and what gives that up.
    pub(crate) fn new(
        reactor: Arc<Reactor>,
        options: &ConnectOptions,
    ) -> Result<(Arc<Self>, Arc<Cancel>), Error> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(1);
        let cancel = Cancel::new().map_err(|error| {
            let text =
                format!("cannot connect to {}: no descriptor is left ({})", options.url, in_words(&error));
            Error::new(ErrorKind::Connect, text)
        })?;
        let cancel = Arc::new(cancel);
        let spares = Arc::clone(&reactor.spares);
        let connection = Arc::new(Self {
            // Half of it goes into the poller's key; 2^32 connections are more than a process sees.
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed) & u64::from(u32::MAX),
            asked_url: options.url.clone().without_credentials(),
            reactor,
            close_timeout: options.close_timeout,
            state: AtomicU8::new(State::Connecting as u8),
            listening: AtomicBool::new(false),
            pulled: AtomicBool::new(false),
            ready: AtomicBool::new(false),
            full: AtomicBool::new(false),
            paused: AtomicBool::new(false),
            sending_pieces: AtomicBool::new(false),
            failing: AtomicBool::new(false),
            streaming: AtomicBool::new(false),
            opened_due: AtomicBool::new(false),
            writable_due: AtomicBool::new(false),
            close_reported: AtomicBool::new(false),
            inbox: Mutex::new(Inbox::new(options.max_held, spares)),
            link: Mutex::new(Link::new(options)),
            handshake: OnceLock::new(),
            closed: OnceLock::new(),
            user: Mutex::default(),
            cancel: Mutex::new(Some(Arc::clone(&cancel))),
        });
        Ok((connection, cancel))
    }

    /// A number that no other connection of this process has.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where it leads to, after any redirects.
    pub fn url(&self) -> &Url {
        self.handshake.get().map_or(&self.asked_url, |handshake| &handshake.url)
    }

    /// How long its closing handshake may take.
    pub fn close_timeout(&self) -> Duration {
        self.close_timeout
    }

    /// The reactor that this connection belongs to.
    pub fn reactor(&self) -> &Arc<Reactor> {
        &self.reactor
    }

    /// Keeps what the language knows about this connection. It is dropped by [`Connection::detach`].
    pub fn attach(&self, user: Arc<dyn Any + Send + Sync>) {
        let before = lock(&self.user).replace(user);
        drop(before);
    }

    /// What [`Connection::attach`] keeps.
    pub fn user(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        lock(&self.user).clone()
    }

    /// Lets go of what [`Connection::attach`] keeps.
    pub fn detach(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        lock(&self.user).take()
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        match self.state.load(Ordering::SeqCst) {
            0 => State::Connecting,
            1 => State::Open,
            2 => State::Closing,
            _ => State::Closed,
        }
    }

    pub(crate) fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::SeqCst);
    }

    /// How it ended, once it has.
    pub fn closed(&self) -> Option<Closed> {
        self.closed.get().cloned()
    }

    /// What the opening handshake settled, once it is over.
    pub fn handshake(&self) -> Option<Handshake> {
        self.handshake.get().cloned()
    }

    /// The same without a copy.
    pub fn handshake_ref(&self) -> Option<&Handshake> {
        self.handshake.get()
    }

    /// The last measured round trip of a ping.
    pub fn latency(&self) -> Option<Duration> {
        self.link()?.keep_alive.latency()
    }

    /// Whether this process is the child of a fork that the connection was made before.
    pub fn is_forked(&self) -> bool {
        self.reactor.is_forked()
    }

    /// The link, unless this is the child of a fork, where its lock may be held by a thread that does not exist.
    fn link(&self) -> Option<MutexGuard<'_, Link>> {
        (!self.is_forked()).then(|| lock(&self.link))
    }

    // ---- connecting

    fn cancel_connecting(&self) {
        if let Some(cancel) = &*lock(&self.cancel) {
            cancel.cancel();
        }
    }

    fn connecting_is_over(&self) {
        let cancel = lock(&self.cancel).take();
        drop(cancel);
    }

    /// The opening handshake is over. `report`: the language hears of it through the ready list.
    pub(crate) fn opened(self: &Arc<Self>, connected: Connected, report: bool) {
        self.connecting_is_over();
        let Some(mut link) = self.link() else { return };
        if report {
            self.opened_due.store(true, Ordering::SeqCst);
        }
        link.open(self, connected);
        drop(link);
        self.report();
    }

    /// Connecting came to nothing.
    pub(crate) fn failed_to_open(self: &Arc<Self>, error: Error) {
        self.connecting_is_over();
        let Some(mut link) = self.link() else { return };
        self.opened_due.store(true, Ordering::SeqCst);
        link.finish(self, Closed { code: 1006, reason: String::new(), by_peer: false, error: Some(error) });
    }

    // ---- what happened, each reported once; asked after the connection came out of Reactor::next_ready

    /// True once, when a `Reactor::connect` ended: either `state()` is Open, or `closed()` tells the failure.
    pub fn take_opened(&self) -> bool {
        // It is due a moment before the state says how it ended; the report comes after both.
        self.state() != State::Connecting && self.opened_due.swap(false, Ordering::SeqCst)
    }

    /// True once, when the connection has closed and no listener is owed a message any more: fire OnClose now.
    pub fn take_closed(&self) -> bool {
        // Where connecting has just failed, that is told first; the report of it is still to come.
        if self.state() != State::Closed || self.opened_due.load(Ordering::SeqCst) || self.is_forked() {
            return false;
        }
        let owed = self.listening.load(Ordering::SeqCst) && self.has_message();
        !owed && !self.close_reported.swap(true, Ordering::SeqCst)
    }

    /// Whether [`Connection::take_closed`] has said so.
    pub fn close_was_reported(&self) -> bool {
        self.close_reported.load(Ordering::SeqCst)
    }

    /// True once after each `Room::Full`, when the unsent bytes fell to the low-water mark (or the connection closed).
    pub fn take_writable(&self) -> bool {
        self.writable_due.swap(false, Ordering::SeqCst)
    }

    /// Has [`Connection::take_writable`] say true once more: somebody came to wait for room that is there already.
    pub fn request_room_report(self: &Arc<Self>) {
        self.writable_due.store(true, Ordering::SeqCst);
        self.request_delivery();
    }

    /// Makes the connection come out of `Reactor::next_ready` again and wakes the reactor's owner.
    pub fn request_delivery(self: &Arc<Self>) {
        if !self.is_forked() {
            self.report();
        }
    }

    /// Puts the connection on the ready list, where it stands once.
    pub(crate) fn report(self: &Arc<Self>) {
        if !self.ready.swap(true, Ordering::SeqCst) {
            self.reactor.report(Arc::clone(self));
        }
    }

    pub(crate) fn left_ready_list(&self) {
        self.ready.store(false, Ordering::SeqCst);
    }

    // ---- closing

    /// Starts the closing handshake and returns true; does nothing when it was started before. Discards messages that were
    /// not delivered yet. A connection that is still connecting gives up.
    ///
    /// # Errors
    /// `InvalidArgument` for a code that may not be sent (RFC 6455 7.4) or a reason of more than 123 bytes.
    pub fn close(self: &Arc<Self>, code: u16, reason: &str) -> Result<bool, Error> {
        if !valid_close_code_to_send(code) {
            let text = format!(
                "cannot close with code {code}: a client may send 1000 to 1003, 1007 to 1014 and 3000 to 4999; \
                 use 1000 for a normal end or 4000 to 4999 for meanings of your own"
            );
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
        if reason.len() > 123 {
            let text = format!(
                "cannot close with a reason of {} bytes: 123 bytes of UTF-8 are the most that a Close frame holds",
                reason.len()
            );
            return Err(Error::new(ErrorKind::InvalidArgument, text));
        }
        let Some(mut link) = self.link() else { return Ok(false) };
        let begins = self.state() == State::Open;
        match self.state() {
            State::Connecting => {
                self.cancel_connecting();
                link.give_up(self);
            }
            State::Open => {
                link.close(self, code, reason);
                lock(&self.inbox).clear();
            }
            State::Closing | State::Closed => {}
        }
        Ok(begins)
    }

    /// Drops TCP at once (close code 1006), or gives up connecting.
    pub fn abort(self: &Arc<Self>) {
        let Some(mut link) = self.link() else { return };
        self.cancel_connecting();
        link.give_up(self);
    }

    /// Why nothing can be sent now.
    fn not_open(&self) -> Error {
        let url = self.url();
        if self.is_forked() {
            let text = format!(
                "cannot use the connection to {url} here: it was opened before this process was forked; \
                 connect again in the child"
            );
            return Error::new(ErrorKind::Closed, text);
        }
        let why = match (self.state(), self.closed.get()) {
            (State::Connecting, _) => "it is not open yet".to_owned(),
            (_, Some(Closed { error: Some(error), .. })) => format!("it has ended: {error}"),
            (_, Some(closed)) => format!("it was closed {}", closed.by_whom()),
            _ => "it is closing".to_owned(),
        };
        Error::new(ErrorKind::Closed, format!("cannot send to {url}: {why}"))
    }

    // ---- for the reactor

    /// The socket is ready, as the poller saw it.
    pub(crate) fn on_readiness(
        self: &Arc<Self>,
        buffer: &mut [u8],
        readable: bool,
        writable: bool,
        hangup: bool,
        now: Instant,
    ) {
        let mut link = lock(&self.link);
        if writable {
            link.write_out(self);
        }
        if readable {
            link.read_in(self, buffer, hangup, now);
        }
    }

    /// The time that was asked for has come.
    pub(crate) fn on_timer(self: &Arc<Self>, now: Instant) {
        lock(&self.link).on_timer(self, now);
    }

    /// Fails the connection for what the server did behind the last message that was delivered.
    pub(crate) fn fail_now(self: &Arc<Self>) {
        lock(&self.link).fail_now(self, Instant::now());
    }

    /// Writes what a sender left to the reactor. `paced`: the caller comes again every 200 microseconds; true when it is to.
    pub(crate) fn flush_for_reactor(self: &Arc<Self>, paced: bool) -> bool {
        lock(&self.link).flush_listed(self, paced)
    }
}
