//! The server's direction: what comes out is written straight to where the message lives, and its bound holds at every
//! step: room is made for as much as is likely to come, never for more than the limit, and grows with what has come.

use zlib_rs::{Inflate, InflateFlush, Status};

use super::TAIL;
use super::parameters::{DeflateAgreed, MOST_WINDOW_BITS};

/// The least and the most room that one step is given. Between them it is four times what is to be inflated, which is what
/// text often becomes: a step costs a copy of up to 32 KiB into the window, and room that is not used was filled with zeros
/// in vain.
const STEP: std::ops::RangeInclusive<usize> = 256..=64 << 10;

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
    context: Option<Context>,
    /// The message that is under way had a byte.
    begun: bool,
}

struct Context {
    inflate: Inflate,
    /// How often a block of this message said that it was the last.
    ends: u16,
    /// Such a block was the end of what has come.
    at_end: bool,
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
        if piece.is_empty() {
            return Ok(());
        }
        self.begun = true;
        self.context.get_or_insert_with(Context::new).inflate(piece, message, limit)
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
        let context = self.context.get_or_insert_with(Context::new);
        // Behind a last block there is no block that the tail could end, where the server has left out the byte that begins
        // one (7.2.3.4): the tail would begin it, and the next message would be misread.
        let finished = if context.at_end { Ok(()) } else { context.inflate(&TAIL, message, limit) };
        context.ends = 0;
        if self.agreed.server_no_context_takeover {
            context.inflate.reset(false);
        }
        if message.capacity() / 2 > message.len() {
            // It is kept by its length, and is not to take several times as much.
            message.shrink_to_fit();
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

impl Context {
    fn new() -> Self {
        // The largest window reads what was written with a smaller one.
        Self { inflate: Inflate::new(false, MOST_WINDOW_BITS), ends: 0, at_end: false }
    }

    fn inflate(&mut self, piece: &[u8], message: &mut Vec<u8>, limit: usize) -> Result<(), Failure> {
        let mut input = piece;
        self.at_end = false;
        loop {
            let start = message.len();
            let room = make_room(message, input.len(), limit);
            let (taken, given) = (self.inflate.total_in(), self.inflate.total_out());
            let status = if room > 0 {
                message.resize(start + room, 0);
                self.inflate.decompress(input, &mut message[start..], InflateFlush::SyncFlush)
            } else {
                // The message is as large as it may be: whether it ends here shows by a byte that has no place.
                self.inflate.decompress(input, &mut [0], InflateFlush::SyncFlush)
            };
            input = &input[(self.inflate.total_in() - taken) as usize..];
            let given = (self.inflate.total_out() - given) as usize;
            if given > room {
                return Err(Failure::TooBig(limit + 1));
            }
            message.truncate(start + given);
            let is_full = room > 0 && given == room;
            match status {
                Ok(Status::Ok | Status::BufError) if !is_full && input.is_empty() => return Ok(()),
                Ok(Status::Ok) => {}
                Ok(Status::StreamEnd) => {
                    self.begin_again()?;
                    if input.is_empty() {
                        self.at_end = true;
                        return Ok(());
                    }
                }
                // A BufError here: no step forward although there is input and room.
                Ok(Status::BufError) | Err(_) => return Err(Failure::Broken),
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

/// Makes room in `message` for what `input` more bytes may become, as far as the limit goes: at the least a part of it, and
/// more is made when it is full.
fn make_room(message: &mut Vec<u8>, input: usize, limit: usize) -> usize {
    let most = limit.saturating_sub(message.len());
    let wanted = input.saturating_mul(4).clamp(*STEP.start(), *STEP.end()).min(most);
    let spare = message.capacity() - message.len();
    if spare < wanted.div_ceil(4) {
        // As much again as there is, so that each byte is moved once in the mean.
        message.reserve_exact(wanted.max(message.len()).min(most));
        return wanted;
    }
    spare.min(wanted)
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
    fn a_last_block_may_end_the_message_with_nothing_behind_it() {
        // The example of 7.2.3.4 without its last byte, which some servers leave out; then two that are sound.
        let mut inflater = inflater(true);
        for bytes in [
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
            &[0xf2, 0x00, 0x11, 0x00, 0x00],
        ] {
            assert_eq!(whole(&mut inflater, bytes, 100).as_deref(), Ok(&b"Hello"[..]), "{bytes:x?}");
        }
    }

    #[test]
    fn the_limit_holds_exactly_and_so_does_the_room() {
        let mut deflater = super::super::Deflater::new(inflater(true).agreed);
        let (least, most) = STEP.into_inner();
        for size in [0, 1, least - 1, least, least + 1, most - 1, most, most + 1, 5 * most] {
            for piece in [usize::MAX, 7] {
                // Not sent: each begins anew.
                let bytes = deflater.message(&vec![b'a'; size]).to_vec();
                let inflate = |limit: usize| {
                    let (mut inflater, mut message) = (inflater(true), Vec::new());
                    let pieces = bytes.chunks(piece.min(bytes.len()));
                    let inflated = pieces.map(|piece| inflater.decompress(piece, &mut message, limit));
                    let inflated: Result<(), _> = inflated.collect();
                    let finished = inflated.and_then(|()| inflater.finish(&mut message, limit));
                    assert!(message.capacity() <= limit, "{} > {limit}", message.capacity());
                    finished.map(|()| message)
                };
                assert_eq!(inflate(size), Ok(vec![b'a'; size]));
                if size > 0 {
                    assert_eq!(inflate(size - 1), Err(Failure::TooBig(size)));
                }
            }
        }
    }

    #[test]
    fn memory_grows_with_what_has_come() {
        // 32 MiB of zeros, a part of them at a time: what is there is never more than twice that, and a step.
        let mut deflater = super::super::Deflater::new(inflater(true).agreed);
        let bytes = deflater.message(&vec![0; 32 << 20]).to_vec();
        let (mut inflater, mut message) = (inflater(true), Vec::new());
        for piece in bytes.chunks(100) {
            inflater.decompress(piece, &mut message, 64 << 20).expect("sound");
            assert!(message.capacity() <= 2 * message.len() + STEP.end(), "{}", message.capacity());
        }
        inflater.finish(&mut message, 64 << 20).expect("sound");
        assert_eq!(message.len(), 32 << 20);
    }

    #[test]
    fn a_message_takes_no_more_than_twice_its_size() {
        // What cannot be compressed becomes no more than it is on the wire.
        let stored = [&[0x00, 0xe8, 0x03, 0x17, 0xfc][..], &[7; 1000], &[0x00]].concat();
        let message = whole(&mut inflater(true), &stored, 1 << 20).expect("sound");
        assert_eq!(message, [7; 1000]);
        assert!(message.capacity() <= 2000, "{}", message.capacity());
    }
}
