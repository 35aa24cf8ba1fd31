//! Certificates and keys in files, as the programs that make them write them (RFC 7468 and what came before it).

use std::fs;
use std::path::Path;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::der::{self, CONTEXT_0, OBJECT_IDENTIFIER, SEQUENCE};
use crate::error::{Error, ErrorKind, in_words};

/// What editors of Windows put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// `id-kp-serverAuth` and `anyExtendedKeyUsage`: one of them is meant when a server is to be trusted.
const FOR_SERVERS: [&[u8]; 2] = [b"\x2b\x06\x01\x05\x05\x07\x03\x01", b"\x55\x1d\x25\x00"];

pub(super) fn read(path: &Path, option: &str) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| {
        let text = format!("{option} {} cannot be read: {}", path.display(), in_words(&error));
        Error::new(ErrorKind::Tls, text)
    })
}

/// The certificates in `text` that may vouch for a server. `source` names it in errors.
///
/// # Errors
/// There is none, or something is not PEM.
pub(super) fn authorities(text: &[u8], source: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    certificates(text, source, may_vouch_for_servers)
}

/// The certificates in `text`, the client's own first.
///
/// # Errors
/// As [`authorities`].
pub(super) fn chain(text: &[u8], source: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    certificates(text, source, |_| true)
}

fn certificates(
    text: &[u8],
    source: &str,
    is_usable: fn(&[u8]) -> bool,
) -> Result<Vec<CertificateDer<'static>>, Error> {
    let broken = |what: &str| Error::new(ErrorKind::Tls, format!("{source} {what}"));
    let mut certificates = Vec::new();
    let mut is_distrusted = false;
    for section in Sections(text) {
        let Some(Section { label, body }) = section else {
            return Err(broken("is not PEM: a line -----BEGIN ...----- has no -----END ...----- that fits"));
        };
        let has_trust = match label {
            b"CERTIFICATE" | b"X509 CERTIFICATE" => false,
            b"TRUSTED CERTIFICATE" => true,
            // A private key, perhaps: a file may hold both.
            _ => continue,
        };
        let decoded = decode(body).ok_or_else(|| broken("is not PEM: a certificate in it is not Base64"))?;
        if !has_trust {
            certificates.push(decoded);
            continue;
        }
        let Some((certificate, trust)) = der::split_first(&decoded) else {
            return Err(broken("holds a TRUSTED CERTIFICATE that is cut off"));
        };
        if is_usable(trust) {
            certificates.push(CertificateDer::from(certificate.to_vec()));
        } else {
            is_distrusted = true;
        }
    }
    if certificates.is_empty() {
        return Err(broken(if is_distrusted {
            "holds no certificate that may vouch for servers: those in it are marked as not to be trusted for that"
        } else {
            "holds no certificate in PEM (-----BEGIN CERTIFICATE-----)"
        }));
    }
    Ok(certificates)
}

/// The private key in `text`.
///
/// # Errors
/// There is none that can be used.
pub(super) fn private_key(text: &[u8], source: &str) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_slice(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)).map_err(|_| {
        let is_encrypted = text.windows(9).any(|word| word == b"ENCRYPTED");
        let hint = if is_encrypted {
            ": it is encrypted with a passphrase, which sunsocket does not ask for; write it without one (openssl pkey)"
        } else {
            " (-----BEGIN PRIVATE KEY-----)"
        };
        Error::new(ErrorKind::Tls, format!("{source} holds no private key in PEM{hint}"))
    })
}

/// What stands behind the certificate in a `TRUSTED CERTIFICATE` of OpenSSL's: what it is trusted for, and what not.
fn may_vouch_for_servers(trust: &[u8]) -> bool {
    if trust.is_empty() {
        return true;
    }
    let Some((SEQUENCE, mut fields, _)) = der::element(trust) else { return false };
    let mut is_trusted = true;
    while !fields.is_empty() {
        let Some((tag, purposes, rest)) = der::element(fields) else { return false };
        match tag {
            SEQUENCE if !purposes.is_empty() => is_trusted = names_servers(purposes),
            CONTEXT_0 if names_servers(purposes) => return false,
            _ => {}
        }
        fields = rest;
    }
    is_trusted
}

fn names_servers(mut purposes: &[u8]) -> bool {
    while let Some((tag, purpose, rest)) = der::element(purposes) {
        if tag == OBJECT_IDENTIFIER && FOR_SERVERS.contains(&purpose) {
            return true;
        }
        purposes = rest;
    }
    false
}

fn decode(base64: &[u8]) -> Option<CertificateDer<'static>> {
    // The library knows one label alone.
    let pem = [b"-----BEGIN CERTIFICATE-----\n", base64, b"\n-----END CERTIFICATE-----\n"].concat();
    CertificateDer::from_pem_slice(&pem).ok()
}

/// Something between a line with BEGIN and one with END.
struct Section<'a> {
    label: &'a [u8],
    body: &'a [u8],
}

/// The sections of a text; `None` is one that does not end.
struct Sections<'a>(&'a [u8]);

impl<'a> Iterator for Sections<'a> {
    type Item = Option<Section<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let label = loop {
            if let Some(label) = boundary(next_line(&mut self.0)?, b"-----BEGIN ") {
                break label;
            }
        };
        let body = self.0;
        loop {
            let before = self.0;
            let Some(line) = next_line(&mut self.0) else { return Some(None) };
            if let Some(end) = boundary(line, b"-----END ") {
                let body = &body[..body.len() - before.len()];
                return Some((end == label).then_some(Section { label, body }));
            }
        }
    }
}

/// Takes a line off the text, without the white space around it and without a mark of the text's order of bytes, which
/// stands in the middle where files were joined.
fn next_line<'a>(text: &mut &'a [u8]) -> Option<&'a [u8]> {
    if text.is_empty() {
        return None;
    }
    let end = text.iter().position(|&byte| byte == b'\n').map_or(text.len(), |at| at + 1);
    let line;
    (line, *text) = text.split_at(end);
    Some(line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line).trim_ascii())
}

fn boundary<'a>(line: &'a [u8], kind: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(kind)?.strip_suffix(b"-----")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: &[u8] = b"\x2b\x06\x01\x05\x05\x07\x03\x04"; // id-kp-emailProtection

    fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, content.len() as u8], content].concat()
    }

    /// What OpenSSL writes behind a certificate.
    fn trust(trusted: Option<&[&[u8]]>, rejected: Option<&[&[u8]]>) -> Vec<u8> {
        let list = |tag, purposes: &[&[u8]]| {
            let purposes: Vec<u8> =
                purposes.iter().flat_map(|purpose| wrap(OBJECT_IDENTIFIER, purpose)).collect();
            wrap(tag, &purposes)
        };
        let mut fields = trusted.map(|purposes| list(SEQUENCE, purposes)).unwrap_or_default();
        fields.extend(rejected.map(|purposes| list(CONTEXT_0, purposes)).unwrap_or_default());
        fields.extend(wrap(0x0c, b"an alias"));
        wrap(SEQUENCE, &fields)
    }

    #[test]
    fn openssl_s_trust_is_heeded() {
        let [servers, any] = FOR_SERVERS;
        assert!(may_vouch_for_servers(b""));
        assert!(may_vouch_for_servers(&trust(None, None)));
        assert!(may_vouch_for_servers(&trust(Some(&[]), None)));
        assert!(may_vouch_for_servers(&trust(Some(&[OTHER, servers]), Some(&[OTHER]))));
        assert!(may_vouch_for_servers(&trust(Some(&[any]), None)));
        assert!(!may_vouch_for_servers(&trust(Some(&[OTHER]), None)));
        assert!(!may_vouch_for_servers(&trust(None, Some(&[servers]))));
        assert!(!may_vouch_for_servers(&trust(Some(&[servers]), Some(&[any]))));
        let whole = trust(Some(&[servers]), None);
        for end in 1..whole.len() {
            assert!(!may_vouch_for_servers(&whole[..end]), "cut off at {end}");
        }
    }

    fn certificate() -> (String, Vec<u8>) {
        let key = rcgen::KeyPair::generate().expect("random");
        let params = rcgen::CertificateParams::new(["example.test".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("signed");
        (certificate.pem(), certificate.der().to_vec())
    }

    #[test]
    fn files_of_every_kind_are_read() {
        let (pem, der) = certificate();
        let old = pem.replace("CERTIFICATE", "X509 CERTIFICATE");
        let marked = format!("\u{feff}{pem}");
        let windows = format!("\u{feff}# a comment\r\n{}", pem.replace('\n', "\r\n"));
        let joined = format!("{pem}{marked}{old}");
        let beside = format!("-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----\n{pem}");
        for (text, count) in [(&pem, 1), (&old, 1), (&marked, 1), (&windows, 1), (&joined, 3), (&beside, 1)] {
            let found = authorities(text.as_bytes(), "ca_file x").expect("certificates");
            assert_eq!(found.len(), count, "{text}");
            assert!(found.iter().all(|certificate| certificate.as_ref() == der), "{text}");
        }
    }

    #[test]
    fn a_trusted_certificate_is_taken_without_what_is_behind_it() {
        use base64::Engine as _;
        let (_, der) = certificate();
        let pem = |trust: &[u8]| {
            let base64 = base64::engine::general_purpose::STANDARD.encode([&der, trust].concat());
            format!("-----BEGIN TRUSTED CERTIFICATE-----\n{base64}\n-----END TRUSTED CERTIFICATE-----\n")
        };
        for behind in [Vec::new(), trust(Some(&[FOR_SERVERS[0]]), None)] {
            let found = authorities(pem(&behind).as_bytes(), "ca_file x").expect("a certificate");
            assert_eq!(found, [CertificateDer::from(der.clone())]);
        }
        let rejected = pem(&trust(None, Some(&[FOR_SERVERS[0]])));
        let error = authorities(rejected.as_bytes(), "ca_file x").expect_err("not for servers");
        assert!(error.to_string().contains("ca_file x holds no certificate that may vouch"), "{error}");
        assert_eq!(chain(rejected.as_bytes(), "cert_file x").expect("a certificate").len(), 1);
    }

    #[test]
    fn what_is_no_pem_is_said_to_be_none() {
        let (pem, _) = certificate();
        let cut = &pem[..pem.len() - 30];
        let crossed = pem.replace("END CERTIFICATE", "END X509 CERTIFICATE");
        let spoiled = pem.replace("MII", "!II");
        for (text, says) in [
            ("", "holds no certificate"),
            ("something else", "holds no certificate"),
            (cut, "has no -----END"),
            (&crossed, "has no -----END"),
            (&spoiled, "not Base64"),
        ] {
            let error = authorities(text.as_bytes(), "ca_file x").expect_err(says).to_string();
            assert!(error.starts_with("ca_file x ") && error.contains(says), "{error}");
        }
    }
}
