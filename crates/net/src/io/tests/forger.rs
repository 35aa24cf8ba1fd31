//! A server that has the keys and keeps to no rules: it encrypts whatever the test wants.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use rustls::crypto::cipher::OutboundChunks;
use rustls::{ContentType, ExtractedSecrets, SupportedCipherSuite};

use super::*;
use crate::io::tls::records::{self, Opener, Sealer};

pub(super) struct Forger {
    pub(super) socket: UnixStream,
    sealer: Sealer,
    opener: Opener,
    heard: Vec<u8>,
}

/// A transport through TLS, and a forger at its other end.
pub(super) fn open_to_forger(is_tls13: bool) -> (Transport, Forger) {
    let configurations = configurations_with(|provider| {
        provider.cipher_suites.retain(|suite| matches!(suite, SupportedCipherSuite::Tls13(_)) == is_tls13);
    });
    let (mut transport, mut peer) = open_with(1, &configurations);
    let (all, end) = read_all(&mut transport.reader, 100);
    assert!(all.is_empty() && is_blocked(&end.expect_err("nothing but tickets came")));
    let session = peer.layers.pop().expect("a layer");
    let suite = session.negotiated_cipher_suite().expect("after the handshake");
    let ExtractedSecrets { tx, rx } = session.dangerous_extract_secrets().expect("configured so");
    let sealer = Sealer::new(suite, tx).expect("a known cipher");
    let opener = Opener::new(suite, rx).expect("a known cipher");
    (transport, Forger { socket: peer.socket, sealer, opener, heard: Vec::new() })
}

impl Forger {
    /// One record of the type `kind`.
    pub(super) fn record(&mut self, kind: ContentType, payload: &[u8]) -> Vec<u8> {
        self.sealer.seal(kind, OutboundChunks::from(payload)).expect("a key that is not used up")
    }

    pub(super) fn say(&mut self, kind: ContentType, payload: &[u8]) {
        let record = self.record(kind, payload);
        self.say_raw(&record);
    }

    pub(super) fn say_raw(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).expect("room");
    }

    /// The next record that came from the client.
    pub(super) fn hear(&mut self) -> Option<(ContentType, Vec<u8>)> {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = self.socket.read(&mut piece) {
            self.heard.extend(&piece[..count]);
        }
        let length = records::length(&self.heard).expect("no record is too long")?;
        let mut record: Vec<u8> = self.heard.drain(..length).collect();
        let plain = self.opener.open(&mut record).expect("the client's own key");
        Some((plain.typ, plain.payload.to_vec()))
    }
}
