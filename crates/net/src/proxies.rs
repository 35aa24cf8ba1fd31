//! Which proxy a connection goes through: the program's own word, or what the environment's variables say.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use sunsocket_wire::{ProxyUrl, Url};

use crate::error::{Error, ErrorKind};

/// Which proxy a connection goes through.
#[derive(Clone, Debug, Default)]
pub enum Proxies {
    /// None.
    #[default]
    None,
    /// This one.
    Given(ProxyUrl),
    /// The one that the environment names for the address, if it names one.
    Environment(Arc<ProxyEnvironment>),
}

/// A proxy, and who named it.
#[derive(Clone, Debug)]
pub(crate) struct NamedProxy {
    pub(crate) url: ProxyUrl,
    /// The option, or the variable of the environment.
    source: String,
}

impl fmt::Display for NamedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.url, self.source)
    }
}

impl Proxies {
    /// The proxy on the way to that address.
    ///
    /// # Errors
    /// `Proxy`: the environment names one by something that is no address.
    pub(crate) fn choose(&self, url: &Url) -> Result<Option<NamedProxy>, Error> {
        match self {
            Self::None => Ok(None),
            Self::Given(proxy) => {
                Ok(Some(NamedProxy { url: proxy.clone(), source: "the option proxy".to_owned() }))
            }
            Self::Environment(environment) => environment.choose(url),
        }
    }
}

/// The variables of an environment that name proxies, as Python's `urllib.request` and curl read them.
///
/// - For `wss` the first of `wss_proxy`, `https_proxy` and `all_proxy` counts that is set, for `ws` the first of `ws_proxy`,
///   `http_proxy` and `all_proxy`. Small letters come before capitals; small letters with nothing in them take back what
///   capitals say. `HTTP_PROXY` in capitals does not count in a CGI program, where a client can set it (a header `Proxy`).
/// - `no_proxy` is a list of hosts that are reached without one. Commas or spaces stand between them. A name stands for itself
///   and for all names below it, a number behind a colon for that port alone, `10.0.0.0/8` for a range of addresses, `*`
///   for every host.
pub struct ProxyEnvironment(HashMap<&'static str, Variable>);

/// The variables, each in small letters and in capitals.
const NAMES: [(&str, &str); 6] = [
    ("wss_proxy", "WSS_PROXY"),
    ("https_proxy", "HTTPS_PROXY"),
    ("ws_proxy", "WS_PROXY"),
    ("http_proxy", "HTTP_PROXY"),
    ("all_proxy", "ALL_PROXY"),
    ("no_proxy", "NO_PROXY"),
];

struct Variable {
    name: &'static str,
    value: String,
}

/// Without the values: there may be passwords in them.
impl fmt::Debug for ProxyEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.values().map(|variable| &variable.name)).finish()
    }
}

impl ProxyEnvironment {
    /// The variables of this process, as they are now.
    pub fn current() -> Self {
        Self::new(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// `variable` is asked for variables by their names.
    pub fn new(variable: impl Fn(&str) -> Option<String>) -> Self {
        let found = NAMES.into_iter().filter_map(|(small, capitals)| {
            let (name, value) = match variable(small) {
                Some(value) => (small, value),
                None => (capitals, variable(capitals)?),
            };
            let is_a_client_s = name == "HTTP_PROXY" && variable("REQUEST_METHOD").is_some();
            let value = value.trim().to_owned();
            (!value.is_empty() && !is_a_client_s).then_some((small, Variable { name, value }))
        });
        Self(found.collect())
    }

    fn choose(&self, url: &Url) -> Result<Option<NamedProxy>, Error> {
        let names = if url.is_secure() {
            ["wss_proxy", "https_proxy", "all_proxy"]
        } else {
            ["ws_proxy", "http_proxy", "all_proxy"]
        };
        let found = names.iter().find_map(|name| self.0.get(name));
        let Some(Variable { name, value }) = found.filter(|_| !self.is_excepted(url)) else {
            return Ok(None);
        };
        let proxy = ProxyUrl::parse(value).map_err(|error| {
            let text = format!(
                "cannot connect to {url}: the environment's {name} is wrong: {error}; correct it, or name the host in NO_PROXY"
            );
            Error::new(ErrorKind::Proxy, text)
        })?;
        Ok(Some(NamedProxy { url: proxy, source: (*name).to_owned() }))
    }

    /// Whether `no_proxy` names the host.
    fn is_excepted(&self, url: &Url) -> bool {
        let Some(list) = self.0.get("no_proxy") else { return false };
        let items = list.value.split([',', ' ', '\t']).filter(|item| !item.is_empty());
        items.into_iter().any(|item| stands_for(&item.to_ascii_lowercase(), url.host(), url.port()))
    }
}

/// Whether an item of the list stands for that host and port.
fn stands_for(item: &str, host: &str, port: u16) -> bool {
    if item == "*" {
        return true;
    }
    if let Some((network, bits)) = item.split_once('/') {
        let (Ok(network), Ok(address), Ok(bits)) = (literal(network), host.parse(), bits.parse()) else {
            return false;
        };
        return contains(network, bits, address);
    }
    if let Ok(address) = literal(item) {
        return host.parse::<IpAddr>().is_ok_and(|host| host == address);
    }
    let (name, of_port) = match item.rsplit_once(':').map(|(name, digits)| (name, digits.parse::<u16>())) {
        Some((name, Ok(of_port))) => (name, Some(of_port)),
        _ => (item, None),
    };
    if of_port.is_some_and(|of_port| of_port != port) {
        return false;
    }
    if let Ok(address) = literal(name) {
        return host.parse::<IpAddr>().is_ok_and(|host| host == address);
    }
    let name = name.trim_start_matches('*').trim_start_matches('.');
    !name.is_empty() && host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// An address, which may stand in brackets.
fn literal(text: &str) -> Result<IpAddr, std::net::AddrParseError> {
    text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text).parse()
}

/// Whether the address is in the network, of which so many bits count.
fn contains(network: IpAddr, bits: u32, address: IpAddr) -> bool {
    fn same(one: u128, other: u128, size: u32, bits: u32) -> bool {
        bits <= size && (bits == 0 || (one ^ other) >> (size - bits) == 0)
    }
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            same(network.to_bits().into(), address.to_bits().into(), 32, bits)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => same(network.to_bits(), address.to_bits(), 128, bits),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Proxies {
        let variable = |name: &str| {
            variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        };
        Proxies::Environment(Arc::new(ProxyEnvironment::new(variable)))
    }

    /// The proxy and the variable that names it.
    fn chosen(variables: &[(&str, &str)], url: &str) -> Option<String> {
        let url = Url::parse(url).expect("valid");
        environment(variables).choose(&url).expect("an address").map(|proxy| proxy.to_string())
    }

    #[test]
    fn the_first_variable_for_the_scheme_counts() {
        let all = [
            ("WSS_PROXY", "a"),
            ("HTTPS_PROXY", "b"),
            ("WS_PROXY", "c"),
            ("HTTP_PROXY", "d"),
            ("ALL_PROXY", "socks5h://e"),
        ];
        for (from, url, expected) in [
            (0, "wss://h/", "http://a:80 (WSS_PROXY)"),
            (1, "wss://h/", "http://b:80 (HTTPS_PROXY)"),
            (2, "wss://h/", "socks5h://e:1080 (ALL_PROXY)"),
            (0, "ws://h/", "http://c:80 (WS_PROXY)"),
            (3, "ws://h/", "http://d:80 (HTTP_PROXY)"),
            (4, "ws://h/", "socks5h://e:1080 (ALL_PROXY)"),
        ] {
            assert_eq!(chosen(&all[from..], url).as_deref(), Some(expected));
        }
        assert_eq!(chosen(&[("HTTP_PROXY", "d")], "wss://h/"), None);
        assert_eq!(chosen(&[("FTP_PROXY", "d"), ("PATH", "x")], "ws://h/"), None);
    }

    #[test]
    fn small_letters_come_first_and_may_take_back() {
        let both = [("http_proxy", "small"), ("HTTP_PROXY", "capitals")];
        assert_eq!(chosen(&both, "ws://h/").as_deref(), Some("http://small:80 (http_proxy)"));
        assert_eq!(chosen(&[("http_proxy", ""), ("HTTP_PROXY", "capitals")], "ws://h/"), None);
        assert_eq!(chosen(&[("HTTP_PROXY", " ")], "ws://h/"), None);
    }

    #[test]
    fn a_client_of_a_cgi_program_names_no_proxy() {
        let cgi = ("REQUEST_METHOD", "GET");
        assert_eq!(chosen(&[cgi, ("HTTP_PROXY", "evil")], "ws://h/"), None);
        assert!(chosen(&[cgi, ("http_proxy", "mine")], "ws://h/").is_some());
        assert!(chosen(&[cgi, ("HTTPS_PROXY", "mine")], "wss://h/").is_some());
    }

    #[test]
    fn no_proxy_names_hosts_suffixes_ports_and_ranges() {
        let is_excepted =
            |list: &str, url: &str| chosen(&[("ALL_PROXY", "p"), ("NO_PROXY", list)], url).is_none();
        for (list, url) in [
            ("*", "ws://h/"),
            ("a, *", "ws://h/"),
            ("example.com", "ws://example.com/"),
            ("example.com", "ws://www.EXAMPLE.com/"),
            (".example.com", "ws://example.com/"),
            ("*.example.com", "ws://www.example.com/"),
            ("a b,example.com", "ws://b/"),
            ("EXAMPLE.com:8080", "ws://example.com:8080/"),
            ("h:80", "ws://h/"),
            ("h:443", "wss://h/"),
            ("127.0.0.1", "ws://127.0.0.1:9/"),
            ("127.0.0.1:9", "ws://127.0.0.1:9/"),
            ("10.0.0.0/8", "ws://10.1.2.3/"),
            ("0.0.0.0/0", "ws://10.1.2.3/"),
            ("::1", "ws://[::1]/"),
            ("[::1]", "ws://[::1]/"),
            ("[::1]:7", "ws://[::1]:7/"),
            ("fd00::/8", "ws://[fd12::1]/"),
        ] {
            assert!(is_excepted(list, url), "{list} stands for {url}");
        }
        for (list, url) in [
            ("", "ws://h/"),
            ("example.com", "ws://notexample.com/"),
            ("www.example.com", "ws://example.com/"),
            ("example.com:81", "ws://example.com/"),
            ("10.0.0.0/8", "ws://11.0.0.1/"),
            ("10.0.0.0/33", "ws://10.0.0.1/"),
            ("10.0.0.0/x", "ws://10.0.0.1/"),
            ("10.0.0.0/8", "ws://[fd00::1]/"),
            ("10.0.0.0/8", "ws://h/"),
            ("::1", "ws://[::2]/"),
            (".", "ws://h/"),
        ] {
            assert!(!is_excepted(list, url), "{list} does not stand for {url}");
        }
    }

    #[test]
    fn a_wrong_variable_is_named_and_not_shown_with_its_password() {
        let url = Url::parse("ws://h/").expect("valid");
        let wrong = environment(&[("HTTP_PROXY", "ftp://user:secret@p")]);
        let error = wrong.choose(&url).expect_err("no address");
        assert_eq!(error.kind(), ErrorKind::Proxy);
        let text = error.to_string();
        assert!(
            text.contains("HTTP_PROXY") && text.contains("ws://h/") && !text.contains("secret"),
            "{text}"
        );
        assert_eq!(format!("{wrong:?}"), "Environment({\"HTTP_PROXY\"})");
    }
}
