//! How a connection ends: our Close, the server's, a violation, TCP that is gone.

use std::io;

use sunsocket_wire::{CloseFrame, Violation, valid_close_code_to_send};

use super::{Connection, Reactor, SendHalf};
use crate::error::{Error, ErrorKind};
use crate::reactor::guests::Guest;
use crate::session::closing::{self, Closed};
use crate::session::gathering::Writes;
use crate::session::word::{
    ATTACHED, CLOSE_TOLD, DUE_VISIT, FAILING, GATHERED, HOLD_FULL, HOLDS, LISTENING, NEWS, OPENED_UNTOLD,
    ROOM_UNTOLD, State, UNREAD,
};
use crate::sync::{Arc, Instant, lock};

impl Connection {
    /// How it ended, once it has.
    pub fn closed(&self) -> Option<Closed> {
        self.closed.get().cloned()
    }

    /// True once, when the connection has closed and no listener is owed a message any more: fire OnClose now.
    pub fn take_closed(&self) -> bool {
        let bits = self.word.get();
        // Where connecting has just failed, that is told first; the report of it is still to come.
        if bits.state() != State::Closed || bits.has(OPENED_UNTOLD) || self.is_forked() {
            return false;
        }
        let owed = bits.has(LISTENING) && self.has_message();
        !owed && !self.word.set(CLOSE_TOLD).has(CLOSE_TOLD)
    }

    /// Whether [`Connection::take_closed`] has said so.
    pub fn close_was_reported(&self) -> bool {
        self.word.get().has(CLOSE_TOLD)
    }

    /// Starts the closing handshake and returns true; does nothing when it was started before. Discards messages that were
    /// not delivered yet. A connection that is still connecting gives up.
    ///
    /// # Errors
    /// `InvalidArgument` for a code that may not be sent (RFC 6455 7.4) or a reason of more than 123 bytes.
    pub fn close(self: &Arc<Self>, code: u16, reason: &str) -> Result<bool, Error> {
        check_close(code, reason)?;
        self.stop_connecting();
        let Some(mut half) = self.send_half() else { return Ok(false) };
        match self.state() {
            State::Connecting => {
                half.give_up(self);
                Ok(false)
            }
            State::Open => {
                half.close(self, code, reason);
                Ok(true)
            }
            State::Closing | State::Closed => Ok(false),
        }
    }

    /// Drops TCP at once (close code 1006), or gives up connecting.
    pub fn abort(self: &Arc<Self>) {
        self.stop_connecting();
        let Some(mut half) = self.send_half() else { return };
        half.give_up(self);
    }

    /// Fails the connection if it is to be, and what came before the violation was delivered.
    pub(super) fn fail_delivered(self: &Arc<Self>) {
        let bits = self.word.get();
        if bits.has(FAILING)
            && !bits.has(HOLDS)
            && let Some(mut half) = self.send_half()
            && let Some(violation) = half.session.take_failing()
        {
            half.fail(self, &violation, Instant::now());
        }
    }

    /// Why nothing can be sent now.
    pub(super) fn not_open(&self) -> Error {
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

    /// The end, told once. `closed` says how it came.
    fn tell_closed(&self, closed: Closed) {
        if self.closed.set(closed).is_ok() {
            // A thread may be reading right now: what it brings would come behind OnClose.
            lock(&self.hold).end();
            self.word.set(ROOM_UNTOLD);
            self.word.set_state(State::Closed);
            // Last: whoever is told by these sees all of it.
            self.word.set(DUE_VISIT | NEWS);
        }
    }
}

fn check_close(code: u16, reason: &str) -> Result<(), Error> {
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
    Ok(())
}

impl SendHalf {
    /// Our Close: the closing handshake begins.
    fn close(&mut self, connection: &Arc<Connection>, code: u16, reason: &str) {
        let reactor = connection.reactor();
        let was_empty = self.session.pending().is_empty();
        self.session.close(code, reason, Instant::now());
        connection.word.set_state(State::Closing);
        connection.word.set(NEWS);
        let discarded = {
            let mut hold = lock(&connection.hold);
            connection.word.clear(HOLDS | HOLD_FULL);
            hold.discard()
        };
        // Freed outside of the lock.
        drop(discarded);
        let corked = reactor.is_dispatching_here();
        if corked && self.gather(connection, was_empty) != Writes::Caller {
            return;
        }
        self.write_out();
    }

    /// The server's Close, as the first or as the answer to ours.
    pub(super) fn close_came(&mut self, connection: &Arc<Connection>, frame: CloseFrame, now: Instant) {
        self.session.close_came(frame, now);
        if connection.state() == State::Open {
            connection.word.set_state(State::Closing);
        }
        connection.word.set(NEWS);
        self.write_out();
    }

    /// The server broke the protocol. Messages from before it are delivered first.
    pub(super) fn violated(&mut self, connection: &Arc<Connection>, violation: Violation, now: Instant) {
        let bits = connection.word.get();
        if bits.state() == State::Open && bits.has(HOLDS) {
            self.session.fails_later(violation, now);
            connection.word.set(FAILING);
            // Whoever took the last message before the mark was there saw none, and may be waiting already.
            if !connection.word.get().has(HOLDS)
                && let Some(violation) = self.session.take_failing()
            {
                self.fail(connection, &violation, now);
            }
        } else {
            self.fail(connection, &violation, now);
        }
    }

    /// Tells the server what it did, and be done with it.
    pub(super) fn fail(&mut self, connection: &Arc<Connection>, violation: &Violation, now: Instant) {
        self.session.fail(violation, now);
        self.write_out();
        let kind = if violation.is_too_big() { ErrorKind::MessageTooBig } else { ErrorKind::Protocol };
        let text = format!("{} was failed with {}: {violation}", connection.url(), violation.code);
        connection.tell_closed(Closed {
            code: violation.code,
            reason: String::new(),
            by_peer: false,
            error: Some(Error::new(kind, text)),
        });
    }

    /// TCP is gone.
    pub(super) fn lost(&mut self, connection: &Arc<Connection>, error: Option<io::Error>) {
        if let Some(violation) = self.session.take_failing() {
            self.fail(connection, &violation, Instant::now());
        }
        let closed = closing::after_tcp(connection.url(), self.session.closing.as_ref(), error);
        self.finish(connection, closed);
    }

    /// The program does not want it any more.
    fn give_up(&mut self, connection: &Arc<Connection>) {
        let connects = connection.state() == State::Connecting;
        if connects {
            // Whoever waits for the end of connecting hears of it.
            connection.word.set(OPENED_UNTOLD);
        }
        let kind = if connects { ErrorKind::Cancelled } else { ErrorKind::Lost };
        let error = Error::new(kind, format!("{} was aborted by the program", connection.url()));
        self.finish(connection, Closed::abnormally(error));
    }

    /// Drops the socket and says how it ended, if that was not said before.
    pub(super) fn finish(&mut self, connection: &Arc<Connection>, closed: Closed) {
        if let Some(mut writer) = self.writer.take() {
            writer.shutdown();
            drop(writer);
            self.source = None;
            self.session.end();
            connection.word.clear(ATTACHED | UNREAD | GATHERED);
        }
        connection.tell_closed(closed);
    }
}

impl Reactor {
    /// Starts closing every connection with 1001 and turns until all are closed or `until`; the rest are aborted.
    pub fn close_all(&self, until: Instant) {
        self.guests().into_iter().for_each(Guest::abort);
        let connections = self.open_connections();
        for connection in &connections {
            // 1001 may be sent and an empty reason fits: there is nothing to fail.
            let _ = connection.close(1001, "");
        }
        self.turn_until(until, &|| connections.iter().all(|connection| connection.closed().is_some()));
        connections.iter().for_each(Connection::abort);
    }
}
