//! Fragments to messages (RFC 6455 5.4): sizes are counted as they are announced and again as they are inflated, text is
//! validated as it arrives.
//!
//! A message is reported whole; or, where the driver asks for pieces, as far as it has come each time.

use std::borrow::Cow;

use crate::deflate::{Failure, Inflater, most_compressed};
use crate::error::Violation;
use crate::event::{Message, MessageKind, Piece};
use crate::frame::{Header, Opcode};
use crate::limits::Limits;
use crate::utf8::{self, Validator};

/// The first reservation for a message that comes in pieces; from there it doubles with the bytes that came.
const FIRST_RESERVE: usize = 64 << 10;

/// The message that is being received, if one is.
#[derive(Default)]
pub(crate) struct Assembly {
    open: Option<Open>,
    /// What the next message is put into. Empty, but it may have room.
    pub(crate) spare: Vec<u8>,
}

struct Open {
    kind: MessageKind,
    compressed: bool,
    /// Bytes as they came, of all frames up to now.
    received: u64,
    /// Bytes of the message that were reported as pieces, and are not in `payload` any more.
    reported: usize,
    payload: Vec<u8>,
    /// Of `payload`, how much the validator has seen.
    validated: usize,
    validator: Validator,
    ascii: bool,
}

impl Assembly {
    /// Whether no message is under way.
    pub(crate) fn is_between(&self) -> bool {
        self.open.is_none()
    }

    /// Whether a data frame may come here, and whether the message stays within the limits with it.
    pub(crate) fn check(&self, header: &Header, limits: &Limits) -> Result<(), Violation> {
        let Header { opcode, len, .. } = *header;
        let (before, compressed) = match (&self.open, opcode) {
            (None, Opcode::Continuation) => {
                return Err(Violation::protocol(
                    "the server sent a continuation frame with nothing to continue (RFC 6455 5.4)",
                ));
            }
            (Some(_), Opcode::Text | Opcode::Binary) => {
                return Err(Violation::protocol(
                    "the server began a message inside another one (RFC 6455 5.4)",
                ));
            }
            (Some(open), _) => (open.received, open.compressed),
            (None, _) => (0, header.compressed),
        };
        if len > limits.max_fragment_size as u64 {
            return Err(Violation::fragment_too_big(len, limits.max_fragment_size));
        }
        let limit = limits.max_message_size;
        let most = if compressed { most_compressed(limit) } else { limit };
        let size = before.saturating_add(len);
        if size > most as u64 { Err(Violation::too_big(size, limit)) } else { Ok(()) }
    }

    /// A message that came whole, in one frame.
    pub(crate) fn whole(opcode: Opcode, payload: Cow<'_, [u8]>) -> Result<Message<'_>, Violation> {
        let kind = kind_of(opcode);
        let ascii = kind == MessageKind::Text && payload.is_ascii();
        if kind == MessageKind::Text && !ascii && !utf8::is_valid(&payload) {
            return Err(Violation::not_utf8("a text message"));
        }
        Ok(Message { kind, ascii, payload })
    }

    /// The same, compressed.
    pub(crate) fn whole_compressed(
        header: &Header,
        payload: &[u8],
        inflater: &mut Inflater,
        limit: usize,
    ) -> Result<Message<'static>, Violation> {
        let mut open = Open::new(header);
        open.inflate(payload, inflater, limit)?;
        open.end(Some(inflater), limit)?;
        Ok(open.into_message())
    }

    /// A data frame's payload begins that does not make a whole message by itself.
    pub(crate) fn begin(&mut self, header: &Header) {
        if header.opcode != Opcode::Continuation {
            self.open = Some(Open { payload: std::mem::take(&mut self.spare), ..Open::new(header) });
        }
        if let Some(open) = &mut self.open {
            open.received += header.len;
        }
    }

    /// Takes the next piece of a frame's payload, of which `missing` bytes are still to come.
    pub(crate) fn push(
        &mut self,
        piece: &[u8],
        missing: u64,
        inflater: Option<&mut Inflater>,
        limit: usize,
    ) -> Result<(), Violation> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.compressed {
            let Some(inflater) = inflater else { return Ok(()) };
            return open.inflate(piece, inflater, limit);
        }
        if open.payload.capacity() - open.payload.len() < piece.len() {
            // Room for as much again as there is, if so much is announced.
            let received = open.payload.len() + piece.len();
            let more = usize::try_from(missing).unwrap_or(usize::MAX).min(received);
            open.payload.reserve_exact(piece.len() + more);
        }
        open.payload.extend_from_slice(piece);
        open.validate()
    }

    /// Where the next bytes may be put straight to, with room for `max` of them: at the most `missing`, and no more than
    /// what is there already, so that memory grows with the bytes received and not with a length announced.
    pub(crate) fn target(&mut self, missing: u64) -> Option<(&mut Vec<u8>, usize)> {
        let open = self.open.as_mut().filter(|open| !open.compressed)?;
        let payload = &mut open.payload;
        let missing = usize::try_from(missing).unwrap_or(usize::MAX);
        let spare = payload.capacity() - payload.len();
        let max = missing.min(spare.max(payload.len()).max(FIRST_RESERVE));
        payload.reserve_exact(max);
        Some((payload, max))
    }

    /// How many bytes are held of the message.
    pub(crate) fn len(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.payload.len())
    }

    /// Validates what was appended to the target.
    pub(crate) fn validate(&mut self) -> Result<(), Violation> {
        self.open.as_mut().map_or(Ok(()), Open::validate)
    }

    /// What has come of the message and was not reported yet: up to the last whole character of a text.
    pub(crate) fn take_piece(&mut self) -> Option<Piece> {
        let open = self.open.as_mut()?;
        let end = open.payload.len() - open.validator.pending();
        if end == 0 {
            return None;
        }
        let rest = open.payload.split_off(end);
        let payload = std::mem::replace(&mut open.payload, rest);
        open.reported += payload.len();
        open.validated = open.payload.len();
        Some(Piece { kind: open.kind, last: false, payload })
    }

    /// The last fragment is complete.
    pub(crate) fn finish(
        &mut self,
        inflater: Option<&mut Inflater>,
        limit: usize,
    ) -> Result<Option<Finished>, Violation> {
        let Some(mut open) = self.open.take() else { return Ok(None) };
        open.end(inflater, limit)?;
        Ok(Some(if open.reported > 0 {
            Finished::Piece(Piece { kind: open.kind, last: true, payload: open.payload })
        } else {
            Finished::Message(open.into_message())
        }))
    }
}

/// What the end of a message completes.
pub(crate) enum Finished {
    /// All of it.
    Message(Message<'static>),
    /// What came after the pieces that were reported.
    Piece(Piece),
}

impl Open {
    fn new(header: &Header) -> Self {
        Self {
            kind: kind_of(header.opcode),
            compressed: header.compressed,
            received: 0,
            reported: 0,
            payload: Vec::new(),
            validated: 0,
            validator: Validator::default(),
            ascii: true,
        }
    }

    /// Takes a compressed piece.
    fn inflate(&mut self, piece: &[u8], inflater: &mut Inflater, limit: usize) -> Result<(), Violation> {
        let inflated = inflater.decompress(piece, &mut self.payload, limit - self.reported);
        self.inflated(inflated, limit)
    }

    /// What became text before a failure is judged first: which of two violations is told does not depend on how the bytes
    /// were cut on their way.
    fn inflated(&mut self, inflated: Result<(), Failure>, limit: usize) -> Result<(), Violation> {
        self.validate()?;
        inflated.map_err(|failure| match failure {
            Failure::TooBig(size) => Violation::too_big((self.reported + size) as u64, limit),
            Failure::Broken => Violation::not_deflate(),
        })
    }

    /// Checks what can be checked when all of it is there.
    fn end(&mut self, inflater: Option<&mut Inflater>, limit: usize) -> Result<(), Violation> {
        if self.compressed
            && let Some(inflater) = inflater
        {
            let inflated = inflater.finish(&mut self.payload, limit - self.reported);
            self.inflated(inflated, limit)?;
        }
        self.validator.finish().map_err(|_| Violation::not_utf8("a text message"))
    }

    fn into_message(self) -> Message<'static> {
        let Self { kind, ascii, payload, .. } = self;
        Message { kind, ascii: kind == MessageKind::Text && ascii, payload: Cow::Owned(payload) }
    }

    fn validate(&mut self) -> Result<(), Violation> {
        if self.kind == MessageKind::Text {
            let piece = &self.payload[self.validated..];
            self.ascii = self.ascii && piece.is_ascii();
            if !self.ascii {
                self.validator.push(piece).map_err(|_| Violation::not_utf8("a text message"))?;
            }
        }
        self.validated = self.payload.len();
        Ok(())
    }
}

fn kind_of(opcode: Opcode) -> MessageKind {
    if opcode == Opcode::Text { MessageKind::Text } else { MessageKind::Binary }
}
