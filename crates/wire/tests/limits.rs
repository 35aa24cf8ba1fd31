//! Limits hold exactly: a message at the limit passes, one byte more fails with 1009, before memory is spent on it.

mod common;

use common::{AGREED, Feed, Seen, Server, WHOLE, client, frame, receive};
use sunsocket_wire::{Client, Limits, MessageKind};

fn ok(size: usize) -> Vec<Seen> {
    vec![Seen::Message(MessageKind::Binary, vec![7; size])]
}

const TOO_BIG: [Seen; 1] = [Seen::Failed(1009)];

#[test]
fn of_a_message_in_one_frame() {
    assert_eq!(receive(&mut client(false, 1000), &frame(0x82, &[7; 1000]), WHOLE), ok(1000));
    assert_eq!(receive(&mut client(false, 1000), &frame(0x82, &[7; 1001]), WHOLE), TOO_BIG);
}

#[test]
fn of_fragments_together() {
    let start = [frame(0x02, &[7; 600]), frame(0x00, &[7; 399])].concat();
    let whole = |last: &[u8]| [start.clone(), frame(0x80, last)].concat();
    assert_eq!(receive(&mut client(false, 1000), &whole(&[7]), WHOLE), ok(1000));
    assert_eq!(receive(&mut client(false, 1000), &whole(&[7; 2]), WHOLE), TOO_BIG);
    // In pieces it counts the same, and the message is never complete.
    let feed = Feed { portions: &[], direct: false, pieces: true, small: false };
    assert_eq!(receive(&mut client(false, 1000), &whole(&[7]), feed), ok(1000));
    assert_eq!(receive(&mut client(false, 1000), &whole(&[7; 2]), feed), TOO_BIG);
}

#[test]
fn of_an_announced_length_before_its_bytes_come() {
    for length in [1001u64, 1 << 32, (1 << 63) - 1] {
        let bytes = if length == 1001 {
            frame(0x82, &[7; 1001])[..4].to_vec()
        } else {
            [&[0x82, 127][..], &length.to_be_bytes()].concat()
        };
        assert_eq!(receive(&mut client(false, 1000), &bytes, WHOLE), TOO_BIG, "{length}");
    }
}

#[test]
fn of_what_a_compressed_message_becomes() {
    for size in [1000, 1001, 50_000_000] {
        let bytes = frame(0xc2, &Server::new().compress(&vec![7; size]));
        let expected = if size == 1000 { ok(1000) } else { TOO_BIG.to_vec() };
        assert_eq!(receive(&mut client(true, 1000), &bytes, WHOLE), expected, "{size}");
        let feed = Feed { portions: &[3], direct: false, pieces: true, small: false };
        assert_eq!(receive(&mut client(true, 1000), &bytes, feed), expected, "{size}");
    }
}

#[test]
fn of_a_compressed_message_that_says_nothing_at_length() {
    // Empty stored blocks, five bytes each.
    let blocks = [0x00, 0x00, 0x00, 0xff, 0xff].repeat(1000);
    assert_eq!(receive(&mut client(true, 1000), &frame(0xc2, &blocks), WHOLE), TOO_BIG);
    // What cannot be compressed may be a little larger than the message.
    let mut state = 1u32;
    let mut noise = || {
        // Xorshift: no two stretches of it are alike.
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    let noise: Vec<u8> = (0..20_000).map(|_| noise()).collect();
    let compressed = Server::new().compress(&noise);
    assert!(compressed.len() > noise.len());
    let seen = receive(&mut client(true, noise.len()), &frame(0xc2, &compressed), WHOLE);
    assert_eq!(seen, [Seen::Message(MessageKind::Binary, noise)]);
}

#[test]
fn of_blocks_that_say_they_are_the_last() {
    let ends = |count: usize| [&[0x03, 0x00].repeat(count)[..], &[0x00]].concat();
    assert_eq!(receive(&mut client(true, 10_000), &frame(0xc2, &ends(10)), WHOLE), ok(0));
    assert_eq!(receive(&mut client(true, 10_000), &frame(0xc2, &ends(1000)), WHOLE), [Seen::Failed(1007)]);
}

#[test]
fn of_one_fragment() {
    let limits = Limits { max_fragment_size: 100, ..Limits::default() };
    let client = || Client::new(limits, Some(AGREED));
    assert_eq!(receive(&mut client(), &frame(0x82, &[7; 100]), WHOLE), ok(100));
    assert_eq!(receive(&mut client(), &frame(0x82, &[7; 101]), WHOLE), TOO_BIG);
    let both = [frame(0x02, &[7; 100]), frame(0x80, &[7; 100])].concat();
    assert_eq!(receive(&mut client(), &both, WHOLE), ok(200));
}

#[test]
fn no_fragment_costs_anything_when_it_is_empty() {
    let mut client = client(true, 1000);
    let flood = [frame(0x02, b""), frame(0x00, b"").repeat(100_000)].concat();
    assert_eq!(receive(&mut client, &flood, WHOLE), []);
    assert_eq!(client.partial_len(), 0);
    assert_eq!(receive(&mut client, &frame(0x80, &[7]), WHOLE), ok(1));
}

#[test]
fn memory_grows_with_bytes_that_came() {
    let mut client = client(false, 64 << 20);
    let head = [&[0x82, 127][..], &(64u64 << 20).to_be_bytes(), &[7; 10]].concat();
    assert_eq!(receive(&mut client, &head, WHOLE), []);
    let target = client.read_target().expect("a large frame");
    assert!(target.buffer.capacity() <= 128 << 10, "{}", target.buffer.capacity());
}
