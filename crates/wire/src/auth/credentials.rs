//! User name and password, and how Basic authentication sends them (RFC 7617). No text form shows them, `Debug` neither: what holds
//! them may end in a log.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::InvalidRequest;

/// Who asks.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: String,
    password: String,
}

impl Credentials {
    /// Both may be empty and may have any script: they are sent as UTF-8 (RFC 7617 2.1).
    ///
    /// # Errors
    /// A user name with a colon, which would end it there; a control character in either (RFC 7617 section 2).
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Result<Self, InvalidRequest> {
        let (user, password) = (user.into(), password.into());
        let wrong = |what: &str| Err(InvalidRequest(what.to_owned()));
        if user.contains(':') {
            return wrong(
                "the user name contains a colon, which Basic authentication (RFC 7617) cannot send",
            );
        }
        if user.chars().chain(password.chars()).any(char::is_control) {
            return wrong(
                "the user name or the password contains a control character, which Basic authentication \
                 (RFC 7617) does not allow",
            );
        }
        Ok(Self { user, password })
    }

    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    /// The value of the `Authorization` header.
    pub(crate) fn authorization(&self) -> String {
        format!("Basic {}", STANDARD.encode(format!("{}:{}", self.user, self.password)))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_sent_as_the_rfc_has_it() {
        // The examples of RFC 7617, sections 2 and 2.1.
        for (user, password, encoded) in [
            ("Aladdin", "open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ("test", "123\u{a3}", "dGVzdDoxMjPCow=="),
            ("", "", "Og=="),
            ("user", "a:b", "dXNlcjphOmI="),
        ] {
            let credentials = Credentials::new(user, password).expect("valid");
            assert_eq!(credentials.authorization(), format!("Basic {encoded}"));
        }
    }

    #[test]
    fn what_cannot_be_sent_is_refused_and_not_shown() {
        for (user, password) in
            [("us:er", "secret"), ("u\r\nX: y", "secret"), ("u", "secret\0"), ("u", "secret\u{85}")]
        {
            let error = Credentials::new(user, password).expect_err("cannot be sent").to_string();
            assert!(!error.contains("secret") && !error.contains("us:er"), "{error}");
        }
    }

    #[test]
    fn no_text_form_shows_them() {
        let credentials = Credentials::new("user", "secret").expect("valid");
        assert_eq!(format!("{credentials:?}"), "Credentials(..)");
    }
}
