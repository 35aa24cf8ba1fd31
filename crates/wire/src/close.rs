//! Close codes and payloads (RFC 6455 7.4, 5.5.1).

use crate::error::Violation;
use crate::event::CloseFrame;

/// Stands for "the Close frame had no code" (7.4.1); never on the wire.
pub(crate) const NO_CODE: u16 = 1005;

/// Whether a client may send this code. 1010 is a client's; 1011 to 1014 are registered and do no harm; 1004, 1005,
/// 1006 and 1015 are reserved.
pub fn valid_close_code_to_send(code: u16) -> bool {
    is_valid(code)
}

fn is_valid(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// Reads the payload of a server's Close frame.
pub(crate) fn parse(payload: &[u8]) -> Result<CloseFrame, Violation> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() {
            Ok(CloseFrame { code: NO_CODE, reason: String::new() })
        } else {
            Err(Violation::protocol("the server sent a Close frame with half a close code (RFC 6455 5.5.1)"))
        };
    };
    let code = u16::from_be_bytes(*code);
    if !is_valid(code) {
        let text = format!("the server sent close code {code}, which may not be sent (RFC 6455 7.4)");
        return Err(Violation::protocol(text));
    }
    match std::str::from_utf8(reason) {
        Ok(reason) => Ok(CloseFrame { code, reason: reason.to_owned() }),
        Err(_) => Err(Violation::not_utf8("a close reason")),
    }
}

/// The payload of a Close frame of ours; a reason too long is cut at a character.
pub(crate) fn payload(code: u16, reason: &str) -> Vec<u8> {
    if code == NO_CODE {
        return Vec::new();
    }
    let end = reason.floor_char_boundary(123);
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(&reason.as_bytes()[..end]);
    payload
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_codes_are_refused_both_ways() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
            assert!(!valid_close_code_to_send(code), "{code}");
            assert_eq!(parse(&code.to_be_bytes()).expect_err("reserved").code, 1002);
        }
        for code in [1000u16, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999] {
            assert_eq!(parse(&code.to_be_bytes()).expect("allowed").code, code);
        }
    }

    #[test]
    fn payloads_are_read_as_the_rfc_says() {
        assert_eq!(parse(b"").expect("empty is allowed").code, NO_CODE);
        assert_eq!(parse(b"\x03").expect_err("half a code").code, 1002);
        assert_eq!(parse(b"\x03\xe8bye").expect("a reason").reason, "bye");
        assert_eq!(parse(b"\x03\xe8\xff").expect_err("not UTF-8").code, 1007);
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let payload = payload(1000, &"\u{20ac}".repeat(60));
        assert!(payload.len() <= 125);
        assert!(std::str::from_utf8(&payload[2..]).is_ok());
    }
}
