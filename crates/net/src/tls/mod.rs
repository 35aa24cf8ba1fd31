//! What `wss` trusts: from options to a session. `pem` reads files, `trust` decides, `words` says what went wrong.

mod cache;
mod der;
mod pem;
mod pins;
mod trust;
mod words;

use std::env;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, KeyLogFile};
use rustls_pki_types::{CertificateDer, ServerName};

use self::cache::{Cache, Contents};
use self::pins::Pinned;
use self::trust::{AnyCertificate, Trusted};
pub(crate) use self::words::Problem;
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

    pub(crate) fn session(&self) -> Result<UnbufferedClientConnection, Error> {
        UnbufferedClientConnection::new(Arc::clone(&self.config), self.name.clone())
            .map_err(|error| not_set_up(&error))
    }
}

fn config(options: &TlsOptions) -> Result<Arc<ClientConfig>, Error> {
    static CACHE: Cache = Cache::new();
    CACHE.get_or_build(Contents::read(options)?, |contents| build(options, contents))
}

/// `options` says what the contents are called in errors.
fn build(options: &TlsOptions, contents: &Contents) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = if !contents.verify {
        Arc::new(AnyCertificate)
    } else if let Some(authorities) = own_authorities(options, contents)? {
        Arc::new(Trusted::new(authorities, Arc::clone(&provider))?)
    } else {
        let verifier = rustls_platform_verifier::Verifier::new(Arc::clone(&provider));
        Arc::new(verifier.map_err(|_| no_system_store())?)
    };
    let verifier: Arc<dyn ServerCertVerifier> = if contents.pins.is_empty() {
        verifier
    } else {
        Arc::new(Pinned::new(verifier, contents.pins.clone(), &provider))
    };
    let versions: &[_] =
        if contents.only_tls_1_3 { &[&rustls::version::TLS13] } else { rustls::DEFAULT_VERSIONS };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|error| not_set_up(&error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match client_identity(options, contents, &provider)? {
        Some(identity) => builder.with_client_cert_resolver(Arc::new(identity)),
        None => builder.with_no_client_auth(),
    };
    if contents.key_log.is_some() {
        config.key_log = Arc::new(KeyLogFile::new());
    }
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Records are encrypted and decrypted by `io::tls`.
    config.enable_secret_extraction = true;
    Ok(Arc::new(config))
}

fn not_set_up(error: &rustls::Error) -> Error {
    Error::new(ErrorKind::Tls, format!("TLS could not be set up: {}", words::problem(error)))
}

/// The certificates of `ca_file` and `ca_data`, each with where it is from; `None` when neither is given.
fn own_authorities(
    options: &TlsOptions,
    contents: &Contents,
) -> Result<Option<Vec<(CertificateDer<'static>, String)>>, Error> {
    if contents.ca_file.is_none() && contents.ca_data.is_none() {
        return Ok(None);
    }
    let ca_file = named("ca", options.ca_file.as_ref());
    let mut all = Vec::new();
    for (text, source) in [(&contents.ca_file, &*ca_file), (&contents.ca_data, "ca_data")] {
        let Some(text) = text else { continue };
        let certificates = pem::authorities(text, source)?;
        all.extend(certificates.into_iter().map(|certificate| (certificate, source.to_owned())));
    }
    Ok(Some(all))
}

fn client_identity(
    options: &TlsOptions,
    contents: &Contents,
    provider: &CryptoProvider,
) -> Result<Option<SingleCertAndKey>, Error> {
    let (Some(cert), Some(key)) = (&contents.cert, &contents.key) else { return Ok(None) };
    let chain = pem::chain(cert, &named("cert", options.cert_file.as_ref()))?;
    let key = pem::private_key(key, &named("key", options.key_file.as_ref()))?;
    trust::identity(chain, key, provider).map(Some)
}

/// What a file is called in errors.
fn named(option: &str, path: Option<&PathBuf>) -> String {
    path.map_or_else(|| format!("{option}_data"), |path| format!("{option}_file {}", path.display()))
}

/// Why the system's store is empty. Where the environment names another one, that is to blame.
fn no_system_store() -> Error {
    let file = env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let folder = env::var_os("SSL_CERT_DIR");
    let why = match (file, folder) {
        (Some(file), _) => {
            let source = format!("SSL_CERT_FILE {}", file.display());
            let read = pem::read(&file, "SSL_CERT_FILE").and_then(|text| pem::authorities(&text, &source));
            match read {
                Err(error) => error.to_string(),
                Ok(_) => format!("{source} holds no certificate that can be used"),
            }
        }
        (None, Some(folder)) => {
            format!("SSL_CERT_DIR {} holds no certificate that can be used", PathBuf::from(folder).display())
        }
        (None, None) => "there are none; install them (the package ca-certificates)".to_owned(),
    };
    let text = format!("the system's trusted certificates cannot be used: {why}, or give ca_file (--cacert)");
    Error::new(ErrorKind::Tls, text)
}
