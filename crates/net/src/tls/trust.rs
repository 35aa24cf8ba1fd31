//! Which certificates are accepted: the server's, and that a client's is the one of its key.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use super::{der, words};
use crate::error::{Error, ErrorKind};

/// What `ca_file` and `ca_data` vouch for: whatever their certificates have signed, and these certificates themselves.
///
/// A certificate that may sign others (`CA:TRUE`) is no server's (RFC 5280 4.2.1.9), says the library. But that is what
/// a plain `openssl req -x509` makes, and who gives it as `ca_file` trusts it by name. So the very same bytes are
/// accepted, at their time and for their names. That the server has their key, the handshake's signature shows as ever.
#[derive(Debug)]
pub(super) struct Trusted {
    chains: Arc<WebPkiServerVerifier>,
    themselves: Vec<CertificateDer<'static>>,
}

impl Trusted {
    /// # Errors
    /// A certificate that cannot vouch for anything.
    pub(super) fn new(
        certificates: Vec<(CertificateDer<'static>, String)>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, Error> {
        let mut roots = RootCertStore::empty();
        let mut themselves = Vec::with_capacity(certificates.len());
        for (certificate, source) in certificates {
            roots.add(certificate.clone()).map_err(|error| {
                let text = format!("a certificate in {source} cannot be used: {}", words::problem(&error));
                Error::new(ErrorKind::Tls, text)
            })?;
            themselves.push(certificate);
        }
        let chains =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().map_err(|_| {
                Error::new(ErrorKind::Tls, "TLS could not be set up: there is no certificate to trust")
            })?;
        Ok(Self { chains, themselves })
    }
}

impl ServerCertVerifier for Trusted {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified =
            self.chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // The library looks at a certificate's time before it looks at what the certificate may be used for.
            Err(rustls::Error::InvalidCertificate(problem))
                if words::is_an_authority_s(&problem) && self.themselves.contains(end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// `verify=False`: any certificate will do, of whatever version, with whatever key.
///
/// That the handshake is signed with the certificate's key is not looked at either: whoever stands between can make a
/// certificate with a key of their own, so it would prove nothing, and refuse keys that the library does not know.
#[derive(Debug)]
pub(super) struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    /// A server chooses one that its key can do.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::ECDSA_NISTP384_SHA384,
            SignatureScheme::ECDSA_NISTP521_SHA512,
            SignatureScheme::ED25519,
            SignatureScheme::ED448,
            SignatureScheme::RSA_PSS_SHA256,
            SignatureScheme::RSA_PSS_SHA384,
            SignatureScheme::RSA_PSS_SHA512,
            SignatureScheme::RSA_PKCS1_SHA256,
            SignatureScheme::RSA_PKCS1_SHA384,
            SignatureScheme::RSA_PKCS1_SHA512,
            SignatureScheme::ECDSA_SHA1_Legacy,
            SignatureScheme::RSA_PKCS1_SHA1,
        ]
    }
}

/// A client's certificate of any version, and its key.
///
/// # Errors
/// The key is of a kind that is not known here, or is another certificate's.
pub(super) fn identity(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<SingleCertAndKey, Error> {
    let failed = |why: &str| {
        Error::new(ErrorKind::Tls, format!("cert_file and key_file cannot be used together: {why}"))
    };
    let key = provider.key_provider.load_private_key(key).map_err(|_| {
        failed("the key is none of RSA with 2048 bits or more, ECDSA on P-256 or P-384, or Ed25519")
    })?;
    let (Some(of_key), Some(certificate)) = (key.public_key(), chain.first()) else {
        return Err(failed("the key does not say which certificate it belongs to"));
    };
    match der::public_key(certificate) {
        Some(of_certificate) if of_certificate == of_key.as_ref() => {
            Ok(SingleCertAndKey::from(CertifiedKey::new(chain, key)))
        }
        Some(_) => Err(failed("the key is not the one of the first certificate in cert_file")),
        None => Err(failed("the first certificate in cert_file cannot be read")),
    }
}
