//! Frames have to come in an order that makes messages (RFC 6455 5.4), and each violation says what it was.

mod common;

use common::{KEY, Seen, WHOLE, client, frame, receive};
use sunsocket_wire::{Client, ControlPayload, Limits};

fn violation(bytes: &[u8]) -> sunsocket_wire::Violation {
    let mut client = Client::new(Limits { max_message_size: 10, ..Limits::default() }, Some(common::AGREED));
    let mut input = bytes;
    loop {
        match client.receive(&mut input) {
            Ok(Some(_)) => {}
            Ok(None) => panic!("{bytes:x?} is no violation"),
            Err(violation) => return violation,
        }
    }
}

#[test]
fn each_violation_is_told_with_its_code() {
    for (bytes, code, words) in [
        (frame(0x80, b"x"), 1002, "nothing to continue"),
        ([frame(0x01, b"a"), frame(0x81, b"b")].concat(), 1002, "inside another"),
        ([frame(0x02, b"a"), frame(0x02, b"b")].concat(), 1002, "inside another"),
        (frame(0xb1, b""), 1002, "reserved bit"),
        (frame(0xc0, b""), 1002, "begins no message"),
        (frame(0x83, b""), 1002, "opcode 3"),
        (vec![0x89, 0x7e, 0x00, 0x7e], 1002, "more than 125"),
        (vec![0x08], 1002, "fragmented control"),
        (vec![0x81, 0x80], 1002, "masked"),
        (frame(0x88, b"x"), 1002, "half a close code"),
        (frame(0x88, &[0x03, 0xec]), 1002, "1004"),
        (frame(0x88, &[0x03, 0xe8, 0xff]), 1007, "close reason"),
        (frame(0x81, &[0xff]), 1007, "UTF-8"),
        (frame(0xc1, &[0xff]), 1007, "DEFLATE"),
        (frame(0x82, &[0; 11]), 1009, "max_message_size is 10"),
    ] {
        let violation = violation(&bytes);
        assert_eq!(violation.code, code, "{violation}");
        assert!(violation.to_string().contains(words), "{violation}");
        assert_eq!(violation.is_too_big(), code == 1009);
    }
}

#[test]
fn control_frames_stand_between_fragments() {
    let bytes = [frame(0x01, b"a"), frame(0x89, b"?"), frame(0x8a, b"!"), frame(0x80, b"b")].concat();
    let seen = receive(&mut client(false, 100), &bytes, WHOLE);
    let message = Seen::Message(sunsocket_wire::MessageKind::Text, b"ab".to_vec());
    assert_eq!(seen, [Seen::Ping(b"?".to_vec()), Seen::Pong(b"!".to_vec()), message]);
}

#[test]
fn a_close_without_a_code_is_answered_without_one() {
    let mut client = client(false, 100);
    assert_eq!(receive(&mut client, &frame(0x88, b""), WHOLE), [Seen::Close(1005, String::new())]);
    let mut out = Vec::new();
    assert!(client.transmit(&mut || KEY, &mut out));
    assert_eq!(out[..2], [0x88, 0x80]);
}

#[test]
fn a_control_payload_has_125_bytes_at_the_most() {
    assert_eq!(ControlPayload::new(&[1; 125]).expect("fits").as_ref(), [1; 125]);
    assert!(ControlPayload::new(&[1; 126]).is_none());
    assert_eq!(format!("{:?}", ControlPayload::new(b"a").expect("fits")), "ControlPayload([97])");
}
