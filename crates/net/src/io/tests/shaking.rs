//! Handshakes in small pieces, cut off, and with bytes changed at random.

use std::io::Write;

use proptest::prelude::*;
use rustls::SupportedCipherSuite;

use super::forger::open_to_forger;
use super::*;

fn configurations_of(is_tls13: bool) -> (Arc<ClientConfig>, Arc<ServerConfig>) {
    configurations_with(|provider| {
        provider.cipher_suites.retain(|suite| matches!(suite, SupportedCipherSuite::Tls13(_)) == is_tls13);
    })
}

/// A handshake whose hello was sent, its peer, and what the peer has to say to that.
fn after_hello((client, server): &(Arc<ClientConfig>, Arc<ServerConfig>)) -> (Handshake, Peer, Vec<u8>) {
    let (transport, mut peer) = Peer::plain();
    let mut handshake = Handshake::new(transport, session(client));
    peer.secure(server);
    assert!(!handshake.step().expect("the peer has not spoken"));
    peer.hear(usize::MAX);
    let mut flight = Vec::new();
    while peer.layers[0].wants_write() {
        peer.layers[0].write_tls(&mut flight).expect("memory");
    }
    (handshake, peer, flight)
}

#[test]
fn a_handshake_of_small_records_that_come_byte_by_byte_is_as_good() {
    for is_tls13 in [false, true] {
        let (client, mut server) = configurations_of(is_tls13);
        Arc::get_mut(&mut server).expect("nobody else has it").max_fragment_size = Some(32);
        let (mut handshake, mut peer, flight) = after_hello(&(client, server));
        let mut is_over = false;
        for byte in flight {
            assert!(!is_over);
            peer.socket.write_all(&[byte]).expect("room");
            is_over = handshake.step().expect("a good handshake");
        }
        peer.turn();
        while !is_over {
            is_over = handshake.step().expect("a good handshake");
            peer.turn();
        }
        let mut transport = handshake.into_transport().expect("it is over");
        peer.say(b"Hello");
        assert_eq!(read_all(&mut transport.reader, 100).0, b"Hello");
        assert_eq!(transport.writer.write(b"Hi").expect("room"), 2);
        peer.turn();
        assert_eq!(peer.heard, b"Hi");
    }
}

#[test]
fn what_comes_with_the_end_of_the_handshake_is_not_lost() {
    // A server may speak as soon as it has sent its part (RFC 8446 4.4.4).
    let (client, mut server) = configurations();
    Arc::get_mut(&mut server).expect("nobody else has it").send_half_rtt_data = true;
    let (mut handshake, mut peer, flight) = after_hello(&(client, server));
    peer.socket.write_all(&flight).expect("room");
    peer.say(b"early");
    peer.layers[0].send_close_notify();
    peer.send();
    assert!(handshake.step().expect("a good handshake"));
    let mut transport = handshake.into_transport().expect("it is over");
    let (all, end) = read_all(&mut transport.reader, 100);
    assert_eq!(all, b"early");
    end.expect("an orderly end");
}

#[test]
fn a_handshake_that_is_cut_off_anywhere_is_an_error() {
    for is_tls13 in [false, true] {
        let configurations = configurations_of(is_tls13);
        for cut in (0..after_hello(&configurations).2.len()).step_by(23) {
            let (mut handshake, mut peer, flight) = after_hello(&configurations);
            // Signatures have no fixed length, so that this flight may be shorter than the one that was measured.
            peer.socket.write_all(&flight[..cut.min(flight.len() - 1)]).expect("room");
            peer.socket.shutdown(std::net::Shutdown::Write).expect("open");
            let error = handshake.step().expect_err("cut off");
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{cut}");
        }
    }
}

/// Changes, drops or adds bytes.
fn spoil(bytes: &mut Vec<u8>, changes: &[(u16, u8, u8)]) {
    for &(at, byte, kind) in changes {
        if bytes.is_empty() {
            return;
        }
        let at = usize::from(at) % bytes.len();
        match kind {
            0 => bytes[at] ^= byte | 1,
            1 => drop(bytes.remove(at)),
            2 => bytes.insert(at, byte),
            3 => bytes.truncate(at),
            _ => {
                let end = (at + usize::from(byte)).min(bytes.len());
                bytes.extend_from_within(at..end);
            }
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<(u16, u8, u8)>> {
    prop::collection::vec((any::<u16>(), any::<u8>(), 0_u8..5), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_spoilt_handshake_is_an_error_or_waits(
        is_tls13: bool,
        changes in changes(),
        pieces in prop::collection::vec(1_usize..2000, 1..4),
    ) {
        let (mut handshake, mut peer, mut flight) = after_hello(&configurations_of(is_tls13));
        let good = flight.clone();
        spoil(&mut flight, &changes);
        prop_assume!(!flight.starts_with(&good));
        let mut pieces = pieces.into_iter().cycle();
        let mut rest = &flight[..];
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(pieces.next().unwrap_or(1).min(rest.len()));
            rest = behind;
            peer.socket.write_all(piece).expect("room");
            match handshake.step() {
                Ok(is_over) => prop_assert!(!is_over || is_tls13),
                Err(error) => {
                    prop_assert!(!is_blocked(&error));
                    return Ok(());
                }
            }
        }
    }

    #[test]
    fn spoilt_records_bring_nothing_that_was_not_sent(is_tls13: bool, changes in changes(), max in 1_usize..99) {
        let (mut transport, mut forger) = open_to_forger(is_tls13);
        let sent = bytes(300);
        let mut records: Vec<u8> = sent
            .chunks(70)
            .flat_map(|piece| forger.record(rustls::ContentType::ApplicationData, piece))
            .collect();
        spoil(&mut records, &changes);
        forger.say_raw(&records);
        let (all, _) = read_all(&mut transport.reader, max);
        prop_assert!(sent.starts_with(&all));
        let _ = transport.writer.flush();
    }
}
