//! What the thread that turns the reactor does when there is something to read.

use std::io;
use std::ops::ControlFlow;

use super::{Connection, ReceiveHalf, Scope};
use crate::options::HeldLimit;
use crate::session::receive::{Brought, Control, Share};
use crate::session::word::{DUE_VISIT, HOLD_FULL, HOLDS, HUNG_UP, NEWS, State};
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, Instant, lock};

/// Reads of one connection in one turn, so that a flood does not starve the others.
const READS_A_TURN: usize = 8;

impl Connection {
    /// Reads what the socket has, no more than this connection's share of the turn.
    pub(super) fn read(self: &Arc<Self>, buffer: &mut [u8], hangup: bool, now: Instant) {
        if hangup {
            self.word.set(HUNG_UP);
        }
        let mut half = self.receive_half();
        let mut share = self.share();
        let mut bytes = 0;
        // Nothing is begun that could not be held: whether reading waits is asked before each read.
        for _ in 0..READS_A_TURN {
            if self.word.get().is_paused() {
                break;
            }
            let read = self.read_once(&mut half, buffer, &share, now);
            if half.reader.as_ref().is_some_and(|reader| reader.owes_write()) {
                // Also where reading failed: an alert tells the server why.
                self.send_half_inside().write_out();
            }
            match read {
                Ok(ControlFlow::Continue(count)) => {
                    bytes += count;
                    // Large messages: what is read now is in the caches now, so that it is delivered first.
                    if !self.hold_what_was_read(&mut half, &mut share, now) || bytes >= buffer.len() {
                        break;
                    }
                }
                Ok(ControlFlow::Break(())) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.hold_what_was_read(&mut half, &mut share, now);
                    self.send_half_inside().lost(self, Some(error));
                    break;
                }
            }
        }
        self.hold_what_was_read(&mut half, &mut share, now);
    }

    /// How much may be taken in.
    fn share(&self) -> Share {
        let bits = self.word.get();
        let discards = bits.state() != State::Open;
        let room = if discards || bits.may_drop() {
            None
        } else {
            let HeldLimit { messages, bytes } = self.max_held;
            let held = lock(&self.hold).size();
            // Where nobody has come yet, not one message more than the hold takes is looked at: it may be long until somebody
            // does. Who takes messages gets along with a full read of small ones.
            let messages = if bits.is_wanted() { usize::MAX } else { messages.saturating_sub(held.messages) };
            Some(HeldLimit { messages, bytes: bytes.saturating_sub(held.bytes) })
        };
        Share::of_a_turn(room, discards)
    }

    /// One read. `Continue`: there may be more, after so many bytes.
    fn read_once(
        self: &Arc<Self>,
        half: &mut Scope<'_, ReceiveHalf>,
        buffer: &mut [u8],
        share: &Share,
        now: Instant,
    ) -> io::Result<ControlFlow<(), usize>> {
        let ReceiveHalf { session, reader } = &mut **half;
        let Some(reader) = reader else { return Ok(ControlFlow::Break(())) };
        let mut answered = false;
        let mut control = |control| answered |= self.take_control(control);
        let (count, room, brought) = if session.has_unread() {
            let (count, brought) = session.take_unread(share, &mut control);
            (count, count, brought)
        } else if let Some((target, room)) = session.read_target() {
            let count = reader.read_append(target, room)?;
            let brought = if count > 0 { session.filled(count, share) } else { Brought::default() };
            (count, room, brought)
        } else if let Some(chunk) = session.chunk() {
            let room = chunk.len();
            let read = reader.read(chunk);
            let count = *read.as_ref().unwrap_or(&0);
            // Also where nothing came: then the chunk goes back.
            let brought = session.take_in_chunk(count, share, &mut control);
            (read?, room, brought)
        } else {
            let count = reader.read(buffer)?;
            let brought = session.take_in(&buffer[..count], share, &mut control);
            (count, buffer.len(), brought)
        };
        if count == 0 {
            // What came before the end is held first.
            self.hold_now(half, now);
            self.send_half_inside().lost(self, None);
            return Ok(ControlFlow::Break(()));
        }
        self.heard.store(self.reactor.nanos(now), Ordering::Relaxed);
        // A read that did not fill its room has emptied the socket: it will say so when there is more.
        let more = count == room || reader.has_buffered() || session.has_unread();
        let Brought { close, violation } = brought;
        if self.state() != State::Open {
            self.send_half_inside().session.heard(count, now);
        }
        if close.is_some() || violation.is_some() || answered {
            self.hold_now(half, now);
            let mut send = self.send_half_inside();
            if let Some(frame) = close {
                send.close_came(self, frame, now);
            }
            if let Some(violation) = violation {
                send.violated(self, violation, now);
            } else {
                send.write_out();
            }
        }
        Ok(if more { ControlFlow::Continue(count) } else { ControlFlow::Break(()) })
    }

    /// A ping or a pong of the server's. True when an answer is to be written.
    fn take_control(self: &Arc<Self>, control: Control) -> bool {
        let mut send = self.send_half_inside();
        match control {
            Control::Ping(payload) => send.session.ping_came(payload),
            Control::Pong(payload) => {
                // The turn may have begun before its ping was sent, by another thread.
                let now = Instant::now();
                if let Some((number, round_trip)) = send.session.pong_came((*payload).as_ref(), now) {
                    let nanos = u64::try_from(round_trip.as_nanos()).unwrap_or(u64::MAX - 1);
                    self.latency.store(nanos + 1, Ordering::SeqCst);
                    self.answered.store(number, Ordering::SeqCst);
                    self.word.set(DUE_VISIT | NEWS);
                }
                false
            }
        }
    }

    /// Hands over what was read, and takes it off the share. False: the share is used up.
    fn hold_what_was_read(&self, half: &mut ReceiveHalf, share: &mut Share, now: Instant) -> bool {
        let goes_on = share.take(half.session.batch.size());
        self.hold_now(half, now);
        goes_on
    }

    /// Hands over what was read to whoever takes it.
    fn hold_now(&self, half: &mut ReceiveHalf, now: Instant) {
        if half.session.batch.is_empty() {
            return;
        }
        let bits = self.word.get();
        let is_untold = {
            let mut hold = lock(&self.hold);
            if !hold.append(&mut half.session.batch, bits.may_drop()) || hold.is_empty() {
                return;
            }
            self.word.set(HOLDS);
            if hold.is_full() && !self.word.set(HOLD_FULL).has(HOLD_FULL) && !bits.is_wanted() {
                self.hold_for_a_while(now);
            }
            hold.is_drop_untold()
        };
        self.deadlines.note_message(self);
        if is_untold || self.word.get().reports_messages() {
            self.word.set(DUE_VISIT);
        }
    }
}
