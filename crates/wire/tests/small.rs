//! Asking for a small message first takes it or leaves everything as it was.

use sunsocket_wire::{Client, Event, Limits, MessageKind};

fn client(most: usize) -> Client {
    Client::new(Limits { max_message_size: most, ..Limits::default() }, None)
}

#[test]
fn a_small_message_is_taken_whole() {
    let mut client = client(1000);
    let mut input: &[u8] = b"\x81\x02hi\x82\x01\xff\x81\x02\xc3\xa9rest";
    assert_eq!(client.receive_small(&mut input), Some((MessageKind::Text, true, b"hi".as_slice())));
    assert_eq!(client.receive_small(&mut input), Some((MessageKind::Binary, false, b"\xff".as_slice())));
    assert_eq!(client.receive_small(&mut input), Some((MessageKind::Text, false, "é".as_bytes())));
    assert_eq!(input, b"rest");
}

#[test]
fn what_is_not_one_is_left_to_receive() {
    let frames: [&[u8]; 8] = [
        b"",
        b"\x81",
        b"\x81\x03hi",
        b"\x01\x02hi",
        b"\x89\x02hi",
        b"\xc1\x02hi",
        b"\x81\x82maskhi",
        b"\x81\x02\xc3\x28",
    ];
    for frame in frames {
        let mut input = frame;
        assert_eq!(client(1000).receive_small(&mut input), None, "{frame:?}");
        assert_eq!(input, frame);
    }
}

#[test]
fn the_limit_holds() {
    let mut input: &[u8] = b"\x82\x02hi";
    assert_eq!(client(1).receive_small(&mut input), None);
    assert!(client(1).receive(&mut input).is_err());
}

#[test]
fn nothing_is_taken_inside_a_message_or_a_frame_or_after_the_close() {
    let whole: &[u8] = b"\x82\x02hi";
    for before in [b"\x01\x01a".as_slice(), b"\x82", b"\x82\x7e\x01", b"\x89\x05pi", b"\x88\x02\x03\xe8"] {
        let mut client = client(1000);
        let mut input = before;
        while let Ok(Some(event)) = client.receive(&mut input) {
            assert!(matches!(event, Event::Close(_)));
        }
        let mut input = whole;
        assert_eq!(client.receive_small(&mut input), None, "{before:?}");
        assert_eq!(input, whole);
    }
}
