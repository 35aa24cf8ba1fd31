//! The client's direction.

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Status};

use super::parameters::DeflateAgreed;
use super::{TAIL, WORTH_IT};

/// The least and the most room that one step is given; between them it is half of what is to be compressed, for text often
/// becomes less. Room that is not used was filled with zeros in vain.
const STEP: std::ops::RangeInclusive<usize> = 512..=256 << 10;

/// A buffer for compressed bytes above this size is not kept for the next message.
const KEEP: usize = 256 << 10;

/// Compresses one message after the other, for a [`crate::Sender`] to frame.
///
/// The order of calls: where [`Deflater::takes`] says so, [`Deflater::message`] for a whole message, or
/// [`Deflater::piece`] for each piece of one; then the sender's `send` or `send_piece` with `compressed`, and, if that
/// appended the frame, [`Compressed::sent`]. What is compressed later may look back into what was compressed earlier, so the
/// frames have to leave in the order in which they were compressed: a driver with a lock around each of both keeps this one
/// until the sender has its frame.
pub struct Deflater {
    agreed: DeflateAgreed,
    /// Made at the first message.
    context: Option<Box<Deflate>>,
    /// What the newest message or piece became.
    output: Vec<u8>,
}

/// What a [`Deflater`] made of a message or of a piece of one.
///
/// Dropped without [`Compressed::sent`], it was not sent: the server does not know what the next message might look back
/// into, and so that one begins anew.
#[derive(Debug)]
#[must_use]
pub struct Compressed<'a> {
    deflater: &'a mut Deflater,
    sent: bool,
}

impl Compressed<'_> {
    /// Its frame was appended to what leaves.
    pub fn sent(mut self) {
        self.sent = true;
    }
}

impl std::ops::Deref for Compressed<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.deflater.output
    }
}

impl Drop for Compressed<'_> {
    fn drop(&mut self) {
        if !self.sent {
            self.deflater.release();
        }
        if self.deflater.output.capacity() > KEEP {
            self.deflater.output = Vec::new();
        }
    }
}

impl std::fmt::Debug for Deflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deflater").field("agreed", &self.agreed).finish_non_exhaustive()
    }
}

impl Deflater {
    /// For a connection whose opening handshake agreed on permessage-deflate.
    pub fn new(agreed: DeflateAgreed) -> Self {
        Self { agreed, context: None, output: Vec::new() }
    }

    /// Whether a message of `size` bytes is compressed. `wanted`: what the program says about it, if it does; otherwise those
    /// from 1 KiB on are. Of a message in pieces the first piece decides.
    pub fn takes(size: usize, wanted: Option<bool>) -> bool {
        wanted.unwrap_or(size >= WORTH_IT)
    }

    /// The compressed form of a whole message (RFC 7692 7.2.1).
    pub fn message(&mut self, payload: &[u8]) -> Compressed<'_> {
        self.piece(payload, true)
    }

    /// The compressed form of the next piece of a message; `last` ends the message.
    pub fn piece(&mut self, piece: &[u8], last: bool) -> Compressed<'_> {
        let Self { agreed, context, output } = self;
        let context = context.get_or_insert_with(|| Box::new(new_context(*agreed)));
        output.clear();
        let mut input = piece;
        loop {
            let before = output.len();
            output.resize(before + (input.len() / 2).clamp(*STEP.start(), *STEP.end()), 0);
            let (taken, given) = (context.total_in(), context.total_out());
            let status = context.compress(input, &mut output[before..], DeflateFlush::SyncFlush);
            input = &input[(context.total_in() - taken) as usize..];
            let given = (context.total_out() - given) as usize;
            let is_full = before + given == output.len();
            output.truncate(before + given);
            // Nothing left to do is no failure, and none else can happen with a sound context.
            let goes_on = matches!(status, Ok(Status::Ok)) && (is_full || !input.is_empty());
            if !goes_on {
                break;
            }
        }
        if last {
            if output.ends_with(&TAIL) {
                output.truncate(output.len() - TAIL.len());
            }
            if output.is_empty() {
                // Nothing at all: an empty block, of which its tail is taken off (7.2.3.6).
                output.push(0);
            }
            if agreed.client_no_context_takeover {
                context.reset();
            }
        }
        Compressed { deflater: self, sent: false }
    }

    /// Gives the context back: the next message begins anew, which a server cannot tell.
    pub fn release(&mut self) {
        self.context = None;
        self.output = Vec::new();
    }
}

fn new_context(agreed: DeflateAgreed) -> Deflate {
    Deflate::new_with_config(DeflateConfig {
        level: i32::from(agreed.level),
        // zlib has no raw stream with a window of 256 bytes. With one of 512 it looks back at the most 512 - 262 bytes, so
        // that what it writes can be read with 256: tests/test_window_bits.py holds it to that. The tests below cannot, for
        // zlib-rs inflates with room for 32 KiB whatever was asked.
        window_bits: -i32::from(agreed.client_window_bits.max(9)),
        mem_level: i32::from(agreed.memory_level),
        ..DeflateConfig::default()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{DeflateOffer, Inflater};
    use super::*;

    fn agreed(window_bits: u8, level: u8, takeover: bool) -> DeflateAgreed {
        let DeflateOffer { memory_level, .. } = DeflateOffer::default();
        DeflateAgreed {
            level,
            memory_level,
            client_window_bits: window_bits,
            // The other side reads with the window that it asked for.
            server_window_bits: window_bits,
            client_no_context_takeover: !takeover,
            server_no_context_takeover: !takeover,
        }
    }

    fn deflate(deflater: &mut Deflater, message: &[u8]) -> Vec<u8> {
        let compressed = deflater.message(message);
        let bytes = compressed.to_vec();
        compressed.sent();
        bytes
    }

    fn inflate(inflater: &mut Inflater, bytes: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        inflater.decompress(bytes, &mut message, 1 << 20).expect("sound");
        inflater.finish(&mut message, 1 << 20).expect("sound");
        message
    }

    /// Text that repeats itself over all distances.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(&b"abcd"[..]), 0..3000)
    }

    proptest! {
        #[test]
        fn what_is_compressed_comes_out_again(
            messages in prop::collection::vec(text(), 1..6),
            window_bits in 8u8..=15,
            level in 0u8..=9,
            takeover: bool,
            released in prop::option::of(0usize..6),
        ) {
            let agreed = agreed(window_bits, level, takeover);
            let mut deflater = Deflater::new(agreed);
            let mut inflater = Inflater::new(agreed);
            for (at, message) in messages.iter().enumerate() {
                if released == Some(at) {
                    deflater.release();
                }
                let compressed = deflate(&mut deflater, message);
                prop_assert!(!compressed.ends_with(&TAIL));
                prop_assert_eq!(&inflate(&mut inflater, &compressed), message);
            }
        }

        #[test]
        fn pieces_make_the_same_message(pieces in prop::collection::vec(text(), 1..6), takeover: bool) {
            let agreed = agreed(15, 6, takeover);
            let mut deflater = Deflater::new(agreed);
            let mut inflater = Inflater::new(agreed);
            for _ in 0..2 {
                let mut wire = Vec::new();
                for (at, piece) in pieces.iter().enumerate() {
                    let compressed = deflater.piece(piece, at + 1 == pieces.len());
                    wire.extend_from_slice(&compressed);
                    compressed.sent();
                }
                prop_assert_eq!(inflate(&mut inflater, &wire), pieces.concat());
            }
        }
    }

    #[test]
    fn the_examples_of_the_rfc() {
        let mut deflater = Deflater::new(agreed(15, 6, true));
        assert_eq!(deflate(&mut deflater, b"Hello"), [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
        assert_eq!(deflate(&mut deflater, b"Hello"), [0xf2, 0x00, 0x11, 0x00, 0x00]);
        assert_eq!(deflate(&mut deflater, b""), [0x00]);
    }

    #[test]
    fn what_was_not_sent_is_looked_back_into_by_nobody() {
        let mut deflater = Deflater::new(agreed(15, 6, true));
        let first = deflate(&mut deflater, b"Hello");
        drop(deflater.message(b"Hello"));
        assert_eq!(deflate(&mut deflater, b"Hello"), first);
        assert_eq!(deflate(&mut deflater, b"Hello"), [0xf2, 0x00, 0x11, 0x00, 0x00]);
    }

    #[test]
    fn large_messages_keep_their_size_bound() {
        let agreed = agreed(15, 6, true);
        let mut deflater = Deflater::new(agreed);
        let mut state = 1u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            // Xorshift: nothing that could be compressed, so that the room for the output has to grow.
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as u8
        })
        .take(1 << 18)
        .collect();
        let compressed = deflate(&mut deflater, &noise);
        let size = compressed.len();
        assert!((noise.len()..=super::super::most_compressed(noise.len())).contains(&size), "{size}");
        assert_eq!(inflate(&mut Inflater::new(agreed), &compressed), noise);
        let zeros = vec![0; 1 << 20];
        assert!(deflate(&mut deflater, &zeros).len() < 2000);
        assert!(deflater.output.capacity() <= KEEP, "{}", deflater.output.capacity());
    }
}
