//! A server's bytes for tests, and a client that is fed them in any way.
#![allow(dead_code, reason = "each test file uses a part")]

use proptest::prelude::*;
use sunsocket_wire::{Client, DeflateAgreed, Event, Limits, Message, MessageKind, Violation};
use zlib_rs::{Deflate, DeflateConfig, DeflateFlush, Inflate, InflateFlush};

pub(crate) const AGREED: DeflateAgreed = DeflateAgreed {
    level: 6,
    memory_level: 8,
    client_window_bits: 15,
    server_window_bits: 15,
    client_no_context_takeover: false,
    server_no_context_takeover: false,
};

pub(crate) const KEY: [u8; 4] = [1, 2, 3, 4];

/// A server's frame with the first byte as it is given.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        short @ ..=125 => bytes.push(short as u8),
        medium @ ..=0xffff => {
            bytes.push(126);
            bytes.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            bytes.push(127);
            bytes.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(payload);
    bytes
}

/// Compresses messages as a server does.
pub(crate) struct Server(Deflate);

impl Server {
    pub(crate) fn new() -> Self {
        Self(Deflate::new_with_config(DeflateConfig { window_bits: -15, ..DeflateConfig::default() }))
    }

    pub(crate) fn compress(&mut self, message: &[u8]) -> Vec<u8> {
        let mut out = vec![0; message.len() * 2 + 1024];
        let before = self.0.total_out();
        self.0.compress(message, &mut out, DeflateFlush::SyncFlush).expect("sound");
        out.truncate((self.0.total_out() - before) as usize);
        out.truncate(out.len().saturating_sub(4));
        if out.is_empty() {
            out.push(0);
        }
        out
    }
}

/// The frames that a client wrote: first byte and unmasked payload of each.
pub(crate) fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = bytes {
        assert_eq!(second & 0x80, 0x80, "masked");
        let (length, rest) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            127 => (u64::from_be_bytes(rest[..8].try_into().expect("eight")), &rest[8..]),
            short => (u64::from(short), rest),
        };
        let (key, rest) = rest.split_at(4);
        let (payload, rest) = rest.split_at(length as usize);
        frames.push((*first, payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect()));
        bytes = rest;
    }
    frames
}

/// What a server makes of a compressed message.
pub(crate) fn inflate(context: &mut Inflate, payload: &[u8]) -> Vec<u8> {
    let input = [payload, &[0, 0, 0xff, 0xff]].concat();
    let mut out = vec![0; 1 << 20];
    let before = context.total_out();
    context.decompress(&input, &mut out, InflateFlush::SyncFlush).expect("sound");
    out.truncate((context.total_out() - before) as usize);
    out
}

/// What a client reported, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Message(MessageKind, Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16, String),
    Failed(u16),
}

/// Collects events; pieces are put together.
#[derive(Default)]
pub(crate) struct Record {
    pub(crate) seen: Vec<Seen>,
    pub(crate) pieces: Vec<u8>,
}

impl Record {
    pub(crate) fn add(&mut self, outcome: Result<Event<'_>, Violation>) {
        self.seen.push(match outcome {
            Ok(Event::Message(message)) => {
                if message.kind == MessageKind::Text {
                    assert!(std::str::from_utf8(&message.payload).is_ok());
                    assert!(!message.ascii || message.payload.is_ascii());
                }
                Seen::Message(message.kind, message.payload.into_owned())
            }
            Ok(Event::Piece(piece)) => {
                if piece.kind == MessageKind::Text {
                    assert!(
                        std::str::from_utf8(&piece.payload).is_ok(),
                        "a piece of text ends with a character"
                    );
                }
                self.pieces.extend_from_slice(&piece.payload);
                if !piece.last {
                    return;
                }
                Seen::Message(piece.kind, std::mem::take(&mut self.pieces))
            }
            Ok(Event::Ping(payload)) => Seen::Ping((*payload).as_ref().to_vec()),
            Ok(Event::Pong(payload)) => Seen::Pong((*payload).as_ref().to_vec()),
            Ok(Event::Close(frame)) => Seen::Close(frame.code, frame.reason),
            Err(violation) => Seen::Failed(violation.code),
        });
    }
}

/// How bytes reach the client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Feed<'a> {
    /// Sizes of the portions, over and over; none: all at once.
    pub(crate) portions: &'a [usize],
    /// Whether the rest of a large frame is put straight to its place.
    pub(crate) direct: bool,
    /// Whether messages are asked for in pieces.
    pub(crate) pieces: bool,
    /// Whether small messages are asked for first.
    pub(crate) small: bool,
}

pub(crate) const WHOLE: Feed<'static> = Feed { portions: &[], direct: false, pieces: false, small: false };

/// Everything that the client reports of `bytes`.
pub(crate) fn receive(client: &mut Client, bytes: &[u8], feed: Feed<'_>) -> Vec<Seen> {
    let mut record = Record::default();
    let mut rest = bytes;
    let mut turn = 0;
    while !rest.is_empty() {
        let size = feed.portions.get(turn % feed.portions.len().max(1)).copied().unwrap_or(rest.len());
        turn += 1;
        client.report_pieces(feed.pieces);
        let (mut portion, behind) = rest.split_at(size.clamp(1, rest.len()));
        rest = behind;
        if feed.direct
            && let Some(target) = client.read_target()
        {
            let count = target.max.min(portion.len());
            target.buffer.extend_from_slice(&portion[..count]);
            portion = &portion[count..];
            match client.filled(count) {
                Ok(None) => {}
                Ok(Some(event)) => record.add(Ok(event)),
                Err(violation) => {
                    record.add(Err(violation));
                    return record.seen;
                }
            }
        }
        if feed.direct {
            // What was lent has nothing in it, whatever it was used for.
            client.lend(Vec::with_capacity(rest.len() % 3 * 10_000));
        }
        loop {
            if feed.small
                && let Some((kind, ascii, payload)) = client.receive_small(&mut portion)
            {
                record.add(Ok(Event::Message(Message { kind, ascii, payload: payload.into() })));
                continue;
            }
            match client.receive(&mut portion) {
                Ok(None) => break,
                Ok(Some(event)) => record.add(Ok(event)),
                Err(violation) => {
                    record.add(Err(violation));
                    return record.seen;
                }
            }
        }
    }
    record.seen
}

pub(crate) fn client(deflate: bool, max_message_size: usize) -> Client {
    let limits = Limits { max_message_size, ..Limits::default() };
    Client::new(limits, deflate.then_some(AGREED))
}

/// Payloads that are text, not quite text, short, long, repetitive.
pub(crate) fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => "[a-c]{0,40}".prop_map(String::into_bytes),
        2 => "\\PC{0,40}".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..140),
        1 => (any::<u8>(), 100usize..40_000).prop_map(|(byte, size)| vec![byte & 0x7f; size]),
    ]
}

/// One thing that a server may send, before it is put on the wire.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Message { text: bool, compressed: bool, fragments: Vec<usize>, payload: Vec<u8> },
    Control { opcode: u8, payload: Vec<u8> },
    Close { code: u16, reason: Vec<u8> },
    Junk(Vec<u8>),
}

pub(crate) fn item() -> impl Strategy<Value = Item> {
    prop_oneof![
        8 => (any::<bool>(), any::<bool>(), prop::collection::vec(0usize..200, 0..4), payload()).prop_map(
            |(text, compressed, fragments, payload)| Item::Message { text, compressed, fragments, payload }
        ),
        3 => (9u8..=10, prop::collection::vec(any::<u8>(), 0..126))
            .prop_map(|(opcode, payload)| Item::Control { opcode, payload }),
        1 => (prop::sample::select(&[1000u16, 1001, 1005, 3000, 999][..]), "\\PC{0,20}")
            .prop_map(|(code, reason)| Item::Close { code, reason: reason.into_bytes() }),
        1 => prop::collection::vec(any::<u8>(), 1..20).prop_map(Item::Junk),
    ]
}

/// The bytes of all of it; with `deflate` messages may be compressed, between fragments stand pings.
pub(crate) fn encode(items: &[Item], deflate: bool) -> Vec<u8> {
    let mut server = Server::new();
    let mut bytes = Vec::new();
    for item in items {
        match item {
            Item::Message { text, compressed, fragments, payload } => {
                let compressed = *compressed && deflate;
                let payload = if compressed { server.compress(payload) } else { payload.clone() };
                let mut first = if *text { 1 } else { 2 } | if compressed { 0x40 } else { 0 };
                let mut rest = &payload[..];
                for size in fragments {
                    let (piece, behind) = rest.split_at((*size).min(rest.len()));
                    rest = behind;
                    bytes.extend(frame(first, piece));
                    bytes.extend(frame(0x89, b"between"));
                    first = 0;
                }
                bytes.extend(frame(first | 0x80, rest));
            }
            Item::Control { opcode, payload } => bytes.extend(frame(0x80 | opcode, payload)),
            Item::Close { code: 1005, .. } => bytes.extend(frame(0x88, b"")),
            Item::Close { code, reason } => {
                bytes.extend(frame(0x88, &[&code.to_be_bytes()[..], reason].concat()));
            }
            Item::Junk(junk) => bytes.extend_from_slice(junk),
        }
    }
    bytes
}
