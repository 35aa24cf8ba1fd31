//! Redirects (RFC 9110 15.4): where the opening handshake goes on, and what may come along.
//!
//! A redirect is an order of the server's, so it never gets more than the program has given that very server. Within
//! an origin (scheme, host and port) everything is sent again. To another origin go the handshake, `Origin`, the
//! subprotocols and the program's other headers, and no credentials: neither `Authorization`, `Cookie` and `Proxy-*`
//! headers, nor what the address, `auth` or `cookies` hold, nor a client's certificate, which names the program as
//! surely as a password does. They stay behind for good, as in the Fetch standard: a way back to the first origin may
//! be the other one's trick. From `ws` to `wss` on one host is another origin too, for Fetch and for curl: one port is
//! no proof of who listens at another.

use std::sync::Arc;

use sunsocket_wire::{Cookie, Cookies, Credentials, Headers, Request, Response, Url};

use crate::error::{Error, ErrorKind, HttpAnswer};
use crate::options::{ConnectOptions, TlsOptions};

/// How much of an address is shown where several are.
const SHOWN: usize = 200;
/// How many of the addresses on the way are shown.
const SHOWN_HOPS: usize = 10;

/// One connect's way through redirects.
pub(super) struct Route {
    options: Arc<ConnectOptions>,
    /// Where it stands, without credentials.
    url: Url,
    /// The addresses left behind, in order.
    left: Vec<Url>,
    /// Every address so far was of the first one's origin.
    is_home: bool,
    /// What the origin where it stands has set.
    cookies: Cookies,
}

impl Route {
    pub(super) fn new(options: Arc<ConnectOptions>) -> Self {
        let url = options.url.clone().without_credentials();
        Self { options, url, left: Vec::new(), is_home: true, cookies: Cookies::default() }
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Whether this is the address that the program gave.
    pub(super) fn is_first(&self) -> bool {
        self.left.is_empty()
    }

    /// Whether credentials that the program gave are not sent here.
    pub(super) fn has_left_credentials(&self) -> bool {
        let options = &self.options;
        !self.is_home
            && (options.auth.is_some()
                || options.url.credentials().is_some()
                || !options.cookies.is_empty()
                || options.headers.iter().any(|(name, _)| is_credential(name))
                || options.tls.cert_file.is_some())
    }

    /// Whether the server's answer says where to go on, and may.
    pub(super) fn leads_on(&self, response: &Response) -> bool {
        matches!(response.status, 301 | 302 | 303 | 307 | 308) && self.options.max_redirects > 0
    }

    /// The opening handshake's request for where it stands.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub(super) fn request(&self, nonce: [u8; 16]) -> Result<Request, Error> {
        let options = &self.options;
        let build = || {
            let mut request = Request::new(&self.url, nonce)
                .deflate(options.compression)
                .subprotocols(&options.subprotocols)?
                .credentials(self.credentials());
            if let Some(origin) = &options.origin {
                request = request.header("Origin", origin)?;
            }
            if let Some(agent) = options.user_agent.as_ref().filter(|_| !options.has_header("User-Agent")) {
                request = request.header("User-Agent", agent)?;
            }
            for (name, value) in &options.headers {
                if self.is_home || !is_credential(name) {
                    request = request.header(name, value)?;
                }
            }
            // Who writes the header writes all of it.
            if self.is_home && options.has_header("Cookie") {
                return Ok(request);
            }
            request.cookies(self.cookies_to_send())
        };
        build().map_err(|error: sunsocket_wire::InvalidRequest| {
            Error::new(ErrorKind::InvalidArgument, format!("cannot connect to {}: {error}", self.url))
        })
    }

    fn credentials(&self) -> Option<&Credentials> {
        let options = &self.options;
        self.is_home.then(|| options.auth.as_ref().or(options.url.credentials())).flatten()
    }

    /// The program's, then those set on the way, which come before a program's of the same name.
    fn cookies_to_send(&self) -> impl Iterator<Item = (&str, &str)> {
        let given = self.options.cookies.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let set = || self.cookies.iter().filter(|cookie| !cookie.secure || self.url.is_secure());
        given
            .filter(move |(name, _)| self.is_home && !set().any(|cookie| cookie.name == *name))
            .chain(set().map(|cookie| (cookie.name.as_str(), cookie.value.as_str())))
    }

    /// How TLS is done where it stands: whom to trust is the program's word for every server; `server_hostname` is the
    /// name of the first host alone.
    pub(super) fn tls(&self) -> TlsOptions {
        let mut tls = self.options.tls.clone();
        if !self.is_home {
            (tls.cert_file, tls.key_file) = (None, None);
        }
        if self.url.host() != self.options.url.host() {
            tls.server_hostname = None;
        }
        tls
    }

    /// Takes in what an answer sets, redirect or not.
    pub(super) fn store_cookies(&mut self, headers: &Headers) {
        self.cookies.store(headers);
    }

    /// Goes where the answer leads to.
    ///
    /// # Errors
    /// `Handshake`: there is no such place, or it must not be gone to.
    pub(super) fn follow(&mut self, response: Response) -> Result<(), Error> {
        let target = self.target(&response).map_err(|why| {
            let text = format!("cannot connect to {}: {why}", self.url);
            let Response { status, headers, .. } = response.clone();
            Error::handshake(text, Some(HttpAnswer { status, headers, body: Vec::new() }))
        })?;
        self.store_cookies(&response.headers);
        if !self.url.is_same_origin(&target) {
            self.is_home = false;
            self.cookies.clear();
        }
        self.left.push(std::mem::replace(&mut self.url, target));
        Ok(())
    }

    fn target(&self, response: &Response) -> Result<Url, String> {
        let status = format!("{} {}", response.status, response.reason);
        let status = status.trim_end();
        let locations: Vec<&str> = response.headers.get_all("Location").collect();
        let location = match locations.as_slice() {
            [] => return Err(format!("the server answered {status} without saying where to (Location)")),
            [""] => return Err(format!("the server answered {status} with an empty Location")),
            [location] => *location,
            _ => return Err(format!("the server answered {status} with more than one Location")),
        };
        let target = self.url.join(location).map_err(|error| {
            format!("the server answered {status}, and its Location cannot be followed: {error}")
        })?;
        if self.url.is_secure() && !target.is_secure() {
            return Err(format!(
                "the server redirects from wss to {}, which is not encrypted, and that is not followed; connect \
                 there if you mean it",
                shorten(&target)
            ));
        }
        let most = self.options.max_redirects;
        if self.left.len() >= most {
            return Err(format!(
                "this is redirect number {} and the limit is {most} (max_redirects); it leads to {}",
                most + 1,
                shorten(&target)
            ));
        }
        Ok(target)
    }

    /// The addresses in their order, the last ones of many.
    fn way(&self) -> String {
        let all: Vec<&Url> = self.left.iter().chain([&self.url]).collect();
        let first = all.len().saturating_sub(SHOWN_HOPS);
        let shown: Vec<String> = all[first..].iter().map(|url| shorten(url)).collect();
        format!("{}{}", if first > 0 { "... -> " } else { "" }, shown.join(" -> "))
    }

    /// What failed here, told to somebody who asked for the first address.
    pub(super) fn explain(&self, error: &Error) -> Error {
        if self.is_first() {
            return error.clone();
        }
        // Nothing that the program gave is wrong: the place where the server sent us is.
        let kind = match error.kind() {
            ErrorKind::InvalidArgument => ErrorKind::Handshake,
            kind => kind,
        };
        let hint = match kind {
            ErrorKind::Handshake | ErrorKind::Tls if self.has_left_credentials() => {
                "; credentials are not sent on to another origin: connect there, if they are meant for it"
            }
            _ => "",
        };
        // This address is a server's, and as long as it likes.
        let text = error.to_string().replace(&self.url.to_string(), &shorten(&self.url));
        error.retold(kind, format!("{text} (redirected: {}{hint})", self.way()))
    }

    /// What was left behind, and the cookies' names and values that the last origin has set.
    pub(super) fn end(&mut self) -> (Vec<Url>, Vec<(String, String)>) {
        let pair = |cookie: &Cookie| (cookie.name.clone(), cookie.value.clone());
        (std::mem::take(&mut self.left), self.cookies.iter().map(pair).collect())
    }
}

/// Headers that say who asks, to the server or to a proxy before it.
fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    matches!(name.as_str(), "authorization" | "cookie" | "cookie2") || name.starts_with("proxy-")
}

fn shorten(url: &Url) -> String {
    let text = url.to_string();
    // An address is ASCII.
    if text.len() > SHOWN { format!("{}...", &text[..SHOWN]) } else { text }
}
