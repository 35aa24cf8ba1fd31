//! What a deflater and a sender write, whatever the order of messages, pieces, rests and messages that were given up: a
//! server that inflates reads what the program sent.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sunsocket_wire::{DeflateAgreed, Deflater, Event, Limits, MessageKind, Receiver, Sender};

const KEY: [u8; 4] = [0; 4];

/// The frames of a client with a key of zeros, as a server would have written them: unmasked.
fn unmasked(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        let (length, size) = match second & 0x7f {
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), 2),
            127 => (u64::from_be_bytes(rest[..8].try_into().expect("eight")) as usize, 8),
            short => (usize::from(short), 0),
        };
        out.extend_from_slice(&[*first, second & 0x7f]);
        out.extend_from_slice(&rest[..size]);
        assert_eq!(rest[size..size + 4], KEY);
        out.extend_from_slice(&rest[size + 4..size + 4 + length]);
        bytes = &rest[size + 4 + length..];
    }
    out
}

fuzz_target!(|bytes: &[u8]| {
    let [flags, level, rest @ ..] = bytes else { return };
    let agreed = DeflateAgreed {
        level: level % 10,
        memory_level: 1 + (level >> 4) % 9,
        client_window_bits: 8 + (flags & 7),
        server_window_bits: 15,
        client_no_context_takeover: flags & 8 != 0,
        // The server's side of this test reads what the client compresses.
        server_no_context_takeover: flags & 8 != 0,
    };
    let (mut deflater, mut sender) = (Deflater::new(agreed), Sender::new());
    let (mut out, mut sent, mut message) = (Vec::new(), Vec::new(), Vec::new());
    let mut compresses = false;
    let mut rest = rest;
    while let [step, count, behind @ ..] = rest {
        let (text, behind) = behind.split_at(usize::from(*count).min(behind.len()));
        rest = behind;
        // What repeats itself can be compressed, and may need the long form of a length.
        let payload = text.repeat(1 + usize::from(step >> 3) * 20);
        match step & 7 {
            0 if sender.takes_message() => {
                assert!(sender.send(MessageKind::Binary, &payload, false, KEY, &mut out));
                sent.push(payload);
            }
            1 if sender.takes_message() => {
                let compressed = deflater.message(&payload);
                assert!(sender.send(MessageKind::Binary, &compressed, true, KEY, &mut out));
                compressed.sent();
                sent.push(payload);
            }
            2 if sender.takes_message() => drop(deflater.message(&payload)),
            3..=5 => {
                let last = step & 7 == 5;
                if !sender.is_sending_pieces() {
                    compresses = step & 8 != 0;
                }
                if compresses {
                    let compressed = deflater.piece(&payload, last);
                    assert!(sender.send_piece(MessageKind::Binary, &compressed, last, true, KEY, &mut out));
                    compressed.sent();
                } else {
                    assert!(sender.send_piece(MessageKind::Binary, &payload, last, false, KEY, &mut out));
                }
                message.extend_from_slice(&payload);
                if last {
                    sent.push(std::mem::take(&mut message));
                }
            }
            6 => assert!(sender.ping(&payload[..payload.len().min(125)], KEY, &mut out)),
            7 => deflater.release(),
            _ => {}
        }
    }
    let wire = unmasked(&out);
    let mut receiver = Receiver::new(Limits::default(), Some(agreed));
    let (mut input, mut seen) = (&wire[..], Vec::new());
    while let Some(event) = receiver.receive(&mut input).expect("a sound stream") {
        if let Event::Message(message) = event {
            seen.push(message.payload.into_owned());
        }
    }
    assert!(input.is_empty());
    assert_eq!(seen, sent);
});
