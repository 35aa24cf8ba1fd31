//! Transports against a server of one thread's, the test's own: nothing happens until the test says so.

mod forger;
mod hostile;
mod layers;
mod peer;
mod shaking;
mod threads;
mod unsent;

use std::io;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::client::UnbufferedClientConnection;
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{PrivateKeyDer, ServerName};

use self::peer::Peer;
use super::*;

/// A client's and a server's configuration that trust each other.
fn configurations() -> (Arc<ClientConfig>, Arc<ServerConfig>) {
    configurations_with(|_| {})
}

/// The same, where the server has what `change` leaves of the library's ciphers.
fn configurations_with(change: impl FnOnce(&mut CryptoProvider)) -> (Arc<ClientConfig>, Arc<ServerConfig>) {
    let key = KeyPair::generate().expect("random");
    let params = CertificateParams::new(["example.test".to_owned()]).expect("a name");
    let certificate = params.self_signed(&key).expect("signed");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).expect("a certificate");
    let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.enable_secret_extraction = true;
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let mut provider = rustls::crypto::ring::default_provider();
    change(&mut provider);
    let mut server = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a pair");
    server.enable_secret_extraction = true;
    (Arc::new(client), Arc::new(server))
}

fn session(config: &Arc<ClientConfig>) -> UnbufferedClientConnection {
    let name = ServerName::try_from("example.test").expect("a name");
    UnbufferedClientConnection::new(Arc::clone(config), name).expect("a configuration")
}

/// A transport through so many layers of TLS, and its server.
fn open(layers: usize) -> (Transport, Peer) {
    open_with(layers, &configurations())
}

fn open_with(
    layers: usize,
    (client_config, server_config): &(Arc<ClientConfig>, Arc<ServerConfig>),
) -> (Transport, Peer) {
    let (mut transport, mut peer) = Peer::plain();
    for _ in 0..layers {
        let mut handshake = Handshake::new(transport, session(client_config));
        peer.secure(server_config);
        while !handshake.step().expect("they trust each other") {
            peer.turn();
        }
        peer.turn();
        transport = handshake.into_transport().expect("it is over");
    }
    (transport, peer)
}

fn is_blocked(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

/// Bytes in which nothing repeats at a record's or a buffer's size.
fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// Reads what is there, up to the end if that is there too; `max` bytes at a time.
fn read_all(reader: &mut Reader, max: usize) -> (Vec<u8>, io::Result<()>) {
    let (mut all, mut piece) = (Vec::new(), vec![0; max]);
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return (all, Ok(())),
            Ok(count) => all.extend(&piece[..count]),
            Err(error) if is_blocked(&error) => {
                assert!(!reader.has_buffered(), "it says that it has more, and blocks");
                return (all, Err(error));
            }
            Err(error) => return (all, Err(error)),
        }
    }
}
