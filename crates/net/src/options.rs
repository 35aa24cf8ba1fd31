//! What a program may choose about a connection, with the default of each choice.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sunsocket_wire::{Credentials, DeflateOffer, Url};

use crate::error::Error;
use crate::proxies::Proxies;

/// Answers "which addresses stand for this host and port?" in place of DNS, as curl's `--resolve` does; `None` leaves the
/// question to DNS.
#[derive(Clone)]
pub enum Resolve {
    /// Answers at once, on whatever thread is there, perhaps one that keeps other connections waiting: a table.
    Table(ResolveTable),
    /// May take its time: it runs on a thread beside, for at the most `open_timeout` as far as connecting goes. An error
    /// ends connecting.
    Function(ResolveFunction),
}

/// See [`Resolve::Table`].
pub type ResolveTable = Arc<dyn Fn(&str, u16) -> Option<Vec<SocketAddr>> + Send + Sync>;
/// See [`Resolve::Function`].
pub type ResolveFunction = Arc<dyn Fn(&str, u16) -> Result<Option<Vec<SocketAddr>>, Error> + Send + Sync>;

/// Everything that [`crate::Reactor::connect`] needs to know.
#[derive(Clone)]
pub struct ConnectOptions {
    /// Where to connect to.
    pub url: Url,
    /// Further header lines of the opening handshake, in order.
    pub headers: Vec<(String, String)>,
    /// User name and password for Basic authentication, in place of the URL's.
    pub auth: Option<Credentials>,
    /// Names and values of cookies to send.
    pub cookies: Vec<(String, String)>,
    /// How many redirects are followed; 0 follows none.
    pub max_redirects: usize,
    /// Names of those of `headers` that are sent on to another origin, too, where a redirect leads there.
    pub redirect_headers: Vec<String>,
    /// Subprotocols to offer, best first.
    pub subprotocols: Vec<String>,
    /// The `Origin` header, if one is to be sent.
    pub origin: Option<String>,
    /// The `User-Agent` header; `None` sends none.
    pub user_agent: Option<String>,
    /// Which address of this machine to connect from; port 0 takes any. `None` leaves that to the operating system.
    pub local_address: Option<SocketAddr>,
    /// Through which proxy, if through any.
    pub proxy: Proxies,
    /// Certificates and host names of `wss`.
    pub tls: TlsOptions,
    /// How long DNS, TCP, TLS and the opening handshake may take together; `None` waits for ever.
    pub open_timeout: Option<Duration>,
    /// How long the closing handshake may take before TCP is cut.
    pub close_timeout: Duration,
    /// Silence after which a ping is sent; `None` sends none.
    pub ping_interval: Option<Duration>,
    /// How long a pong may take; `None` waits for ever.
    pub ping_timeout: Option<Duration>,
    /// permessage-deflate as it is offered (RFC 7692); `None` offers none.
    pub compression: Option<DeflateOffer>,
    /// Largest message accepted, in bytes; one byte more fails the connection with 1009.
    pub max_message_size: usize,
    /// Largest payload of one frame accepted, in bytes on the wire; one byte more fails the connection with 1009.
    pub max_fragment_size: usize,
    /// Bound of the messages held while nobody listens.
    pub max_held: HeldLimit,
    /// Marks of the unsent bytes for back-pressure.
    pub write_limit: WriteLimit,
    /// Overrides DNS.
    pub resolve: Option<Resolve>,
}

impl ConnectOptions {
    /// The defaults for `url`.
    ///
    /// # Errors
    /// `InvalidUrl` when `url` is not a `ws:` or `wss:` address (RFC 6455 section 3).
    pub fn new(url: &str) -> Result<Self, Error> {
        let url = Url::parse(url).map_err(Error::invalid_url)?;
        Ok(Self {
            url,
            headers: Vec::new(),
            auth: None,
            cookies: Vec::new(),
            max_redirects: 5,
            redirect_headers: Vec::new(),
            subprotocols: Vec::new(),
            origin: None,
            user_agent: Some(concat!("sunsocket/", env!("CARGO_PKG_VERSION")).to_owned()),
            local_address: None,
            proxy: Proxies::None,
            tls: TlsOptions::default(),
            open_timeout: Some(Duration::from_secs(10)),
            close_timeout: Duration::from_secs(10),
            ping_interval: Some(Duration::from_secs(20)),
            ping_timeout: Some(Duration::from_secs(20)),
            compression: Some(DeflateOffer::default()),
            max_message_size: 64 << 20,
            max_fragment_size: usize::MAX,
            max_held: HeldLimit::default(),
            write_limit: WriteLimit::default(),
            resolve: None,
        })
    }

    /// Whether the program gives a header of this name.
    pub(crate) fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name))
    }
}

/// How many messages are held while nobody listens: whichever bound comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldLimit {
    /// Messages.
    pub messages: usize,
    /// Bytes of their payloads.
    pub bytes: usize,
}

impl HeldLimit {
    /// What is left of it.
    pub(crate) fn less(self, taken: Self) -> Self {
        Self {
            messages: self.messages.saturating_sub(taken.messages),
            bytes: self.bytes.saturating_sub(taken.bytes),
        }
    }

    /// Whether `held` has reached one of the bounds.
    pub(crate) fn is_reached(self, held: Self) -> bool {
        held.messages >= self.messages || held.bytes >= self.bytes
    }
}

impl Default for HeldLimit {
    fn default() -> Self {
        Self { messages: 1024, bytes: 16 << 20 }
    }
}

/// Back-pressure on the sending side: a sender waits above `high` unsent bytes until there are at most `low`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteLimit {
    /// The high-water mark, in bytes.
    pub high: usize,
    /// The low-water mark, in bytes.
    pub low: usize,
}

impl Default for WriteLimit {
    fn default() -> Self {
        Self { high: 1 << 20, low: 256 << 10 }
    }
}

/// How `wss` is verified. By default: the system's trust store and the URL's host name.
#[derive(Clone)]
pub struct TlsOptions {
    /// Trust these certificates (PEM) instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// The same, given as PEM text.
    pub ca_data: Option<Vec<u8>>,
    /// The client's certificate chain (PEM).
    pub cert_file: Option<PathBuf>,
    /// The same, given as PEM text.
    pub cert_data: Option<Vec<u8>>,
    /// The client's private key (PEM).
    pub key_file: Option<PathBuf>,
    /// The same, given as PEM text.
    pub key_data: Option<Vec<u8>>,
    /// SHA-256 of the server's certificate or of its public key (`SubjectPublicKeyInfo`), each as DER: one of these has to fit,
    /// beside what else is verified. None: nothing has to.
    pub pins: Vec<[u8; 32]>,
    /// Whether TLS 1.2 is refused, too.
    pub only_tls_1_3: bool,
    /// The name to verify and to send as SNI, in place of the URL's host.
    pub server_hostname: Option<String>,
    /// `false` accepts any certificate.
    pub verify: bool,
}

impl TlsOptions {
    /// Whether the client has a certificate to show.
    pub(crate) fn has_client(&self) -> bool {
        self.cert_file.is_some() || self.cert_data.is_some()
    }

    /// Shows no certificate of the client's.
    pub(crate) fn forget_client(&mut self) {
        (self.cert_file, self.cert_data, self.key_file, self.key_data) = (None, None, None, None);
    }

    /// For another server than the one whose name and pins these are.
    pub(crate) fn forget_server(&mut self) {
        self.server_hostname = None;
        // Where a pin alone was to decide, and is not for this one, what always decides does.
        self.verify |= !self.pins.is_empty();
        self.pins.clear();
    }
}

/// Without the texts: a key may be among them.
impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions").finish_non_exhaustive()
    }
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self {
            ca_file: None,
            ca_data: None,
            cert_file: None,
            cert_data: None,
            key_file: None,
            key_data: None,
            pins: Vec::new(),
            only_tls_1_3: false,
            server_hostname: None,
            verify: true,
        }
    }
}
