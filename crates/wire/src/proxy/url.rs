//! Addresses of proxies, as programs and environment variables write them.

use std::borrow::Cow;
use std::fmt;

use crate::auth::Credentials;
use crate::error::InvalidUrl;
use crate::percent::percent_decode;
use crate::shown::{shorten, without_secrets};
use crate::url::{check_host, encode_zone, split_port};

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyScheme {
    /// HTTP CONNECT over TCP.
    Http,
    /// HTTP CONNECT over TLS.
    Https,
    /// SOCKS version 4: the proxy is told an IPv4 address.
    Socks4,
    /// The same, but the proxy looks up the name.
    Socks4a,
    /// SOCKS version 5 (RFC 1928): the proxy is told an address.
    Socks5,
    /// The same, but the proxy looks up the name.
    Socks5h,
}

impl ProxyScheme {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "http" => Self::Http,
            "https" => Self::Https,
            "socks4" => Self::Socks4,
            "socks4a" => Self::Socks4a,
            "socks5" => Self::Socks5,
            "socks5h" => Self::Socks5h,
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks4 => "socks4",
            Self::Socks4a => "socks4a",
            Self::Socks5 => "socks5",
            Self::Socks5h => "socks5h",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Socks4 | Self::Socks4a | Self::Socks5 | Self::Socks5h => 1080,
        }
    }

    /// Whether we look up the server's name, and not the proxy.
    pub fn resolves_here(self) -> bool {
        matches!(self, Self::Socks4 | Self::Socks5)
    }
}

/// The checked address of a proxy. Its text forms are for people and may end in a log: they leave the user's name and password
/// out.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl {
    scheme: ProxyScheme,
    /// Lower case, IPv6 without brackets.
    host: String,
    zone: Option<String>,
    port: u16,
    credentials: Option<Credentials>,
}

impl ProxyUrl {
    /// Reads an address. Without a scheme it is `http`, as everybody reads `HTTP_PROXY=proxy.example:3128`.
    ///
    /// # Errors
    /// What is wrong with it, and what to write in its place.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let shown = shorten(&without_secrets(text));
        let wrong = |what: &str| InvalidUrl(format!("{shown:?} is not the address of a proxy: {what}"));
        if let Some(bad) = text.chars().find(|c| c.is_whitespace() || c.is_control()) {
            return Err(wrong(&format!("it contains {bad:?}")));
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let scheme = scheme.to_ascii_lowercase();
        let Some(scheme) = ProxyScheme::parse(&scheme) else {
            return Err(wrong(
                "begin it with http://, https://, socks4://, socks4a://, socks5:// or socks5h://",
            ));
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        // A password may hold what begins a path, where somebody did not escape it: nothing is guessed.
        if rest.contains(['/', '?', '#', '\\']) {
            return Err(wrong(
                "it ends behind host and port; write a /, ? or # in a password as a percent escape",
            ));
        }
        let (userinfo, host_port) = match rest.rsplit_once('@') {
            Some((userinfo, host_port)) => (Some(userinfo), host_port),
            None => (None, rest),
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
                // What stands there may be a password, of an address whose host was forgotten.
                _ => {
                    let text = "the address of a proxy ends with a port, and what stands there is not a number from 1 to 65535";
                    return Err(InvalidUrl(format!("{text}; write it as scheme://user:password@host:port")));
                }
            },
        };
        Ok(Self { scheme, host, zone, port, credentials })
    }

    /// How it is spoken to.
    pub fn scheme(&self) -> ProxyScheme {
        self.scheme
    }

    /// The host: a name in lower case, or an IP address without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host as the operating system looks it up: with the zone of an IPv6 address.
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

    /// User name and password, where the address has them.
    pub fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = self.zone.as_ref().map_or_else(String::new, |zone| format!("%25{}", encode_zone(zone)));
        let (open, close) = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        write!(f, "{}://{open}{}{zone}{close}:{}", self.scheme.name(), self.host, self.port)
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_they_are_written() {
        for (text, shown) in [
            ("http://proxy.example:3128", "http://proxy.example:3128"),
            ("Proxy.Example:3128/", "http://proxy.example:3128"),
            ("https://proxy", "https://proxy:443"),
            ("HTTP://proxy", "http://proxy:80"),
            ("socks4://p", "socks4://p:1080"),
            ("socks4a://p:9", "socks4a://p:9"),
            ("socks5://u:p@p", "socks5://p:1080"),
            ("socks5h://[::1]:9050", "socks5h://[::1]:9050"),
            ("http://[fe80::1%25eth0]:1", "http://[fe80::1%25eth0]:1"),
        ] {
            let url = ProxyUrl::parse(text).expect(text);
            assert_eq!(url.to_string(), shown, "{text}");
            assert_eq!(format!("{url:?}"), format!("ProxyUrl({shown})"));
        }
        let zoned = ProxyUrl::parse("http://[fe80::1%25eth0]").expect("valid");
        assert_eq!((zoned.host(), zoned.host_with_zone()), ("fe80::1", Cow::Borrowed("fe80::1%eth0")));
        assert_eq!(ProxyUrl::parse("p").expect("valid").host_with_zone(), "p");
        assert!(ProxyScheme::Socks5.resolves_here() && !ProxyScheme::Socks5h.resolves_here());
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let url = ProxyUrl::parse("socks5://us%40er:p%2Fss@h:1").expect("valid");
        assert_eq!(url.credentials(), Credentials::new("us@er", "p/ss").ok().as_ref());
        assert_eq!((url.scheme(), url.port()), (ProxyScheme::Socks5, 1));
        assert!(!format!("{url} {url:?}").contains("er"));
        let bare = ProxyUrl::parse("http://user@h").expect("valid");
        assert_eq!(bare.credentials(), Credentials::new("user", "").ok().as_ref());
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_secrets() {
        for (text, words) in [
            ("ftp://secret:secret@h", "begin it with http://"),
            ("http://", "names no host"),
            ("http://secret:sec/ret@h", "percent escape"),
            ("http://secret:%zz@h", "percent-encoded"),
            ("http://secret:s\u{85}@h", "contains"),
            ("http://u:secret%00@h", "control character"),
            ("http://[::1", "not closed"),
            ("http://h:0", "not a number"),
            ("http://h:+1", "not a number"),
            ("http://h:secret", "not a number"),
            ("h:secret", "not a number"),
            ("http://h/path", "ends behind host and port"),
            ("http://h h", "contains ' '"),
        ] {
            let error = ProxyUrl::parse(text).expect_err(text).to_string();
            assert!(error.contains(words) && error.contains("the address of a proxy"), "{text}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
