//! A list of HTTP header lines: names, values, token lists, and what may not be in them.

use std::borrow::Cow;

use crate::error::InvalidHeader;
use crate::percent::escape_beyond_ascii;

/// Header lines in their order. Names compare without regard to case (RFC 9110 5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<Line>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    name: String,
    value: String,
    /// The value as it came, where it was no UTF-8: HTTP gives the bytes beyond ASCII no meaning (RFC 9110 5.5).
    raw: Option<Vec<u8>>,
}

impl Headers {
    /// No lines.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a line.
    ///
    /// # Errors
    /// A name that is no token or a value with a line break or another control character: it would end the header and
    /// begin one that nobody asked for.
    pub fn push(&mut self, name: &str, value: &str) -> Result<(), InvalidHeader> {
        if name.is_empty() {
            return Err(InvalidHeader("a header has an empty name".to_owned()));
        }
        if let Some(bad) = name.chars().find(|c| !is_token_char(*c)) {
            return Err(InvalidHeader(format!("the header name {name:?} contains {bad:?}")));
        }
        if let Some(bad) = value.chars().find(|c| c.is_control() && *c != '\t') {
            return Err(InvalidHeader(format!(
                "the value of the header {name:?} contains {bad:?}, which would break the request; remove it"
            )));
        }
        self.push_bytes(name, value.trim_matches([' ', '\t']).as_bytes());
        Ok(())
    }

    /// A line that was checked. A value that is no UTF-8 is read as ISO 8859-1, which HTTP once said that it is.
    pub(crate) fn push_bytes(&mut self, name: &str, value: &[u8]) {
        let (value, raw) = match std::str::from_utf8(value) {
            Ok(text) => (text.to_owned(), None),
            Err(_) => (from_latin_1(value), Some(value.to_vec())),
        };
        self.0.push(Line { name: name.to_owned(), value, raw });
    }

    /// The first value under that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Every value under that name.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Every value under that name, in the bytes in which it came.
    pub(crate) fn get_all_bytes<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> + 'a {
        self.iter_bytes().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Every value under that name, to be read as a URI reference: bytes that are no UTF-8 stand as percent escapes, so that
    /// the same bytes are asked for (RFC 3986 2.5).
    pub fn get_all_references<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Cow<'a, str>> + 'a {
        let lines = self.0.iter().filter(move |line| line.name.eq_ignore_ascii_case(name));
        lines.map(|line| match &line.raw {
            None => Cow::Borrowed(line.value.as_str()),
            Some(raw) => Cow::Owned(escape_beyond_ascii(raw)),
        })
    }

    /// Whether one of the comma-separated tokens under that name is `token`, in any case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.get_all(name)
            .flat_map(|value| value.split(','))
            .any(|item| item.trim_matches([' ', '\t']).eq_ignore_ascii_case(token))
    }

    /// The lines.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|line| (line.name.as_str(), line.value.as_str()))
    }

    /// The lines with their values as they came, and as they are sent.
    pub(crate) fn iter_bytes(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|line| (line.name.as_str(), line.raw.as_deref().unwrap_or(line.value.as_bytes())))
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Each byte as the character of the same number: what ISO 8859-1 is.
pub(crate) fn from_latin_1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Without the white space that may stand around a value (RFC 9110 5.6.3).
pub(crate) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// A character of a token (RFC 9110 5.6.2).
fn is_token_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// Whether the text is one token.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_token_char)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_break_cannot_be_smuggled_in() {
        let mut headers = Headers::new();
        for (name, value) in [
            ("X-A", "a\r\nX-B: b"),
            ("X-A", "a\nb"),
            ("X-A", "a\0"),
            ("X-A\r\nX-B", "a"),
            ("X A", "a"),
            ("X:A", "a"),
            ("", "a"),
        ] {
            assert!(headers.push(name, value).is_err(), "{name:?}: {value:?}");
        }
        assert!(headers.is_empty());
        assert!(headers.push("X-A", "tab\there").is_ok());
    }

    #[test]
    fn tokens_are_found_in_lists_over_several_lines_in_any_case() {
        let mut headers = Headers::new();
        headers.push("Connection", "keep-alive").expect("valid");
        headers.push("CONNECTION", "close , UPGRADE").expect("valid");
        assert!(headers.has_token("connection", "upgrade"));
        assert!(!headers.has_token("connection", "up"));
        assert_eq!(headers.get("connection"), Some("keep-alive"));
        assert_eq!(headers.len(), 2);
    }

    #[test]
    fn a_reference_asks_for_the_bytes_that_came() {
        let mut headers = Headers::new();
        headers.push_bytes("Location", b"/caf\xe9?\xff");
        headers.push_bytes("location", "/caf\u{e9}".as_bytes());
        let references: Vec<_> = headers.get_all_references("LOCATION").collect();
        assert_eq!(references, ["/caf%E9?%FF", "/caf\u{e9}"]);
        assert_eq!(headers.get("Location"), Some("/caf\u{e9}?\u{ff}"));
    }
}
