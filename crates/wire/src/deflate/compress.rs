//! The client's direction.

use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Status};

use super::TAIL;
use super::parameters::DeflateAgreed;

/// What one call may append before it is called again.
const STEP: usize = 16 << 10;

/// Compresses one message after the other.
pub(crate) struct Compressor {
    agreed: DeflateAgreed,
    context: Option<Box<Deflate>>,
    /// A message's compressed form, before its frame's header can be written.
    output: Vec<u8>,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").field("agreed", &self.agreed).finish_non_exhaustive()
    }
}

impl Compressor {
    pub(crate) fn new(agreed: DeflateAgreed) -> Self {
        Self { agreed, context: None, output: Vec::new() }
    }

    /// The compressed form of a piece of a message; `last` ends the message (7.2.1).
    pub(crate) fn compress(&mut self, piece: &[u8], last: bool) -> &[u8] {
        self.output.clear();
        let agreed = self.agreed;
        let context = self.context.get_or_insert_with(|| Box::new(new_context(agreed)));
        let mut input = piece;
        loop {
            let before = self.output.len();
            self.output.resize(before + STEP.max(input.len() / 4), 0);
            let (taken, given) = (context.total_in(), context.total_out());
            let status = context.compress(input, &mut self.output[before..], DeflateFlush::SyncFlush);
            input = &input[(context.total_in() - taken) as usize..];
            let given = (context.total_out() - given) as usize;
            let is_full = before + given == self.output.len();
            self.output.truncate(before + given);
            // Nothing left to do is no failure, and none else can happen with a sound context.
            let goes_on = matches!(status, Ok(Status::Ok)) && (is_full || !input.is_empty());
            if !goes_on {
                break;
            }
        }
        if last {
            if self.output.ends_with(&TAIL) {
                self.output.truncate(self.output.len() - TAIL.len());
            }
            if self.output.is_empty() {
                // Nothing at all: an empty block, of which its tail is taken off (7.2.3.6).
                self.output.push(0);
            }
            if agreed.client_no_context_takeover {
                context.reset();
            }
        }
        &self.output
    }

    /// Gives the context back: the next message begins anew, which a server cannot tell.
    pub(crate) fn release(&mut self) {
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

    use super::super::{Decompressor, DeflateOffer};
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

    fn inflate(decompressor: &mut Decompressor, bytes: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        decompressor.decompress(bytes, &mut message, 1 << 20).expect("sound");
        decompressor.finish(&mut message, 1 << 20).expect("sound");
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
            let mut compressor = Compressor::new(agreed);
            let mut decompressor = Decompressor::new(agreed);
            for (at, message) in messages.iter().enumerate() {
                if released == Some(at) {
                    compressor.release();
                }
                let compressed = compressor.compress(message, true).to_vec();
                prop_assert!(!compressed.ends_with(&TAIL));
                prop_assert_eq!(&inflate(&mut decompressor, &compressed), message);
            }
        }

        #[test]
        fn pieces_make_the_same_message(pieces in prop::collection::vec(text(), 1..6), takeover: bool) {
            let agreed = agreed(15, 6, takeover);
            let mut compressor = Compressor::new(agreed);
            let mut decompressor = Decompressor::new(agreed);
            for _ in 0..2 {
                let mut wire = Vec::new();
                for (at, piece) in pieces.iter().enumerate() {
                    wire.extend_from_slice(compressor.compress(piece, at + 1 == pieces.len()));
                }
                prop_assert_eq!(inflate(&mut decompressor, &wire), pieces.concat());
            }
        }
    }

    #[test]
    fn the_examples_of_the_rfc() {
        let mut compressor = Compressor::new(agreed(15, 6, true));
        assert_eq!(compressor.compress(b"Hello", true), [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]);
        assert_eq!(compressor.compress(b"Hello", true), [0xf2, 0x00, 0x11, 0x00, 0x00]);
        assert_eq!(compressor.compress(b"", true), [0x00]);
    }

    #[test]
    fn large_messages_keep_their_size_bound() {
        let agreed = agreed(15, 6, true);
        let mut compressor = Compressor::new(agreed);
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
        let compressed = compressor.compress(&noise, true).to_vec();
        let size = compressed.len();
        assert!((noise.len()..=super::super::most_compressed(noise.len())).contains(&size), "{size}");
        assert_eq!(inflate(&mut Decompressor::new(agreed), &compressed), noise);
        let zeros = vec![0; 1 << 20];
        assert!(compressor.compress(&zeros, true).len() < 2000);
    }
}
