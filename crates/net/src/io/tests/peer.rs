//! The other end of a transport: through as many layers of TLS as it was told to, on the thread of the test.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};

use crate::io::Transport;

pub(super) struct Peer {
    pub(super) socket: UnixStream,
    /// The layer that the socket sees comes first.
    pub(super) layers: Vec<ServerConnection>,
    /// For the socket, which did not take it yet.
    outgoing: Vec<u8>,
    /// What came through all layers.
    pub(super) heard: Vec<u8>,
    /// What went wrong in a layer; nothing is heard from then on.
    pub(super) error: Option<rustls::Error>,
}

impl Peer {
    /// A transport without any layer, and its other end.
    pub(super) fn plain() -> (Transport, Self) {
        let (ours, theirs) = UnixStream::pair().expect("descriptors");
        theirs.set_nonblocking(true).expect("a socket");
        let peer =
            Self { socket: theirs, layers: Vec::new(), outgoing: Vec::new(), heard: Vec::new(), error: None };
        (Transport::tcp(ours.into()), peer)
    }

    /// One layer more, inside those that there are.
    pub(super) fn secure(&mut self, config: &Arc<ServerConfig>) {
        let mut session = ServerConnection::new(Arc::clone(config)).expect("a configuration");
        session.set_buffer_limit(None);
        self.layers.push(session);
    }

    /// Hands `bytes` to the innermost layer, and sends as much as the socket takes.
    pub(super) fn say(&mut self, bytes: &[u8]) {
        match self.layers.last_mut() {
            Some(layer) => layer.writer().write_all(bytes).expect("no limit"),
            None => self.outgoing.extend(bytes),
        }
        self.send();
    }

    pub(super) fn has_unsent(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Hears what has come, and sends what is owed.
    pub(super) fn turn(&mut self) {
        self.hear(usize::MAX);
        self.send();
    }

    /// Hears at the most so many bytes of the socket's.
    pub(super) fn hear(&mut self, max: usize) {
        let mut bytes = Vec::new();
        let mut piece = [0; 65536];
        while bytes.len() < max {
            let room = piece.len().min(max - bytes.len());
            match self.socket.read(&mut piece[..room]) {
                Ok(0) => break,
                Ok(count) => bytes.extend(&piece[..count]),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    break;
                }
            }
        }
        for layer in &mut self.layers {
            let (mut encrypted, mut plain) = (&bytes[..], Vec::new());
            while !encrypted.is_empty() && self.error.is_none() {
                layer.read_tls(&mut encrypted).expect("memory");
                self.error = layer.process_new_packets().err();
                let mut reader = layer.reader();
                // It says WouldBlock at the end of what there is.
                let _ = reader.read_to_end(&mut plain);
            }
            bytes = plain;
        }
        self.heard.extend(bytes);
    }

    /// Bytes as a layer has them for the one outside it, handed through all that are outside, and to the socket.
    pub(super) fn send(&mut self) {
        let mut bytes = Vec::new();
        for layer in self.layers.iter_mut().rev() {
            layer.writer().write_all(&bytes).expect("no limit");
            bytes.clear();
            while layer.wants_write() {
                layer.write_tls(&mut bytes).expect("memory");
            }
        }
        self.outgoing.extend(bytes);
        while !self.outgoing.is_empty() {
            match self.socket.write(&self.outgoing) {
                Ok(count) => drop(self.outgoing.drain(..count)),
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    return;
                }
            }
        }
    }
}
