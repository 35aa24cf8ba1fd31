//! TLS servers with certificates made for the test.

use std::io::Write;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientCertVerifierBuilder, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::PrivateKeyDer;

use super::*;

pub(super) type TlsStream = StreamOwned<ServerConnection, TcpStream>;

/// A certificate authority of the test's own.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
pub(super) struct Identity {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Authority {
    pub(super) fn new() -> Self {
        Self::named("sunsocket's tests")
    }

    pub(super) fn named(name: &str) -> Self {
        let mut params = CertificateParams::new([]).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().expect("random")).expect("signed"))
    }

    pub(super) fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    pub(super) fn issue(&self, names: &[&str]) -> Identity {
        self.issue_with(names, |_| {})
    }

    pub(super) fn issue_with(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        change(&mut params);
        let key = KeyPair::generate().expect("random");
        Identity { certificate: params.signed_by(&key, &self.0).expect("signed"), key }
    }

    fn verifier(&self) -> ClientCertVerifierBuilder {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        WebPkiClientVerifier::builder_with_provider(self.roots(), provider)
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("a certificate");
        Arc::new(roots)
    }
}

impl Identity {
    pub(super) fn self_signed(name: &str) -> Self {
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let key = KeyPair::generate().expect("random");
        Self { certificate: params.self_signed(&key).expect("signed"), key }
    }

    /// As `openssl req -x509` makes them: self-signed, and an authority of its own.
    pub(super) fn self_signed_authority(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::new(["example.test".to_owned()]).expect("a name");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        let key = KeyPair::generate().expect("random");
        Self { certificate: params.self_signed(&key).expect("signed"), key }
    }

    pub(super) fn der(&self) -> &[u8] {
        self.certificate.der()
    }

    /// Another's certificate with this one's key.
    pub(super) fn showing(&self, other: &Self) -> Arc<CertifiedKey> {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).expect("a key");
        let key = rustls::crypto::ring::sign::any_supported_type(&key).expect("a key");
        Arc::new(CertifiedKey::new(vec![other.certificate.der().clone()], key))
    }

    pub(super) fn pem(&self) -> (String, String) {
        (self.certificate.pem(), self.key.serialize_pem())
    }

    /// A server's configuration; with `clients`, every client has to show a certificate of theirs.
    pub(super) fn config(&self, clients: Option<&Authority>) -> Arc<ServerConfig> {
        self.config_with(clients.map(|clients| clients.verifier().build().expect("roots")))
    }

    fn config_with(&self, clients: Option<Arc<dyn ClientCertVerifier>>) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => builder.with_client_cert_verifier(clients),
        };
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).expect("a key");
        let mut config = builder.with_single_cert(vec![self.certificate.der().clone()], key).expect("a pair");
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }

    /// Serves one connection. A client that breaks off during the handshake is no failure of the server's.
    pub(super) fn serve(
        &self,
        clients: Option<&Authority>,
        serve: impl FnOnce(TlsStream) + Send + 'static,
    ) -> Server {
        serve_with(self.config(clients), serve)
    }

    /// The same, where a client may show a certificate of theirs and need not.
    pub(super) fn serve_anybody(
        &self,
        clients: &Authority,
        serve: impl FnOnce(TlsStream) + Send + 'static,
    ) -> Server {
        let verifier = clients.verifier().allow_unauthenticated().build().expect("roots");
        serve_with(self.config_with(Some(verifier)), serve)
    }

    /// Accepts the WebSocket.
    pub(super) fn greet(&self, clients: Option<&Authority>) -> Server {
        self.serve(clients, |mut stream| greet(&mut stream))
    }
}

pub(super) fn serve_with(
    config: Arc<ServerConfig>,
    serve: impl FnOnce(TlsStream) + Send + 'static,
) -> Server {
    Server::new(move |tcp| {
        let session = ServerConnection::new(config).expect("a configuration");
        let mut stream = StreamOwned::new(session, tcp);
        while stream.conn.is_handshaking() {
            if stream.conn.complete_io(&mut stream.sock).is_err() {
                // The alert that says why.
                let _ = stream.conn.write_tls(&mut stream.sock);
                let _ = stream.sock.shutdown(std::net::Shutdown::Write);
                while !matches!(stream.sock.read(&mut [0; 64]), Ok(0) | Err(_)) {}
                return;
            }
        }
        serve(stream);
    })
}

/// The server's side of the opening handshake.
pub(super) fn greet(stream: &mut TlsStream) {
    let request = read_request(stream);
    stream.write_all(switch(&request, "").as_bytes()).expect("the client reads");
    stream.flush().expect("the client reads");
}
