//! The receiving half of a session: bytes in, messages and control frames out.
//!
//! Whoever turns the reactor gives it bytes and takes what they brought. Messages gather in a [`Batch`] of its own, so that
//! no lock is held while a message is inflated; control frames are handed on at once, in the order in which they came. How
//! far it may go is told beforehand, in a [`Share`]: one connection takes no more than its share of a turn, and no more is
//! held than may be. Bytes beyond that are kept, and are the first of the next read.
//!
//! Bytes are read into the buffer that all connections share, and messages are copied out of it. While large ones come, they
//! are read into a [`Chunk`] that the messages may stay in.

use sunsocket_wire::{CloseFrame, ControlPayload, DeflateAgreed, Event, Limits, Receiver, Violation};

use super::batch::{Batch, InChunk, SMALL};
use super::buffer_pool::BufferPool;
use super::chunk::{Chunk, Unread};
use crate::options::HeldLimit;
use crate::sync::Arc;

/// A portion of so many bytes may have the beginning of a large message in it: a spare buffer is lent for that.
const LENDS_FROM: usize = 1 << 10;
/// What one connection may take in in one turn: messages, and bytes of them. Beyond it others have their turn.
const SHARE: HeldLimit = HeldLimit { messages: 4096, bytes: 256 << 10 };

/// How far reading may go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    /// What may still be taken in in this turn.
    pub(crate) left: HeldLimit,
    /// What may still be held: no message is begun where the one before has reached it. `None`: the oldest are dropped, or
    /// nothing is held at all.
    pub(crate) room: Option<HeldLimit>,
    /// Messages are thrown away: the closing handshake has begun.
    pub(crate) discards: bool,
}

impl Share {
    /// That of a turn. `room`: what may still be held.
    pub(crate) fn of_a_turn(room: Option<HeldLimit>, discards: bool) -> Self {
        Self { left: SHARE, room, discards }
    }

    /// So much was taken in. False: the share is used up.
    pub(crate) fn take(&mut self, taken: HeldLimit) -> bool {
        self.left = self.left.less(taken);
        self.room = self.room.map(|room| room.less(taken));
        !self.is_used_up(HeldLimit { messages: 0, bytes: 0 })
    }

    /// Whether one more message may be looked at.
    fn is_used_up(&self, taken: HeldLimit) -> bool {
        self.left.is_reached(taken) || self.room.is_some_and(|room| room.is_reached(taken))
    }
}

/// What a portion of bytes brought beside messages.
#[derive(Debug, Default)]
pub(crate) struct Brought {
    /// The server's Close. Nothing counts behind it.
    pub(crate) close: Option<CloseFrame>,
    /// What the server did wrong. Nothing counts behind it.
    pub(crate) violation: Option<Violation>,
}

/// A ping or a pong.
#[derive(Debug)]
pub(crate) enum Control {
    Ping(Box<ControlPayload>),
    Pong(Box<ControlPayload>),
}

#[derive(Debug)]
pub(crate) struct Receiving {
    wire: Receiver,
    /// What was read and is not in the hold yet.
    pub(crate) batch: Batch,
    /// Read and not looked at.
    unread: Unread,
    /// Large messages make up most of what comes.
    expects_large: bool,
    /// What is being read into for their sake.
    chunk: Option<Arc<Chunk>>,
    pool: Arc<BufferPool>,
}

impl Receiving {
    pub(crate) fn new(limits: Limits, deflate: Option<DeflateAgreed>, pool: Arc<BufferPool>) -> Self {
        Self {
            wire: Receiver::new(limits, deflate),
            batch: Batch::new(Arc::clone(&pool)),
            unread: Unread::default(),
            expects_large: false,
            chunk: None,
            pool,
        }
    }

    /// Whether bytes are kept that were not looked at.
    pub(crate) fn has_unread(&self) -> bool {
        !self.unread.is_empty()
    }

    /// Bytes that came with the response to the opening handshake: the first frames, perhaps.
    pub(crate) fn keep(&mut self, leftover: Vec<u8>) {
        self.unread = Unread::own(leftover);
    }

    /// Where the next bytes may be read straight to: the buffer, and how many. They are told by [`Receiving::filled`].
    pub(crate) fn read_target(&mut self) -> Option<(&mut Vec<u8>, usize)> {
        if self.has_unread() {
            return None;
        }
        self.wire.read_target().map(|target| (target.buffer, target.max))
    }

    /// While large messages come and no target is told: where the next bytes are to be read to. Whatever comes of reading,
    /// [`Receiving::take_in_chunk`] is to be called.
    pub(crate) fn chunk(&mut self) -> Option<&mut [u8]> {
        if !self.expects_large {
            return None;
        }
        let chunk = self.chunk.get_or_insert_with(|| self.pool.take_chunk());
        Arc::get_mut(chunk).map(Chunk::bytes_mut)
    }

    /// So many bytes were read straight to the target.
    pub(crate) fn filled(&mut self, count: usize, share: &Share) -> Brought {
        let mut brought = Brought::default();
        match self.wire.filled(count) {
            Ok(Some(Event::Message(message))) if !share.discards => self.batch.push(message),
            Ok(Some(Event::Piece(piece))) if !share.discards => self.batch.push_piece(piece),
            Ok(_) => {}
            Err(violation) => brought.violation = Some(violation),
        }
        brought
    }

    /// Takes in what was kept; says how many bytes that were.
    pub(crate) fn take_unread(
        &mut self,
        share: &Share,
        control: &mut dyn FnMut(Control),
    ) -> (usize, Brought) {
        let mut unread = std::mem::take(&mut self.unread);
        let (left, brought) = self.look_at(unread.bytes(), unread.chunk(), share, control);
        let count = unread.len() - left;
        if left > 0 {
            unread.keep_last(left);
            self.unread = unread;
        } else if let Some(chunk) = unread.into_chunk() {
            self.pool.give_chunk(chunk);
        }
        (count, brought)
    }

    /// Takes in bytes that have just come.
    pub(crate) fn take_in(
        &mut self,
        bytes: &[u8],
        share: &Share,
        control: &mut dyn FnMut(Control),
    ) -> Brought {
        let (left, brought) = self.look_at(bytes, None, share, control);
        if left > 0 {
            self.unread = Unread::own(bytes[bytes.len() - left..].to_vec());
        }
        brought
    }

    /// The same for bytes that are the first `count` of the chunk.
    pub(crate) fn take_in_chunk(
        &mut self,
        count: usize,
        share: &Share,
        control: &mut dyn FnMut(Control),
    ) -> Brought {
        let Some(chunk) = self.chunk.take() else { return Brought::default() };
        let bytes = &chunk.bytes()[..count];
        let (left, brought) = self.look_at(bytes, Some((&chunk, count)), share, control);
        // Where messages stay in the chunk, that is kept anyway.
        if left > 0 && (left >= Chunk::WORTH || Arc::strong_count(&chunk) > 1) {
            self.unread = Unread::in_chunk(chunk, count - left..count);
        } else {
            if left > 0 {
                self.unread = Unread::own(bytes[count - left..].to_vec());
            }
            self.pool.give_chunk(chunk);
        }
        brought
    }

    /// Everything that `bytes` bring, and how many of them were not looked at because the share was used up. `place`: what
    /// they were read into, if that is a chunk, and where in it they end.
    fn look_at(
        &mut self,
        bytes: &[u8],
        place: Option<InChunk<'_>>,
        share: &Share,
        control: &mut dyn FnMut(Control),
    ) -> (usize, Brought) {
        let mut input = bytes;
        let before = self.batch.size();
        let mut large = 0;
        let mut brought = Brought::default();
        let lends = bytes.len() >= LENDS_FROM;
        if lends {
            self.wire.lend(self.pool.take(usize::MAX));
        }
        while !share.is_used_up(self.batch.size()) {
            if let Some((kind, ascii, payload)) = self.wire.receive_small(&mut input) {
                if !share.discards {
                    self.batch.push_small(kind, ascii, payload);
                }
                continue;
            }
            match self.wire.receive(&mut input) {
                Ok(None) => break,
                Ok(Some(Event::Message(message))) if !share.discards => {
                    // One that is borrowed from the input ends where that begins now.
                    let place = place.map(|(chunk, end)| (chunk, end - input.len()));
                    large += self.batch.push_read(message, place);
                }
                Ok(Some(Event::Piece(piece))) if !share.discards => self.batch.push_piece(piece),
                Ok(Some(Event::Message(_) | Event::Piece(_))) => {}
                Ok(Some(Event::Ping(payload))) => control(Control::Ping(payload)),
                Ok(Some(Event::Pong(payload))) => control(Control::Pong(payload)),
                Ok(Some(Event::Close(frame))) => brought.close = Some(frame),
                Err(violation) => {
                    brought.violation = Some(violation);
                    break;
                }
            }
        }
        if lends {
            self.pool.give(self.wire.take_back());
        }
        if place.is_some() && (1..Chunk::WORTH).contains(&large) {
            self.batch.unpin(before.messages);
        }
        self.expect(large, before);
        // Behind a violation nothing is looked at any more, whatever is left.
        let left = if brought.violation.is_some() { 0 } else { input.len() };
        (left, brought)
    }

    /// What comes next is like what came: messages of so many bytes that were large and came whole, among all that ended.
    /// The beginning of one says nothing, nor does the end of a large one alone.
    fn expect(&mut self, large: usize, before: HeldLimit) {
        let HeldLimit { messages, bytes } = self.batch.size().less(before);
        if large > 0 {
            self.expects_large = 2 * large >= bytes;
        } else if messages > 0 && bytes / messages <= SMALL {
            self.expects_large = false;
        }
    }

    /// Has one message reported in pieces; what has come of it already is the first.
    pub(crate) fn report_pieces(&mut self) {
        self.wire.report_pieces(true);
        if let Some(piece) = self.wire.take_piece() {
            self.batch.push_piece(piece);
        }
    }

    /// The rest of it is not wanted in pieces.
    pub(crate) fn report_whole(&mut self) {
        self.wire.report_pieces(false);
    }

    /// Gives back what a connection at rest does not need.
    pub(crate) fn rest(&mut self) {
        self.wire.idle();
        if self.unread.chunk().is_some() && self.unread.len() < Chunk::WORTH {
            self.unread = Unread::own(self.unread.bytes().to_vec());
        }
    }

    /// TCP has ended: gives back all that only a connection needs.
    pub(crate) fn end(&mut self) {
        self.wire.end();
        self.unread = Unread::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: HeldLimit = HeldLimit { messages: 1 << 20, bytes: 1 << 30 };

    fn receiving() -> Receiving {
        Receiving::new(Limits::default(), None, Arc::default())
    }

    fn texts(receiving: &mut Receiving) -> Vec<String> {
        let text =
            |message: sunsocket_wire::Message<'_>| String::from_utf8(message.payload.to_vec()).expect("text");
        std::iter::from_fn(|| receiving.batch.pop(text).map(|(text, _)| text)).collect()
    }

    fn frames(count: usize) -> Vec<u8> {
        (0..count)
            .flat_map(|number| [0x81, 2, b'0' + (number / 10) as u8, b'0' + (number % 10) as u8])
            .collect()
    }

    #[test]
    fn one_connection_takes_no_more_than_its_share_of_a_turn() {
        let mut receiving = receiving();
        let share = Share { left: HeldLimit { messages: 10, ..ALL }, room: None, discards: false };
        let mut seen = Vec::new();
        receiving.take_in(&frames(25), &share, &mut |_| ());
        seen.push(texts(&mut receiving).len());
        while receiving.has_unread() {
            receiving.take_unread(&share, &mut |_| ());
            seen.push(texts(&mut receiving).len());
        }
        assert_eq!(seen, [10, 10, 5]);
    }

    #[test]
    fn what_may_not_be_held_is_kept_as_bytes_with_the_control_frames_behind_it() {
        let mut receiving = receiving();
        let room = HeldLimit { messages: 2, ..ALL };
        let bytes = [&frames(3)[..], &[0x89, 1, b'p']].concat();
        let mut pings = 0;
        let share = Share::of_a_turn(Some(room), false);
        receiving.take_in(&bytes, &share, &mut |_| pings += 1);
        assert_eq!((texts(&mut receiving), pings), (vec!["00".to_owned(), "01".to_owned()], 0));
        let (count, _) = receiving.take_unread(&share, &mut |_| pings += 1);
        assert_eq!((texts(&mut receiving), pings, count), (vec!["02".to_owned()], 1, 7));
        assert!(!receiving.has_unread());
    }

    #[test]
    fn a_message_that_inflates_beyond_the_bound_is_the_last_that_is_looked_at() {
        let mut receiving = receiving();
        let large = [&[0x81, 126, 0x10, 0][..], &[b'x'; 0x1000], &frames(1)].concat();
        let share = Share::of_a_turn(Some(HeldLimit { messages: 10, bytes: 1000 }), false);
        receiving.take_in(&large, &share, &mut |_| ());
        assert_eq!(texts(&mut receiving).len(), 1);
        assert!(receiving.has_unread());
    }

    #[test]
    fn nothing_behind_a_violation_counts() {
        let mut receiving = receiving();
        let bytes = [&frames(1)[..], &[0xff, 0], &frames(1)].concat();
        let brought = receiving.take_in(&bytes, &Share::of_a_turn(None, false), &mut |_| ());
        assert_eq!(brought.violation.map(|violation| violation.code), Some(1002));
        assert_eq!(texts(&mut receiving), ["00"]);
        assert!(!receiving.has_unread());
    }

    #[test]
    fn messages_are_thrown_away_once_the_closing_handshake_has_begun() {
        let mut receiving = receiving();
        let bytes = [&frames(2)[..], &[0x88, 2, 3, 0xe8]].concat();
        let brought = receiving.take_in(&bytes, &Share::of_a_turn(None, true), &mut |_| ());
        assert!(texts(&mut receiving).is_empty());
        assert_eq!(brought.close.map(|frame| frame.code), Some(1000));
    }
}
