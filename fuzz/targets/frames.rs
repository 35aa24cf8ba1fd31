//! The stream of frames, with and without permessage-deflate: however it is cut, whole or in pieces, with rests between, the
//! receiver reports the same, and keeps to its limit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sunsocket_wire::{DeflateAgreed, Event, Limits, Message, MessageKind, Receiver, Violation};

const LIMIT: usize = 4096;

#[derive(Debug, PartialEq)]
enum Seen {
    Message(MessageKind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
    Failed(u16),
}

/// Feeds `bytes` in portions of `portion`; with `direct` the rest of a large frame is put straight to its place.
fn receive(
    deflate: Option<DeflateAgreed>,
    bytes: &[u8],
    portion: usize,
    direct: bool,
    pieces: bool,
) -> Vec<Seen> {
    let mut receiver = Receiver::new(Limits { max_message_size: LIMIT, ..Limits::default() }, deflate);
    let mut seen = Vec::new();
    let mut begun = Vec::new();
    let mut add = |outcome: Result<Event<'_>, Violation>| {
        seen.push(match outcome {
            Ok(Event::Message(message)) => Seen::Message(message.kind, message.payload.into_owned()),
            Ok(Event::Piece(piece)) => {
                assert!(piece.kind == MessageKind::Binary || std::str::from_utf8(&piece.payload).is_ok());
                begun.extend_from_slice(&piece.payload);
                if !piece.last {
                    return true;
                }
                Seen::Message(piece.kind, std::mem::take(&mut begun))
            }
            Ok(Event::Ping(payload)) => Seen::Ping((*payload).as_ref().to_vec()),
            Ok(Event::Pong(payload)) => Seen::Pong((*payload).as_ref().to_vec()),
            Ok(Event::Close(frame)) => Seen::Close(frame.code, frame.reason),
            Err(violation) => {
                seen.push(Seen::Failed(violation.code));
                return false;
            }
        });
        true
    };
    'all: for mut input in bytes.chunks(portion) {
        receiver.report_pieces(pieces);
        if direct && let Some(target) = receiver.read_target() {
            let count = target.max.min(input.len());
            target.buffer.extend_from_slice(&input[..count]);
            input = &input[count..];
            match receiver.filled(count) {
                Ok(None) => {}
                Ok(Some(event)) => drop(add(Ok(event))),
                Err(violation) => {
                    add(Err(violation));
                    break;
                }
            }
        }
        loop {
            // The driver asks for small messages first; in one piece of input they come the general way.
            if portion < bytes.len()
                && let Some((kind, ascii, payload)) = receiver.receive_small(&mut input)
            {
                add(Ok(Event::Message(Message { kind, ascii, payload: payload.into() })));
                continue;
            }
            match receiver.receive(&mut input) {
                Ok(None) => break,
                Ok(Some(event)) => drop(add(Ok(event))),
                Err(violation) => {
                    add(Err(violation));
                    break 'all;
                }
            }
        }
        assert!(receiver.partial_len() <= LIMIT);
        if portion % 3 == 0 {
            receiver.idle();
        }
    }
    receiver.end();
    assert_eq!((receiver.partial_len(), receiver.receive(&mut &[0x81, 0][..])), (0, Ok(None)));
    seen
}

fuzz_target!(|bytes: &[u8]| {
    let [flags, portion, bytes @ ..] = bytes else { return };
    let deflate = (flags & 1 != 0).then_some(DeflateAgreed {
        level: 6,
        memory_level: 8,
        client_window_bits: 15,
        server_window_bits: if flags & 2 != 0 { 9 } else { 15 },
        client_no_context_takeover: false,
        server_no_context_takeover: flags & 4 != 0,
    });
    let whole = receive(deflate, bytes, bytes.len().max(1), false, false);
    for event in &whole {
        if let Seen::Message(kind, payload) = event {
            assert!(payload.len() <= LIMIT);
            assert!(*kind == MessageKind::Binary || std::str::from_utf8(payload).is_ok());
        }
    }
    let portion = usize::from(*portion).max(1);
    assert_eq!(whole, receive(deflate, bytes, portion, flags & 8 != 0, flags & 16 != 0));
});
