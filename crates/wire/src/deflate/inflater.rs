//! The server's direction: a bound on what comes out holds at every step.

use zlib_rs::{Inflate, InflateFlush, Status};

use super::TAIL;
use super::parameters::DeflateAgreed;

/// What one call may append before the bound is looked at again; also the most that lies around for it.
const STEP: usize = 16 << 10;

/// Blocks of a message that may say that they are the last. Each costs us a reset, and nobody needs more than one.
const MOST_ENDS: u16 = 256;

/// The most compressed bytes that a message of `size` bytes may come in. DEFLATE adds some bytes to every block that it
/// cannot compress; what is far above that says nothing and only makes us work.
pub(crate) fn most_compressed(size: usize) -> usize {
    size.saturating_add(size / 256).saturating_add(1024)
}

/// Decompresses one message after the other.
pub(crate) struct Inflater {
    agreed: DeflateAgreed,
    context: Option<Box<Context>>,
    /// The message that is under way had a byte.
    begun: bool,
}

struct Context {
    inflate: Inflate,
    step: [u8; STEP],
    /// How often a block of this message said that it was the last.
    ends: u16,
}

/// Why a message cannot be decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It would become larger than the limit: at least so many bytes.
    TooBig(usize),
    /// It is not DEFLATE, or looks back further than there is anything.
    Broken,
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflater").field("agreed", &self.agreed).finish_non_exhaustive()
    }
}

impl Inflater {
    pub(crate) fn new(agreed: DeflateAgreed) -> Self {
        Self { agreed, context: None, begun: false }
    }

    /// Appends what a piece of a message becomes, also what it becomes before it fails. `message` holds what the pieces before
    /// it became, or their end.
    ///
    /// # Errors
    /// More than `limit` bytes would be in `message`, or the piece is not DEFLATE.
    pub(crate) fn decompress(
        &mut self,
        piece: &[u8],
        message: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), Failure> {
        self.begun |= !piece.is_empty();
        let bits = self.agreed.server_window_bits;
        let context = self.context.get_or_insert_with(|| Box::new(Context::new(bits)));
        context.inflate(piece, message, limit)
    }

    /// The message is complete (7.2.2).
    ///
    /// # Errors
    /// As [`Inflater::decompress`].
    pub(crate) fn finish(&mut self, message: &mut Vec<u8>, limit: usize) -> Result<(), Failure> {
        if !std::mem::take(&mut self.begun) {
            // Not even the one byte that an empty message is compressed to (7.2.3.6), and still nothing else than an empty
            // one. The tail alone would leave the context inside a block, and the next message would be misread.
            return Ok(());
        }
        let bits = self.agreed.server_window_bits;
        let context = self.context.get_or_insert_with(|| Box::new(Context::new(bits)));
        let finished = context.inflate(&TAIL, message, limit);
        context.ends = 0;
        if self.agreed.server_no_context_takeover {
            context.inflate = new_inflate(bits);
        }
        finished
    }

    /// Gives the context back if the next message does not look back into it.
    pub(crate) fn release(&mut self) {
        if self.agreed.server_no_context_takeover && !self.begun {
            self.context = None;
        }
    }
}

fn new_inflate(window_bits: u8) -> Inflate {
    Inflate::new(false, window_bits)
}

impl Context {
    fn new(window_bits: u8) -> Self {
        Self { inflate: new_inflate(window_bits), step: [0; STEP], ends: 0 }
    }

    fn inflate(&mut self, piece: &[u8], message: &mut Vec<u8>, limit: usize) -> Result<(), Failure> {
        let mut input = piece;
        loop {
            let (taken, given) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(input, &mut self.step, InflateFlush::SyncFlush);
            input = &input[(self.inflate.total_in() - taken) as usize..];
            let given = (self.inflate.total_out() - given) as usize;
            if message.len() + given > limit {
                message.extend_from_slice(&self.step[..limit - message.len()]);
                return Err(Failure::TooBig(limit + 1));
            }
            message.extend_from_slice(&self.step[..given]);
            match status {
                Ok(Status::Ok | Status::BufError) if given < STEP && input.is_empty() => return Ok(()),
                Ok(Status::Ok) => {}
                Ok(Status::StreamEnd) => self.begin_again()?,
                // A BufError here: no step forward although there is input and room.
                Ok(Status::BufError) | Err(_) => return Err(Failure::Broken),
            }
            if input.is_empty() && given < STEP {
                return Ok(());
            }
        }
    }

    /// A block said that it was the last (BFINAL, 7.2.3.4), which ends nothing here. Whoever writes such a block begins
    /// anew behind it, as zlib does: nothing that follows looks back over it.
    fn begin_again(&mut self) -> Result<(), Failure> {
        self.ends += 1;
        if self.ends > MOST_ENDS {
            return Err(Failure::Broken);
        }
        self.inflate.reset(false);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inflater(takeover: bool) -> Inflater {
        Inflater::new(DeflateAgreed {
            level: 6,
            memory_level: 8,
            client_window_bits: 15,
            server_window_bits: 15,
            client_no_context_takeover: !takeover,
            server_no_context_takeover: !takeover,
        })
    }

    fn whole(inflater: &mut Inflater, bytes: &[u8], limit: usize) -> Result<Vec<u8>, Failure> {
        let mut message = Vec::new();
        inflater.decompress(bytes, &mut message, limit)?;
        inflater.finish(&mut message, limit)?;
        Ok(message)
    }

    #[test]
    fn the_examples_of_the_rfc() {
        let mut takeover = inflater(true);
        for bytes in [
            // 7.2.3.1, 7.2.3.2 (which looks back into the first), 7.2.3.3 (a stored block), 7.2.3.4 (BFINAL), 7.2.3.5.
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
            &[0xf2, 0x00, 0x11, 0x00, 0x00],
            &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
            &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        ] {
            assert_eq!(whole(&mut takeover, bytes, 100).as_deref(), Ok(&b"Hello"[..]), "{bytes:x?}");
        }
        assert_eq!(whole(&mut takeover, &[0x00], 100).as_deref(), Ok(&b""[..]));
    }

    #[test]
    fn a_last_block_may_end_a_piece_of_the_message() {
        // The example of 7.2.3.4 in two fragments: behind the first one there is nothing to read yet.
        let mut inflater = inflater(true);
        let mut message = Vec::new();
        for piece in [&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..], &[0x00]] {
            assert_eq!(inflater.decompress(piece, &mut message, 100), Ok(()));
            assert_eq!(message, b"Hello");
        }
        assert_eq!(inflater.finish(&mut message, 100), Ok(()));
        assert_eq!(message, b"Hello");
    }

    #[test]
    fn looking_back_into_a_message_that_was_to_be_forgotten_is_refused() {
        let mut fresh = inflater(false);
        assert!(whole(&mut fresh, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], 100).is_ok());
        assert_eq!(whole(&mut fresh, &[0xf2, 0x00, 0x11, 0x00, 0x00], 100), Err(Failure::Broken));
    }

    #[test]
    fn no_bytes_at_all_are_an_empty_message_and_leave_the_context_alone() {
        let mut inflater = inflater(true);
        assert_eq!(whole(&mut inflater, b"", 0).as_deref(), Ok(&b""[..]));
        assert_eq!(
            whole(&mut inflater, &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00], 100).as_deref(),
            Ok(&b"Hello"[..])
        );
        assert_eq!(whole(&mut inflater, b"", 0).as_deref(), Ok(&b""[..]));
        // This one looks back over the empty message.
        assert_eq!(whole(&mut inflater, &[0xf2, 0x00, 0x11, 0x00, 0x00], 100).as_deref(), Ok(&b"Hello"[..]));
    }

    #[test]
    fn what_is_not_deflate_is_refused() {
        assert_eq!(whole(&mut inflater(true), &[0x07], 100), Err(Failure::Broken));
        assert_eq!(whole(&mut inflater(true), &[0xff; 64], 100), Err(Failure::Broken));
    }

    #[test]
    fn the_limit_holds_exactly() {
        let mut deflater = super::super::Deflater::new(inflater(true).agreed);
        for size in [0, 1, STEP - 1, STEP, STEP + 1, 5 * STEP] {
            let mut bytes = Vec::new();
            deflater.message(&vec![b'a'; size], &mut bytes);
            deflater.release();
            assert_eq!(whole(&mut inflater(true), &bytes, size).map(|message| message.len()), Ok(size));
            if size > 0 {
                assert!(matches!(whole(&mut inflater(true), &bytes, size - 1), Err(Failure::TooBig(_))));
            }
        }
    }
}
