//! One connection's socket, framing and unsent bytes: what moves behind its lock.
//!
//! It joins parts and decides nothing that one of them knows: framing is `wire`'s, bounds are the inbox's and the
//! outbox's, deadlines the keep-alive's and `closing`'s. Every method is called with the connection that owns the link.

use std::io;
use std::ops::ControlFlow;
use std::time::Duration;

use sunsocket_wire::{Client, CloseFrame, Event, Limits, Violation};

use crate::closing::{self, Closing};
use crate::connect::Connected;
use crate::connection::{Closed, Connection, State};
use crate::entropy;
use crate::error::{Error, ErrorKind};
use crate::inbox::Inbox;
use crate::keepalive::{Due, KeepAlive};
use crate::options::ConnectOptions;
use crate::outbox::Outbox;
use crate::poller::Interest;
use crate::reactor::lock;
use crate::stream::Stream;
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, Instant};

mod sending;

use sending::{GATHER, Pieces};

/// Reads of one connection in one turn, so that a flood does not starve the others.
const READS_A_TURN: usize = 8;
/// A read of so much may have the beginning of a large message in it: a spare buffer is lent for that.
const LENDS_FROM: usize = 1 << 10;
/// The most that one read of a large message takes.
const LARGE_READ: usize = 1 << 20;
/// Answers to the server wait while this much is unsent: the newest ping wins (RFC 6455 5.5.3).
const ANSWERS_WAIT: usize = 64 << 10;
/// How long the messages that came before a violation may keep the connection from being failed.
const FAILING_PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct Link {
    stream: Option<Stream>,
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
            stream: None,
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
            blocked: false,
            overdrafts: 0,
            broken: false,
            listed: false,
            stream_misses: None,
            // Long ago: the first message is written at once.
            last_send: now.checked_sub(GATHER).unwrap_or(now),
            timer: None,
        }
    }

    /// The opening handshake is over: watch the socket. Bytes that came with the response are the first messages.
    pub(crate) fn open(&mut self, connection: &Arc<Connection>, connected: Connected) {
        let Connected { stream, handshake, leftover } = connected;
        if connection.state() != State::Connecting {
            return;
        }
        let now = Instant::now();
        self.keep_alive.received(now);
        self.client = Client::new(self.limits, handshake.compression);
        let reactor = connection.reactor();
        self.key = reactor.enter(connection);
        let interest = Interest { read: true, write: false };
        let added = reactor.poller.add(stream.fd(), self.key, interest);
        self.stream = Some(stream);
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

    // ---- reading

    /// Reads what the socket has, a few buffers at the most.
    pub(crate) fn read_in(
        &mut self,
        connection: &Arc<Connection>,
        buffer: &mut [u8],
        hangup: bool,
        now: Instant,
    ) {
        let mut taken = 0;
        for _ in 0..READS_A_TURN {
            if self.must_pause(connection) {
                return self.pause(connection, hangup);
            }
            match self.read_once(connection, buffer, now) {
                Ok(ControlFlow::Continue(count)) => {
                    taken += count;
                    if taken >= buffer.len() {
                        // Large messages: what is read now is in the caches now, so deliver it first.
                        break;
                    }
                }
                Ok(ControlFlow::Break(())) => return self.answer(connection),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.answer(connection),
                Err(error) => return self.lost(connection, Some(error)),
            }
        }
        self.answer(connection);
        self.revisit_unread(connection);
    }

    /// Whether there are bytes that the socket's readiness does not show.
    fn has_unread(&self) -> bool {
        !self.unread.0.is_empty() || self.stream.as_ref().is_some_and(Stream::has_buffered)
    }

    /// Has them read soon.
    fn revisit_unread(&self, connection: &Arc<Connection>) {
        if self.has_unread() {
            connection.reactor().revisit(Arc::clone(connection));
        }
    }

    /// The last `left` of the bytes were not looked at: they are the first of the next read.
    fn put_back(&mut self, bytes: Vec<u8>, left: usize) {
        let start = bytes.len() - left;
        self.unread = if left == 0 { (Vec::new(), 0) } else { (bytes, start) };
    }

    /// One read of so many bytes. `Continue`: there may be more.
    fn read_once(
        &mut self,
        connection: &Arc<Connection>,
        buffer: &mut [u8],
        now: Instant,
    ) -> io::Result<ControlFlow<(), usize>> {
        let Some(stream) = self.stream.as_mut() else { return Ok(ControlFlow::Break(())) };
        if !self.unread.0.is_empty() {
            let (bytes, start) = std::mem::take(&mut self.unread);
            let left = self.take_in(connection, &bytes[start..], now);
            let count = bytes.len() - start - left;
            self.put_back(bytes, left);
            return Ok(ControlFlow::Continue(count));
        }
        let (count, room) = match self.client.read_target() {
            Some(target) if self.closing.as_ref().is_none_or(Closing::still_reads) => {
                let room = target.max.min(LARGE_READ);
                let count = stream.read_append(target.buffer, room)?;
                if count > 0 {
                    self.keep_alive.received(now);
                    let filled = self.client.filled(count);
                    self.handle_one(connection, filled, now);
                }
                (count, room)
            }
            _ => {
                let count = stream.read(buffer)?;
                if count > 0 {
                    self.keep_alive.received(now);
                    let left = self.take_in(connection, &buffer[..count], now);
                    if left > 0 {
                        self.put_back(buffer[count - left..count].to_vec(), left);
                    }
                }
                (count, buffer.len())
            }
        };
        if count == 0 {
            self.lost(connection, None);
            return Ok(ControlFlow::Break(()));
        }
        // A read that did not fill its room has emptied the socket: it will say so when there is more.
        let more = count == room || self.has_unread();
        Ok(if more { ControlFlow::Continue(count) } else { ControlFlow::Break(()) })
    }

    /// Everything that `bytes` brings: messages into the inbox, the rest at once. Returns how many of the bytes were not
    /// looked at, because what came before them inflates to more than the hold takes and nothing may be dropped.
    fn take_in(&mut self, connection: &Arc<Connection>, bytes: &[u8], now: Instant) -> usize {
        if self.closing.as_ref().is_some_and(|closing| !closing.still_reads()) {
            return 0;
        }
        let mut input = bytes;
        let mut arrived = false;
        let mut piece_arrived = false;
        let mut close = None;
        let mut violation = None;
        let mut answered = false;
        let mut left = 0;
        let discards = connection.state() != State::Open;
        let spares = &connection.reactor().spares;
        let may_begin_large = bytes.len() >= LENDS_FROM;
        if may_begin_large {
            self.client.lend(spares.take());
        }
        let mut inbox = lock(&connection.inbox);
        let wanted = connection.is_wanted();
        loop {
            if let Some((kind, ascii, payload)) = self.client.receive_small(&mut input) {
                if !discards {
                    while !wanted && inbox.is_full() {
                        inbox.drop_oldest();
                    }
                    inbox.push_small(kind, ascii, payload);
                    arrived = true;
                }
                continue;
            }
            match self.client.receive(&mut input) {
                Ok(None) => break,
                Ok(Some(Event::Message(message))) => {
                    if !discards {
                        while !wanted && inbox.is_full() {
                            inbox.drop_oldest();
                        }
                        inbox.push(message);
                        arrived = true;
                    }
                    left = if wanted && !discards && inbox.is_heavy() { input.len() } else { 0 };
                    if left > 0 {
                        break;
                    }
                }
                Ok(Some(Event::Piece(piece))) => {
                    if !discards {
                        inbox.push_piece(piece);
                        piece_arrived = true;
                    }
                    left = if wanted && !discards && inbox.is_heavy() { input.len() } else { 0 };
                    if left > 0 {
                        break;
                    }
                }
                Ok(Some(Event::Pong(payload))) => {
                    if self.keep_alive.pong((*payload).as_ref(), now) {
                        connection.report();
                    }
                }
                // Each has its answer while there is room for it; after that the newest has.
                Ok(Some(Event::Ping(_))) if self.outbox.unsent() < ANSWERS_WAIT => {
                    answered |= self.client.transmit(&mut entropy::mask, self.outbox.buffer());
                }
                Ok(Some(Event::Ping(_))) => {}
                Ok(Some(Event::Close(frame))) => close = Some(frame),
                Err(error) => {
                    violation = Some(error);
                    break;
                }
            }
        }
        let untold = inbox.is_drop_untold();
        drop(inbox);
        if may_begin_large {
            spares.give(self.client.take_back());
        }
        if untold || piece_arrived || arrived && connection.reports_messages() {
            connection.report();
        }
        if answered {
            self.write_out(connection);
        }
        self.after(connection, close, violation, now);
        left
    }

    /// The same for the one event that completes a large message.
    fn handle_one(
        &mut self,
        connection: &Arc<Connection>,
        filled: Result<Option<Event<'static>>, Violation>,
        now: Instant,
    ) {
        match filled {
            Ok(Some(Event::Message(message))) if connection.state() == State::Open => {
                let mut inbox = lock(&connection.inbox);
                while !connection.is_wanted() && inbox.is_full() && !inbox.is_empty() {
                    inbox.drop_oldest();
                }
                inbox.push(message);
                let untold = inbox.is_drop_untold();
                drop(inbox);
                if untold || connection.reports_messages() {
                    connection.report();
                }
            }
            Ok(Some(Event::Piece(piece))) if connection.state() == State::Open => {
                lock(&connection.inbox).push_piece(piece);
                connection.report();
            }
            Ok(_) => {}
            Err(violation) => self.after(connection, None, Some(violation), now),
        }
    }

    fn after(
        &mut self,
        connection: &Arc<Connection>,
        close: Option<CloseFrame>,
        violation: Option<Violation>,
        now: Instant,
    ) {
        if let Some(frame) = close {
            self.peer_closed(connection, frame, now);
        }
        if let Some(violation) = violation {
            if connection.state() == State::Open && connection.holds_messages() {
                self.failing = Some((violation, now + FAILING_PATIENCE));
                connection.reactor().fail_after_delivery(Arc::clone(connection));
                connection.failing.store(true, Ordering::SeqCst);
                self.arm(connection);
                // Whoever took the last message before the mark was there saw none, and may be waiting already.
                if !connection.holds_messages() {
                    self.fail_now(connection, now);
                }
            } else {
                self.fail(connection, &violation, now);
            }
        }
    }

    /// What came before the violation was delivered, or has had its time.
    pub(crate) fn fail_now(&mut self, connection: &Arc<Connection>, now: Instant) {
        if let Some((violation, _)) = self.failing.take() {
            connection.failing.store(false, Ordering::SeqCst);
            self.fail(connection, &violation, now);
        }
    }

    /// Has one message reported in pieces; what has come of it already is the first.
    pub(crate) fn report_pieces(&mut self, inbox: &mut Inbox) {
        self.client.report_pieces(true);
        if let Some(piece) = self.client.take_piece() {
            inbox.push_piece(piece);
        }
    }

    /// The rest of it is not wanted in pieces.
    pub(crate) fn report_whole(&mut self) {
        self.client.report_pieces(false);
    }

    /// Sends what is owed to the server, unless so much is unsent that it has to wait.
    fn answer(&mut self, connection: &Arc<Connection>) {
        if self.stream.is_some()
            && self.outbox.unsent() < ANSWERS_WAIT
            && self.client.transmit(&mut entropy::mask, self.outbox.buffer())
        {
            self.write_out(connection);
        }
    }

    /// Reading waits while the hold is full (and somebody wants what is in it), or our own bytes do not leave and those
    /// who send do not wait for that: each message could bring another answer. Where they do wait, reading goes on: a
    /// server that echoes may wait for just that.
    fn must_pause(&mut self, connection: &Arc<Connection>) -> bool {
        connection.state() == State::Open
            && (self.is_full() && self.overdrafts > 0 && !self.broken
                || connection.is_wanted() && lock(&connection.inbox).is_full())
    }

    fn pause(&mut self, connection: &Arc<Connection>, hangup: bool) {
        connection.paused.store(true, Ordering::SeqCst);
        // Room may have come between the look and the mark, and nobody would tell us any more.
        if !self.must_pause(connection) {
            return self.resume(connection);
        }
        if hangup && let Some(stream) = &self.stream {
            // A hang-up is reported for as long as the socket is watched at all.
            connection.reactor().poller.delete(stream.fd());
            self.watched = None;
        } else {
            self.watch(connection);
        }
    }

    /// There is room again.
    pub(crate) fn resume(&mut self, connection: &Arc<Connection>) {
        if connection.paused.load(Ordering::SeqCst) && !self.must_pause(connection) {
            connection.paused.store(false, Ordering::SeqCst);
            self.watch(connection);
            self.revisit_unread(connection);
        }
    }

    /// Has the poller watch for what is needed now.
    fn watch(&mut self, connection: &Arc<Connection>) {
        let Some(stream) = &self.stream else { return };
        let interest = Interest { read: !connection.paused.load(Ordering::SeqCst), write: self.blocked };
        let poller = &connection.reactor().poller;
        let watched = match self.watched {
            Some(watched) if watched == interest => return,
            Some(_) => poller.modify(stream.fd(), self.key, interest),
            None if !interest.read => return,
            None => poller.add(stream.fd(), self.key, interest),
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
        if let Some(stream) = &mut self.stream
            && self.outbox.is_empty()
        {
            stream.shutdown_write();
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
        let kind = if self.stream.is_some() { ErrorKind::Lost } else { ErrorKind::Cancelled };
        let error = Error::new(kind, format!("{} was aborted by the program", connection.url()));
        self.finish(
            connection,
            Closed { code: 1006, reason: String::new(), by_peer: false, error: Some(error) },
        );
    }

    /// Drops the socket and says how it ended, if that was not said before.
    pub(crate) fn finish(&mut self, connection: &Arc<Connection>, closed: Closed) {
        if let Some(mut stream) = self.stream.take() {
            if self.watched.take().is_some() {
                connection.reactor().poller.delete(stream.fd());
            }
            stream.shutdown();
            drop(stream);
            self.unread = (Vec::new(), 0);
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
            (None, None) => self.keep_alive.deadline(),
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
        if self.stream.is_none() {
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
                let reading = !connection.paused.load(Ordering::SeqCst);
                match self.keep_alive.due(now, reading) {
                    Due::Nothing => {}
                    Due::Ping => {
                        self.idle(connection);
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

    /// Nothing came for a whole ping interval: give back what a connection at rest does not need.
    fn idle(&mut self, connection: &Arc<Connection>) {
        self.client.idle();
        self.outbox.shrink();
        lock(&connection.inbox).shrink();
        connection.reactor().spares.clear();
    }
}
