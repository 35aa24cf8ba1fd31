//! What `wss` trusts: from options to a session. `pem` reads files, `trust` decides, `words` says what went wrong.

mod der;
mod pem;
mod trust;
mod words;

use std::env;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::sign::SingleCertAndKey;
use rustls::{ClientConfig, ClientConnection};
use rustls_pki_types::{CertificateDer, ServerName};

use self::trust::{AnyCertificate, Trusted};
pub(crate) use self::words::{Problem, explain};
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
        ClientConnection::new(Arc::clone(&self.config), self.name.clone()).map_err(|error| not_set_up(&error))
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
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = if !options.verify {
        Arc::new(AnyCertificate)
    } else if let Some(authorities) = own_authorities(options)? {
        Arc::new(Trusted::new(authorities, Arc::clone(&provider))?)
    } else {
        let verifier = rustls_platform_verifier::Verifier::new(Arc::clone(&provider));
        Arc::new(verifier.map_err(|_| no_system_store())?)
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| not_set_up(&error))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match client_identity(options, &provider)? {
        Some(identity) => builder.with_client_cert_resolver(Arc::new(identity)),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn not_set_up(error: &rustls::Error) -> Error {
    Error::new(ErrorKind::Tls, format!("TLS could not be set up: {}", words::problem(error)))
}

/// The certificates of `ca_file` and `ca_data`, each with where it is from; `None` when neither is given.
fn own_authorities(options: &TlsOptions) -> Result<Option<Vec<(CertificateDer<'static>, String)>>, Error> {
    if options.ca_file.is_none() && options.ca_data.is_none() {
        return Ok(None);
    }
    let mut all = Vec::new();
    let mut add = |text: &[u8], source: &str| {
        all.extend(
            pem::authorities(text, source)?.into_iter().map(|certificate| (certificate, source.to_owned())),
        );
        Ok::<_, Error>(())
    };
    if let Some(path) = &options.ca_file {
        add(&pem::read(path, "ca_file")?, &format!("ca_file {}", path.display()))?;
    }
    if let Some(text) = &options.ca_data {
        add(text, "ca_data")?;
    }
    Ok(Some(all))
}

fn client_identity(
    options: &TlsOptions,
    provider: &CryptoProvider,
) -> Result<Option<SingleCertAndKey>, Error> {
    match (&options.cert_file, &options.key_file) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => {
            let chain = pem::chain(&pem::read(cert, "cert_file")?, &format!("cert_file {}", cert.display()))?;
            let key = pem::private_key(&pem::read(key, "key_file")?, &format!("key_file {}", key.display()))?;
            trust::identity(chain, key, provider).map(Some)
        }
        _ => {
            let text = "cert_file and key_file go together: give both or neither";
            Err(Error::new(ErrorKind::InvalidArgument, text))
        }
    }
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
