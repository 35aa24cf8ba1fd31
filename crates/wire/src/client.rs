//! One connection after its opening handshake: bytes in, events out; messages in, bytes to write out.
//!
//! How to drive it:
//! - give every byte that arrives to [`Client::receive`] and take events until it returns `None`;
//! - while [`Client::read_target`] has a place, the next bytes may be read straight into it, then [`Client::filled`];
//! - after that, [`Client::transmit`] appends the answers that are owed to the server;
//! - [`Client::send`], [`Client::ping`], [`Client::close`] and [`Client::fail`] append one frame each.
//!
//! What it joins: `frame` reads headers, `message` puts fragments together, `control` and `close` keep the rest.

use std::borrow::Cow;

use crate::close;
use crate::control::ControlPayload;
use crate::deflate::{Compressor, Decompressor, DeflateAgreed, WORTH_IT};
use crate::error::Violation;
use crate::event::{Event, MessageKind, Piece};
use crate::frame::{self, Header, MAX_SERVER_HEADER, Opcode};
use crate::limits::Limits;
use crate::message::{Assembly, Finished};
use crate::utf8;

/// A frame of which more than this is missing may be read straight to where its message will live. Inputs of a fuzzer are
/// small.
const LARGE: u64 = if cfg!(fuzzing) { 64 } else { 16 << 10 };

/// How far the closing handshake is (RFC 6455 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Neither side has said Close.
    Open,
    /// We have, and wait for the server's.
    CloseSent,
    /// The server has, and `transmit` owes the answer.
    CloseReceived,
    /// Both have, or the connection was failed.
    Closed,
}

/// Where the rest of a large frame may be read to.
#[derive(Debug)]
pub struct ReadTarget<'a> {
    /// Append to it.
    pub buffer: &'a mut Vec<u8>,
    /// At the most so many bytes; the buffer has room for them.
    pub max: usize,
}

/// The framing state of one connection.
#[derive(Debug)]
pub struct Client {
    limits: Limits,
    state: State,
    /// No byte of the server's counts any more: its Close was received or the connection was failed.
    deaf: bool,
    /// The beginning of a frame header that is not complete.
    head: [u8; MAX_SERVER_HEADER],
    head_len: usize,
    /// The frame whose payload is being received.
    frame: Option<Partial>,
    message: Assembly,
    /// The payload of a control frame that is not complete.
    control: Option<Box<ControlPayload>>,
    /// The newest ping that was not answered: an older one needs no answer of its own (5.5.3).
    ping: Option<Box<ControlPayload>>,
    /// The code of the server's Close that `transmit` is to echo.
    echo: Option<u16>,
    /// The next message, or the one under way, is reported as far as it has come.
    pieces: bool,
    /// A message of ours is being sent in pieces; whether it is compressed.
    sending: Option<bool>,
    deflate: Option<Box<Deflate>>,
}

/// permessage-deflate in both directions, where it was agreed.
#[derive(Debug)]
struct Deflate {
    compressor: Compressor,
    decompressor: Decompressor,
}

#[derive(Clone, Copy, Debug)]
struct Partial {
    opcode: Opcode,
    fin: bool,
    missing: u64,
}

impl Client {
    /// A connection whose opening handshake is over, with what it agreed about compression.
    pub fn new(limits: Limits, deflate: Option<DeflateAgreed>) -> Self {
        let deflate = deflate.map(|agreed| {
            Box::new(Deflate { compressor: Compressor::new(agreed), decompressor: Decompressor::new(agreed) })
        });
        Self {
            limits,
            state: State::Open,
            deaf: false,
            head: [0; MAX_SERVER_HEADER],
            head_len: 0,
            frame: None,
            message: Assembly::default(),
            control: None,
            ping: None,
            echo: None,
            pieces: false,
            sending: None,
            deflate,
        }
    }

    /// How far the closing handshake is.
    pub fn state(&self) -> State {
        self.state
    }

    // ---- receiving

    /// Takes the next event out of `input`, which moves on; `None`: all of it was taken. A whole message in one frame is
    /// borrowed from the input. After the server's Close, and after a violation, every byte is taken and ignored.
    ///
    /// # Errors
    /// What the server did wrong: give it to [`Client::fail`].
    pub fn receive<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Event<'a>>, Violation> {
        let event = self.next_event(input);
        if event.is_err() {
            self.go_deaf();
        }
        event
    }

    /// The common case of [`Client::receive`], in registers: an uncompressed message of up to 125 bytes, whole, in one
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
                match Header::parse(input, self.deflate.is_some())? {
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
                    let message = match &mut self.deflate {
                        Some(deflate) if compressed => {
                            let limit = self.limits.max_message_size;
                            Assembly::whole_compressed(&header, payload, &mut deflate.decompressor, limit)?
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
            if let Some((header, _)) = Header::parse(&self.head[..self.head_len], self.deflate.is_some())? {
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
        let decompressor = self.deflate.as_mut().map(|deflate| &mut deflate.decompressor);
        self.message.push(piece, missing, decompressor, self.limits.max_message_size)?;
        self.end_of_data(complete)
    }

    /// What there is to report after some of a data frame's payload. `complete`: the frame ends here.
    fn end_of_data(&mut self, complete: bool) -> Result<Option<Event<'static>>, Violation> {
        if let Some(frame) = self.frame.filter(|_| complete) {
            self.frame = None;
            if frame.fin {
                self.pieces = false;
                let decompressor = self.deflate.as_mut().map(|deflate| &mut deflate.decompressor);
                let finished = self.message.finish(decompressor, self.limits.max_message_size)?;
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
                self.ping = None;
                if self.state == State::CloseSent {
                    self.state = State::Closed;
                } else {
                    self.state = State::CloseReceived;
                    self.echo = Some(frame.code);
                }
                Ok(Event::Close(frame))
            }
            Opcode::Ping => {
                if self.state == State::Open {
                    self.ping = Some(payload.clone());
                }
                Ok(Event::Ping(payload))
            }
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
    /// As [`Client::receive`].
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
        if let Some(deflate) = &mut self.deflate {
            deflate.compressor.release();
            deflate.decompressor.release();
        }
    }

    /// TCP has ended: gives back the message under way and all else that only a connection needs.
    pub fn end(&mut self) {
        self.go_deaf();
        self.deflate = None;
    }

    // ---- sending

    /// Appends one message as one masked frame. False, and nothing appended, when the closing handshake has begun or a
    /// message is being sent in pieces. `compress`: whether to; `None` leaves that to its size. Without an agreement it goes
    /// as it is.
    pub fn send(
        &mut self,
        kind: MessageKind,
        payload: &[u8],
        compress: Option<bool>,
        key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> bool {
        if self.state != State::Open || self.sending.is_some() {
            return false;
        }
        let opcode = opcode_of(kind);
        match &mut self.deflate {
            Some(deflate) if compress.unwrap_or(payload.len() >= WORTH_IT) => {
                let compressed = deflate.compressor.compress(payload, true);
                frame::append_part(opcode, true, true, compressed, key, out);
            }
            _ => frame::append(opcode, payload, key, out),
        }
        true
    }

    /// Appends the next piece of a message as a frame of its own (5.4); `last` ends the message. `kind` and `compress` are
    /// those of the first. Text may be cut anywhere. False as for [`Client::send`].
    pub fn send_piece(
        &mut self,
        kind: MessageKind,
        piece: &[u8],
        last: bool,
        compress: Option<bool>,
        key: [u8; 4],
        out: &mut Vec<u8>,
    ) -> bool {
        if self.state != State::Open {
            return false;
        }
        let opcode = if self.sending.is_none() { opcode_of(kind) } else { Opcode::Continuation };
        let wanted = compress.unwrap_or(piece.len() >= WORTH_IT);
        let compressed = *self.sending.get_or_insert(wanted && self.deflate.is_some());
        if last {
            self.sending = None;
        }
        match &mut self.deflate {
            Some(deflate) if compressed => {
                let piece = deflate.compressor.compress(piece, last);
                frame::append_part(opcode, last, opcode != Opcode::Continuation, piece, key, out);
            }
            _ => frame::append_part(opcode, last, false, piece, key, out),
        }
        true
    }

    /// Whether a message of ours is being sent in pieces.
    pub fn is_sending_pieces(&self) -> bool {
        self.sending.is_some()
    }

    /// Appends a ping. False when the closing handshake has begun or the payload is longer than 125 bytes.
    pub fn ping(&mut self, payload: &[u8], key: [u8; 4], out: &mut Vec<u8>) -> bool {
        let may = self.state == State::Open && payload.len() <= ControlPayload::MAX;
        if may {
            frame::append(Opcode::Ping, payload, key, out);
        }
        may
    }

    /// Appends our Close; 1005 stands for none of code and reason. False when we have sent one before.
    pub fn close(&mut self, code: u16, reason: &str, key: [u8; 4], out: &mut Vec<u8>) -> bool {
        self.state = match self.state {
            State::Open => State::CloseSent,
            State::CloseReceived => State::Closed,
            State::CloseSent | State::Closed => return false,
        };
        self.echo = None;
        self.ping = None;
        frame::append(Opcode::Close, &close::payload(code, reason), key, out);
        true
    }

    /// Fails the connection (7.1.7): appends a Close with the violation's code, if none was sent before.
    pub fn fail(&mut self, violation: &Violation, key: [u8; 4], out: &mut Vec<u8>) -> bool {
        let sent = self.close(violation.code, "", key, out);
        self.state = State::Closed;
        self.go_deaf();
        sent
    }

    /// Appends what is owed to the server: the answer to its newest ping, the answer to its Close. `key` is asked for a
    /// masking key for each. True when something was appended.
    pub fn transmit(&mut self, key: &mut dyn FnMut() -> [u8; 4], out: &mut Vec<u8>) -> bool {
        let before = out.len();
        if let Some(ping) = self.ping.take() {
            frame::append(Opcode::Pong, (*ping).as_ref(), key(), out);
        }
        if let Some(code) = self.echo {
            self.close(code, "", key(), out);
        }
        out.len() > before
    }
}

fn opcode_of(kind: MessageKind) -> Opcode {
    match kind {
        MessageKind::Text => Opcode::Text,
        MessageKind::Binary => Opcode::Binary,
    }
}
