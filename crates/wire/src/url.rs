//! `ws:` and `wss:` addresses (RFC 6455 section 3).

use std::borrow::Cow;
use std::fmt;

use crate::auth::Credentials;
use crate::error::InvalidUrl;
use crate::percent::{percent_decode, percent_encode};
use crate::shown::{shorten, without_secrets};

/// The two schemes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain TCP, port 80 by default.
    Ws,
    /// TLS, port 443 by default.
    Wss,
}

impl Scheme {
    fn default_port(self) -> u16 {
        match self {
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }
}

/// A checked address. Its text forms are for people and may end in a log: they leave the user's name and password out, and
/// show a query, which often holds a token, as `?…`. [`Url::href`] has the query.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    scheme: Scheme,
    /// Lower case, IPv6 without brackets.
    host: String,
    /// Through which interface of this machine the IPv6 address is reached (RFC 6874), decoded.
    zone: Option<String>,
    port: u16,
    /// Path and query, ASCII, at least `/`.
    resource: String,
    credentials: Option<Credentials>,
}

impl Url {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it, and what to write in its place.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let shown = shorten(&without_secrets(text));
        let wrong = |what: &str| InvalidUrl(format!("{shown:?} is not a WebSocket URL: {what}"));
        if let Some(bad) = text.chars().find(|c| c.is_whitespace() || c.is_control()) {
            return Err(wrong(&format!("it contains {bad:?}; write it as a percent escape or leave it out")));
        }
        // What is no scheme may be a part of the query.
        let is_scheme =
            |scheme: &str| scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
        let Some((scheme, rest)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
            return Err(wrong("it has no scheme; begin it with ws:// or wss://"));
        };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "ws" => Scheme::Ws,
            "wss" => Scheme::Wss,
            "http" => return Err(wrong("its scheme is http; use ws:// for the same server")),
            "https" => return Err(wrong("its scheme is https; use wss:// for the same server")),
            other => {
                return Err(wrong(&format!("its scheme is {other:?}; use ws:// or wss://")));
            }
        };
        if rest.contains('#') {
            return Err(wrong(
                "it has a fragment (#...), which RFC 6455 forbids; write %23 for a # in the path",
            ));
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, resource) = rest.split_at(end);
        if authority.contains('\\') {
            // Browsers read it as a slash, others as part of the user's name: whoever checked the address may have seen
            // another host in it than we do.
            return Err(wrong("it has a backslash before the path"));
        }
        let (userinfo, host_port) = match authority.rsplit_once('@') {
            Some((userinfo, host_port)) => (Some(userinfo), host_port),
            None => (None, authority),
        };
        let credentials = userinfo
            .map(|userinfo| {
                let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
                let (Some(user), Some(password)) = (percent_decode(user), percent_decode(password)) else {
                    return Err(wrong("the user name or password in it is not valid percent-encoded UTF-8"));
                };
                Credentials::new(user, password).map_err(|error| wrong(&error.to_string()))
            })
            .transpose()?;
        let (host, port) = split_port(host_port).ok_or_else(|| wrong("its host is not closed by ]"))?;
        let (host, zone) = check_host(host).map_err(|what| wrong(&what))?;
        let port = match port {
            None | Some("") => scheme.default_port(),
            Some(digits) => match digits.parse::<u16>() {
                Ok(port) if port > 0 && digits.bytes().all(|byte| byte.is_ascii_digit()) => port,
                // Not a port but the start of a password, perhaps: not shown.
                _ if resource.contains('@') => {
                    return Err(wrong(
                        "its port is not a number from 1 to 65535; write a /, ? or # in a password as a percent escape",
                    ));
                }
                _ => {
                    return Err(wrong(&format!("its port {digits:?} is not a number from 1 to 65535")));
                }
            },
        };
        let slash = if resource.starts_with('/') { "" } else { "/" };
        let resource = format!("{slash}{}", percent_encode(resource));
        Ok(Self { scheme, host, zone, port, resource, credentials })
    }

    /// `ws` or `wss`.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether TLS is used.
    pub fn is_secure(&self) -> bool {
        self.scheme == Scheme::Wss
    }

    /// The host: a name in lower case, or an IP address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host as the operating system looks it up: with the zone of an IPv6 address, as in `fe80::1%eth0`.
    pub fn host_with_zone(&self) -> Cow<'_, str> {
        match &self.zone {
            None => Cow::Borrowed(&self.host),
            Some(zone) => Cow::Owned(format!("{}%{zone}", self.host)),
        }
    }

    /// The port, the scheme's own where none was written.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The resource name: path and query.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// User name and password, where the address has them.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }

    /// The same address without user name and password.
    pub fn without_credentials(self) -> Self {
        Self { credentials: None, ..self }
    }

    /// The value of the `Host` header: the port only where it is not the scheme's own, and no zone, which means something on
    /// this machine alone (RFC 6874 4).
    pub fn host_header(&self) -> String {
        self.with_port(if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() })
    }

    /// Host and port as the address has them.
    pub(crate) fn authority(&self) -> String {
        match &self.zone {
            None => self.host_header(),
            Some(zone) => self.with_port(format!("[{}%25{}]", self.host, encode_zone(zone))),
        }
    }

    fn with_port(&self, host: String) -> String {
        if self.port == self.scheme.default_port() { host } else { format!("{host}:{}", self.port) }
    }

    /// All of it but user name and password: for the program, not for errors and logs.
    pub fn href(&self) -> String {
        format!("{}://{}{}", self.scheme.name(), self.authority(), self.resource)
    }

    /// Whether both belong to one origin (RFC 6454): scheme, host and port are the same.
    pub fn is_same_origin(&self, other: &Self) -> bool {
        let origin = |url: &Self| (url.scheme, url.host.clone(), url.zone.clone(), url.port);
        origin(self) == origin(other)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let href = self.href();
        match href.split_once('?') {
            Some((before, _)) => write!(f, "{before}?…"),
            None => f.write_str(&href),
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

/// Host and port as written; `None` for an IPv6 address that is not closed.
pub(crate) fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
    if text.starts_with('[') {
        let end = text.find(']')? + 1;
        let (host, rest) = text.split_at(end);
        return match rest.strip_prefix(':') {
            Some(port) => Some((host, Some(port))),
            None if rest.is_empty() => Some((host, None)),
            None => None,
        };
    }
    match text.rsplit_once(':') {
        Some((host, port)) => Some((host, Some(port))),
        None => Some((text, None)),
    }
}

/// The host as it is kept, and the zone of an IPv6 address.
pub(crate) fn check_host(host: &str) -> Result<(String, Option<String>), String> {
    if let Some(literal) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let (address, zone) = match literal.split_once('%') {
            Some((address, zone)) => (address, Some(decode_zone(zone)?)),
            None => (literal, None),
        };
        return match address.parse::<std::net::Ipv6Addr>() {
            Ok(address) => Ok((address.to_string(), zone)),
            Err(_) => Err(format!("{address:?} is not an IPv6 address")),
        };
    }
    if host.is_empty() {
        return Err("it names no host".to_owned());
    }
    if !host.is_ascii() {
        return Err(format!("its host {host:?} is not ASCII; write its xn-- (punycode) form"));
    }
    match host.bytes().find(|byte| !byte.is_ascii_alphanumeric() && !b"-._".contains(byte)) {
        Some(b':') => Err("its host has more than one colon; write an IPv6 address in brackets".to_owned()),
        Some(byte) => Err(format!("its host contains {:?}", char::from(byte))),
        None => Ok((host.to_ascii_lowercase(), None)),
    }
}

/// A zone behind the `%` that begins it, which is written as `%25` (RFC 6874 2).
fn decode_zone(text: &str) -> Result<String, String> {
    let zone = text.strip_prefix("25").and_then(percent_decode).filter(|zone| !zone.is_empty());
    let zone = zone.filter(|zone| zone.bytes().all(|byte| byte.is_ascii_graphic()));
    zone.ok_or_else(|| {
        "the zone of its IPv6 address is not written as %25 and the name of an interface, as in [fe80::1%25eth0]"
            .to_owned()
    })
}

pub(crate) fn encode_zone(zone: &str) -> String {
    let is_unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    zone.chars()
        .map(|c| if is_unreserved(c) { c.to_string() } else { format!("%{:02X}", c as u32) })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(text: &str) -> (String, u16, String) {
        let url = Url::parse(text).expect("valid");
        (url.host().to_owned(), url.port(), url.resource().to_owned())
    }

    #[test]
    fn addresses_are_taken_apart() {
        let of = |host: &str, port, resource: &str| (host.to_owned(), port, resource.to_owned());
        assert_eq!(parts("ws://Example.COM"), of("example.com", 80, "/"));
        assert_eq!(parts("wss://example.com?q=1"), of("example.com", 443, "/?q=1"));
        assert_eq!(parts("WSS://h:8443/a/b?c#d".split('#').next().expect("first")), of("h", 8443, "/a/b?c"));
        assert_eq!(parts("ws://[::1]:9/x"), of("::1", 9, "/x"));
        assert_eq!(parts("ws://h:/\u{e9} ".trim_end()), of("h", 80, "/%C3%A9"));
        assert_eq!(Url::parse("ws://[::1]:80/").expect("valid").host_header(), "[::1]");
        assert_eq!(Url::parse("wss://h:80/").expect("valid").host_header(), "h:80");
        assert!(Url::parse("wss://h:80/").expect("valid").is_secure());
        assert!(!Url::parse("ws://h:443/").expect("valid").is_secure());
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let url = Url::parse("ws://us%40er:p%3Ass@h/x").expect("valid");
        assert_eq!(url.credentials(), Credentials::new("us@er", "p:ss").ok().as_ref());
        assert_eq!(url.to_string(), "ws://h/x");
        assert!(!format!("{url:?}").contains("ss"), "{url:?}");
        for text in [
            "ws://user:QQ@h:99999/",
            "user:QQ@h/",
            "ws:user:QQ@h/",
            "ws:///user:QQ@h/",
            "http://user:QQ@h/",
            "ws://user:QQ/QQ@h:x/",
            "ws://user:1/QQ@h:x/ ",
            "ws://user:QQ?QQ@h/",
            "ws://user:QQ#QQ@h/",
            "ws://user:%QQ@h/",
            "ws://us%3Aer:QQ@h/",
            "ws://user:QQ%0A@h/",
            "ws://user:QQ@h/ x",
        ] {
            let error = Url::parse(text).expect_err(text).to_string();
            assert!(!error.contains("QQ"), "{text}: {error}");
        }
    }

    #[test]
    fn a_query_is_shown_to_nobody_but_the_program() {
        let url = Url::parse("wss://h:8443/a/b?token=QQ").expect("valid");
        assert_eq!(url.to_string(), "wss://h:8443/a/b?\u{2026}");
        assert_eq!(format!("{url:?}"), "Url(wss://h:8443/a/b?\u{2026})");
        assert_eq!(url.href(), "wss://h:8443/a/b?token=QQ");
        assert_eq!(Url::parse("ws://h/a@b").expect("valid").to_string(), "ws://h/a@b");
        for text in [
            "ws://h:0/?QQ",
            "ws://h:0?QQ",
            "ws://h/?QQ#QQ",
            "ws://h/#QQ",
            "h/?to=http://QQ",
            "?QQ://h",
            "http://h/?QQ",
            "ws://h/?QQ x",
            "ws://user@h$/?QQ@QQ",
        ] {
            let error = Url::parse(text).expect_err(text).to_string();
            assert!(!error.contains("QQ"), "{text}: {error}");
        }
    }

    #[test]
    fn a_zone_is_for_this_machine_alone() {
        let url = Url::parse("ws://[FE80::1%25eth0]:9/x").expect("valid");
        assert_eq!((url.host(), &*url.host_with_zone()), ("fe80::1", "fe80::1%eth0"));
        assert_eq!(url.host_header(), "[fe80::1]:9");
        assert_eq!(url.to_string(), "ws://[fe80::1%25eth0]:9/x");
        let other = Url::parse("ws://[fe80::1%25eth1]:9/x").expect("valid");
        assert!(url.is_same_origin(&url) && !url.is_same_origin(&other));
        let odd = Url::parse("wss://[fe80::1%25a%2Fb%25]/").expect("valid");
        assert_eq!(odd.host_with_zone(), "fe80::1%a/b%");
        assert_eq!(Url::parse(&odd.href()), Ok(odd));
        assert_eq!(Url::parse("ws://h/").expect("valid").host_with_zone(), "h");
    }

    #[test]
    fn each_mistake_is_named_with_what_to_write() {
        for (text, hint) in [
            ("", "ws://"),
            ("example.com", "ws://"),
            ("http://h", "ws://"),
            ("https://h", "wss://"),
            ("ftp://h", "ws://"),
            ("ws://", "host"),
            ("ws:///path", "host"),
            ("ws://h:0", "65535"),
            ("ws://h:65536", "65535"),
            ("ws://h:+1", "65535"),
            ("ws://h:8o", "65535"),
            ("ws://h/#top", "%23"),
            ("ws://h/a b", "percent"),
            ("ws://h/\r\nX: y", "percent"),
            ("ws://::1/", "brackets"),
            ("ws://[::1", "]"),
            ("ws://[::1]80/", "]"),
            ("ws://[nope]/", "IPv6"),
            ("ws://h\u{e9}/", "punycode"),
            ("ws://h$t/", "'$'"),
            ("ws://other\\@h/", "backslash"),
            ("ws://[fe80::1%eth0]/", "%25"),
            ("ws://[fe80::1%25]/", "%25"),
            ("ws://[fe80::1%25a%0Ab]/", "%25"),
            ("ws://[fe80::1%25%]/", "%25"),
            ("ws://h%25eth0/", "'%'"),
        ] {
            let error = Url::parse(text).expect_err(text).to_string();
            assert!(error.contains(hint), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_an_address_or_an_error(text in "\\PC*") {
            let _ = Url::parse(&text);
            let _ = Url::parse(&format!("ws://{text}"));
        }

        #[test]
        fn the_text_form_reads_back(host in "[a-z][a-z0-9.-]{0,20}", port in 1u16.., path in "[a-zA-Z0-9/?=&%._~-]{0,20}") {
            let url = Url::parse(&format!("wss://{host}:{port}/{path}")).expect("valid");
            prop_assert_eq!(Url::parse(&url.href()).expect("valid"), url);
        }
    }
}
