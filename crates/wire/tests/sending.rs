//! What a client appends can be read by a server: masked frames, messages in pieces, control frames between them.

mod common;

use common::{AGREED, KEY, WHOLE, client, frame, frames, inflate, receive};
use proptest::prelude::*;
use sunsocket_wire::{Client, Limits, MessageKind, State};
use zlib_rs::Inflate;

#[test]
fn small_messages_go_as_they_are_and_large_ones_compressed() {
    let mut client = client(true, 1 << 20);
    let mut out = Vec::new();
    for (size, compress, first) in [
        (1023, None, 0x81),
        (1024, None, 0xc1),
        (1, Some(true), 0xc1),
        (0, Some(true), 0xc1),
        (5000, Some(false), 0x81),
    ] {
        out.clear();
        assert!(client.send(MessageKind::Text, &vec![b'a'; size], compress, KEY, &mut out));
        assert_eq!(out[0], first, "{size}");
    }
    let mut plain = Client::new(Limits::default(), None);
    out.clear();
    assert!(plain.send(MessageKind::Text, &[b'a'; 5000], Some(true), KEY, &mut out));
    assert_eq!(out[0], 0x81);
}

proptest! {
    #[test]
    fn a_message_in_pieces_is_one_message(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..2000), 1..6),
        compress in any::<Option<bool>>(),
        deflate: bool,
    ) {
        let mut client = Client::new(Limits::default(), deflate.then_some(AGREED));
        let mut context = Inflate::new(false, 15);
        for _ in 0..2 {
            let mut out = Vec::new();
            for (at, piece) in pieces.iter().enumerate() {
                let last = at + 1 == pieces.len();
                prop_assert!(client.send_piece(MessageKind::Binary, piece, last, compress, KEY, &mut out));
                prop_assert_eq!(client.is_sending_pieces(), !last);
                if !last {
                    prop_assert!(!client.send(MessageKind::Text, b"not now", None, KEY, &mut out));
                    prop_assert!(client.ping(b"", KEY, &mut out));
                }
            }
            let frames = frames(&out);
            let data: Vec<_> = frames.iter().filter(|(first, _)| first & 0x0f < 8).collect();
            prop_assert_eq!(data.len(), pieces.len());
            prop_assert_eq!(frames.len() - data.len(), pieces.len() - 1);
            for (at, (first, _)) in data.iter().enumerate() {
                prop_assert_eq!(first & 0x0f, if at == 0 { 2 } else { 0 });
                prop_assert_eq!(first & 0x80 != 0, at + 1 == data.len());
                prop_assert!(at == 0 || first & 0x40 == 0);
            }
            let compressed = data[0].0 & 0x40 != 0;
            prop_assert_eq!(compressed, deflate && compress.unwrap_or(pieces[0].len() >= 1024));
            let wire: Vec<u8> = data.iter().flat_map(|(_, payload)| payload.clone()).collect();
            let message = if compressed { inflate(&mut context, &wire) } else { wire };
            prop_assert_eq!(message, pieces.concat());
        }
    }
}

#[test]
fn the_newest_ping_is_answered_and_the_close_is_echoed() {
    let mut client = client(false, 1000);
    let bytes = [frame(0x89, b"old"), frame(0x89, b"new"), frame(0x88, &[0x0f, 0xa0])].concat();
    let mut first = &bytes[..10];
    while client.receive(&mut first).expect("sound").is_some() {}
    let mut out = Vec::new();
    assert!(client.transmit(&mut || KEY, &mut out));
    assert_eq!(frames(&out), [(0x8a, b"new".to_vec())]);
    assert_eq!(receive(&mut client, &bytes[10..], WHOLE).len(), 1);
    assert_eq!(client.state(), State::CloseReceived);
    out.clear();
    assert!(client.transmit(&mut || KEY, &mut out));
    assert_eq!(frames(&out), [(0x88, vec![0x0f, 0xa0])]);
    assert_eq!(client.state(), State::Closed);
    out.clear();
    assert!(!client.transmit(&mut || KEY, &mut out));
    assert!(!client.send(MessageKind::Text, b"x", None, KEY, &mut out));
    assert!(!client.send_piece(MessageKind::Text, b"x", true, None, KEY, &mut out));
    assert!(!client.ping(b"", KEY, &mut out));
    assert!(!client.close(1000, "", KEY, &mut out));
    assert!(out.is_empty());
}

#[test]
fn nothing_counts_after_a_close_or_a_violation() {
    let after = frame(0x81, b"late");
    let mut closed = client(false, 1000);
    assert_eq!(receive(&mut closed, &[frame(0x88, b""), after.clone()].concat(), WHOLE).len(), 1);
    let mut failed = client(false, 1000);
    let seen = receive(&mut failed, &[&[0x83, 0x00], &after[..]].concat(), WHOLE);
    assert_eq!(seen, [common::Seen::Failed(1002)]);
    assert_eq!(receive(&mut failed, &after, WHOLE), []);
    let violation = client(false, 10).receive(&mut &frame(0x81, &[b'a'; 11])[..]).expect_err("too big");
    let mut out = Vec::new();
    assert!(failed.fail(&violation, KEY, &mut out));
    assert_eq!(frames(&out), [(0x88, 1009u16.to_be_bytes().to_vec())]);
    assert!(!failed.fail(&violation, KEY, &mut out));
    assert_eq!(failed.state(), State::Closed);
}

#[test]
fn an_answer_to_our_close_ends_it() {
    let mut client = client(false, 1000);
    let mut out = Vec::new();
    assert!(client.close(3000, "bye", KEY, &mut out));
    assert_eq!(frames(&out), [(0x88, b"\x0b\xb8bye".to_vec())]);
    assert_eq!(client.state(), State::CloseSent);
    // Messages that were under way still come, pings are not answered any more.
    let seen = receive(&mut client, &[frame(0x81, b"m"), frame(0x89, b""), frame(0x88, b"")].concat(), WHOLE);
    assert_eq!(seen.len(), 3);
    assert_eq!(client.state(), State::Closed);
    assert!(!client.transmit(&mut || KEY, &mut out));
}
