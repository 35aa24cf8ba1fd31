//! Pins: the server's certificate, or its key, is one that the program knows (OWASP's certificate pinning).

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use sha2::{Digest, Sha256};

use super::der;

/// Verifies what another verifier does, and one of the pins. That the server has the certificate's key is verified in any
/// case: a certificate is no secret, so that one who shows the pinned one has shown nothing yet.
#[derive(Debug)]
pub(super) struct Pinned {
    other: Arc<dyn ServerCertVerifier>,
    pins: Vec<[u8; 32]>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Why a certificate was refused: neither it nor its key is pinned.
#[derive(Debug)]
pub(super) struct NotPinned {
    certificate: [u8; 32],
    key: Option<[u8; 32]>,
}

impl std::error::Error for NotPinned {}

impl fmt::Display for NotPinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn hex(hash: [u8; 32]) -> String {
            hash.iter().map(|byte| format!("{byte:02x}")).collect()
        }
        f.write_str("its certificate is not the one that pin names: ")?;
        if let Some(key) = self.key {
            write!(f, "the SHA-256 of its key is {}, and ", hex(key))?;
        }
        write!(f, "that of the certificate is {}", hex(self.certificate))
    }
}

impl Pinned {
    pub(super) fn new(
        other: Arc<dyn ServerCertVerifier>,
        pins: Vec<[u8; 32]>,
        provider: &CryptoProvider,
    ) -> Self {
        Self { other, pins, algorithms: provider.signature_verification_algorithms }
    }

    fn check(&self, end_entity: &CertificateDer<'_>) -> Result<(), NotPinned> {
        let hash = |bytes: &[u8]| <[u8; 32]>::from(Sha256::digest(bytes));
        let (certificate, key) = (hash(end_entity), der::public_key(end_entity).map(hash));
        let fits = |pin: &[u8; 32]| *pin == certificate || Some(*pin) == key;
        if self.pins.iter().any(fits) { Ok(()) } else { Err(NotPinned { certificate, key }) }
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified =
            self.other.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        self.check(end_entity).map_err(|why| {
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(why))))
        })?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
