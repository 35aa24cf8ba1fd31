//! The server's direction of one connection after its opening handshake: bytes in, events out.
//!
//! What it joins: `frame` reads headers, `message` puts fragments together, `control` and `close` keep the rest. It knows
//! nothing of what we send: whoever drives it passes what the server is owed on to a [`crate::Sender`].

use std::borrow::Cow;
use std::fmt;

use crate::close;
use crate::control::ControlPayload;
use crate::deflate::{DeflateAgreed, Inflater};
use crate::error::Violation;
use crate::event::{Event, MessageKind, Piece};
use crate::frame::{Header, MAX_SERVER_HEADER, Opcode};
use crate::limits::Limits;
use crate::message::{Assembly, Finished};
use crate::utf8;

/// A frame of which more than this is missing may be read straight to where its message will live. Inputs of a fuzzer are
/// small.
const LARGE: u64 = if cfg!(fuzzing) { 64 } else { 16 << 10 };

/// Where the rest of a large frame may be read to.
#[derive(Debug)]
pub struct ReadTarget<'a> {
    /// Append to it.
    pub buffer: &'a mut Vec<u8>,
    /// At the most so many bytes; the buffer has room for them.
    pub max: usize,
}

/// Reads what a server sends. Bytes are not waited for: they are given to it as they come.
///
/// The order of calls, for every portion of bytes that arrives:
/// 1. While [`Receiver::read_target`] has a place, the portion may be read straight to it; then [`Receiver::filled`] is
///    called with the number of bytes, and the portion is done with.
/// 2. Otherwise the portion is given to [`Receiver::receive`] again and again until that returns `None`; each time
///    [`Receiver::receive_small`] may be asked first. [`Receiver::lend`] and [`Receiver::take_back`] stand around this.
/// 3. For [`Event::Ping`], [`crate::Sender::owe_pong`] is called; for [`Event::Close`], [`crate::Sender::owe_close`]; for a
///    violation, [`crate::Sender::fail`].
///
/// After the server's Close and after a violation it is deaf: every byte is taken and none means anything. At rest
/// [`Receiver::idle`] may be called at any time; [`Receiver::end`] once, when TCP has ended.
pub struct Receiver {
    limits: Limits,
    /// No byte of the server's counts any more: its Close was received, or it broke the protocol.
    deaf: bool,
    /// The beginning of a frame header that is not complete.
    head: [u8; MAX_SERVER_HEADER],
    head_len: usize,
    /// The frame whose payload is being received.
    frame: Option<Partial>,
    message: Assembly,
    /// The payload of a control frame that is not complete.
    control: Option<Box<ControlPayload>>,
    /// The next message, or the one under way, is reported as far as it has come.
    pieces: bool,
    /// Where permessage-deflate was agreed.
    inflater: Option<Box<Inflater>>,
}

#[derive(Clone, Copy, Debug)]
struct Partial {
    opcode: Opcode,
    fin: bool,
    missing: u64,
}

/// Without the bytes of a message that is under way: a debug form may end in a log.
impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("limits", &self.limits)
            .field("deaf", &self.deaf)
            .field("frame", &self.frame)
            .field("partial_len", &self.partial_len())
            .field("inflater", &self.inflater)
            .finish_non_exhaustive()
    }
}

impl Receiver {
    /// For a connection whose opening handshake is over, with what it agreed about compression.
    pub fn new(limits: Limits, deflate: Option<DeflateAgreed>) -> Self {
        Self {
            limits,
            deaf: false,
            head: [0; MAX_SERVER_HEADER],
            head_len: 0,
            frame: None,
            message: Assembly::default(),
            control: None,
            pieces: false,
            inflater: deflate.map(|agreed| Box::new(Inflater::new(agreed))),
        }
    }

    /// Takes the next event out of `input`, which moves on; `None`: all of it was taken. A whole message in one frame is
    /// borrowed from the input, and ends where the input begins then. After the server's Close, and after a violation, every byte is taken and ignored.
    ///
    /// # Errors
    /// What the server did wrong: give it to [`crate::Sender::fail`].
    pub fn receive<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, Violation> {
        let event = self.next_event(input);
        if event.is_err() {
            self.go_deaf();
        }
        event
    }

    /// The common case of [`Receiver::receive`], in registers: an uncompressed message of up to 125 bytes, whole, in one
    /// frame. `None`: nothing was taken, and `receive` says what comes. (A flood of small messages: 15 ns of each.)
    #[inline]
    pub fn receive_small<'a>(&mut self, input: &mut &'a [u8]) -> Option<(MessageKind, bool, &'a [u8])> {
        let [first @ (0x81 | 0x82), len @ 0..=125, rest @ ..] = *input else { return None };
        let len = usize::from(*len);
        let between = !self.deaf && self.frame.is_none() && self.head_len == 0 && self.message.is_between();
        let most = self.limits.max_fragment_size.min(self.limits.max_message_size);
        if !between || len > rest.len() || len > most {
            return None;
        }
        let (payload, rest) = rest.split_at(len);
        let (kind, ascii) = match first {
            0x82 => (MessageKind::Binary, false),
            _ if payload.is_ascii() => (MessageKind::Text, true),
            _ if utf8::is_valid(payload) => (MessageKind::Text, false),
            _ => return None,
        };
        *input = rest;
        self.pieces = false;
        Some((kind, ascii, payload))
    }

    fn go_deaf(&mut self) {
        self.deaf = true;
        self.frame = None;
        self.message = Assembly::default();
        self.control = None;
    }

    fn next_event<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, Violation> {
        loop {
            if self.deaf {
                *input = &[];
                return Ok(None);
            }
            if let Some(frame) = self.frame {
                match self.take_payload(frame, input)? {
                    Some(event) => return Ok(Some(event)),
                    None if input.is_empty() => return Ok(None),
                    None => continue,
                }
            }
            let (header, rest) = if self.head_len == 0 {
                match Header::parse(input, self.inflater.is_some())? {
                    Some((header, size)) => (header, &input[size..]),
                    None => {
                        self.head[..input.len()].copy_from_slice(input);
                        self.head_len = input.len();
                        *input = &[];
                        return Ok(None);
                    }
                }
            } else {
                match self.complete_header(input)? {
                    Some(header) => (header, *input),
                    None => return Ok(None),
                }
            };
            *input = rest;
            let Header { fin, opcode, len, compressed } = header;
            if !opcode.is_control() {
                self.message.check(&header, &self.limits)?;
                if fin && opcode != Opcode::Continuation && len <= input.len() as u64 {
                    // The common case: a whole message in one frame, and all of it is here.
                    let (payload, rest) = input.split_at(len as usize);
                    *input = rest;
                    self.pieces = false;
                    let message = match &mut self.inflater {
                        Some(inflater) if compressed => {
                            let limit = self.limits.max_message_size;
                            Assembly::whole_compressed(&header, payload, inflater, limit)?
                        }
                        _ => Assembly::whole(opcode, Cow::Borrowed(payload))?,
                    };
                    return Ok(Some(Event::Message(message)));
                }
                self.message.begin(&header);
            }
            self.frame = Some(Partial { opcode, fin, missing: len });
        }
    }

    /// Goes on with a header whose beginning came earlier, a byte at a time: there are ten at the most.
    fn complete_header(&mut self, input: &mut &[u8]) -> Result<Option<Header>, Violation> {
        while let Some((first, rest)) = input.split_first() {
            self.head[self.head_len] = *first;
            self.head_len += 1;
            *input = rest;
            if let Some((header, _)) = Header::parse(&self.head[..self.head_len], self.inflater.is_some())? {
                self.head_len = 0;
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// Takes what `input` has of the payload of `frame`, the one that is under way; an event when that completes something.
    fn take_payload(
        &mut self,
        frame: Partial,
        input: &mut &[u8],
    ) -> Result<Option<Event<'static>>, Violation> {
        let count = usize::try_from(frame.missing).unwrap_or(usize::MAX).min(input.len());
        let (piece, rest) = input.split_at(count);
        *input = rest;
        let missing = frame.missing - count as u64;
        self.frame = Some(Partial { missing, ..frame });
        let (opcode, complete) = (frame.opcode, missing == 0);
        if opcode.is_control() {
            let mut payload = match self.control.take() {
                Some(payload) => payload,
                None => Box::new(ControlPayload::new(b"").unwrap_or_else(|| unreachable!("nothing fits"))),
            };
            payload.append(piece);
            if !complete {
                self.control = Some(payload);
                return Ok(None);
            }
            self.frame = None;
            return self.control_event(opcode, payload).map(Some);
        }
        let inflater = self.inflater.as_deref_mut();
        self.message.push(piece, missing, inflater, self.limits.max_message_size)?;
        self.end_of_data(complete)
    }

    /// What there is to report after some of a data frame's payload. `complete`: the frame ends here.
    fn end_of_data(&mut self, complete: bool) -> Result<Option<Event<'static>>, Violation> {
        if let Some(frame) = self.frame.filter(|_| complete) {
            self.frame = None;
            if frame.fin {
                self.pieces = false;
                let inflater = self.inflater.as_deref_mut();
                let finished = self.message.finish(inflater, self.limits.max_message_size)?;
                return Ok(finished.map(|finished| match finished {
                    Finished::Message(message) => Event::Message(message),
                    Finished::Piece(piece) => Event::Piece(piece),
                }));
            }
        }
        let piece = if self.pieces { self.message.take_piece() } else { None };
        Ok(piece.map(Event::Piece))
    }

    fn control_event(
        &mut self,
        opcode: Opcode,
        payload: Box<ControlPayload>,
    ) -> Result<Event<'static>, Violation> {
        match opcode {
            Opcode::Close => {
                let frame = close::parse((*payload).as_ref())?;
                self.go_deaf();
                Ok(Event::Close(frame))
            }
            Opcode::Ping => Ok(Event::Ping(payload)),
            _ => Ok(Event::Pong(payload)),
        }
    }

    /// While much of a data frame's payload is missing: where its next bytes may be read straight to.
    pub fn read_target(&mut self) -> Option<ReadTarget<'_>> {
        let frame = self.frame.filter(|frame| !frame.opcode.is_control() && frame.missing > LARGE)?;
        let (buffer, max) = self.message.target(frame.missing)?;
        Some(ReadTarget { buffer, max })
    }

    /// Bytes were appended to the target; `Some` when they complete a message.
    ///
    /// # Errors
    /// As [`Receiver::receive`].
    pub fn filled(&mut self, count: usize) -> Result<Option<Event<'static>>, Violation> {
        let filled = self.fill(count);
        if filled.is_err() {
            self.go_deaf();
        }
        filled
    }

    fn fill(&mut self, count: usize) -> Result<Option<Event<'static>>, Violation> {
        let Some(frame) = &mut self.frame else {
            return Ok(None);
        };
        frame.missing = frame.missing.saturating_sub(count as u64);
        let complete = frame.missing == 0;
        self.message.validate()?;
        self.end_of_data(complete)
    }

    /// Gives an empty buffer for the next message that does not come whole, so that none has to be made for it.
    pub fn lend(&mut self, buffer: Vec<u8>) {
        self.message.spare = buffer;
    }

    /// Takes back what was lent; without room if it was needed.
    pub fn take_back(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.message.spare)
    }

    /// Bytes that are held of a message that has begun and is not complete.
    pub fn partial_len(&self) -> usize {
        self.message.len()
    }

    /// Has one message, the one under way or the next, reported in pieces as they arrive. One that comes whole in its only
    /// frame is still an [`Event::Message`]; the limits count all the same. False takes it back.
    pub fn report_pieces(&mut self, pieces: bool) {
        self.pieces = pieces;
    }

    /// What has come of the message under way and was not reported yet.
    pub fn take_piece(&mut self) -> Option<Piece> {
        self.message.take_piece()
    }

    /// Gives back what a connection at rest does not need.
    pub fn idle(&mut self) {
        if let Some(inflater) = &mut self.inflater {
            inflater.release();
        }
    }

    /// TCP has ended: gives back the message under way and all else that only a connection needs.
    pub fn end(&mut self) {
        self.go_deaf();
        self.inflater = None;
    }
}
