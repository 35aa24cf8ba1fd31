//! What `wss` trusts, and what is said when it does not.

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use sunsocket_wire::Url;

use crate::error::{Error, ErrorKind};
use crate::options::TlsOptions;

/// What a connection needs to begin TLS.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Tls {
    /// Reads every file and checks every name, before anything is sent.
    pub(crate) fn new(options: &TlsOptions, host: &str) -> Result<Self, Error> {
        let host = options.server_hostname.as_deref().unwrap_or(host);
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            let text = format!("{host:?} is not a host name that a certificate could be for");
            Error::new(ErrorKind::InvalidArgument, text)
        })?;
        Ok(Self { config: config(options)?, name })
    }

    pub(crate) fn session(&self) -> Result<ClientConnection, Error> {
        ClientConnection::new(Arc::clone(&self.config), self.name.clone())
            .map_err(|error| Error::new(ErrorKind::Tls, format!("TLS could not be set up: {error}")))
    }
}

fn config(options: &TlsOptions) -> Result<Arc<ClientConfig>, Error> {
    /// Reading the system's store takes milliseconds; it is read once.
    static SYSTEM: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let TlsOptions { ca_file: None, ca_data: None, cert_file: None, key_file: None, verify: true, .. } =
        options
    else {
        return build(options);
    };
    if let Some(config) = SYSTEM.get() {
        return Ok(Arc::clone(config));
    }
    let config = build(options)?;
    Ok(Arc::clone(SYSTEM.get_or_init(|| config)))
}

fn build(options: &TlsOptions) -> Result<Arc<ClientConfig>, Error> {
    let failed =
        |error: rustls::Error| Error::new(ErrorKind::Tls, format!("TLS could not be set up: {error}"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let builder = if !options.verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
    } else if let Some(roots) = own_roots(options)? {
        builder.with_root_certificates(roots)
    } else {
        let verifier = rustls_platform_verifier::Verifier::new(provider).map_err(|error| {
            let text = format!(
                "the system's trusted certificates cannot be used: {error}; install them (the package \
                 ca-certificates), or give ca_file (--cacert)"
            );
            Error::new(ErrorKind::Tls, text)
        })?;
        builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
    };
    let mut config = match client_certificate(options)? {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|error| {
            Error::new(ErrorKind::Tls, format!("cert_file and key_file cannot be used together: {error}"))
        })?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// The certificates of `ca_file` and `ca_data`; `None` when neither is given.
fn own_roots(options: &TlsOptions) -> Result<Option<RootCertStore>, Error> {
    if options.ca_file.is_none() && options.ca_data.is_none() {
        return Ok(None);
    }
    let mut roots = RootCertStore::empty();
    let mut add = |pem: &[u8], source: &str| {
        for certificate in certificates(pem, source)? {
            roots.add(certificate).map_err(|error| {
                Error::new(ErrorKind::Tls, format!("a certificate in {source} cannot be used: {error}"))
            })?;
        }
        Ok::<_, Error>(())
    };
    if let Some(path) = &options.ca_file {
        add(&read(path, "ca_file")?, &format!("ca_file {}", path.display()))?;
    }
    if let Some(pem) = &options.ca_data {
        add(pem, "ca_data")?;
    }
    Ok(Some(roots))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn client_certificate(options: &TlsOptions) -> Result<Option<Identity>, Error> {
    match (&options.cert_file, &options.key_file) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => {
            let source = format!("cert_file {}", cert.display());
            let chain = certificates(&read(cert, "cert_file")?, &source)?;
            let key_text = read(key, "key_file")?;
            let key = PrivateKeyDer::from_pem_slice(&key_text).map_err(|error| {
                let text = format!("key_file {} holds no private key in PEM: {error}", key.display());
                Error::new(ErrorKind::Tls, text)
            })?;
            Ok(Some((chain, key)))
        }
        _ => {
            let text = "cert_file and key_file go together: give both or neither";
            Err(Error::new(ErrorKind::InvalidArgument, text))
        }
    }
}

fn read(path: &Path, option: &str) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| {
        Error::new(ErrorKind::Tls, format!("{option} {} cannot be read: {error}", path.display()))
    })
}

fn certificates(pem: &[u8], source: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let broken = |what: String| Error::new(ErrorKind::Tls, format!("{source} {what}"));
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| broken(format!("is not PEM: {error}")))?;
    if certificates.is_empty() {
        return Err(broken("holds no certificate in PEM (-----BEGIN CERTIFICATE-----)".to_owned()));
    }
    Ok(certificates)
}

/// What went wrong in a TLS handshake with `url`, in words.
pub(crate) fn explain(url: &Url, error: &rustls::Error) -> Error {
    let what = match error {
        rustls::Error::InvalidCertificate(problem) => certificate_problem(problem),
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS on this port; if it is a plain server, use ws:// in place of wss://"
                .to_owned()
        }
        rustls::Error::AlertReceived(alert) => alert_received(*alert),
        rustls::Error::PeerIncompatible(why) => {
            format!("it has no TLS version or cipher in common with us ({why:?}); TLS 1.2 and 1.3 are spoken")
        }
        other => format!("the TLS handshake failed: {other}"),
    };
    Error::new(ErrorKind::Tls, format!("cannot connect to {url}: {what}"))
}

fn alert_received(alert: AlertDescription) -> String {
    let hint = match alert {
        AlertDescription::CertificateRequired => {
            "; it wants a client's certificate: give cert_file and key_file"
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => {
            "; it does not accept the client's certificate, or the lack of one: check cert_file and key_file"
        }
        AlertDescription::UnrecognisedName => {
            "; it has no host of this name: check the URL or server_hostname"
        }
        AlertDescription::ProtocolVersion => "; TLS 1.2 and 1.3 are spoken here",
        AlertDescription::NoApplicationProtocol => "; it does not speak HTTP/1.1, which a WebSocket needs",
        AlertDescription::HandshakeFailure => {
            "; it has no cipher in common with us, or wants a client's certificate (cert_file and key_file)"
        }
        _ => "",
    };
    format!("it refused TLS with the alert {alert:?}{hint}")
}

fn certificate_problem(problem: &CertificateError) -> String {
    match problem {
        CertificateError::NotValidForNameContext { expected, presented } => {
            format!(
                "its certificate is not for {:?} (it is for {}); connect by a name that it has, or give that name as \
                 server_hostname",
                expected.to_str(),
                names(presented)
            )
        }
        CertificateError::NotValidForName => {
            "its certificate is for another host name; connect by a name that it has, or give that name as \
             server_hostname"
                .to_owned()
        }
        CertificateError::Expired => expired(""),
        CertificateError::ExpiredContext { not_after, .. } => expired(&format!(" on {}", date(*not_after))),
        CertificateError::NotValidYet => not_valid_yet(""),
        CertificateError::NotValidYetContext { not_before, .. } => {
            not_valid_yet(&format!(" before {}", date(*not_before)))
        }
        CertificateError::UnknownIssuer => {
            "its certificate is signed by nobody that is trusted here (self-signed, or by a private CA); if you \
             trust it, give its CA's certificate as ca_file (--cacert)"
                .to_owned()
        }
        CertificateError::BadSignature => {
            "its certificate names a CA that is trusted here, but another key has signed it; was that CA made anew \
             (then give its new certificate as ca_file, --cacert), or does somebody stand between?"
                .to_owned()
        }
        CertificateError::Revoked => "its certificate was revoked".to_owned(),
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            "its certificate is self-signed (a CA's own certificate); if you trust it, have it signed by a CA and \
             give that CA's certificate as ca_file (--cacert)"
                .to_owned()
        }
        other => format!("its certificate was refused: {other}"),
    }
}

fn expired(when: &str) -> String {
    format!("its certificate expired{when}; its owner has to renew it (or is this machine's clock wrong?)")
}

fn not_valid_yet(when: &str) -> String {
    format!("its certificate is not valid{when} yet; is this machine's clock right?")
}

/// The names of a certificate. The verifier writes each as `DnsName("example.com")`.
fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "no name at all".to_owned();
    }
    let bare = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        inner.unwrap_or(name).trim_matches('"').to_owned()
    };
    presented.iter().map(bare).collect::<Vec<_>>().join(", ")
}

/// The day, as `2031-05-07`: the days since 1970 in eras of 400 years, which all have as many days.
fn date(time: UnixTime) -> String {
    let days = time.as_secs() / 86_400 + 719_468; // Since 0000-03-01, so that a leap day ends its year.
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march_month = (5 * day + 2) / 153;
    let (month, leap) = if march_month < 10 { (march_month + 3, 0) } else { (march_month - 9, 1) };
    format!("{:04}-{month:02}-{:02}", era * 400 + year + leap, day - (153 * march_month + 2) / 5 + 1)
}

/// `verify=False`: any certificate will do, but the handshake must still be signed with its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

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
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
