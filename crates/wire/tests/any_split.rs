//! However a server's bytes are cut on their way, the client reports the same: the same messages, the same close code,
//! whole or in pieces, with a part of them put straight to its place.

mod common;

use common::{Feed, WHOLE, client, encode, item, receive};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_split_of_the_bytes_gives_the_same_events(
        items in prop::collection::vec(item(), 0..8),
        portions in prop::collection::vec(1usize..5000, 1..6),
        deflate: bool,
        direct: bool,
        pieces: bool,
        small: bool,
        flip in prop::option::of((any::<prop::sample::Index>(), 0u8..8)),
    ) {
        let mut bytes = encode(&items, deflate);
        if let Some((at, bit)) = flip && !bytes.is_empty() {
            // A byte that is wrong somewhere: what follows may mean anything.
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        let whole = receive(&mut client(deflate, 30_000), &bytes, WHOLE);
        let split = receive(&mut client(deflate, 30_000), &bytes, Feed { portions: &portions, direct, pieces, small });
        prop_assert_eq!(&whole, &split);
        let bytewise = Feed { portions: &[1], direct: false, pieces, small };
        if bytes.len() < 20_000 {
            prop_assert_eq!(&whole, &receive(&mut client(deflate, 30_000), &bytes, bytewise));
        }
    }

    #[test]
    fn any_bytes_are_events_or_a_violation(bytes in prop::collection::vec(any::<u8>(), 0..300), deflate: bool) {
        let seen = receive(&mut client(deflate, 1000), &bytes, WHOLE);
        for event in seen {
            if let common::Seen::Message(_, payload) = event {
                prop_assert!(payload.len() <= 1000);
            }
        }
    }
}
