//! Where a `Location` leads to: references resolved against an address (RFC 3986 section 5).

use crate::error::InvalidUrl;
use crate::url::{Scheme, Url};

impl Url {
    /// The address that `reference` means here, absolute or relative (RFC 3986 5.2). `http` and `https` mean `ws` and
    /// `wss`: servers redirect an opening handshake as they redirect any request. The fragment is dropped, and so are a
    /// user name and a password: what a program sends as its own is not for a server to say.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn join(&self, reference: &str) -> Result<Self, InvalidUrl> {
        let reference = reference.split('#').next().unwrap_or_default();
        let (scheme, rest) = match split_scheme(reference) {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, reference),
        };
        let scheme = match scheme.as_deref() {
            None => self.scheme().name(),
            Some("http") => Scheme::Ws.name(),
            Some("https") => Scheme::Wss.name(),
            Some(other) => other,
        };
        let absolute = if let Some(rest) = rest.strip_prefix("//") {
            let (authority, resource) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            let (path, query) = split_query(resource);
            format!("{scheme}://{authority}{}{query}", remove_dots(path))
        } else if std::ptr::eq(rest, reference) {
            let (base_path, base_query) = split_query(self.resource());
            let (path, query) = split_query(rest);
            let (path, query) = match path {
                "" if query.is_empty() => (base_path.to_owned(), base_query),
                "" => (base_path.to_owned(), query),
                path if path.starts_with('/') => (remove_dots(path), query),
                path => {
                    let folder = base_path.rfind('/').map_or("/", |end| &base_path[..=end]);
                    (remove_dots(&format!("{folder}{path}")), query)
                }
            };
            format!("{scheme}://{}{path}{query}", self.authority())
        } else {
            // A scheme and then no host (`http:path`, `mailto:somebody`).
            format!("{scheme}:{rest}")
        };
        Self::parse(&absolute).map(Self::without_credentials)
    }
}

/// Scheme and what follows its colon; `None` for a relative reference.
fn split_scheme(reference: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = reference.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    is_scheme.then_some((scheme, rest))
}

/// Path and query, the query with its `?`.
fn split_query(resource: &str) -> (&str, &str) {
    resource.split_at(resource.find('?').unwrap_or(resource.len()))
}

/// Takes `.` and `..` out of a path that begins with `/` or is empty (RFC 3986 5.2.4).
fn remove_dots(path: &str) -> String {
    let Some(relative) = path.strip_prefix('/') else {
        return path.to_owned();
    };
    let mut kept: Vec<&str> = Vec::new();
    let mut is_folder = false;
    for segment in relative.split('/') {
        is_folder = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    if is_folder {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn join(base: &str, reference: &str) -> Result<String, InvalidUrl> {
        Url::parse(base).expect("valid").join(reference).map(|url| url.href())
    }

    #[test]
    fn the_examples_of_the_rfc_hold() {
        // RFC 3986 5.4.1 and 5.4.2, without those whose scheme is no web address.
        for (reference, target) in [
            ("g", "ws://a/b/c/g"),
            ("./g", "ws://a/b/c/g"),
            ("g/", "ws://a/b/c/g/"),
            ("/g", "ws://a/g"),
            ("//g", "ws://g/"),
            ("?y", "ws://a/b/c/d;p?y"),
            ("g?y", "ws://a/b/c/g?y"),
            ("#s", "ws://a/b/c/d;p?q"),
            ("g#s", "ws://a/b/c/g"),
            ("g?y#s", "ws://a/b/c/g?y"),
            (";x", "ws://a/b/c/;x"),
            ("g;x", "ws://a/b/c/g;x"),
            ("g;x?y#s", "ws://a/b/c/g;x?y"),
            ("", "ws://a/b/c/d;p?q"),
            (".", "ws://a/b/c/"),
            ("./", "ws://a/b/c/"),
            ("..", "ws://a/b/"),
            ("../", "ws://a/b/"),
            ("../g", "ws://a/b/g"),
            ("../..", "ws://a/"),
            ("../../", "ws://a/"),
            ("../../g", "ws://a/g"),
            ("../../../g", "ws://a/g"),
            ("../../../../g", "ws://a/g"),
            ("/./g", "ws://a/g"),
            ("/../g", "ws://a/g"),
            ("g.", "ws://a/b/c/g."),
            (".g", "ws://a/b/c/.g"),
            ("g..", "ws://a/b/c/g.."),
            ("..g", "ws://a/b/c/..g"),
            ("./../g", "ws://a/b/g"),
            ("./g/.", "ws://a/b/c/g/"),
            ("g/./h", "ws://a/b/c/g/h"),
            ("g/../h", "ws://a/b/c/h"),
            ("g;x=1/./y", "ws://a/b/c/g;x=1/y"),
            ("g;x=1/../y", "ws://a/b/c/y"),
            ("g?y/./x", "ws://a/b/c/g?y/./x"),
            ("g?y/../x", "ws://a/b/c/g?y/../x"),
            ("g#s/./x", "ws://a/b/c/g"),
            ("g#s/../x", "ws://a/b/c/g"),
        ] {
            assert_eq!(join("ws://a/b/c/d;p?q", reference).as_deref(), Ok(target), "{reference}");
        }
    }

    #[test]
    fn web_schemes_stand_for_ours() {
        for (reference, target) in [
            ("http://h/x", "ws://h/x"),
            ("HTTPS://H", "wss://h/"),
            ("https://h:443/../x", "wss://h/x"),
            ("http://h:443/", "ws://h:443/"),
            ("ws://h/", "ws://h/"),
            ("wss://[::1]:9?q", "wss://[::1]:9/?q"),
            ("//h:9/x", "wss://h:9/x"),
            ("/x\u{e9}\u{fffd}", "wss://base/x%C3%A9%EF%BF%BD"),
            ("a:b/../c:d", "error"),
            ("1:b", "wss://base/1:b"),
            ("./a:b", "wss://base/a:b"),
        ] {
            let joined = join("wss://base", reference);
            assert_eq!(joined.as_deref().unwrap_or("error"), target, "{reference}");
        }
    }

    #[test]
    fn a_zone_stays_with_its_address() {
        assert_eq!(join("ws://[fe80::1%25eth0]:9/a", "b?c").as_deref(), Ok("ws://[fe80::1%25eth0]:9/b?c"));
        assert_eq!(join("ws://[fe80::1%25eth0]/a", "//[fe80::1]/").as_deref(), Ok("ws://[fe80::1]/"));
    }

    #[test]
    fn what_only_looks_like_another_host_is_none() {
        for (reference, target) in [
            ("/\\evil/x", "ws://base/%5Cevil/x"),
            ("\\\\evil/x", "ws://base/%5C%5Cevil/x"),
            ("/..//evil/x", "ws://base//evil/x"),
            ("..//evil", "ws://base//evil"),
            ("@evil/", "ws://base/@evil/"),
            (":80@evil/", "ws://base/:80@evil/"),
            ("?//evil", "ws://base/?//evil"),
            ("http://base@evil/", "ws://evil/"),
        ] {
            assert_eq!(join("ws://base", reference).as_deref(), Ok(target), "{reference}");
        }
    }

    #[test]
    fn what_is_no_address_is_an_error() {
        for reference in [
            "g:h",
            "http:g",
            "http:",
            "http:/x",
            "http://",
            "http:///x",
            "//",
            "mailto:somebody@h",
            "ftp://h/",
            "javascript:alert(1)",
            "http://h:0/",
            "http://h:99999/",
            "http://[::1/",
            "http://h\u{e9}/",
            "http://h\\@evil\\/",
            "/x y",
            "/x\r\nX-Y: z",
            "/x\ty",
            "/x\u{85}",
            "/x\u{2028}",
            "//h\r\n/",
        ] {
            let error = join("ws://base", reference).expect_err(reference).to_string();
            assert!(!error.contains(['\r', '\n']), "{error}");
        }
    }

    #[test]
    fn credentials_do_not_come_along_and_are_not_shown() {
        let url = Url::parse("ws://user:secret@h/x").expect("valid");
        for reference in ["/y", "//them:secret@h/y", "http://them:secret@h/y"] {
            assert_eq!(url.join(reference).expect("valid").credentials(), None, "{reference}");
        }
        for reference in
            ["//them:secret@h:0/", "http:them:secret@h", "http://them:se/cret@h:x y", "x://a:secret@h"]
        {
            let error = url.join(reference).expect_err(reference).to_string();
            assert!(!error.contains("secret") && !error.contains("se/cret"), "{error}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let url = |text: &str| Url::parse(text).expect("valid");
        let origin = url("ws://h:443/x");
        for (other, same) in [
            ("ws://H:443/y?z", true),
            ("ws://user@h:443", true),
            ("wss://h:443/x", false),
            ("ws://h/x", false),
            ("ws://h.:443/x", false),
            ("ws://g:443/x", false),
        ] {
            assert_eq!(origin.is_same_origin(&url(other)), same, "{other}");
        }
    }

    proptest! {
        #[test]
        fn any_reference_is_an_address_or_an_error(
            reference in prop_oneof![
                any::<String>(),
                "[a-z]{0,3}:?/{0,3}[\\x00-\\x20a-z@:%#?./\\\\\\[\\]\u{80}-\u{ff}]{0,40}",
                "(http|https|ws|wss)://[a-z@:.]{1,8}[\\x00-\\x7f]{0,40}",
            ],
        ) {
            if let Ok(url) = Url::parse("wss://user:secret@base/a/b?c").expect("valid").join(&reference) {
                // Nothing in it can end the request line or the header line that it is written into.
                for text in [url.resource().to_owned(), url.host_header(), url.href()] {
                    prop_assert!(text.chars().all(|c| c.is_ascii_graphic()), "{:?}", text);
                }
                prop_assert!(url.resource().starts_with('/'));
                prop_assert_eq!(url.credentials(), None);
                prop_assert_eq!(Url::parse(&url.href()).expect("an address"), url);
            }
        }

        #[test]
        fn no_dots_are_left(path in "(/(\\.|\\.\\.|a|))*") {
            let clean = remove_dots(&path);
            prop_assert!(clean.split('/').all(|segment| !matches!(segment, "." | "..")), "{}", clean);
            prop_assert_eq!(remove_dots(&clean), clean);
        }
    }
}
