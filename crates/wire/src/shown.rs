//! What an error shows of an address or of what a server wrote: it may end in a log.

/// The start of a text that somebody else wrote: 200 characters, for an error's text is no place for all of it.
pub fn shorten(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// An address, right or wrong, without what may be a secret: neither user name and password, nor the query or the fragment,
/// where tokens stand.
///
/// Where a password holds a `/`, `?` or `#`, the authority ends in the middle of it: so everything up to the last `@` is left
/// out. Where a `?` or `#` stands before that, what follows may be either, and nothing is shown of it.
pub(crate) fn without_secrets(text: &str) -> String {
    let end = text.find(['?', '#']);
    let start = text.find("://").filter(|at| end.is_none_or(|end| *at < end)).map_or(0, |at| at + 3);
    let (scheme, rest) = text.split_at(start);
    let end = rest.find(['?', '#']);
    match (rest.rfind('@'), end) {
        (Some(at), Some(end)) if end < at => format!("{scheme}..."),
        (Some(at), Some(end)) => format!("{scheme}...@{}…", &rest[at + 1..=end]),
        (Some(at), None) => format!("{scheme}...@{}", &rest[at + 1..]),
        (None, Some(end)) => format!("{scheme}{}…", &rest[..=end]),
        (None, None) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_what_is_no_secret() {
        for (text, shown) in [
            ("ws://h/a", "ws://h/a"),
            ("ws://h/a?b", "ws://h/a?…"),
            ("ws://h/a#b", "ws://h/a#…"),
            ("ws://u:p@h/a", "ws://...@h/a"),
            ("ws://u:p@h/a?b", "ws://...@h/a?…"),
            ("ws://u:p/p@h/a?b", "ws://...@h/a?…"),
            ("ws://u:p?p@h/a", "ws://..."),
            ("ws://h/?b@c", "ws://..."),
            ("u:p@h", "...@h"),
            ("h?b", "h?…"),
            // The first `://` may stand in the query itself.
            ("h?b://c", "h?…"),
            ("h?b://c@d", "..."),
        ] {
            assert_eq!(without_secrets(text), shown, "{text}");
        }
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        assert_eq!(shorten("short"), "short");
        assert_eq!(shorten(&"\u{e9}".repeat(200)), "\u{e9}".repeat(200));
        assert_eq!(shorten(&"\u{e9}".repeat(201)), format!("{}...", "\u{e9}".repeat(200)));
    }
}
