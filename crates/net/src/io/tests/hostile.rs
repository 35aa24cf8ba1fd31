//! Servers that break TLS after the handshake, wear it out, or are only unusual.

use rustls::ContentType::{Alert, ApplicationData, ChangeCipherSpec, Handshake as HandshakeRecord};
use rustls::{ContentType, SupportedCipherSuite};

use super::forger::{Forger, open_to_forger};
use super::*;

const BOTH: [bool; 2] = [false, true];

/// The message of the handshake's kind `kind`, with its header.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 0, (body.len() >> 8) as u8, body.len() as u8], body].concat()
}

/// That the client says why it gives up, and nothing else: alert 10 is unexpected_message, and so on (RFC 8446 6).
fn assert_told(transport: &mut Transport, forger: &mut Forger, alert: u8) {
    assert!(transport.reader.owes_write());
    assert!(transport.writer.flush().expect("the forger is there"));
    assert!(!transport.reader.owes_write());
    assert_eq!(forger.hear(), Some((Alert, vec![2, alert])));
    assert_eq!(forger.hear(), None);
}

/// That what has come ends in an error behind `data`, of which the server is told.
fn assert_fails(transport: &mut Transport, forger: &mut Forger, data: &[u8], alert: u8) {
    let (all, end) = read_all(&mut transport.reader, 3);
    assert_eq!(all, data);
    assert_eq!(end.expect_err("broken").kind(), io::ErrorKind::InvalidData);
    assert_told(transport, forger, alert);
    // And from then on it is over, whatever comes.
    forger.say(ApplicationData, b"more");
    let again = transport.reader.read(&mut [0; 9]).expect_err("it is over");
    assert_eq!(again.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn every_cipher_is_spoken() {
    let all = rustls::crypto::ring::default_provider().cipher_suites;
    let sent = bytes(100_000);
    for suite in all.into_iter().filter(|suite| !format!("{:?}", suite.suite()).contains("RSA")) {
        let (mut transport, mut peer) =
            open_with(1, &configurations_with(|provider| provider.cipher_suites = vec![suite]));
        peer.say(&sent);
        assert!(read_all(&mut transport.reader, 7000).0 == sent, "{suite:?}");
        let mut written = 0;
        while written < sent.len() {
            written += transport.writer.write(&sent[written..]).expect("room");
            peer.turn();
        }
        assert!(peer.heard == sent, "{suite:?}");
    }
}

#[test]
fn what_is_cut_off_anywhere_is_never_taken_for_the_end() {
    for is_tls13 in BOTH {
        let (_, mut forger) = open_to_forger(is_tls13);
        let length = forger.record(ApplicationData, b"abc").len();
        for cut in 0..2 * length {
            let (mut transport, mut forger) = open_to_forger(is_tls13);
            let records = [forger.record(ApplicationData, b"abc"), forger.record(ApplicationData, b"def")];
            forger.say_raw(&records.concat()[..cut]);
            drop(forger);
            let (all, end) = read_all(&mut transport.reader, 100);
            assert_eq!(all, b"abcdef"[..cut / length * 3]);
            assert_eq!(end.expect_err("cut off").kind(), io::ErrorKind::UnexpectedEof, "{cut}");
        }
    }
}

#[test]
fn bytes_that_come_one_by_one_are_as_good() {
    for is_tls13 in BOTH {
        let (mut transport, mut forger) = open_to_forger(is_tls13);
        let sent = bytes(300);
        let mut received = Vec::new();
        for byte in forger.record(ApplicationData, &sent) {
            forger.say_raw(&[byte]);
            received.extend(read_all(&mut transport.reader, 100).0);
        }
        assert!(received == sent);
    }
}

#[test]
fn a_changed_or_repeated_record_is_refused() {
    for is_tls13 in BOTH {
        let (mut transport, mut forger) = open_to_forger(is_tls13);
        let record = forger.record(ApplicationData, b"abc");
        forger.say_raw(&record);
        forger.say_raw(&record);
        assert_fails(&mut transport, &mut forger, b"abc", 20);
        for at in [5, record.len() - 1] {
            let (mut transport, mut forger) = open_to_forger(is_tls13);
            let mut record = forger.record(ApplicationData, b"abc");
            record[at] ^= 1;
            forger.say_raw(&record);
            assert_fails(&mut transport, &mut forger, b"", 20);
        }
    }
}

#[test]
fn what_may_not_come_is_refused() {
    for is_tls13 in BOTH {
        for (kind, payload, alert) in [
            (ContentType::Heartbeat, &b"x"[..], 10),
            // A ServerHello; nothing at all.
            (HandshakeRecord, &message(2, b"x"), 10),
            (HandshakeRecord, b"", 10),
            // A message longer than any.
            (HandshakeRecord, b"\x04\xff\xff\xff", 50),
            (Alert, b"\x01", 50),
        ] {
            let (mut transport, mut forger) = open_to_forger(is_tls13);
            forger.say(ApplicationData, b"abc");
            forger.say(kind, payload);
            assert_fails(&mut transport, &mut forger, b"abc", alert);
        }
    }
    let (mut transport, mut forger) = open_to_forger(false);
    forger.say(ChangeCipherSpec, b"\x01");
    assert_fails(&mut transport, &mut forger, b"", 10);
}

#[test]
fn what_is_not_encrypted_or_no_record_is_refused() {
    for (bytes, alert) in [
        // A goodbye in plain text, as whoever stands between could write it.
        (&b"\x15\x03\x03\x00\x02\x01\x00"[..], 10),
        (b"\x14\x03\x03\x00\x01\x01", 10),
        (b"\x17\x03\x03\x48\x01", 22),
        (b"\x17\x02\x00\x00\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 50),
        (b"\x17\x03\x03\x00\x00", 20),
    ] {
        let (mut transport, mut forger) = open_to_forger(true);
        forger.say_raw(bytes);
        assert_fails(&mut transport, &mut forger, b"", alert);
    }
}

#[test]
fn empty_records_are_borne_for_a_while() {
    for is_tls13 in BOTH {
        let (mut transport, mut forger) = open_to_forger(is_tls13);
        for _ in 0..3 {
            for _ in 0..32 {
                forger.say(ApplicationData, b"");
            }
            forger.say(ApplicationData, b"abc");
            assert_eq!(read_all(&mut transport.reader, 100).0, b"abc");
        }
        for _ in 0..33 {
            forger.say(ApplicationData, b"");
        }
        assert_fails(&mut transport, &mut forger, b"", 10);
    }
}

#[test]
fn warnings_are_borne_for_a_while_and_other_alerts_are_told() {
    for (is_tls13, warning) in [(false, [1, 90]), (false, [1, 112]), (true, [1, 90])] {
        let (mut transport, mut forger) = open_to_forger(is_tls13);
        for _ in 0..4 {
            forger.say(Alert, &warning);
        }
        forger.say(ApplicationData, b"abc");
        assert_eq!(read_all(&mut transport.reader, 100).0, b"abc");
        forger.say(Alert, &warning);
        assert_fails(&mut transport, &mut forger, b"", 10);
    }
    for (is_tls13, alert) in [(true, [1, 112]), (true, [2, 80]), (false, [2, 80])] {
        let (mut transport, mut forger) = open_to_forger(is_tls13);
        forger.say(ApplicationData, b"abc");
        forger.say(Alert, &alert);
        let (all, end) = read_all(&mut transport.reader, 100);
        assert_eq!(all, b"abc");
        let error = end.expect_err("an alert").to_string();
        assert!(error.contains("ended TLS with the alert"), "{error}");
        assert!(!transport.reader.owes_write(), "an alert is not answered");
    }
}

#[test]
fn nothing_is_read_behind_a_goodbye() {
    for is_tls13 in BOTH {
        let (mut transport, mut forger) = open_to_forger(is_tls13);
        forger.say(ApplicationData, b"abc");
        forger.say(Alert, b"\x01\x00");
        forger.say(ApplicationData, b"def");
        forger.say_raw(b"nonsense");
        for expected in [&b"abc"[..], b"", b""] {
            let (all, end) = read_all(&mut transport.reader, 2);
            assert_eq!(all, expected);
            end.expect("an orderly end");
        }
        // Our direction goes on.
        assert_eq!(transport.writer.write(b"ours").expect("room"), 4);
        assert_eq!(forger.hear(), Some((ApplicationData, b"ours".to_vec())));
    }
}

#[test]
fn renegotiation_is_refused_politely_once() {
    let (mut transport, mut forger) = open_to_forger(false);
    forger.say(HandshakeRecord, &message(0, b""));
    forger.say(ApplicationData, b"abc");
    assert_eq!(read_all(&mut transport.reader, 100).0, b"abc");
    assert!(transport.reader.owes_write() && transport.writer.flush().expect("the forger is there"));
    assert_eq!(forger.hear(), Some((Alert, vec![1, 100])));
    forger.say(HandshakeRecord, &message(0, b""));
    assert_fails(&mut transport, &mut forger, b"", 10);
}

#[test]
fn a_message_in_two_records_is_put_together_and_not_interrupted() {
    let ticket = message(4, &[&[0, 0, 0, 60, 1, 2, 3, 4, 0, 0, 40][..], &[7; 40], &[0, 0]].concat());
    let (mut transport, mut forger) = open_to_forger(true);
    for piece in ticket.chunks(9) {
        forger.say(HandshakeRecord, piece);
    }
    forger.say(HandshakeRecord, &[&ticket[..], &ticket].concat());
    forger.say(ApplicationData, b"abc");
    assert_eq!(read_all(&mut transport.reader, 100).0, b"abc");
    forger.say(HandshakeRecord, &ticket[..9]);
    forger.say(ApplicationData, b"def");
    assert_fails(&mut transport, &mut forger, b"", 10);
}

#[test]
fn a_change_of_keys_comes_alone_and_says_what_it_wants() {
    for (payload, alert) in [
        ([message(24, b"\0"), message(24, b"\0")].concat(), 10),
        ([message(24, b"\0"), vec![4]].concat(), 10),
        (message(24, b"\x02"), 47),
        (message(24, b""), 47),
    ] {
        let (mut transport, mut forger) = open_to_forger(true);
        forger.say(HandshakeRecord, &payload);
        assert_fails(&mut transport, &mut forger, b"", alert);
    }
    let (mut transport, mut forger) = open_to_forger(false);
    forger.say(HandshakeRecord, &message(24, b"\0"));
    assert_fails(&mut transport, &mut forger, b"", 10);
}

#[test]
fn keys_may_change_often_with_data_between() {
    let (mut transport, mut peer) = open(1);
    for round in 0..200_u8 {
        peer.layers[0].refresh_traffic_keys().expect("TLS 1.3");
        peer.say(&[round]);
        assert_eq!(read_all(&mut transport.reader, 100).0, [round]);
        assert!(transport.reader.owes_write() && transport.writer.wants_write(), "an answer");
        assert_eq!(transport.writer.write(&[round]).expect("room"), 1);
        assert!(!transport.reader.owes_write());
        peer.turn();
        assert_eq!((peer.heard.last(), &peer.error), (Some(&round), &None));
    }
}

#[test]
fn changes_of_keys_without_data_come_to_an_end() {
    let (mut transport, mut peer) = open(1);
    let mut changes = 0;
    let error = loop {
        peer.layers[0].refresh_traffic_keys().expect("TLS 1.3");
        peer.send();
        changes += 1;
        let (all, end) = read_all(&mut transport.reader, 100);
        assert!(all.is_empty());
        let error = end.expect_err("nothing but changes of keys");
        if !is_blocked(&error) {
            break error;
        }
        assert!(transport.writer.flush().expect("the peer is there"));
        peer.turn();
    };
    assert_eq!((error.kind(), changes), (io::ErrorKind::InvalidData, 33));
}

#[test]
fn answers_do_not_pile_up_where_the_server_does_not_read() {
    let (mut transport, mut peer) = open(1);
    while transport.writer.write(&[7; 16384]).is_ok() {}
    let held = transport.writer.held();
    for _ in 0..1000 {
        peer.layers[0].refresh_traffic_keys().expect("TLS 1.3");
        peer.say(b"x");
        assert_eq!(read_all(&mut transport.reader, 100).0, b"x");
        assert!(!transport.writer.flush().expect("the peer is there"));
    }
    assert_eq!(transport.writer.held(), held);
    while !transport.writer.flush().expect("the peer is there") {
        peer.turn();
    }
    peer.turn();
    assert_eq!(peer.error, None);
}

/// A transport whose key can encrypt so many records more, and its peer.
fn with_limited_key(is_tls13: bool, more: u64) -> (Transport, Peer) {
    let configurations = configurations_with(|provider| {
        provider.cipher_suites.retain(|suite| matches!(suite, SupportedCipherSuite::Tls13(_)) == is_tls13);
    });
    let (mut transport, peer) = open_with(1, &configurations);
    let Writer::Tls(writer) = &mut transport.writer else { panic!("TLS") };
    writer.limit_key_to(more);
    (transport, peer)
}

#[test]
fn a_key_that_has_encrypted_enough_is_replaced() {
    let (mut transport, mut peer) = with_limited_key(true, 1025);
    for byte in b"abcd" {
        assert_eq!(transport.writer.write(&[*byte]).expect("room"), 1);
    }
    peer.turn();
    assert_eq!((&peer.heard[..], &peer.error), (&b"abcd"[..], &None));
    peer.say(b"efg");
    assert_eq!(read_all(&mut transport.reader, 100).0, b"efg");
}

#[test]
fn a_key_of_tls_1_2_encrypts_no_more_than_it_may() {
    let (mut transport, mut peer) = with_limited_key(false, 2);
    for _ in 0..2 {
        assert_eq!(transport.writer.write(b"a").expect("room"), 1);
    }
    let error = transport.writer.write(b"a").expect_err("no other key can be had");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(error.to_string().contains("connect anew"), "{error}");
    peer.turn();
    assert_eq!(peer.heard, b"aa");
}
