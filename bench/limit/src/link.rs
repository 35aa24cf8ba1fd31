//! A blocking socket, over which rustls encrypts or nobody does.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::unbuffered::{ConnectionState, UnbufferedStatus};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Bytes that one read asks for.
const ROOM: usize = 256 << 10;
/// Plain text of one record, and the most that encryption adds to it.
const RECORD: usize = 16 << 10;
const ADDED: usize = 256;

/// The configuration of all connections; it holds the session tickets, so that later connections resume.
pub(crate) fn client_config(ca_file: &str) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca_file)?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

pub(crate) struct Link {
    socket: TcpStream,
    tls: Option<UnbufferedClientConnection>,
    /// What was read; over TLS `incoming[..held]` is not decrypted yet.
    incoming: Vec<u8>,
    held: usize,
    /// What is to be written, where it is not the caller's bytes themselves.
    outgoing: Vec<u8>,
}

impl Link {
    pub(crate) fn connect(address: (&str, u16), config: Option<&Arc<ClientConfig>>) -> Result<Self> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        let tls = match config {
            Some(config) => {
                let name = ServerName::try_from(address.0.to_owned())?;
                Some(UnbufferedClientConnection::new(Arc::clone(config), name)?)
            }
            None => None,
        };
        let incoming = vec![0; ROOM + 2 * RECORD];
        let mut link = Self { socket, tls, incoming, held: 0, outgoing: Vec::new() };
        if link.tls.is_some() {
            link.shake_hands()?;
        }
        Ok(link)
    }

    fn shake_hands(&mut self) -> Result<()> {
        let tls = self.tls.as_mut().ok_or("no TLS")?;
        loop {
            let UnbufferedStatus { discard, state } =
                tls.process_tls_records(&mut self.incoming[..self.held]);
            let (mut needs_more, mut is_done) = (false, false);
            match state? {
                ConnectionState::EncodeTlsData(mut data) => {
                    let before = self.outgoing.len();
                    self.outgoing.resize(before + RECORD + ADDED, 0);
                    let count = data.encode(&mut self.outgoing[before..]).map_err(|e| format!("{e:?}"))?;
                    self.outgoing.truncate(before + count);
                }
                ConnectionState::TransmitTlsData(data) => {
                    self.socket.write_all(&self.outgoing)?;
                    self.outgoing.clear();
                    data.done();
                }
                ConnectionState::BlockedHandshake => needs_more = true,
                ConnectionState::WriteTraffic(_) => is_done = true,
                _ => return Err("the handshake did not come to its end".into()),
            }
            self.incoming.copy_within(discard..self.held, 0);
            self.held -= discard;
            if is_done {
                return Ok(());
            }
            if needs_more {
                self.held += fill(&mut self.socket, &mut self.incoming[self.held..])?;
            }
        }
    }

    /// One read of at most so many bytes; what has come goes to `take`, piece by piece.
    pub(crate) fn receive(&mut self, most: usize, mut take: impl FnMut(&[u8])) -> Result<()> {
        let room = if self.tls.is_some() { ROOM } else { most.min(ROOM) };
        let count = fill(&mut self.socket, &mut self.incoming[self.held..self.held + room])?;
        let Some(tls) = self.tls.as_mut() else {
            take(&self.incoming[..count]);
            return Ok(());
        };
        self.held += count;
        let mut at = 0;
        loop {
            let UnbufferedStatus { mut discard, state } =
                tls.process_tls_records(&mut self.incoming[at..self.held]);
            match state? {
                ConnectionState::ReadTraffic(mut traffic) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        take(record.payload);
                    }
                }
                ConnectionState::WriteTraffic(_) => {
                    at += discard;
                    break;
                }
                _ => return Err("the server has closed".into()),
            }
            at += discard;
        }
        self.incoming.copy_within(at..self.held, 0);
        self.held -= at;
        Ok(())
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(tls) = self.tls.as_mut() else {
            return Ok(self.socket.write_all(bytes)?);
        };
        for piece in bytes.chunks(ROOM) {
            self.outgoing.resize(piece.len() + (piece.len() / RECORD + 1) * ADDED, 0);
            let UnbufferedStatus { state, .. } = tls.process_tls_records(&mut []);
            let ConnectionState::WriteTraffic(mut traffic) = state? else {
                return Err("the server has closed".into());
            };
            let count = traffic.encrypt(piece, &mut self.outgoing).map_err(|e| format!("{e:?}"))?;
            self.socket.write_all(&self.outgoing[..count])?;
        }
        Ok(())
    }

    /// Reads until the server drops TCP.
    pub(crate) fn wait_for_end(&mut self) -> Result<()> {
        while self.socket.read(&mut self.incoming)? > 0 {}
        Ok(())
    }
}

/// One read that brings something.
fn fill(socket: &mut TcpStream, room: &mut [u8]) -> Result<usize> {
    match socket.read(room)? {
        0 => Err("the server has closed".into()),
        count => Ok(count),
    }
}
