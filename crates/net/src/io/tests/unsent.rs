//! That what a transport holds counts as unsent where a connection is asked.

use sunsocket_wire::{Headers, MessageKind};

use super::*;
use crate::connect::Connected;
use crate::connection::{Connection, Reactor};
use crate::handshake::Handshake;
use crate::options::{ConnectOptions, WriteLimit};
use crate::reactor::Role;

/// A message of a thousand bytes, with its header.
const FRAME: usize = 1008;

#[test]
fn flush_and_the_marks_count_what_tls_holds() {
    let options = ConnectOptions {
        write_limit: WriteLimit { high: 1, low: 0 },
        ..ConnectOptions::new("wss://example.test/").expect("a valid address")
    };
    let connection = Connection::new(Reactor::new(Role::Thread).expect("descriptors"), &options);
    let (transport, mut peer) = open(1);
    let nowhere = ([127, 0, 0, 1], 9).into();
    let handshake = Handshake {
        url: options.url.clone(),
        redirects: Vec::new(),
        cookies: Vec::new(),
        subprotocol: None,
        compression: None,
        headers: Headers::default(),
        local_address: nowhere,
        remote_address: nowhere,
    };
    connection.opened(Connected { transport, handshake, leftover: Vec::new() }, false);
    // Small messages, so that it is TLS that holds the last one when the socket takes no more.
    let mut sent = 0;
    while connection.flush() {
        connection.send(MessageKind::Binary, &[7; 1000], None).expect("open");
        sent += 1;
    }
    assert!(connection.unsent() > 0 && connection.is_full());
    // What flush has returned for, the system has, whatever becomes of us: the peer hears it without our help.
    peer.turn();
    assert_eq!(peer.heard.len() / FRAME, sent - 1);
    while !connection.flush() {
        peer.turn();
    }
    assert_eq!((connection.unsent(), connection.is_full()), (0, false));
    peer.turn();
    assert_eq!(peer.heard.len(), sent * FRAME);
}
