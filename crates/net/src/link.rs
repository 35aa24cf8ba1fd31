//! One connection's socket, framing and unsent bytes: what moves behind its lock.
//!
//! It joins parts and decides nothing that one of them knows: framing is `wire`'s, bounds are the inbox's and the
//! outbox's, deadlines the keep-alive's and `closing`'s. Every method is called with the connection that owns the link.

use std::io;
use std::time::Duration;

use sunsocket_wire::{Client, CloseFrame, Limits, Violation};

use crate::closing::{self, Closing};
use crate::connect::Connected;
use crate::connection::{Closed, Connection, State};
use crate::entropy;
use crate::error::{Error, ErrorKind};
use crate::io::Transport;
use crate::keepalive::{Due, KeepAlive};
use crate::options::ConnectOptions;
use crate::outbox::Outbox;
use crate::poller::Interest;
use crate::reactor::lock;
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, Instant};

mod receiving;
mod sending;

use sending::{GATHER, Pieces};

/// How long reading waits for a program that has neither listened nor pulled, before the oldest messages are dropped.
const HOLD_PATIENCE: Duration = Duration::from_secs(10);
/// A connection without keep-alive is at rest after so long without a message; another one after its ping interval.
const REST_AFTER: Duration = Duration::from_secs(20);

pub(crate) struct Link {
    transport: Option<Transport>,
    /// Read and not looked at, from the index on: the hold was full of what the bytes before it had inflated to.
    unread: (Vec<u8>, usize),
    /// In the reactor's table, while there is a socket.
    key: u64,
    /// What the poller watches; `None` when it does not watch at all (hung up while reading is paused).
    watched: Option<Interest>,
    client: Client,
    limits: Limits,
    /// The message that is being sent in pieces.
    pieces: Option<Pieces>,
    outbox: Outbox,
    pub(crate) keep_alive: KeepAlive,
    closing: Option<Closing>,
    /// The server broke the protocol behind messages that are still to be delivered, and answered: what it did, and when
    /// the connection is failed at the latest.
    failing: Option<(Violation, Instant)>,
    /// Until when reading waits for somebody to listen or pull: the hold is full, and nobody ever has.
    hold_until: Option<Instant>,
    /// That time has come: the oldest messages are dropped for as long as nobody listens or pulls.
    hold_over: bool,
    /// The socket takes no more now: the poller will say when.
    blocked: bool,
    /// Sends that left more than the high-water mark unsent, and of which nobody has said that its sender waits.
    overdrafts: usize,
    /// Writing failed; reading goes on, for what the server said before.
    broken: bool,
    /// On the reactor's list of connections to flush.
    listed: bool,
    /// While a thread sends a stream of messages: looks in a row that found nothing to write.
    stream_misses: Option<u8>,
    last_send: Instant,
    /// What a connection at rest does not need is given back when no message was sent or received for so long.
    rest_after: Duration,
    /// When the next look for that is due; `None` where there was no message since it was at rest.
    rest_due: Option<Instant>,
    /// A message was sent or received since the last look.
    moved: bool,
    /// The earliest look that the timers owe us.
    timer: Option<Instant>,
}

impl Link {
    pub(crate) fn new(options: &ConnectOptions) -> Self {
        let now = Instant::now();
        let limits = Limits {
            max_message_size: options.max_message_size,
            max_fragment_size: options.max_fragment_size,
            ..Limits::default()
        };
        Self {
            transport: None,
            unread: (Vec::new(), 0),
            key: 0,
            watched: None,
            client: Client::new(limits, None),
            limits,
            pieces: None,
            outbox: Outbox::new(options.write_limit),
            keep_alive: KeepAlive::new(options.ping_interval, options.ping_timeout, now),
            closing: None,
            failing: None,
            hold_until: None,
            hold_over: false,
            blocked: false,
            overdrafts: 0,
            broken: false,
            listed: false,
            stream_misses: None,
            // Long ago: the first message is written at once.
            last_send: now.checked_sub(GATHER).unwrap_or(now),
            rest_after: options.ping_interval.unwrap_or(REST_AFTER),
            rest_due: None,
            moved: false,
            timer: None,
        }
    }

    /// The opening handshake is over: watch the socket. Bytes that came with the response are the first messages.
    pub(crate) fn open(&mut self, connection: &Arc<Connection>, connected: Connected) {
        let Connected { transport, handshake, leftover } = connected;
        if connection.state() != State::Connecting {
            return;
        }
        let now = Instant::now();
        self.keep_alive.received(now);
        self.client = Client::new(self.limits, handshake.compression);
        let reactor = connection.reactor();
        self.key = reactor.enter(connection);
        let interest = Interest { read: true, write: false };
        let added = reactor.poller.add(transport.fd(), self.key, interest);
        self.transport = Some(transport);
        self.watched = Some(interest);
        // Set before anybody can see the state, once per connection.
        let _ = connection.handshake.set(handshake);
        connection.set_state(State::Open);
        if let Err(error) = added {
            return self.lost(connection, Some(error));
        }
        self.arm(connection);
        let left = self.take_in(connection, &leftover, now);
        self.put_back(leftover, left);
        self.answer(connection);
        self.revisit_unread(connection);
    }

    // ---- watching

    /// Has the poller watch for what is needed now.
    fn watch(&mut self, connection: &Arc<Connection>) {
        let Some(transport) = &self.transport else { return };
        let interest = Interest { read: !connection.paused.load(Ordering::SeqCst), write: self.blocked };
        let poller = &connection.reactor().poller;
        let watched = match self.watched {
            Some(watched) if watched == interest => return,
            Some(_) => poller.modify(transport.fd(), self.key, interest),
            None if !interest.read => return,
            None => poller.add(transport.fd(), self.key, interest),
        };
        self.watched = Some(interest);
        if let Err(error) = watched {
            self.lost(connection, Some(error));
        }
    }

    // ---- ending

    /// Our Close: the closing handshake begins.
    pub(crate) fn close(&mut self, connection: &Arc<Connection>, code: u16, reason: &str) {
        let was_empty = self.outbox.is_empty();
        self.client.close(code, reason, entropy::mask(), self.outbox.buffer());
        connection.set_state(State::Closing);
        // A message in pieces stays as it is; what waited behind it can follow no Close.
        self.end_pieces(connection);
        self.closing = Some(Closing::ours(Instant::now(), connection.close_timeout));
        self.arm(connection);
        // Nobody waits for room any more: what is queued leaves, or the deadline cuts it off.
        if connection.full.load(Ordering::SeqCst) {
            self.has_room_again(connection);
        }
        if connection.paused.swap(false, Ordering::SeqCst) {
            self.watch(connection);
            self.revisit_unread(connection);
        }
        if connection.reactor().is_dispatching_here() {
            self.schedule(connection, was_empty);
        } else {
            self.write_out(connection);
        }
        connection.reactor().leadership.notify_followers();
    }

    /// The server's Close, as the first or as the answer to ours. TCP is the server's to drop (RFC 6455 7.1.1).
    fn peer_closed(&mut self, connection: &Arc<Connection>, frame: CloseFrame, now: Instant) {
        let closing = self.closing.get_or_insert_with(|| Closing::theirs(now, connection.close_timeout));
        closing.received(frame);
        connection.set_state(State::Closing);
        self.end_pieces(connection);
        self.arm(connection);
        if self.is_full() || connection.full.load(Ordering::SeqCst) {
            self.has_room_again(connection);
        }
        self.client.transmit(&mut entropy::mask, self.outbox.buffer());
        self.write_out(connection);
    }

    /// The server broke the protocol: tell it (RFC 6455 7.1.7) and be done with it. The socket lingers until the server
    /// has had its chance to read our Close: dropped with unread bytes, TCP would reset it away.
    fn fail(&mut self, connection: &Arc<Connection>, violation: &Violation, now: Instant) {
        self.client.fail(violation, entropy::mask(), self.outbox.buffer());
        self.closing = Some(Closing::failed(now, connection.close_timeout));
        self.write_out(connection);
        if let Some(transport) = &mut self.transport
            && self.outbox.is_empty()
        {
            transport.writer.shutdown_write();
        }
        let kind = if violation.is_too_big() { ErrorKind::MessageTooBig } else { ErrorKind::Protocol };
        let error =
            Error::new(kind, format!("{} was failed with {}: {violation}", connection.url(), violation.code));
        self.report_closed(
            connection,
            Closed { code: violation.code, reason: String::new(), by_peer: false, error: Some(error) },
        );
        self.arm(connection);
    }

    /// TCP is gone.
    fn lost(&mut self, connection: &Arc<Connection>, error: Option<io::Error>) {
        self.fail_now(connection, Instant::now());
        let closed = closing::after_tcp(connection.url(), self.closing.as_ref(), error);
        self.finish(connection, closed);
    }

    /// The program does not want it any more.
    pub(crate) fn give_up(&mut self, connection: &Arc<Connection>) {
        let kind = if self.transport.is_some() { ErrorKind::Lost } else { ErrorKind::Cancelled };
        let error = Error::new(kind, format!("{} was aborted by the program", connection.url()));
        self.finish(
            connection,
            Closed { code: 1006, reason: String::new(), by_peer: false, error: Some(error) },
        );
    }

    /// Drops the socket and says how it ended, if that was not said before.
    pub(crate) fn finish(&mut self, connection: &Arc<Connection>, closed: Closed) {
        if let Some(mut transport) = self.transport.take() {
            if self.watched.take().is_some() {
                connection.reactor().poller.delete(transport.fd());
            }
            transport.writer.shutdown();
            drop(transport);
            self.unread = (Vec::new(), 0);
            self.client.end();
            self.outbox.clear();
            self.outbox.shrink();
            connection.reactor().leave(self.key);
        }
        self.report_closed(connection, closed);
    }

    fn report_closed(&mut self, connection: &Arc<Connection>, closed: Closed) {
        if connection.closed.set(closed).is_err() {
            return;
        }
        self.end_pieces(connection);
        connection.full.store(false, Ordering::SeqCst);
        connection.writable_due.store(true, Ordering::SeqCst);
        // Last: who sees it sees everything that is due.
        connection.set_state(State::Closed);
        connection.report();
        connection.reactor().leadership.notify_followers();
    }

    // ---- time

    /// Asks the timers for a look at the next deadline, if they do not owe us an earlier one.
    fn arm(&mut self, connection: &Arc<Connection>) {
        let deadline = match (&self.closing, &self.failing) {
            (Some(closing), _) => Some(closing.deadline),
            (None, Some((_, deadline))) => Some(*deadline),
            (None, None) => {
                let deadlines = [self.keep_alive.deadline(), self.rest_due, self.hold_until];
                deadlines.into_iter().flatten().min()
            }
        };
        if let Some(deadline) = deadline
            && self.timer.is_none_or(|timer| deadline < timer)
        {
            self.timer = Some(deadline);
            let reactor = connection.reactor();
            reactor.timers.set(deadline, self.key, &reactor.poller);
        }
    }

    pub(crate) fn on_timer(&mut self, connection: &Arc<Connection>, now: Instant) {
        if self.transport.is_none() {
            return;
        }
        self.timer = None;
        if self.failing.as_ref().is_some_and(|(_, deadline)| now >= *deadline) {
            return self.fail_now(connection, now);
        }
        match &self.closing {
            Some(closing) if now >= closing.deadline => {
                let closed = closing.timed_out(connection.url(), connection.close_timeout);
                return self.finish(connection, closed);
            }
            Some(_) => {}
            None => {
                if self.rest_due.is_some_and(|due| now >= due) {
                    self.look_for_rest(connection, now);
                }
                if self.hold_until.is_some_and(|until| now >= until) {
                    self.hold_until = None;
                    self.hold_over = !connection.is_wanted();
                    self.resume(connection);
                }
                let reading = !connection.paused.load(Ordering::SeqCst);
                match self.keep_alive.due(now, reading) {
                    Due::Nothing => {}
                    Due::Ping => {
                        self.ping(connection, b"");
                    }
                    Due::Lost => {
                        let timeout = self.keep_alive.timeout().unwrap_or_default();
                        let closed = closing::no_pong(connection.url(), timeout);
                        return self.finish(connection, closed);
                    }
                }
            }
        }
        self.arm(connection);
    }

    /// A message was sent or received: from here on there is something to give back.
    pub(crate) fn note_message(&mut self, connection: &Arc<Connection>) {
        self.moved = true;
        if self.rest_due.is_none() {
            self.rest_due = Instant::now().checked_add(self.rest_after);
            self.arm(connection);
        }
    }

    /// Gives back what a connection at rest does not need, if it is at rest.
    fn look_for_rest(&mut self, connection: &Arc<Connection>, now: Instant) {
        self.rest_due = None;
        if std::mem::take(&mut self.moved) {
            self.rest_due = now.checked_add(self.rest_after);
            return;
        }
        self.client.idle();
        self.outbox.shrink();
        lock(&connection.inbox).shrink();
        connection.reactor().spares.clear();
    }
}
