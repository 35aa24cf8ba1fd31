//! A message that is sent in pieces (RFC 6455 5.4), and the messages that others send meanwhile: they leave behind it.

use sunsocket_wire::MessageKind;

/// A message that waits for the end of the one in pieces.
#[derive(Debug)]
pub(crate) struct Behind {
    pub(crate) kind: MessageKind,
    /// What the program wants of compression.
    pub(crate) compress: Option<bool>,
    pub(crate) payload: Vec<u8>,
}

/// The message in pieces, and what waits for its end.
#[derive(Debug)]
pub(crate) struct Pieces {
    pub(super) kind: MessageKind,
    /// What the program wants of compression; once the first piece has left, what became of it.
    pub(super) compress: Option<bool>,
    behind: Vec<Behind>,
    behind_bytes: usize,
}

impl Pieces {
    pub(super) fn new(kind: MessageKind, compress: Option<bool>) -> Self {
        Self { kind, compress, behind: Vec::new(), behind_bytes: 0 }
    }

    pub(super) fn wait_behind(&mut self, message: Behind) {
        self.behind_bytes += message.payload.len();
        self.behind.push(message);
    }

    pub(super) fn behind_bytes(&self) -> usize {
        self.behind_bytes
    }

    pub(super) fn into_behind(self) -> Vec<Behind> {
        self.behind
    }
}
