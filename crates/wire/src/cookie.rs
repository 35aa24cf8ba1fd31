//! Cookies, as far as an opening handshake needs them (RFC 6265): read from `Set-Cookie`, written into `Cookie`.
//!
//! There is no jar. Path and Secure are honoured; Domain and Expires are not looked at: whoever sends a cookie back does so
//! to the origin that set it, and at once. What is read can always be sent again, byte by byte: a cookie that cannot is left
//! out.

use crate::error::InvalidRequest;
use crate::headers::{Headers, from_latin_1, trim};
use crate::url::Url;

/// Name and value together, in bytes: what a user agent has to be able to keep (RFC 6265 6.1), and no more.
const LARGEST: usize = 4096;
/// As many as one response may have header lines; several responses add up to no more.
const MOST: usize = 128;

/// A cookie that a server set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its value as it came, with quotes where it has them. Read as ISO 8859-1 where it was no UTF-8, as the name is.
    pub value: String,
    /// Whether it is for TLS alone.
    pub secure: bool,
    /// It is for this path and those below it.
    pub path: String,
    /// Name, `=` and value in the bytes in which they came.
    pair: Vec<u8>,
}

impl Cookie {
    /// What stands for it in a `Cookie` header.
    pub(crate) fn pair(&self) -> &[u8] {
        &self.pair
    }

    /// Whether it is sent to that address, of the origin that set it (RFC 6265 5.4).
    pub fn is_for(&self, url: &Url) -> bool {
        let path = path_of(url);
        // Section 5.1.4: the same path, or one below it.
        let below = path.strip_prefix(self.path.as_str());
        let matches =
            below.is_some_and(|rest| rest.is_empty() || self.path.ends_with('/') || rest.starts_with('/'));
        matches && (!self.secure || url.is_secure())
    }
}

/// The cookies that the answers of one origin set, the last word of each name and path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cookies(Vec<Cookie>);

impl Cookies {
    /// Takes the `Set-Cookie` lines of a response from `url` in (RFC 6265 5.2). A line that makes no cookie is ignored.
    pub fn store(&mut self, headers: &Headers, url: &Url) {
        for line in headers.get_all_bytes("Set-Cookie") {
            let Some((cookie, is_removal)) = parse(line, url) else { continue };
            let same = |other: &Cookie| other.name == cookie.name && other.path == cookie.path;
            match (self.0.iter().position(same), is_removal) {
                (Some(at), true) => drop(self.0.remove(at)),
                (Some(at), false) => self.0[at] = cookie,
                (None, false) if self.0.len() < MOST => self.0.push(cookie),
                (None, _) => {}
            }
        }
    }

    /// In the order in which they were first set.
    pub fn iter(&self) -> impl Iterator<Item = &Cookie> {
        self.0.iter()
    }

    /// Those for that address, in the order in which they are sent: longer paths first (RFC 6265 5.4).
    pub fn for_url(&self, url: &Url) -> Vec<&Cookie> {
        let mut found: Vec<&Cookie> = self.0.iter().filter(|cookie| cookie.is_for(url)).collect();
        found.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        found
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// A cookie, and whether the line removes it (`Max-Age` of 0 or less).
fn parse(line: &[u8], url: &Url) -> Option<(Cookie, bool)> {
    let mut parts = line.split(|&byte| byte == b';');
    // A line without `=` has no name; see section 5.2.
    let (name, value) = split_pair(parts.next()?)?;
    if name.len() + value.len() > LARGEST || check(name, value).is_err() {
        return None;
    }
    let (mut secure, mut is_removal, mut path) = (false, false, None);
    for part in parts {
        // The last attribute of a name counts (section 5.3).
        let (name, value) = split_pair(part).unwrap_or((trim(part), b""));
        if name.eq_ignore_ascii_case(b"Secure") {
            secure = true;
        } else if name.eq_ignore_ascii_case(b"Path") {
            path = value.starts_with(b"/").then(|| text(value));
        } else if name.eq_ignore_ascii_case(b"Max-Age") {
            // What is no number does not count (section 5.2.2).
            let digits = value.strip_prefix(b"-").unwrap_or(value);
            if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
                is_removal = value.starts_with(b"-") || digits.iter().all(|byte| *byte == b'0');
            }
        }
    }
    let path = path.unwrap_or_else(|| default_path(url).to_owned());
    let pair = [name, value].join(&b'=');
    Some((Cookie { name: text(name), value: text(value), secure, path, pair }, is_removal))
}

fn split_pair(part: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = part.iter().position(|&byte| byte == b'=')?;
    Some((trim(&part[..at]), trim(&part[at + 1..])))
}

fn text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| from_latin_1(bytes), str::to_owned)
}

/// The path of an address, without its query.
fn path_of(url: &Url) -> &str {
    url.resource().split('?').next().unwrap_or_default()
}

/// The path of a cookie that names none: the folder of the address that set it (section 5.1.4).
fn default_path(url: &Url) -> &str {
    match path_of(url).rsplit_once('/') {
        None | Some(("", _)) => "/",
        Some((folder, _)) => folder,
    }
}

/// Whether a cookie of this name and value can be sent.
pub fn is_cookie(name: &str, value: &str) -> bool {
    check(name.as_bytes(), value.as_bytes()).is_ok()
}

/// Whether this pair can be sent without becoming another pair, another header line or a part of its neighbour.
///
/// Names and values that servers do set are let through where section 4.1.1 would not have let them be set (spaces,
/// commas, inner quotes): section 5.4 sends back what came.
///
/// # Errors
/// What is wrong, without the value: it may be a secret.
pub(crate) fn check(name: &[u8], value: &[u8]) -> Result<(), InvalidRequest> {
    let wrong = |text: String| Err(InvalidRequest(text));
    let shown = text(name);
    if name.is_empty() {
        return wrong("a cookie has an empty name".to_owned());
    }
    let bad = |byte: &&u8| byte.is_ascii_control() || b" =;,\"".contains(*byte);
    if let Some(bad) = name.iter().find(bad) {
        return wrong(format!("the name of the cookie {shown:?} contains {:?}", char::from(*bad)));
    }
    if let Some(bad) = value.iter().find(|byte| byte.is_ascii_control() || **byte == b';') {
        return wrong(format!(
            "the value of the cookie {shown:?} contains {:?}, which a cookie cannot hold; write it as a percent \
             escape",
            char::from(*bad)
        ));
    }
    if trim(value) != value {
        return wrong(format!("the value of the cookie {shown:?} begins or ends with a space"));
    }
    // Some servers read on from an open quote, over the end of this cookie into the next.
    if value.starts_with(b"\"") && (value.len() < 2 || !value.ends_with(b"\"") || value.ends_with(b"\\\"")) {
        return wrong(format!(
            "the value of the cookie {shown:?} begins with a quote that is not closed at its end"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect("valid")
    }

    fn stored(lines: &[&str], from: &str) -> Cookies {
        let mut headers = Headers::new();
        for line in lines {
            headers.push_bytes("Set-Cookie", line.as_bytes());
        }
        let mut cookies = Cookies::default();
        cookies.store(&headers, &url(from));
        cookies
    }

    fn cookies(lines: &[&str]) -> Vec<(String, String)> {
        let cookies = stored(lines, "ws://h/");
        cookies.iter().map(|cookie| (cookie.name.clone(), cookie.value.clone())).collect()
    }

    fn one(line: &str) -> Option<(String, String)> {
        cookies(&[line]).pop()
    }

    #[test]
    fn whether_a_pair_can_be_sent_can_be_asked() {
        assert!(is_cookie("a", "b c"));
        assert!(!is_cookie("a b", "c") && !is_cookie("a", "b\t"));
    }

    #[test]
    fn lines_are_read_as_browsers_read_them() {
        for (line, name, value) in [
            ("a=b", "a", "b"),
            (" a = b ; Path=/", "a", "b"),
            ("a=", "a", ""),
            ("a=b=c==", "a", "b=c=="),
            ("a=\"b c\"; HttpOnly", "a", "\"b c\""),
            ("a=\"b\\054c\"", "a", "\"b\\054c\""),
            ("a={\"b\":1,\"c\":2}", "a", "{\"b\":1,\"c\":2}"),
            ("a[b]=c", "a[b]", "c"),
            ("a=b; Expires=Wed, 21 Oct 2065 07:28:00 GMT; Max-Age=60", "a", "b"),
            ("a=b; Max-Age=soon", "a", "b"),
            ("a=\u{e9}", "a", "\u{e9}"),
            ("\u{e9}=b\u{fffd}", "\u{e9}", "b\u{fffd}"),
        ] {
            assert_eq!(one(line), Some((name.to_owned(), value.to_owned())), "{line}");
        }
        for line in ["", ";", "a", "=b", "a b=c", "a=\"b", "a=\"", "a=\"b\\\"", "a=b\tc"] {
            assert_eq!(one(line), None, "{line}");
        }
        assert_eq!(one(&format!("a={}", "x".repeat(4095))).expect("as large as it may be").1.len(), 4095);
        assert_eq!(one(&format!("a={}", "x".repeat(4096))), None);
    }

    #[test]
    fn the_last_word_counts() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(cookies(&["a=1", "b=2", "a=3"]), [pair("a", "3"), pair("b", "2")]);
        assert_eq!(cookies(&["a=1", "a=; Max-Age=0"]), []);
        assert_eq!(cookies(&["a=1", "a=2; max-age=-5"]), []);
        assert_eq!(cookies(&["a=1; Max-Age=0; Max-Age=1"]), [pair("a", "1")]);
        let many: Vec<String> = (0..200).map(|number| format!("a{number}=b")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(cookies(&many).len(), MOST);
    }

    #[test]
    fn bytes_that_are_no_utf_8_go_back_as_they_came() {
        let mut headers = Headers::new();
        headers.push_bytes("Set-Cookie", b"na\xefve=caf\xe9");
        let mut cookies = Cookies::default();
        cookies.store(&headers, &url("ws://h/"));
        let cookie = cookies.iter().next().expect("a cookie");
        assert_eq!((cookie.name.as_str(), cookie.value.as_str()), ("na\u{ef}ve", "caf\u{e9}"));
        assert_eq!(cookie.pair(), b"na\xefve=caf\xe9");
    }

    #[test]
    fn forgotten_cookies_are_gone_and_others_can_come() {
        let mut cookies = stored(&["a=1"], "ws://h/");
        cookies.clear();
        assert_eq!(cookies.iter().count(), 0);
        assert_eq!(stored(&["a=1"], "ws://h/").iter().count(), 1);
    }

    #[test]
    fn a_cookie_is_for_its_path_and_those_below() {
        // RFC 6265 5.1.4, with the path that it names and with the one that it has by default.
        for (line, from, to, is_for) in [
            ("a=b; Path=/x", "/y", "/x", true),
            ("a=b; Path=/x", "/y", "/x/z?q", true),
            ("a=b; Path=/x", "/y", "/x?q/z", true),
            ("a=b; Path=/x", "/y", "/xz", false),
            ("a=b; Path=/x", "/y", "/", false),
            ("a=b; Path=/x/", "/y", "/x/z", true),
            ("a=b; Path=/x/", "/y", "/x", false),
            ("a=b; path = /", "/y", "/x", true),
            ("a=b", "/x/y/z", "/x/y", true),
            ("a=b", "/x/y/z?/q", "/x/y/w", true),
            ("a=b", "/x/y/", "/x/y/w", true),
            ("a=b", "/x/y/z", "/x", false),
            ("a=b", "/x", "/y", true),
            ("a=b; Path=x", "/x/y", "/x", true),
            ("a=b; Path=", "/x/y", "/y", false),
            ("a=b; Path", "/x/y", "/y", false),
            ("a=b; Path=/y; Path=", "/x/y", "/y", false),
            ("a=b; Path=/y; Path=/x", "/z", "/x", true),
        ] {
            let cookies = stored(&[line], &format!("ws://h{from}"));
            assert_eq!(
                !cookies.for_url(&url(&format!("ws://h{to}"))).is_empty(),
                is_for,
                "{line} {from} {to}"
            );
        }
    }

    #[test]
    fn longer_paths_go_first_and_each_path_has_its_own() {
        let cookies =
            stored(&["a=1; Path=/", "b=2", "a=3; Path=/x", "a=4; Path=/", "b=; Max-Age=0"], "ws://h/");
        let sent: Vec<_> =
            cookies.for_url(&url("ws://h/x")).iter().map(|cookie| cookie.pair().to_vec()).collect();
        assert_eq!(sent, [b"a=3", b"a=4"]);
    }

    #[test]
    fn secure_is_for_tls_alone() {
        let cookies = stored(&["a=b; path=/; SECURE", "c=Secure"], "ws://h/");
        let names =
            |to: &str| cookies.for_url(&url(to)).iter().map(|cookie| cookie.name.clone()).collect::<Vec<_>>();
        assert_eq!(names("ws://h/"), ["c"]);
        assert_eq!(names("wss://h/"), ["a", "c"]);
    }

    #[test]
    fn what_would_become_something_else_cannot_be_sent() {
        for (name, value) in [
            ("", "b"),
            ("a=c", "b"),
            ("a;c", "b"),
            ("a c", "b"),
            ("a\r\nX", "b"),
            ("a", "b\r\nX: y"),
            ("a", "b\nc"),
            ("a", "b\0"),
            ("a", "b\u{7f}"),
            ("a", "b; c=d"),
            ("a", " b"),
            ("a", "b "),
            ("a", "\"b"),
            ("a", "\""),
        ] {
            assert!(check(name.as_bytes(), value.as_bytes()).is_err(), "{name:?} {value:?}");
        }
    }

    #[test]
    fn a_value_is_not_shown() {
        for value in ["QQ\n", "QQ;", " QQ", "\"QQ"] {
            let error = check(b"a", value.as_bytes()).expect_err("cannot be sent").to_string();
            assert!(!error.contains("QQ"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_can_be_sent_again(line in "[ -~\\t\u{80}-\u{ff}]{0,60}") {
            if let Some((name, value)) = one(&line) {
                prop_assert!(check(name.as_bytes(), value.as_bytes()).is_ok());
                prop_assert_eq!(one(&format!("{name}={value}")), Some((name, value)));
            }
        }

        #[test]
        fn what_can_be_sent_is_read_the_same(name in "\\PC{1,10}", value in "\\PC{0,20}") {
            if check(name.as_bytes(), value.as_bytes()).is_ok() {
                prop_assert_eq!(one(&format!("{name}={value}")), Some((name, value)));
            }
        }
    }
}
