//! What went wrong in TLS, in words. No text of an error quotes the library's own names.

use std::fmt;

use rustls::{AlertDescription, CertificateError};
use rustls_pki_types::UnixTime;

use super::pins::NotPinned;

/// What went wrong on a connection, as the error inside an [`io::Error`](std::io::Error).
#[derive(Debug)]
pub(crate) struct Problem(pub(crate) rustls::Error);

impl std::error::Error for Problem {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            rustls::Error::AlertReceived(alert) => {
                write!(f, "the server ended TLS with the alert {}", alert_name(*alert))
            }
            rustls::Error::InvalidMessage(_) => f.write_str("what came is not TLS any more"),
            rustls::Error::DecryptError => f.write_str(
                "a record of TLS cannot be decrypted: it was changed on its way, or the server has lost the keys",
            ),
            other => write!(f, "TLS failed: {}", problem(other)),
        }
    }
}

impl Problem {
    /// The same in a handshake, in a sentence in which "it" is the other side. `without_tls`: what to try where that speaks no
    /// TLS.
    pub(crate) fn in_handshake(&self, without_tls: &str) -> String {
        match &self.0 {
            rustls::Error::InvalidMessage(_) => {
                format!("it does not speak TLS on this port; {without_tls}")
            }
            rustls::Error::AlertReceived(alert) => {
                format!("it refused TLS with the alert {}{}", alert_name(*alert), alert_hint(*alert))
            }
            other => problem(other),
        }
    }
}

/// Whether what is wrong with a server's certificate is that it may sign others.
pub(super) fn is_an_authority_s(problem: &CertificateError) -> bool {
    matches!(problem, CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity"))
}

/// The same for whatever was tried; "it" is the server.
pub(super) fn problem(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(problem) => certificate_problem(problem),
        rustls::Error::PeerIncompatible(why) => {
            format!(
                "it has no TLS version or cipher in common with us ({}); TLS 1.2 and 1.3 are spoken",
                spaced(&format_args!("{why:?}"))
            )
        }
        rustls::Error::PeerMisbehaved(why) => {
            format!("it broke the rules of TLS ({})", spaced(&format_args!("{why:?}")))
        }
        rustls::Error::InappropriateMessage { .. } | rustls::Error::InappropriateHandshakeMessage { .. } => {
            "it broke the rules of TLS (a message out of turn)".to_owned()
        }
        rustls::Error::EncryptError => "one key has encrypted as much as it may; connect anew".to_owned(),
        rustls::Error::NoCertificatesPresented => "it shows no certificate".to_owned(),
        rustls::Error::NoApplicationProtocol => {
            "it does not speak HTTP/1.1, which a WebSocket needs".to_owned()
        }
        other => spaced(&format_args!("{other:?}")),
    }
}

fn alert_hint(alert: AlertDescription) -> &'static str {
    match alert {
        AlertDescription::CertificateRequired => {
            "; it wants a client's certificate: give cert_file and key_file"
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => {
            "; it does not accept the client's certificate, or the lack of one: check cert_file and key_file"
        }
        AlertDescription::UnrecognisedName => {
            "; it has no host of this name: check the URL or server_hostname"
        }
        AlertDescription::ProtocolVersion => "; TLS 1.2 and 1.3 are spoken here",
        AlertDescription::NoApplicationProtocol => "; it does not speak HTTP/1.1, which a WebSocket needs",
        AlertDescription::HandshakeFailure => {
            "; it has no cipher in common with us, or wants a client's certificate (cert_file and key_file)"
        }
        _ => "",
    }
}

/// An alert's name as RFC 8446 6 has it.
fn alert_name(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::Unknown(number) => format!("number {number}"),
        known => spaced(&format_args!("{known:?}")).replace(' ', "_"),
    }
}

/// The library's name of something, `UnknownCA(..)`, as words: "unknown ca".
fn spaced(name: &dyn fmt::Display) -> String {
    let name = name.to_string();
    let name = name.split(|letter: char| !letter.is_ascii_alphanumeric()).next().unwrap_or_default();
    let mut words = String::with_capacity(name.len() + 8);
    let mut letters = name.chars().peekable();
    let mut was_upper = true;
    while let Some(letter) = letters.next() {
        let is_upper = letter.is_ascii_uppercase();
        let begins_word = is_upper && (!was_upper || letters.peek().is_some_and(char::is_ascii_lowercase));
        if begins_word && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter.to_ascii_lowercase());
        was_upper = is_upper;
    }
    words
}

fn certificate_problem(problem: &CertificateError) -> String {
    match problem {
        CertificateError::NotValidForNameContext { expected, presented } => {
            format!(
                "its certificate is not for {:?} (it is for {}); connect by a name that it has, or give that name as \
                 server_hostname",
                expected.to_str(),
                names(presented)
            )
        }
        CertificateError::NotValidForName => {
            "its certificate is for another host name; connect by a name that it has, or give that name as \
             server_hostname"
                .to_owned()
        }
        CertificateError::Expired => expired(""),
        CertificateError::ExpiredContext { not_after, .. } => expired(&format!(" on {}", date(*not_after))),
        CertificateError::NotValidYet => not_valid_yet(""),
        CertificateError::NotValidYetContext { not_before, .. } => {
            not_valid_yet(&format!(" before {}", date(*not_before)))
        }
        CertificateError::UnknownIssuer => {
            "its certificate is signed by nobody that is trusted here (self-signed, or by a private CA); if you \
             trust it, give its CA's certificate as ca_file (--cacert)"
                .to_owned()
        }
        CertificateError::BadSignature => {
            "its certificate names a CA that is trusted here, but another key has signed it; was that CA made anew \
             (then give its new certificate as ca_file, --cacert), or does somebody stand between?"
                .to_owned()
        }
        CertificateError::Revoked => "its certificate was revoked".to_owned(),
        problem if is_an_authority_s(problem) => {
            "its certificate is a CA's own (CA:TRUE, self-signed perhaps), and none that is trusted here; if you trust \
             it, give this very certificate as ca_file (--cacert)"
                .to_owned()
        }
        CertificateError::Other(other) if other.0.is::<NotPinned>() => other.to_string(),
        CertificateError::Other(other) if other.to_string().contains("UnsupportedCertVersion") => {
            "its certificate is of X.509 version 1, which has no host names in it; have one of version 3 made, with a \
             subjectAltName"
                .to_owned()
        }
        CertificateError::Other(other) => format!("its certificate was refused ({})", spaced(other)),
        other => format!("its certificate was refused ({})", spaced(&format_args!("{other:?}"))),
    }
}

fn expired(when: &str) -> String {
    format!("its certificate expired{when}; its owner has to renew it (or is this machine's clock wrong?)")
}

fn not_valid_yet(when: &str) -> String {
    format!("its certificate is not valid{when} yet; is this machine's clock right?")
}

/// The names of a certificate. The verifier writes each as `DnsName("example.com")`.
fn names(presented: &[String]) -> String {
    if presented.is_empty() {
        return "no name at all".to_owned();
    }
    let bare = |name: &String| {
        let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        inner.unwrap_or(name).trim_matches('"').to_owned()
    };
    presented.iter().map(bare).collect::<Vec<_>>().join(", ")
}

/// The day, as `2031-05-07`: the days since 1970 in eras of 400 years, which all have as many days.
fn date(time: UnixTime) -> String {
    let days = time.as_secs() / 86_400 + 719_468; // Since 0000-03-01, so that a leap day ends its year.
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march_month = (5 * day + 2) / 153;
    let (month, leap) = if march_month < 10 { (march_month + 3, 0) } else { (march_month - 9, 1) };
    format!("{:04}-{month:02}-{:02}", era * 400 + year + leap, day - (153 * march_month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{InvalidMessage, OtherError, PeerIncompatible, PeerMisbehaved};

    use super::*;

    #[test]
    fn names_become_words() {
        for (name, words) in [
            ("UnknownCA", "unknown ca"),
            ("UnknownPSKIdentity", "unknown psk identity"),
            ("BadRecordMac", "bad record mac"),
            ("Other(OtherError(CaUsedAsEndEntity))", "other"),
            ("", ""),
        ] {
            assert_eq!(spaced(&name), words);
        }
        assert_eq!(alert_name(AlertDescription::CertificateRequired), "certificate_required");
        assert_eq!(alert_name(AlertDescription::Unknown(200)), "number 200");
    }

    #[test]
    fn no_text_has_the_library_s_names_in_it() {
        let other = || OtherError(Arc::new(std::io::Error::other("NameConstraintViolation")));
        for error in [
            rustls::Error::InvalidCertificate(CertificateError::BadEncoding),
            rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure),
            rustls::Error::InvalidCertificate(CertificateError::InvalidPurposeContext {
                required: rustls::ExtendedKeyPurpose::ServerAuth,
                presented: Vec::new(),
            }),
            rustls::Error::InvalidCertificate(CertificateError::Other(other())),
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType),
            rustls::Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
            rustls::Error::PeerMisbehaved(PeerMisbehaved::TooManyKeyUpdateRequests),
            rustls::Error::InappropriateMessage {
                expect_types: vec![rustls::ContentType::Handshake],
                got_type: rustls::ContentType::ApplicationData,
            },
            rustls::Error::AlertReceived(AlertDescription::InternalError),
            rustls::Error::DecryptError,
            rustls::Error::General("SomeInternal(thing)".to_owned()),
            rustls::Error::Other(other()),
        ] {
            let problem = Problem(error);
            for text in [problem.to_string(), problem.in_handshake("")] {
                let text = text.replace("HTTP/1.1", "");
                let is_name = |word: &str| {
                    let inner = word.trim_matches(|letter: char| !letter.is_alphanumeric());
                    inner.chars().skip(1).any(|letter| letter.is_ascii_uppercase())
                        && inner.chars().any(|letter| letter.is_ascii_lowercase())
                };
                assert!(!text.split(' ').any(is_name), "{text}");
                assert!(!text.contains("()") && !text.contains("::"), "{text}");
            }
        }
    }
}
