//! The client's direction.

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Status};

use super::parameters::DeflateAgreed;
use super::{TAIL, WORTH_IT};

/// What one call may append before it is called again.
const STEP: usize = 16 << 10;

/// Compresses one message after the other, for a [`crate::Sender`] to frame.
///
/// The order of calls: where [`Deflater::takes`] says so, [`Deflater::message`] for a whole message, or
/// [`Deflater::piece`] for each piece of one, then the sender's `send` or `send_piece` with `compressed`. What is compressed
/// later may look back into what was compressed earlier, so the frames have to leave in the order in which they were
/// compressed: a driver with a lock around each of both keeps this one until the sender has its frame. When a message was
/// compressed and is not sent after all, [`Deflater::release`].
pub struct Deflater {
    agreed: DeflateAgreed,
    /// Made at the first message.
    context: Option<Box<Deflate>>,
}

impl std::fmt::Debug for Deflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deflater").field("agreed", &self.agreed).finish_non_exhaustive()
    }
}

impl Deflater {
    /// For a connection whose opening handshake agreed on permessage-deflate.
    pub fn new(agreed: DeflateAgreed) -> Self {
        Self { agreed, context: None }
    }

    /// Whether a message of `size` bytes is compressed. `wanted`: what the program says about it, if it does; otherwise those
    /// from 1 KiB on are. Of a message in pieces the first piece decides.
    pub fn takes(size: usize, wanted: Option<bool>) -> bool {
        wanted.unwrap_or(size >= WORTH_IT)
    }

    /// Appends the compressed form of a whole message (RFC 7692 7.2.1).
    pub fn message(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        self.piece(payload, true, out);
    }

    /// Appends the compressed form of the next piece of a message; `last` ends the message.
    pub fn piece(&mut self, piece: &[u8], last: bool, out: &mut Vec<u8>) {
        let start = out.len();
        let agreed = self.agreed;
        let context = self.context.get_or_insert_with(|| Box::new(new_context(agreed)));
        let mut input = piece;
        loop {
            let before = out.len();
            out.resize(before + STEP.max(input.len() / 4), 0);
            let (taken, given) = (context.total_in(), context.total_out());
            let status = context.compress(input, &mut out[before..], DeflateFlush::SyncFlush);
            input = &input[(context.total_in() - taken) as usize..];
            let given = (context.total_out() - given) as usize;
            let is_full = before + given == out.len();
            out.truncate(before + given);
            // Nothing left to do is no failure, and none else can happen with a sound context.
            let goes_on = matches!(status, Ok(Status::Ok)) && (is_full || !input.is_empty());
            if !goes_on {
                break;
            }
        }
        if last {
            if out[start..].ends_with(&TAIL) {
                out.truncate(out.len() - TAIL.len());
            }
            if out.len() == start {
                // Nothing at all: an empty block, of which its tail is taken off (7.2.3.6).
                out.push(0);
            }
            if agreed.client_no_context_takeover {
                context.reset();
            }
        }
    }

    /// Gives the context back: the next message begins anew, which a server cannot tell.
    pub fn release(&mut self) {
        self.context = None;
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
        // What is there already stays, and is no part of it.
        let mut out = TAIL.to_vec();
        deflater.message(message, &mut out);
        out.split_off(TAIL.len())
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
                    deflater.piece(piece, at + 1 == pieces.len(), &mut wire);
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
    }
}
