//! What a connection gives back at rest, and what it is lent: the messages stay the same.

mod common;

use common::{AGREED, Feed, KEY, Seen, Server, WHOLE, client, frame, receive};
use sunsocket_wire::{Client, DeflateAgreed, Limits, MessageKind};

fn binary(payload: &[u8]) -> Seen {
    Seen::Message(MessageKind::Binary, payload.to_vec())
}

#[test]
fn contexts_are_given_back_and_made_again() {
    let text = b"over and over ".repeat(100);
    for takeover in [true, false] {
        let agreed = DeflateAgreed { server_no_context_takeover: !takeover, ..AGREED };
        let mut client = Client::new(Limits::default(), Some(agreed));
        let mut server = Server::new();
        let mut sizes = Vec::new();
        for _ in 0..3 {
            if !takeover {
                // The server begins anew, as it has agreed to.
                server = Server::new();
            }
            let bytes = frame(0xc2, &server.compress(&text));
            assert_eq!(receive(&mut client, &bytes, WHOLE), [binary(&text)]);
            let mut out = Vec::new();
            assert!(client.send(MessageKind::Text, &text, Some(true), KEY, &mut out));
            sizes.push(out.len());
            client.idle();
        }
        // Ours begins anew each time: no message is smaller for the one before it.
        assert_eq!(sizes[0], sizes[1]);
        assert_eq!(sizes[1], sizes[2]);
    }
    Client::new(Limits::default(), None).idle();
}

#[test]
fn the_debug_form_says_what_was_agreed_and_nothing_of_a_message() {
    let mut client = client(true, 1 << 20);
    assert!(client.send(MessageKind::Text, &b"secret".repeat(100), Some(true), KEY, &mut Vec::new()));
    let shown = format!("{client:?}");
    for direction in ["Deflater", "Inflater"] {
        assert!(shown.contains(&format!("{direction} {{ agreed: DeflateAgreed {{ level: 6")), "{shown}");
    }
    // Neither as text nor as numbers: a client's debug form may end in a log.
    assert!(!shown.contains("secret") && !shown.contains("115, 101, 99"), "{shown}");
    for (first, payload) in [(0x01, &b"secret"[..]), (0x41, &Server::new().compress(b"secret")[..])] {
        let mut client = Client::new(Limits::default(), Some(AGREED));
        assert_eq!(receive(&mut client, &frame(first, payload), WHOLE), []);
        let shown = format!("{client:?}");
        assert!(shown.contains("partial_len: 6"), "{shown}");
        assert!(!shown.contains("secret") && !shown.contains("115, 101, 99"), "{shown}");
    }
}

#[test]
fn a_context_is_kept_inside_a_message() {
    let agreed = DeflateAgreed { server_no_context_takeover: true, ..AGREED };
    let mut client = Client::new(Limits::default(), Some(agreed));
    let compressed = Server::new().compress(&b"half and half ".repeat(50));
    let (first, second) = compressed.split_at(compressed.len() / 2);
    assert_eq!(receive(&mut client, &frame(0x42, first), WHOLE), []);
    client.idle();
    assert_eq!(receive(&mut client, &frame(0x80, second), WHOLE), [binary(&b"half and half ".repeat(50))]);
}

#[test]
fn the_end_gives_back_the_message_under_way() {
    for compressed in [true, false] {
        let mut client = client(compressed, 1 << 20);
        assert_eq!(receive(&mut client, &frame(0x02, &[7; 1000]), WHOLE), []);
        assert_eq!(client.partial_len(), 1000);
        client.end();
        assert_eq!(client.partial_len(), 0);
        assert_eq!(receive(&mut client, &frame(0x80, b"the rest"), WHOLE), []);
    }
}

#[test]
fn a_lent_buffer_is_used_for_a_message_that_does_not_come_whole() {
    let mut client = client(false, 1 << 20);
    client.lend(Vec::with_capacity(1000));
    assert_eq!(receive(&mut client, &frame(0x82, b"whole"), WHOLE), [binary(b"whole")]);
    assert_eq!(client.take_back().capacity(), 1000);
    client.lend(Vec::with_capacity(1000));
    let fragments = [frame(0x02, b"in two "), frame(0x80, b"parts")].concat();
    assert_eq!(receive(&mut client, &fragments, WHOLE), [binary(b"in two parts")]);
    assert_eq!(client.take_back().capacity(), 0);
}

#[test]
fn what_has_come_already_is_the_first_piece() {
    let mut client = client(false, 1 << 20);
    assert_eq!(client.take_piece(), None);
    assert_eq!(receive(&mut client, &frame(0x01, "caf\u{e9}".as_bytes())[..6], WHOLE), []);
    let piece = client.take_piece().expect("three letters and half of one");
    assert_eq!((piece.kind, piece.last, piece.payload), (MessageKind::Text, false, b"caf".to_vec()));
    assert_eq!(client.take_piece(), None);
    let feed = Feed { portions: &[], direct: false, pieces: true, small: false };
    let rest = [&[0xa9][..], &frame(0x80, b"!")].concat();
    assert_eq!(
        receive(&mut client, &rest, feed),
        [Seen::Message(MessageKind::Text, "\u{e9}!".as_bytes().to_vec())]
    );
}

#[test]
fn a_failed_message_is_forgotten_with_its_buffer() {
    let mut client = client(false, 1 << 20);
    let large = [&[0x81, 127][..], &(100_000u64).to_be_bytes(), &[b'a'; 100]].concat();
    assert_eq!(receive(&mut client, &large, WHOLE), []);
    let target = client.read_target().expect("most of it is missing");
    target.buffer.extend_from_slice(&[0xff; 10]);
    assert_eq!(client.filled(10).expect_err("not UTF-8").code, 1007);
    assert_eq!(client.partial_len(), 0);
    assert!(client.read_target().is_none());
    assert_eq!(client.filled(10), Ok(None));
}
