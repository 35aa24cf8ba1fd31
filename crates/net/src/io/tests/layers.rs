//! What a transport promises, through no, one and two layers of TLS.

use super::*;

#[test]
fn bytes_go_both_ways_through_every_number_of_layers() {
    let sent = bytes(1_000_000);
    for layers in 0..=2 {
        let (mut transport, mut peer) = open(layers);
        peer.say(&sent);
        let (mut written, mut received) = (0, Vec::new());
        while received.len() < sent.len() || peer.heard.len() < sent.len() {
            match transport.writer.write(&sent[written..]) {
                Ok(count) => written += count,
                Err(error) => assert!(is_blocked(&error), "{error}"),
            }
            transport.writer.flush().expect("the peer is there");
            received.extend(read_all(&mut transport.reader, 50_000).0);
            peer.turn();
        }
        assert!(received == sent && peer.heard == sent, "the same bytes, {layers} layers");
    }
}

#[test]
fn a_byte_at_a_time_is_as_good() {
    let sent = bytes(3000);
    for layers in 0..=2 {
        let (mut transport, mut peer) = open(layers);
        for byte in &sent {
            assert_eq!(transport.writer.write(&[*byte]).expect("room"), 1);
            peer.turn();
        }
        peer.say(&sent);
        let (received, end) = read_all(&mut transport.reader, 1);
        assert!(is_blocked(&end.expect_err("no end")), "{layers} layers");
        assert!(received == sent && peer.heard == sent, "{layers} layers");
    }
}

#[test]
fn several_pieces_are_one_write() {
    for layers in 0..=2 {
        let (mut transport, mut peer) = open(layers);
        let pieces = [b"one".as_slice(), b"", b"two", b"three"].map(IoSlice::new);
        assert_eq!(transport.writer.write_vectored(&pieces).expect("room"), 11);
        peer.turn();
        assert_eq!(peer.heard, b"onetwothree");
    }
}

#[test]
fn what_has_not_left_is_counted() {
    let sent = bytes(3_000_000);
    for layers in 0..=2 {
        let (mut transport, mut peer) = open(layers);
        let mut written = 0;
        let blocked = loop {
            match transport.writer.write(&sent[written..]) {
                Ok(count) => written += count,
                Err(error) => break error,
            }
        };
        assert!(is_blocked(&blocked));
        assert!(written < sent.len(), "the socket takes less than that");
        // Over TLS some of what was taken is still here; without it, nothing is.
        assert_eq!(transport.writer.wants_write(), layers > 0);
        assert_eq!(transport.writer.held() > 0, layers > 0);
        assert_eq!(transport.writer.flush().expect("the peer is there"), layers == 0);
        while !transport.writer.flush().expect("the peer is there") {
            peer.turn();
        }
        assert_eq!((transport.writer.wants_write(), transport.writer.held()), (false, 0));
        peer.turn();
        assert!(peer.heard == sent[..written], "all of it arrives, {layers} layers");
    }
}

#[test]
fn the_end_is_told_behind_the_bytes_and_again() {
    for layers in 0..=2 {
        let (mut transport, mut peer) = open(layers);
        peer.say(b"last");
        for at in (0..layers).rev() {
            peer.layers[at].send_close_notify();
            peer.send();
        }
        peer.socket.shutdown(std::net::Shutdown::Write).expect("open");
        for expected in [&b"last"[..], b""] {
            let (all, end) = read_all(&mut transport.reader, 100);
            assert_eq!(all, expected);
            end.expect("an orderly end");
        }
    }
}

#[test]
fn a_cut_is_an_error_behind_the_bytes() {
    for layers in 1..=2 {
        let (mut transport, mut peer) = open(layers);
        peer.say(b"last");
        peer.socket.shutdown(std::net::Shutdown::Write).expect("open");
        let (all, end) = read_all(&mut transport.reader, 100);
        assert_eq!(all, b"last");
        let error = end.expect_err("nobody said goodbye");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(error.to_string().contains("close_notify"));
    }
}

#[test]
fn our_goodbye_leaves_behind_what_was_written() {
    for layers in 0..=2 {
        let (mut transport, mut peer) = open(layers);
        assert_eq!(transport.writer.write(b"last").expect("room"), 4);
        transport.writer.shutdown_write();
        peer.turn();
        assert_eq!(peer.heard, b"last");
        for layer in &mut peer.layers {
            let state = layer.process_new_packets().expect("in order");
            assert!(state.peer_has_closed());
        }
        // The other direction goes on.
        peer.say(b"still here");
        assert_eq!(read_all(&mut transport.reader, 100).0, b"still here");
    }
}

#[test]
fn a_broken_record_is_told_behind_the_bytes_and_answered() {
    let (mut transport, mut peer) = open(1);
    let (all, _) = read_all(&mut transport.reader, 100);
    assert_eq!(all, b"");
    peer.say(b"last");
    let record = [&b"\x17\x03\x03\x00\x20"[..], &[0xaa; 0x20]].concat();
    io::Write::write_all(&mut peer.socket, &record).expect("room");
    let (all, end) = read_all(&mut transport.reader, 2);
    assert_eq!(all, b"last");
    assert_eq!(end.expect_err("a false record").kind(), io::ErrorKind::InvalidData);
    assert!(transport.reader.owes_write(), "an alert");
    assert!(transport.writer.wants_write(), "the same");
    assert!(transport.writer.flush().expect("the peer is there"));
    assert!(!transport.reader.owes_write() && !transport.writer.wants_write());
    peer.turn();
    let told = peer.error.expect("an alert");
    assert_eq!(told, rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac));
}

#[test]
fn an_end_during_the_handshake_is_an_error() {
    let (client_config, _) = configurations();
    let (transport, peer) = Peer::plain();
    let mut handshake = Handshake::new(transport, session(&client_config));
    assert!(!handshake.step().expect("the peer has not spoken"));
    assert!(!handshake.wants_write(), "it is the peer's turn");
    drop(peer);
    // A peer that leaves with our hello unread resets the connection.
    let error = handshake.step().expect_err("the peer is gone");
    assert!(matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset), "{error}");
}
