//! Cookies, as far as an opening handshake needs them (RFC 6265): read from `Set-Cookie`, written into `Cookie`.
//!
//! There is no jar. Domain, Path and Expires are not looked at: whoever sends a cookie back decides where to, and does
//! so to the origin that set it. What is read can always be sent again: a cookie that cannot is left out.

use crate::error::InvalidRequest;
use crate::headers::Headers;

/// Name and value together, in bytes: what a user agent has to be able to keep (RFC 6265 6.1), and no more.
const LARGEST: usize = 4096;
/// As many as one response may have header lines; several responses add up to no more.
const MOST: usize = 128;

/// A cookie that a server set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// Its name.
    pub name: String,
    /// Its value as it came, with quotes where it has them.
    pub value: String,
    /// Whether it is for TLS alone.
    pub secure: bool,
}

/// The cookies that the answers of one server set, the last word of each name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cookies(Vec<Cookie>);

impl Cookies {
    /// Takes a response's `Set-Cookie` lines in (RFC 6265 5.2). A line that makes no cookie is ignored.
    pub fn store(&mut self, headers: &Headers) {
        for line in headers.get_all("Set-Cookie") {
            let Some((cookie, is_removal)) = parse(line) else { continue };
            self.0.retain(|other| other.name != cookie.name);
            if !is_removal && self.0.len() < MOST {
                self.0.push(cookie);
            }
        }
    }

    /// In the order in which they were set last.
    pub fn iter(&self) -> impl Iterator<Item = &Cookie> {
        self.0.iter()
    }

    /// Forgets them all.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// A cookie, and whether the line removes it (`Max-Age` of 0 or less).
fn parse(line: &str) -> Option<(Cookie, bool)> {
    let mut parts = line.split(';').map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (name.trim_matches([' ', '\t']), value.trim_matches([' ', '\t']))
    });
    let (name, value) = parts.next()?;
    // A line without `=` has no name; see section 5.2.
    if !line.split(';').next()?.contains('=')
        || name.len() + value.len() > LARGEST
        || check(name, value).is_err()
    {
        return None;
    }
    let (mut secure, mut is_removal) = (false, false);
    for (name, value) in parts {
        if name.eq_ignore_ascii_case("Secure") {
            secure = true;
        } else if name.eq_ignore_ascii_case("Max-Age") {
            // The last one counts; what is no number does not (section 5.2.2).
            let digits = value.strip_prefix('-').unwrap_or(value);
            if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
                is_removal = value.starts_with('-') || digits.bytes().all(|byte| byte == b'0');
            }
        }
    }
    Some((Cookie { name: name.to_owned(), value: value.to_owned(), secure }, is_removal))
}

/// Whether this pair can be sent without becoming another pair, another header line or a part of its neighbour.
///
/// Names and values that servers do set are let through where section 4.1.1 would not have let them be set (spaces,
/// commas, inner quotes): section 5.4 sends back what came.
///
/// # Errors
/// What is wrong, without the value: it may be a secret.
pub(crate) fn check(name: &str, value: &str) -> Result<(), InvalidRequest> {
    let wrong = |text: String| Err(InvalidRequest(text));
    if name.is_empty() {
        return wrong("a cookie has an empty name".to_owned());
    }
    if let Some(bad) = name.chars().find(|c| !c.is_ascii_graphic() || "=;,\"".contains(*c)) {
        return wrong(format!("the name of the cookie {name:?} contains {bad:?}"));
    }
    if let Some(bad) = value.chars().find(|c| !(' '..='~').contains(c) || *c == ';') {
        return wrong(format!(
            "the value of the cookie {name:?} contains {bad:?}, which a cookie cannot hold; write it as a percent \
             escape"
        ));
    }
    if value.starts_with(' ') || value.ends_with(' ') {
        return wrong(format!("the value of the cookie {name:?} begins or ends with a space"));
    }
    // Some servers read on from an open quote, over the end of this cookie into the next.
    let is_quoted =
        value.len() >= 2 && value.starts_with('"') && value.ends_with('"') && !value.ends_with("\\\"");
    if value.starts_with('"') && !is_quoted {
        return wrong(format!(
            "the value of the cookie {name:?} begins with a quote that is not closed at its end"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cookies(lines: &[&str]) -> Vec<(String, String)> {
        let mut headers = Headers::new();
        for line in lines {
            headers.push_parsed("Set-Cookie", (*line).to_owned());
        }
        let mut cookies = Cookies::default();
        cookies.store(&headers);
        cookies.iter().map(|cookie| (cookie.name.clone(), cookie.value.clone())).collect()
    }

    fn one(line: &str) -> Option<(String, String)> {
        cookies(&[line]).pop()
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
        ] {
            assert_eq!(one(line), Some((name.to_owned(), value.to_owned())), "{line}");
        }
        for line in
            ["", ";", "a", "=b", "a b=c", "a=\u{e9}", "a=b\u{fffd}", "a=\"b", "a=\"", "a=\"b\\\"", "a=b\tc"]
        {
            assert_eq!(one(line), None, "{line}");
        }
        assert_eq!(one(&format!("a={}", "x".repeat(4095))).expect("as large as it may be").1.len(), 4095);
        assert_eq!(one(&format!("a={}", "x".repeat(4096))), None);
    }

    #[test]
    fn the_last_word_counts() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(cookies(&["a=1", "b=2", "a=3"]), [pair("b", "2"), pair("a", "3")]);
        assert_eq!(cookies(&["a=1", "a=; Max-Age=0"]), []);
        assert_eq!(cookies(&["a=1", "a=2; max-age=-5"]), []);
        assert_eq!(cookies(&["a=1; Max-Age=0; Max-Age=1"]), [pair("a", "1")]);
        let many: Vec<String> = (0..200).map(|number| format!("a{number}=b")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(cookies(&many).len(), MOST);
    }

    #[test]
    fn forgotten_cookies_are_gone_and_others_can_come() {
        let mut headers = Headers::new();
        headers.push_parsed("Set-Cookie", "a=1".to_owned());
        let mut cookies = Cookies::default();
        cookies.store(&headers);
        cookies.clear();
        assert_eq!(cookies.iter().count(), 0);
        cookies.store(&headers);
        assert_eq!(cookies.iter().count(), 1);
    }

    #[test]
    fn secure_is_noticed() {
        assert!(parse("a=b; path=/; SECURE").expect("a cookie").0.secure);
        assert!(!parse("a=Secure").expect("a cookie").0.secure);
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
            ("a", "\u{e9}"),
            ("a", " b"),
            ("a", "b "),
            ("a", "\"b"),
            ("a", "\""),
        ] {
            assert!(check(name, value).is_err(), "{name:?} {value:?}");
        }
    }

    #[test]
    fn a_value_is_not_shown() {
        for value in ["QQ\n", "QQ;", " QQ", "\"QQ"] {
            let error = check("a", value).expect_err("cannot be sent").to_string();
            assert!(!error.contains("QQ"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_can_be_sent_again(line in "[ -~\\t\u{80}-\u{ff}]{0,60}") {
            if let Some((name, value)) = one(&line) {
                prop_assert!(check(&name, &value).is_ok());
                prop_assert_eq!(one(&format!("{name}={value}")), Some((name, value)));
            }
        }

        #[test]
        fn what_can_be_sent_is_read_the_same(name in "\\PC{1,10}", value in "\\PC{0,20}") {
            if check(&name, &value).is_ok() {
                prop_assert_eq!(one(&format!("{name}={value}")), Some((name, value)));
            }
        }
    }
}
