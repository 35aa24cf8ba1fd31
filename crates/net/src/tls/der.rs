//! As much of DER (X.690) as it takes to find a part of a certificate that no library hands out.
//!
//! Nothing here decides whether a certificate is good: what does not look as expected is `None`.

/// The first element of `der`: its tag, its content, and what stands behind it.
pub(super) fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, short], rest) = der.split_first_chunk()?;
    let (length, rest) = match short {
        0..=0x7f => (usize::from(short), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(short - 0x80))?;
            (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
/// The tag `[0]` of something that has parts.
pub(super) const CONTEXT_0: u8 = 0xa0;

/// The first element with its header, and what stands behind it.
pub(super) fn split_first(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, _, rest) = element(der)?;
    Some(der.split_at(der.len() - rest.len()))
}

/// The `SubjectPublicKeyInfo` of a certificate of any version (RFC 5280 4.1).
pub(super) fn public_key(certificate: &[u8]) -> Option<&[u8]> {
    let (SEQUENCE, certificate, _) = element(certificate)? else { return None };
    let (SEQUENCE, mut fields, _) = element(certificate)? else { return None };
    if let (CONTEXT_0, _, rest) = element(fields)? {
        fields = rest; // The version. One of version 1 has none.
    }
    // Serial number, signature's algorithm, issuer, validity, subject.
    for _ in 0..5 {
        fields = element(fields)?.2;
    }
    Some(split_first(fields)?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_in_all_their_forms() {
        assert_eq!(element(b"\x04\x02abc"), Some((4, &b"ab"[..], &b"c"[..])));
        let long = [&b"\x04\x82\x01\x00"[..], &[7; 256], b"x"].concat();
        assert_eq!(element(&long), Some((4, &[7; 256][..], &b"x"[..])));
        assert_eq!(split_first(&long), Some((&long[..260], &b"x"[..])));
    }

    #[test]
    fn what_is_cut_off_is_nothing() {
        for der in
            [&b""[..], b"\x04", b"\x04\x02a", b"\x04\x80ab", b"\x04\x82\x01", b"\x04\x84\xff\xff\xff\xffa"]
        {
            assert_eq!(element(der), None, "{der:?}");
        }
    }

    #[test]
    fn a_certificate_s_key_is_found() {
        let key = rcgen::KeyPair::generate().expect("random");
        let params = rcgen::CertificateParams::new(["example.test".to_owned()]).expect("a name");
        let certificate = params.self_signed(&key).expect("signed");
        let found = public_key(certificate.der()).expect("a certificate");
        assert_eq!(found, rcgen::PublicKeyData::subject_public_key_info(&key));
        for end in 0..certificate.der().len() {
            assert_eq!(public_key(&certificate.der()[..end]), None);
        }
    }
}
