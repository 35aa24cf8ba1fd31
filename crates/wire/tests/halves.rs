//! Receiver, sender and deflater work apart: each under a lock of its own, in any order of what the two sides do.

mod common;

use common::{AGREED, KEY, Server, frame, frames, inflate};
use proptest::prelude::*;
use sunsocket_wire::{
    CloseFrame, ControlPayload, DeflateAgreed, Deflater, Event, Limits, MessageKind, Receiver, Sender, State,
};
use zlib_rs::Inflate;

fn ping(payload: &[u8]) -> Box<ControlPayload> {
    Box::new(ControlPayload::new(payload).expect("short"))
}

/// What a sender owes, written out.
fn transmitted(sender: &mut Sender) -> Vec<(u8, Vec<u8>)> {
    let mut out = Vec::new();
    let owes = sender.owes();
    assert_eq!(sender.transmit(&mut || KEY, &mut out), owes);
    assert_eq!(out.is_empty(), !owes);
    assert!(!sender.owes(), "once is enough");
    frames(&out)
}

#[test]
fn a_sender_owes_one_pong_and_the_newest_wins() {
    let mut sender = Sender::new();
    assert_eq!(transmitted(&mut sender), []);
    sender.owe_pong(ping(b"old"));
    sender.owe_pong(ping(b"new"));
    assert_eq!(transmitted(&mut sender), [(0x8a, b"new".to_vec())]);
    assert_eq!(sender.state(), State::Open);
}

#[test]
fn no_ping_is_answered_after_a_close_of_either_side() {
    let mut ours = Sender::new();
    ours.owe_pong(ping(b"before"));
    assert!(ours.close(1000, "", KEY, &mut Vec::new()));
    ours.owe_pong(ping(b"after"));
    assert_eq!(transmitted(&mut ours), []);
    let mut theirs = Sender::new();
    theirs.owe_pong(ping(b"before"));
    theirs.owe_close(1001);
    theirs.owe_pong(ping(b"after"));
    assert_eq!(transmitted(&mut theirs), [(0x88, 1001u16.to_be_bytes().to_vec())]);
    assert_eq!(theirs.state(), State::Closed);
}

#[test]
fn the_program_may_answer_the_close_with_a_code_of_its_own() {
    let mut sender = Sender::new();
    sender.owe_close(1001);
    assert_eq!(sender.state(), State::CloseReceived);
    let mut out = Vec::new();
    assert!(!sender.send(MessageKind::Text, b"x", false, KEY, &mut out) && out.is_empty());
    assert!(sender.close(3000, "mine", KEY, &mut out));
    assert_eq!(frames(&out), [(0x88, b"\x0b\xb8mine".to_vec())]);
    assert_eq!(transmitted(&mut sender), []);
    assert_eq!(sender.state(), State::Closed);
    sender.owe_close(1001);
    assert_eq!((sender.state(), sender.owes()), (State::Closed, false));
}

#[test]
fn nothing_leaves_after_the_end() {
    let mut sender = Sender::new();
    let mut out = Vec::new();
    assert!(sender.send_piece(MessageKind::Text, b"x", false, false, KEY, &mut out));
    assert!(sender.is_sending_pieces() && !sender.takes_message());
    sender.owe_pong(ping(b"?"));
    sender.end();
    assert!(!sender.is_sending_pieces() && !sender.takes_message());
    out.clear();
    assert!(!sender.send_piece(MessageKind::Text, b"x", true, false, KEY, &mut out));
    assert!(!sender.close(1000, "", KEY, &mut out));
    assert_eq!(transmitted(&mut sender), []);
    assert!(out.is_empty());
}

#[test]
fn a_receiver_goes_on_until_the_close_whatever_was_sent() {
    let mut receiver = Receiver::new(Limits::default(), None);
    let bytes = [frame(0x81, b"m"), frame(0x89, b"?"), frame(0x88, &[0x03, 0xe8])].concat();
    let mut input = &bytes[..];
    let mut events = Vec::new();
    while let Ok(Some(event)) = receiver.receive(&mut input) {
        events.push(event);
    }
    assert!(matches!(&events[0], Event::Message(message) if *message.payload == *b"m"));
    assert_eq!(events[1], Event::Ping(ping(b"?")));
    assert_eq!(events[2], Event::Close(CloseFrame { code: 1000, reason: String::new() }));
    assert_eq!(events.len(), 3);
    assert_eq!(receiver.receive(&mut &frame(0x83, b"")[..]), Ok(None));
}

#[test]
fn rsv1_stands_on_the_first_frame_of_what_was_compressed() {
    let mut sender = Sender::new();
    let mut out = Vec::new();
    assert!(sender.send(MessageKind::Binary, b"a", true, KEY, &mut out));
    for last in [false, false, true] {
        assert!(sender.send_piece(MessageKind::Text, b"b", last, true, KEY, &mut out));
    }
    let firsts: Vec<u8> = frames(&out).into_iter().map(|(first, _)| first).collect();
    assert_eq!(firsts, [0xc2, 0x41, 0x00, 0x80]);
}

#[test]
fn size_or_the_program_decides_what_is_compressed() {
    for (size, wanted, takes) in [
        (0, None, false),
        (1023, None, false),
        (1024, None, true),
        (0, Some(true), true),
        (1 << 20, Some(false), false),
    ] {
        assert_eq!(Deflater::takes(size, wanted), takes, "{size} {wanted:?}");
    }
}

/// What a program does between two frames of the server's.
#[derive(Clone, Debug)]
enum Step {
    Send(Vec<u8>),
    /// It is compressed, and then the sender is not asked.
    Drop(Vec<u8>),
    Piece(Vec<u8>, bool),
    Receive(Vec<u8>),
    Idle,
}

fn step() -> impl Strategy<Value = Step> {
    let text = || prop::collection::vec(prop::sample::select(&b"abcd"[..]), 0..300);
    prop_oneof![
        3 => text().prop_map(Step::Send),
        1 => text().prop_map(Step::Drop),
        3 => (text(), any::<bool>()).prop_map(|(piece, last)| Step::Piece(piece, last)),
        2 => text().prop_map(Step::Receive),
        1 => Just(Step::Idle),
    ]
}

proptest! {
    #[test]
    fn both_directions_keep_their_contexts_to_themselves(
        steps in prop::collection::vec(step(), 0..30),
        client_no_context_takeover: bool,
    ) {
        let agreed = DeflateAgreed { client_no_context_takeover, ..AGREED };
        let mut receiver = Receiver::new(Limits::default(), Some(agreed));
        let mut sender = Sender::new();
        let mut deflater = Deflater::new(agreed);
        let (mut server, mut context) = (Server::new(), Inflate::new(false, 15));
        let (mut out, mut sent) = (Vec::new(), Vec::new());
        for step in steps {
            match step {
                Step::Send(payload) if sender.takes_message() => {
                    let compressed = deflater.message(&payload);
                    prop_assert!(sender.send(MessageKind::Binary, &compressed, true, KEY, &mut out));
                    compressed.sent();
                    sent.push((payload, true));
                }
                Step::Drop(payload) if sender.takes_message() => {
                    drop(deflater.message(&payload));
                }
                Step::Piece(piece, last) => {
                    let compressed = deflater.piece(&piece, last);
                    prop_assert!(sender.send_piece(MessageKind::Binary, &compressed, last, true, KEY, &mut out));
                    compressed.sent();
                    sent.push((piece, last));
                }
                Step::Receive(payload) => {
                    let bytes = frame(0xc2, &server.compress(&payload));
                    let event = receiver.receive(&mut &bytes[..]);
                    prop_assert!(matches!(event, Ok(Some(Event::Message(message))) if *message.payload == *payload));
                }
                Step::Idle => {
                    receiver.idle();
                    deflater.release();
                }
                Step::Send(_) | Step::Drop(_) => {}
            }
        }
        let (mut wire, mut message) = (Vec::new(), Vec::new());
        for ((_, payload), (piece, last)) in frames(&out).into_iter().zip(sent) {
            wire.extend(payload);
            message.extend(piece);
            if last {
                let (wire, message) = (std::mem::take(&mut wire), std::mem::take(&mut message));
                prop_assert_eq!(inflate(&mut context, &wire), message);
            }
        }
    }
}
