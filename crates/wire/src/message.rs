//! Fragments to messages (RFC 6455 5.4): sizes are counted as they are announced, text is validated as it arrives.

use std::borrow::Cow;

use crate::error::Violation;
use crate::event::{Message, MessageKind};
use crate::frame::Opcode;
use crate::utf8::{self, Validator};

/// The first reservation for a message that comes in pieces; from there it doubles with the bytes that came.
const FIRST_RESERVE: usize = 64 << 10;

/// The message that is being received, if one is.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    kind: MessageKind,
    payload: Vec<u8>,
    /// Of `payload`, how much the validator has seen.
    validated: usize,
    validator: Validator,
    ascii: bool,
}

impl Assembly {
    /// Whether a data frame may come here, and whether the message stays within `limit` with it.
    pub(crate) fn check(&self, opcode: Opcode, len: u64, limit: usize) -> Result<(), Violation> {
        match (&self.open, opcode) {
            (None, Opcode::Continuation) => Err(Violation::protocol(
                "the server sent a continuation frame with nothing to continue (RFC 6455 5.4)",
            )),
            (Some(_), Opcode::Text | Opcode::Binary) => {
                Err(Violation::protocol("the server began a message inside another one (RFC 6455 5.4)"))
            }
            (open, _) => {
                let before = open.as_ref().map_or(0, |open| open.payload.len() as u64);
                let size = before.saturating_add(len);
                if size > limit as u64 { Err(Violation::too_big(size, limit)) } else { Ok(()) }
            }
        }
    }

    /// A message that came whole, in one frame.
    pub(crate) fn whole(opcode: Opcode, payload: &[u8]) -> Result<Message<'_>, Violation> {
        let kind = kind_of(opcode);
        let ascii = kind == MessageKind::Text && payload.is_ascii();
        if kind == MessageKind::Text && !ascii && !utf8::is_valid(payload) {
            return Err(Violation::not_utf8("a text message"));
        }
        Ok(Message { kind, ascii, payload: Cow::Borrowed(payload) })
    }

    /// A data frame's payload begins that does not make a whole message by itself.
    pub(crate) fn begin(&mut self, opcode: Opcode) {
        if opcode != Opcode::Continuation {
            self.open = Some(Open {
                kind: kind_of(opcode),
                payload: Vec::new(),
                validated: 0,
                validator: Validator::default(),
                ascii: true,
            });
        }
    }

    /// Takes the next piece of a frame's payload, of which `missing` bytes are still to come.
    pub(crate) fn push(&mut self, piece: &[u8], missing: u64) -> Result<(), Violation> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if open.payload.capacity() - open.payload.len() < piece.len() {
            // Room for as much again as there is, if so much is announced.
            let received = open.payload.len() + piece.len();
            let more = usize::try_from(missing).unwrap_or(usize::MAX).min(received);
            open.payload.reserve_exact(piece.len() + more);
        }
        open.payload.extend_from_slice(piece);
        self.validate()
    }

    /// Where the next bytes may be put straight to, with room for `max` of them: at the most `missing`, and no more than
    /// what is there already, so that memory grows with the bytes received and not with a length announced.
    pub(crate) fn target(&mut self, missing: u64) -> Option<(&mut Vec<u8>, usize)> {
        let payload = &mut self.open.as_mut()?.payload;
        let missing = usize::try_from(missing).unwrap_or(usize::MAX);
        let spare = payload.capacity() - payload.len();
        let max = missing.min(spare.max(payload.len()).max(FIRST_RESERVE));
        payload.reserve_exact(max);
        Some((payload, max))
    }

    /// How many bytes the message has so far.
    pub(crate) fn len(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.payload.len())
    }

    /// Validates what was appended to the target.
    pub(crate) fn validate(&mut self) -> Result<(), Violation> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        if open.kind == MessageKind::Text {
            let piece = &open.payload[open.validated..];
            open.ascii = open.ascii && piece.is_ascii();
            if !open.ascii {
                open.validator.push(piece).map_err(|_| Violation::not_utf8("a text message"))?;
            }
        }
        open.validated = open.payload.len();
        Ok(())
    }

    /// The last fragment is complete.
    pub(crate) fn finish(&mut self) -> Result<Option<Message<'static>>, Violation> {
        let Some(open) = self.open.take() else {
            return Ok(None);
        };
        open.validator.finish().map_err(|_| Violation::not_utf8("a text message"))?;
        let ascii = open.kind == MessageKind::Text && open.ascii;
        Ok(Some(Message { kind: open.kind, ascii, payload: Cow::Owned(open.payload) }))
    }
}

fn kind_of(opcode: Opcode) -> MessageKind {
    if opcode == Opcode::Text { MessageKind::Text } else { MessageKind::Binary }
}
