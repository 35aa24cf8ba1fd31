//! What `WWW-Authenticate` and `Proxy-Authenticate` say (RFC 9110 11.6.1): a list of challenges, each a scheme with
//! parameters. Commas stand between challenges and between the parameters of one, so that only what follows tells which.

use crate::headers::is_token;

/// One challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The authentication scheme, as it was written: `Basic`, `Digest`.
    pub scheme: String,
    /// Names in lower case, and values without their quotes.
    parameters: Vec<(String, String)>,
}

/// More challenges than anybody sends, and longer names than any scheme has: the rest is not looked at.
const MOST: usize = 8;
const LONGEST: usize = 40;

impl Challenge {
    /// Those that are in the header's values, in their order. What cannot be read is left out.
    pub fn parse_all<'a>(values: impl Iterator<Item = &'a str>) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        for value in values {
            // A challenge of another header line has no part in this one's.
            let mut goes_on = false;
            for part in parts(value) {
                if let Some((name, value)) = parameter(part) {
                    if let (true, Some(challenge)) = (goes_on, found.last_mut()) {
                        challenge.parameters.push((name, value));
                    }
                    continue;
                }
                // A scheme, and perhaps its first parameter or a token that means something to that scheme alone.
                let (scheme, rest) = part.split_once([' ', '\t']).unwrap_or((part, ""));
                goes_on = is_token(scheme) && scheme.len() <= LONGEST && found.len() < MOST;
                if goes_on {
                    let parameters = parameter(rest).into_iter().collect();
                    found.push(Self { scheme: scheme.to_owned(), parameters });
                }
            }
        }
        found
    }

    /// Whether it is of that scheme.
    pub fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The value of a parameter, named in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What stands between commas that are in no quotes.
fn parts(value: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let parts = value.split(move |c| {
        if is_escaped {
            is_escaped = false;
        } else {
            is_escaped = is_quoted && c == '\\';
            is_quoted ^= c == '"';
        }
        c == ',' && !is_quoted
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

/// `name=value` or `name="value"`; the name in lower case.
fn parameter(text: &str) -> Option<(String, String)> {
    let (name, value) = text.trim().split_once('=')?;
    let (name, value) = (name.trim_end(), value.trim_start());
    if !is_token(name) {
        return None;
    }
    let value = match value.strip_prefix('"') {
        Some(quoted) => unquote(quoted),
        // With a `=` at its end it is a token of the scheme's own (RFC 9110 11.2), and no parameter.
        None if value.is_empty() || value.starts_with('=') => return None,
        None => value.to_owned(),
    };
    Some((name.to_ascii_lowercase(), value))
}

/// What stands in quotes, up to the one that ends it.
fn unquote(quoted: &str) -> String {
    let mut value = String::new();
    let mut letters = quoted.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => break,
            '\\' => value.extend(letters.next()),
            letter => value.push(letter),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(values: &[&str]) -> Vec<Challenge> {
        Challenge::parse_all(values.iter().copied())
    }

    fn schemes(values: &[&str]) -> Vec<String> {
        parse(values).into_iter().map(|challenge| challenge.scheme).collect()
    }

    #[test]
    fn schemes_are_found_among_their_parameters() {
        assert_eq!(schemes(&["Basic realm=\"x\""]), ["Basic"]);
        assert_eq!(
            schemes(&["Digest realm=\"a, Basic\", qop = auth, Basic realm=\"b\""]),
            ["Digest", "Basic"]
        );
        assert_eq!(
            schemes(&["Negotiate", "NTLM, Bearer error=\"no\"", "NTLM"]),
            ["Negotiate", "NTLM", "Bearer", "NTLM"]
        );
        assert_eq!(schemes(&["Negotiate abc=="]), ["Negotiate"]);
        assert_eq!(schemes(&[", ,", "realm=\"x", "\"Basic\""]), [""; 0]);
    }

    #[test]
    fn parameters_belong_to_the_scheme_before_them() {
        let found =
            parse(&["Digest Realm=\"a \\\"b\\\", c\", qop=\"auth,auth-int\", Basic realm = d", "nonce=e"]);
        let [digest, basic] = found.as_slice() else { panic!("{found:?}") };
        assert!(digest.is("digest") && basic.is("BASIC"));
        assert_eq!(digest.get("realm"), Some("a \"b\", c"));
        assert_eq!(digest.get("qop"), Some("auth,auth-int"));
        assert_eq!((basic.get("realm"), basic.get("nonce")), (Some("d"), None));
    }

    #[test]
    fn there_is_a_bound_on_what_is_kept() {
        let many: Vec<String> = (0..20).map(|number| format!("Scheme{number} a=b")).collect();
        assert_eq!(schemes(&[&many.join(", ")]).len(), MOST);
        assert_eq!(schemes(&[&"x".repeat(LONGEST + 1)]).len(), 0);
    }
}
