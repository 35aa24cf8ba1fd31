//! One connection as its language sees it: a handle that any thread may call.
//!
//! It joins the two halves of a session, each with its half of the transport behind a lock of its own, and the hold behind
//! a third. What is asked on every message is an atomic beside them. A lock of a half is a scope ([`Scope`]): when it ends,
//! what the half says of itself is stated in the connection's word and deadlines, and the reactor applies that. So
//! nothing here calls the reactor to say that something changed, and nothing can be forgotten.
//!
//! Nothing here runs foreign code while a lock is held, except the copying that `take` is given. Read on in `opening`,
//! `reading` (what the thread that turns does), `receiving` and `sending` (what the language does), `ending`.

use std::any::Any;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sunsocket_wire::{Deflater, Limits, Url};

use crate::handshake::Handshake;
use crate::io::{Reader, Source, Writer};
use crate::options::{ConnectOptions, HeldLimit};
use crate::reactor::queue::Member;
use crate::reactor::{Held, NEVER, Ready, Registration, Served};
use crate::session::closing::Closed;
use crate::session::hold::Hold;
use crate::session::send::OWN_BITS;
use crate::session::word::{
    ATTACHED, DUE_VISIT, FULL, HOLD_FULL, MOVED, NEWS, PACING, ROOM_UNTOLD, SENDING_PIECES, State, UNREAD,
    Word,
};
use crate::session::{Receiving, Sending};
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Arc, Instant, Mutex, OnceLock, lock};

mod connecting;
mod ending;
mod opening;
mod reading;
pub(crate) mod receiving;
mod sending;
mod time;

/// The reactor of connections.
pub type Reactor = crate::reactor::Reactor<Connection>;
/// While this lives, the thread that made it delivers to handlers; see [`Reactor::dispatch`].
pub type Dispatch<'a> = crate::reactor::owning::Dispatch<'a, Connection>;

/// A connection without keep-alive is at rest after so long without a message; another one after its ping interval.
const REST_AFTER: Duration = Duration::from_secs(20);

/// One WebSocket connection. Every method may be called from any thread; none of them runs foreign code.
pub struct Connection {
    number: u64,
    /// Where the program wanted to connect to.
    asked_url: Url,
    reactor: Arc<Reactor>,
    close_timeout: Duration,
    limits: Limits,
    max_held: HeldLimit,
    word: Word,
    registration: Registration,
    receive: Mutex<ReceiveHalf>,
    /// Where compression was agreed. Held from before a message is compressed until its frame is in the outbox.
    deflater: Mutex<Option<Deflater>>,
    send: Mutex<SendHalf>,
    hold: Mutex<Hold>,
    deadlines: Deadlines,
    /// When the last byte came, in the reactor's nanoseconds.
    heard: AtomicU64,
    /// Bytes that the operating system has not taken. Mirrors the sending half.
    unsent: AtomicUsize,
    /// The newest ping that was answered, and the nanoseconds that it took, plus one.
    answered: AtomicU64,
    latency: AtomicU64,
    handshake: OnceLock<Handshake>,
    closed: OnceLock<Closed>,
    user: Mutex<Option<Arc<dyn Any + Send + Sync>>>,
    /// While connecting is driven by the reactor: what gives it up.
    connecting: Mutex<Option<Arc<dyn GivesUp>>>,
}

/// Connecting, as far as the connection is concerned that comes of it.
trait GivesUp: Send + Sync {
    /// Lets go of everything. A step that has just come to its end may still report it.
    fn give_up(&self);
}

/// Touched by who turns the reactor, and for a moment by who begins to read in pieces.
pub(crate) struct ReceiveHalf {
    session: Receiving,
    reader: Option<Reader>,
}

/// Touched by whoever sends.
pub(crate) struct SendHalf {
    session: Sending,
    writer: Option<Writer>,
    source: Option<Source>,
    /// The deadline that was stated last.
    stated: Option<Instant>,
}

/// When the connection wants to be looked at, and what for; [`NEVER`], or the reactor's nanoseconds.
struct Deadlines {
    /// The session's own: keep-alive, closing handshake, a violation that waits.
    session: AtomicU64,
    /// When what a connection at rest does not need is to be given back.
    rest: AtomicU64,
    rest_after: Duration,
    /// Until when reading waits for somebody to take what is held.
    hold: AtomicU64,
}

impl Connection {
    /// A connection that is to be opened.
    pub(crate) fn new(reactor: Arc<Reactor>, options: &ConnectOptions) -> Arc<Self> {
        static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);
        let pool = Arc::clone(&reactor.pool);
        let limits = Limits {
            max_message_size: options.max_message_size,
            max_fragment_size: options.max_fragment_size,
            ..Limits::default()
        };
        Arc::new(Self {
            // It goes into the poller's key; 2^32 connections are more than a process sees.
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed) & u64::from(u32::MAX),
            asked_url: options.url.clone().without_credentials(),
            reactor,
            close_timeout: options.close_timeout,
            limits,
            max_held: options.max_held,
            word: Word::new(),
            registration: Registration::default(),
            receive: Mutex::new(ReceiveHalf {
                session: Receiving::new(limits, None, Arc::clone(&pool)),
                reader: None,
            }),
            deflater: Mutex::new(None),
            send: Mutex::new(SendHalf {
                session: Sending::new(options, Instant::now()),
                writer: None,
                source: None,
                stated: None,
            }),
            hold: Mutex::new(Hold::new(options.max_held, pool)),
            deadlines: Deadlines {
                session: AtomicU64::new(NEVER),
                rest: AtomicU64::new(NEVER),
                rest_after: options.ping_interval.unwrap_or(REST_AFTER),
                hold: AtomicU64::new(NEVER),
            },
            heard: AtomicU64::new(0),
            unsent: AtomicUsize::new(0),
            answered: AtomicU64::new(0),
            latency: AtomicU64::new(0),
            handshake: OnceLock::new(),
            closed: OnceLock::new(),
            user: Mutex::default(),
            connecting: Mutex::default(),
        })
    }

    /// A number that no other connection of this process has.
    pub fn id(&self) -> u64 {
        self.number
    }

    /// Where it leads to, after any redirects.
    pub fn url(&self) -> &Url {
        self.handshake.get().map_or(&self.asked_url, |handshake| &handshake.url)
    }

    /// How long nothing may move in its closing handshake.
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
        self.word.get().state()
    }

    /// What the opening handshake settled, once it is over.
    pub fn handshake(&self) -> Option<Handshake> {
        self.handshake.get().cloned()
    }

    /// The same without a copy.
    pub fn handshake_ref(&self) -> Option<&Handshake> {
        self.handshake.get()
    }

    /// Whether this process is the child of a fork that the connection was made before.
    pub fn is_forked(&self) -> bool {
        self.reactor.is_forked()
    }

    /// Makes the connection come out of `Reactor::next_ready` again and wakes the reactor's owner.
    pub fn request_delivery(self: &Arc<Self>) {
        if !self.is_forked() {
            self.word.set(DUE_VISIT);
            self.reactor.apply(self);
        }
    }

    // ---- scopes

    /// The receiving half, for as long as the scope lives.
    fn receive_half(self: &Arc<Self>) -> Scope<'_, ReceiveHalf> {
        Scope { connection: self, half: Some(Held::lock(&self.receive)), applies: true }
    }

    /// The sending half. `None` in the child of a fork, where its lock may be held by a thread that does not exist.
    fn send_half(self: &Arc<Self>) -> Option<Scope<'_, SendHalf>> {
        let held = (!self.is_forked()).then(|| Held::lock(&self.send))?;
        Some(Scope { connection: self, half: Some(held), applies: true })
    }

    /// The same for who may not wait. `None`: somebody else has it.
    fn try_send_half(self: &Arc<Self>) -> Option<Scope<'_, SendHalf>> {
        let held = Held::try_lock(&self.send)?;
        Some(Scope { connection: self, half: Some(held), applies: true })
    }

    /// The sending half inside the scope of the receiving one, at whose end the reactor applies what both have stated.
    fn send_half_inside(self: &Arc<Self>) -> Scope<'_, SendHalf> {
        Scope { connection: self, half: Some(Held::lock(&self.send)), applies: false }
    }

    /// The socket is gone: gives back what the receiving half had of it. Whoever has that half now does so afterwards.
    fn give_back_reader(&self) {
        let gone = Held::try_lock(&self.receive).and_then(|mut half| {
            let reader = half.reader.take()?;
            half.session.end();
            Some(reader)
        });
        drop(gone);
    }
}

/// One half of a connection under its lock. When it ends, what the half says of itself is stated, the lock is let go, and the
/// reactor applies what changed.
struct Scope<'a, T: Half> {
    connection: &'a Arc<Connection>,
    /// `None` only while it is dropped.
    half: Option<Held<'a, T>>,
    applies: bool,
}

/// What states itself at the end of a scope.
trait Half {
    fn state(&mut self, connection: &Connection);
}

impl<T: Half> Deref for Scope<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.half.as_deref().unwrap_or_else(|| unreachable!("it is there until it is dropped"))
    }
}

impl<T: Half> DerefMut for Scope<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.half.as_deref_mut().unwrap_or_else(|| unreachable!("it is there until it is dropped"))
    }
}

impl<T: Half> Drop for Scope<'_, T> {
    fn drop(&mut self) {
        let connection = self.connection;
        if let Some(mut half) = self.half.take() {
            half.state(connection);
        }
        if self.applies {
            connection.reactor.apply(connection);
            let bits = connection.word.get();
            if bits.state() == State::Closed && !bits.has(ATTACHED) {
                connection.give_back_reader();
            }
        }
    }
}

impl Half for ReceiveHalf {
    fn state(&mut self, connection: &Connection) {
        let left_inside = self.reader.as_ref().is_some_and(Reader::has_buffered);
        let unread = left_inside || self.session.has_unread();
        connection.word.put(UNREAD, if unread { UNREAD } else { 0 });
    }
}

impl Half for SendHalf {
    fn state(&mut self, connection: &Connection) {
        let word = &connection.word;
        let before = word.get();
        let pacing = if self.session.gathering.is_paced() && self.writer.is_some() { PACING } else { 0 };
        let bits = self.session.bits() | pacing;
        word.put(OWN_BITS | PACING, bits);
        if before.has(FULL) && bits & FULL == 0 || before.has(SENDING_PIECES) && bits & SENDING_PIECES == 0 {
            // Somebody may be waiting for room, or for the end of a message in pieces.
            word.set(ROOM_UNTOLD | DUE_VISIT | NEWS);
        }
        connection.unsent.store(self.session.unsent(), Ordering::Release);
        let deadline = if self.writer.is_some() { self.session.deadline() } else { None };
        if deadline != self.stated {
            self.stated = deadline;
            let nanos = deadline.map_or(NEVER, |at| connection.reactor.nanos(at));
            connection.deadlines.session.store(nanos, Ordering::SeqCst);
        }
    }
}

impl Member for Connection {
    fn word(&self) -> &Word {
        &self.word
    }
}

impl Served for Connection {
    fn number(&self) -> u64 {
        self.number
    }

    fn registration(&self) -> &Registration {
        &self.registration
    }

    fn next_deadline(&self) -> u64 {
        let Deadlines { session, rest, hold, .. } = &self.deadlines;
        let bits = self.word.get();
        let holds = bits.has(HOLD_FULL) && !bits.is_wanted();
        let hold = if holds { hold.load(Ordering::SeqCst) } else { NEVER };
        session.load(Ordering::SeqCst).min(rest.load(Ordering::SeqCst)).min(hold)
    }

    fn on_readiness(self: &Arc<Self>, buffer: &mut [u8], ready: Ready, now: Instant) {
        if ready.writable
            && let Some(mut half) = self.send_half()
        {
            half.write_out();
        }
        if ready.readable {
            self.read(buffer, ready.hangup, now);
        }
    }

    fn on_deadline(self: &Arc<Self>, now: Instant) {
        self.look_at_deadlines(now);
    }

    fn on_slept(self: &Arc<Self>, now: Instant) {
        if let Some(mut half) = self.send_half()
            && half.session.slept(now)
        {
            half.write_out();
        }
    }

    fn write_gathered(self: &Arc<Self>, paces: bool) {
        self.write_what_was_gathered(paces);
    }

    fn on_delivered(self: &Arc<Self>) {
        self.fail_delivered();
    }

    fn on_refused(self: &Arc<Self>, error: std::io::Error) {
        if let Some(mut half) = self.send_half() {
            half.lost(self, Some(error));
        }
    }
}

impl Deadlines {
    /// A message was sent or received: from here on there is something to give back when the connection is at rest.
    #[inline]
    fn note_message(&self, connection: &Connection) {
        if !connection.word.get().has(MOVED) {
            self.note_first_message(connection);
        }
    }

    #[cold]
    fn note_first_message(&self, connection: &Connection) {
        connection.word.set(MOVED);
        if self.rest.load(Ordering::SeqCst) == NEVER {
            let at = Instant::now().checked_add(self.rest_after);
            self.rest.store(at.map_or(NEVER, |at| connection.reactor.nanos(at)), Ordering::SeqCst);
        }
    }
}
