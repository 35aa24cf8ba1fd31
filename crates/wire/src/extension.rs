//! `Sec-WebSocket-Extensions` (RFC 6455 9.1): the list of extensions with their parameters, as a server answers it.

use crate::headers::{Headers, is_token};

/// White space as the grammar has it (RFC 9110 5.6.3). What other characters count as such elsewhere is a mistake here.
const BLANK: [char; 2] = [' ', '\t'];

/// One extension of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extension {
    pub(crate) name: String,
    /// In their order; a parameter without a value has `None`.
    pub(crate) parameters: Vec<(String, Option<String>)>,
}

impl Extension {
    /// Reads the list, which may stand in several header lines.
    ///
    /// # Errors
    /// What of it does not follow the grammar.
    pub(crate) fn parse_all(headers: &Headers) -> Result<Vec<Self>, String> {
        let mut list = Vec::new();
        for line in headers.get_all("Sec-WebSocket-Extensions") {
            for item in split(line, ',') {
                // An empty element says nothing (RFC 9110 5.6.1).
                if !item.trim_matches(BLANK).is_empty() {
                    list.push(Self::parse(item)?);
                }
            }
        }
        Ok(list)
    }

    fn parse(item: &str) -> Result<Self, String> {
        let mut parts = split(item, ';').map(|part| part.trim_matches(BLANK));
        let name = token(parts.next().unwrap_or_default())?;
        let parameters = parts.map(parameter).collect::<Result<_, _>>()?;
        Ok(Self { name, parameters })
    }
}

fn parameter(text: &str) -> Result<(String, Option<String>), String> {
    let Some((name, value)) = text.split_once('=') else {
        return Ok((token(text)?, None));
    };
    let (name, value) = (token(name.trim_end_matches(BLANK))?, value.trim_start_matches(BLANK));
    // A quoted value has to be a token once the quotes are off.
    let value = match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => unescape(quoted)?,
        None => value.to_owned(),
    };
    Ok((name, Some(token(&value)?)))
}

fn unescape(quoted: &str) -> Result<String, String> {
    let mut text = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(chars.next().ok_or_else(|| format!("{quoted:?} ends in a backslash"))?),
            c => text.push(c),
        }
    }
    Ok(text)
}

fn token(text: &str) -> Result<String, String> {
    if is_token(text) { Ok(text.to_owned()) } else { Err(format!("{text:?} is not a token")) }
}

/// The pieces between separators that stand outside of quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c| {
        let is_separator = c == separator && !quoted;
        if escaped {
            escaped = false;
        } else if quoted && c == '\\' {
            escaped = true;
        } else if c == '"' {
            quoted = !quoted;
        }
        is_separator
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lines: &[&str]) -> Result<Vec<Extension>, String> {
        let mut headers = Headers::new();
        for line in lines {
            headers.push("Sec-WebSocket-Extensions", line).expect("a header");
        }
        Extension::parse_all(&headers)
    }

    fn extension(name: &str, parameters: &[(&str, Option<&str>)]) -> Extension {
        let owned = |(name, value): &(&str, Option<&str>)| ((*name).to_owned(), value.map(str::to_owned));
        Extension { name: name.to_owned(), parameters: parameters.iter().map(owned).collect() }
    }

    #[test]
    fn lists_are_read_over_several_lines() {
        assert_eq!(
            parse(&["a; x=1;y , b", "c ;z = \"q\\w\""]),
            Ok(vec![
                extension("a", &[("x", Some("1")), ("y", None)]),
                extension("b", &[]),
                extension("c", &[("z", Some("qw"))]),
            ])
        );
        assert_eq!(parse(&["", " , "]), Ok(vec![]));
    }

    #[test]
    fn what_is_no_list_of_tokens_is_refused() {
        for line in [
            "a;",
            ";x",
            "a;x=",
            "a; x=\"\"",
            "a; x=\"b c\"",
            "a; x=\"b,c\"",
            "a b",
            "a; x=1=2",
            "a; x=\"1\\\"",
            "a; x\u{a0}=1",
            "a; x=\u{a0}1",
            "a,\u{a0}",
        ] {
            assert!(parse(&[line]).is_err(), "{line}");
        }
    }
}
