//! A list of HTTP header lines: names, values, token lists, and what may not be in them.

use crate::error::InvalidHeader;

/// Header lines in their order. Names compare without regard to case (RFC 9110 5.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

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
        self.0.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
        Ok(())
    }

    /// A line of the server's, which the HTTP parser has checked.
    pub(crate) fn push_parsed(&mut self, name: &str, value: String) {
        self.0.push((name.to_owned(), value));
    }

    /// The first value under that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Every value under that name.
    pub fn get_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.iter().filter(move |(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether one of the comma-separated tokens under that name is `token`, in any case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.get_all(name)
            .flat_map(|value| value.split(','))
            .any(|item| item.trim_matches([' ', '\t']).eq_ignore_ascii_case(token))
    }

    /// The lines.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
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
}
