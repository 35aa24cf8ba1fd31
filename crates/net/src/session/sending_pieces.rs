//! The sending half while a message is sent in pieces.

use sunsocket_wire::MessageKind;

use super::pieces::{Behind, Pieces};
use super::send::Sending;
use crate::entropy;

impl Sending {
    /// What kind of message is being sent in pieces, and what the program wants of compression; `None` when none is.
    pub(crate) fn pieces_of(&self) -> Option<(MessageKind, Option<bool>)> {
        self.pieces.as_ref().map(|pieces| (pieces.kind, pieces.compress))
    }

    /// The message has been decided on by its first piece.
    pub(crate) fn compresses_pieces(&mut self, compress: bool) {
        if let Some(pieces) = &mut self.pieces {
            pieces.compress = Some(compress);
        }
    }

    /// False: another message is being sent in pieces.
    pub(crate) fn begin_pieces(&mut self, kind: MessageKind, compress: Option<bool>) -> bool {
        let begins = self.pieces.is_none();
        if begins {
            self.pieces = Some(Pieces::new(kind, compress));
        }
        begins
    }

    /// Has a message wait for the end of the one in pieces; false when none is being sent in pieces.
    pub(crate) fn wait_behind(&mut self, kind: MessageKind, compress: Option<bool>, payload: &[u8]) -> bool {
        let Some(pieces) = &mut self.pieces else { return false };
        pieces.wait_behind(Behind { kind, compress, payload: payload.to_vec() });
        self.look_at_marks();
        true
    }

    /// Queues the next piece. `compressed`: it is what the deflater made of it.
    pub(crate) fn piece(&mut self, kind: MessageKind, piece: &[u8], last: bool, compressed: bool) {
        if !self.is_broken() {
            self.wire.send_piece(kind, piece, last, compressed, entropy::mask(), self.outbox.buffer());
        }
        self.look_at_marks();
    }

    /// The message is complete: what waited behind it is to be queued now, in its order.
    pub(crate) fn end_pieces(&mut self) -> Vec<Behind> {
        self.pieces.take().map_or_else(Vec::new, Pieces::into_behind)
    }
}
