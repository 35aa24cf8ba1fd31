//! Redirects (RFC 9110 15.4): where the opening handshake goes on, and what may come along.
//!
//! A redirect is an order of the server's, so it never gets more than the program has given that very server. Within
//! an origin (scheme, host and port) everything is sent again, cookies where their path allows it. To another origin go
//! the handshake, `Origin`, the subprotocols and a few headers that say nothing about who asks. The program's other
//! headers stay behind, for any of them may be a key, unless the option `redirect_headers` names them; so do what the
//! address, `auth` or `cookies` hold, and a client's certificate, which names the program as surely as a password does.
//! They stay behind for good, as in the Fetch standard: a way back to the first origin may be the other one's trick.
//! From `ws` to `wss` on one host is another origin too, for Fetch and for curl: one port is no proof of who listens at
//! another.

use std::sync::Arc;

use sunsocket_wire::{
    Challenge, Cookie, Cookies, Credentials, Digest, Headers, Request, Response, Url, shorten,
};

use crate::entropy;
use crate::error::{Error, ErrorKind, HttpAnswer};
use crate::options::{ConnectOptions, TlsOptions};

/// How many of the addresses on the way are shown, and of the headers that were left behind.
const SHOWN_HOPS: usize = 10;

/// Headers that go along to any origin: they tell what the program can read, what page it belongs to and what it is called,
/// and never who it is.
const HARMLESS: [&str; 7] =
    ["accept", "accept-encoding", "accept-language", "cache-control", "origin", "pragma", "user-agent"];

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
    /// What that origin wants the credentials proved by, and how often it has said so.
    digest: Option<Digest>,
    challenges: u8,
}

/// How often a server is asked again: it may want a digest, and say once that its nonce was too old.
const ASKED_AGAIN: u8 = 2;

impl Route {
    pub(super) fn new(options: Arc<ConnectOptions>) -> Self {
        let url = options.url.clone().without_credentials();
        Self {
            options,
            url,
            left: Vec::new(),
            is_home: true,
            cookies: Cookies::default(),
            digest: None,
            challenges: 0,
        }
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Whether this is the address that the program gave.
    pub(super) fn is_first(&self) -> bool {
        self.left.is_empty()
    }

    /// Whether a header of the program's is sent here.
    fn sends(&self, name: &str) -> bool {
        let is_kept = |kept: &String| kept.eq_ignore_ascii_case(name);
        self.is_home
            || HARMLESS.iter().any(|harmless| harmless.eq_ignore_ascii_case(name))
            || self.options.redirect_headers.iter().any(is_kept)
    }

    /// What the program gave and is not sent here, in words for an error.
    fn left_behind(&self) -> Vec<String> {
        if self.is_home {
            return Vec::new();
        }
        let options = &self.options;
        let mut left: Vec<String> = Vec::new();
        for (name, _) in &options.headers {
            if !self.sends(name) && !left.contains(name) {
                left.push(name.clone());
            }
        }
        if left.len() > SHOWN_HOPS {
            left.truncate(SHOWN_HOPS);
            left.push("...".to_owned());
        }
        let others = [
            ("the credentials", options.auth.is_some() || options.url.credentials().is_some()),
            ("the cookies", !options.cookies.is_empty()),
            ("the certificate", options.tls.has_client()),
        ];
        left.extend(others.into_iter().filter(|(_, is_given)| *is_given).map(|(what, _)| what.to_owned()));
        left
    }

    /// Whether the server's answer says where to go on, and may.
    pub(super) fn leads_on(&self, response: &Response) -> bool {
        matches!(response.status, 301 | 302 | 303 | 307 | 308) && self.options.max_redirects > 0
    }

    /// The opening handshake's request for where it stands.
    ///
    /// # Errors
    /// `InvalidArgument`.
    pub(super) fn request(&mut self, nonce: [u8; 16]) -> Result<Request, Error> {
        let proof = self.proof();
        let options = &self.options;
        let build = || {
            let mut request = Request::new(&self.url, nonce)
                .deflate(options.compression)
                .subprotocols(&options.subprotocols)?
                .credentials(self.credentials());
            if let Some(origin) = &options.origin {
                request = request.header("Origin", origin)?;
            }
            if let Some(agent) = &options.user_agent {
                // Checked in any case: a proxy gets it, too.
                let named = request.clone().header("User-Agent", agent)?;
                if !options.has_header("User-Agent") {
                    request = named;
                }
            }
            for (name, value) in &options.headers {
                if self.sends(name) {
                    request = request.header(name, value)?;
                }
            }
            if let Some(proof) = &proof {
                request = request.proof(proof);
            }
            // Who writes the header writes all of it.
            if options.has_header("Cookie") && self.sends("Cookie") {
                return Ok(request);
            }
            let set = self.cookies.for_url(&self.url);
            // Those that were set on the way come before a program's of the same name.
            let given = options.cookies.iter().filter(|_| self.is_home);
            let given = given.filter(|(name, _)| !set.iter().any(|cookie| cookie.name == *name));
            request.cookies(given.map(|(name, value)| (name.as_str(), value.as_str())), set.iter().copied())
        };
        build().map_err(|error: sunsocket_wire::InvalidRequest| {
            Error::new(ErrorKind::InvalidArgument, format!("cannot connect to {}: {error}", self.url))
        })
    }

    fn credentials(&self) -> Option<&Credentials> {
        let options = &self.options;
        self.is_home.then(|| options.auth.as_ref().or(options.url.credentials())).flatten()
    }

    /// The value of `Authorization` where the server has asked for a digest.
    fn proof(&mut self) -> Option<String> {
        let credentials = self.credentials()?.clone();
        let digest = self.digest.as_mut()?;
        Some(digest.authorization(&credentials, "GET", self.url.resource(), entropy::nonce()))
    }

    /// The digest by which the server is to be asked again, if its answer wants one and there is anything to prove.
    fn wanted_digest(&self, response: &Response) -> Option<Digest> {
        if response.status != 401
            || self.challenges == ASKED_AGAIN
            || self.options.has_header("Authorization")
        {
            return None;
        }
        self.credentials()?;
        let digest = Digest::choose(&Challenge::parse_all(response.headers.get_all("WWW-Authenticate")))?;
        (self.digest.is_none() || digest.is_stale()).then_some(digest)
    }

    /// Whether the server's answer wants the credentials proved by a digest, and can have that.
    pub(super) fn is_challenged(&self, response: &Response) -> bool {
        self.wanted_digest(response).is_some()
    }

    /// The next request proves the credentials as this answer wants it.
    pub(super) fn take_challenge(&mut self, response: &Response) {
        self.digest = self.wanted_digest(response);
        self.challenges += 1;
        self.store_cookies(&response.headers);
    }

    /// How TLS is done where it stands: whom to trust is the program's word for every server; `server_hostname` and
    /// pins are the first host's alone.
    pub(super) fn tls(&self) -> TlsOptions {
        let mut tls = self.options.tls.clone();
        if !self.is_home {
            tls.forget_client();
        }
        if self.url.host() != self.options.url.host() {
            tls.forget_server();
        }
        tls
    }

    /// How TLS is done with a proxy: it is trusted by the program's word, as every server is, and gets nothing that is meant for
    /// one.
    pub(super) fn tls_of_proxy(&self) -> TlsOptions {
        let mut tls = self.options.tls.clone();
        tls.forget_client();
        tls.forget_server();
        tls
    }

    /// Takes in what an answer sets, redirect or not.
    pub(super) fn store_cookies(&mut self, headers: &Headers) {
        self.cookies.store(headers, &self.url);
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
            (self.digest, self.challenges) = (None, 0);
        }
        self.left.push(std::mem::replace(&mut self.url, target));
        Ok(())
    }

    fn target(&self, response: &Response) -> Result<Url, String> {
        let status = format!("{} {}", response.status, response.reason);
        let status = status.trim_end();
        let locations: Vec<_> = response.headers.get_all_references("Location").collect();
        let location = match locations.as_slice() {
            [] => return Err(format!("the server answered {status} without saying where to (Location)")),
            [location] if location.is_empty() => {
                return Err(format!("the server answered {status} with an empty Location"));
            }
            [location] => location,
            _ => return Err(format!("the server answered {status} with more than one Location")),
        };
        let target = self.url.join(location).map_err(|error| {
            format!("the server answered {status}, and its Location cannot be followed: {error}")
        })?;
        if self.url.is_secure() && !target.is_secure() {
            return Err(format!(
                "the server redirects from wss to {}, which is not encrypted, and that is not followed; connect \
                 there if you mean it",
                shorten(&target.to_string())
            ));
        }
        let most = self.options.max_redirects;
        if self.left.len() >= most {
            return Err(format!(
                "this is redirect number {} and the limit is {most} (max_redirects); it leads to {}",
                most + 1,
                shorten(&target.to_string())
            ));
        }
        Ok(target)
    }

    /// The addresses in their order, the last ones of many.
    fn way(&self) -> String {
        let all: Vec<&Url> = self.left.iter().chain([&self.url]).collect();
        let first = all.len().saturating_sub(SHOWN_HOPS);
        let shown: Vec<String> = all[first..].iter().map(|url| shorten(&url.to_string())).collect();
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
        let left = self.left_behind();
        let hint = match kind {
            ErrorKind::Handshake | ErrorKind::Tls if !left.is_empty() => format!(
                "; not sent on to another origin: {}. Connect there, if they are meant for it, or name headers in \
                 redirect_headers",
                left.join(", ")
            ),
            _ => String::new(),
        };
        // This address is a server's, and as long as it likes.
        let text = error.to_string().replace(&self.url.to_string(), &shorten(&self.url.to_string()));
        error.retold(kind, format!("{text} (redirected: {}{hint})", self.way()))
    }

    /// The addresses left behind, and the cookies' names and values that the last origin has set: for each name those of
    /// the cookie that is sent there, or whose path is longest.
    pub(super) fn end(&mut self) -> (Vec<Url>, Vec<(String, String)>) {
        let rank = |cookie: &Cookie| (cookie.is_for(&self.url), cookie.path.len());
        let mut kept: Vec<&Cookie> = Vec::new();
        for cookie in self.cookies.iter() {
            match kept.iter_mut().find(|other| other.name == cookie.name) {
                Some(other) if rank(cookie) > rank(other) => *other = cookie,
                Some(_) => {}
                None => kept.push(cookie),
            }
        }
        let pairs = kept.into_iter().map(|cookie| (cookie.name.clone(), cookie.value.clone())).collect();
        (std::mem::take(&mut self.left), pairs)
    }
}
