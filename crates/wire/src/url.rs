//! `ws:` and `wss:` addresses (RFC 6455 section 3).

use std::fmt;

use crate::credentials::Credentials;
use crate::error::InvalidUrl;

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

/// A checked address. Its text form leaves the user's name and password out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    scheme: Scheme,
    /// Lower case, IPv6 without brackets.
    host: String,
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
        let shown = shorten(&without_userinfo(text));
        let wrong = |what: &str| InvalidUrl(format!("{shown:?} is not a WebSocket URL: {what}"));
        if let Some(bad) = text.chars().find(|c| c.is_whitespace() || c.is_control()) {
            return Err(wrong(&format!("it contains {bad:?}; write it as a percent escape or leave it out")));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
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
        let host = check_host(host).map_err(|what| wrong(&what))?;
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
        Ok(Self { scheme, host, port, resource, credentials })
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

    /// The value of the `Host` header: the port only where it is not the scheme's own.
    pub fn host_header(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == self.scheme.default_port() { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.name(), self.host_header(), self.resource)
    }
}

/// Host and port as written; `None` for an IPv6 address that is not closed.
fn split_port(text: &str) -> Option<(&str, Option<&str>)> {
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

fn check_host(host: &str) -> Result<String, String> {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match address.parse::<std::net::Ipv6Addr>() {
            Ok(address) => Ok(address.to_string()),
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
        None => Ok(host.to_ascii_lowercase()),
    }
}

/// An error's text must not carry a password into a log. Where a password holds a `/`, `?` or `#`, the authority ends in the
/// middle of it: so everything up to the last `@` is left out.
fn without_userinfo(text: &str) -> String {
    let start = text.find("://").map_or(0, |at| at + 3);
    match text[start..].rfind('@') {
        Some(at) => format!("{}...@{}", &text[..start], &text[start + at + 1..]),
        None => text.to_owned(),
    }
}

/// The start of a text that somebody else wrote: an error's text is no place for all of it.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii() && !b"\"<>\\^`{|}".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let digits = tail.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
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
            prop_assert_eq!(Url::parse(&url.to_string()).expect("valid"), url);
        }
    }
}
