//! Frame headers in both directions (RFC 6455 5.2).

use crate::error::Violation;
use crate::mask;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn parse(nibble: u8) -> Option<Self> {
        Some(match nibble {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xa => Self::Pong,
            _ => return None,
        })
    }

    fn nibble(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }

    pub(crate) fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// The longest header that a server may send: no masking key.
pub(crate) const MAX_SERVER_HEADER: usize = 10;

/// A server's frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    pub(crate) opcode: Opcode,
    /// RSV1: the message that begins here is compressed (RFC 7692 6).
    pub(crate) compressed: bool,
    /// Bytes of payload that follow.
    pub(crate) len: u64,
}

impl Header {
    /// Reads a header at the start of `input`: the header and its own length. `None`: more bytes are needed. What is wrong
    /// is said at the first byte that shows it.
    /// `deflate`: permessage-deflate was agreed.
    pub(crate) fn parse(input: &[u8], deflate: bool) -> Result<Option<(Self, usize)>, Violation> {
        let Some(&first) = input.first() else {
            return Ok(None);
        };
        let (fin, opcode, compressed) = Self::first_byte(first, deflate)?;
        let Some(&second) = input.get(1) else {
            return Ok(None);
        };
        if second & 0x80 != 0 {
            return Err(Violation::protocol("the server sent a masked frame (RFC 6455 5.1)"));
        }
        let (len, size) = match second {
            126 => match input.get(2..4) {
                Some(bytes) => (u64::from(u16::from_be_bytes([bytes[0], bytes[1]])), 4),
                None => return Self::incomplete(opcode),
            },
            127 => match input.get(2..).and_then(|rest| rest.first_chunk::<8>()) {
                Some(bytes) => (u64::from_be_bytes(*bytes), 10),
                None => return Self::incomplete(opcode),
            },
            short => (u64::from(short), 2),
        };
        if opcode.is_control() && len > 125 {
            return Self::incomplete(opcode);
        }
        if (size == 4 && len < 126) || (size == 10 && len <= 0xffff) {
            let text =
                format!("the server sent a length of {len} in more bytes than it needs (RFC 6455 5.2)");
            return Err(Violation::protocol(text));
        }
        if len >> 63 != 0 {
            return Err(Violation::protocol(
                "the server sent a length with its highest bit set (RFC 6455 5.2)",
            ));
        }
        Ok(Some((Self { fin, opcode, compressed, len }, size)))
    }

    fn first_byte(first: u8, deflate: bool) -> Result<(bool, Opcode, bool), Violation> {
        let fin = first & 0x80 != 0;
        let compressed = first & 0x40 != 0;
        if first & 0x30 != 0 || (compressed && !deflate) {
            return Err(Violation::protocol(
                "the server set a reserved bit that no extension was agreed for (RFC 6455 5.2)",
            ));
        }
        let opcode = Opcode::parse(first & 0x0f).ok_or_else(|| {
            let text =
                format!("the server sent a frame with the reserved opcode {} (RFC 6455 5.2)", first & 0x0f);
            Violation::protocol(text)
        })?;
        if opcode.is_control() && !fin {
            return Err(Violation::protocol("the server sent a fragmented control frame (RFC 6455 5.5)"));
        }
        if compressed && !matches!(opcode, Opcode::Text | Opcode::Binary) {
            return Err(Violation::protocol(
                "the server marked a frame as compressed that begins no message (RFC 7692 6.1)",
            ));
        }
        Ok((fin, opcode, compressed))
    }

    /// More bytes are needed for the length, unless it is a control frame, which may have no longer length.
    fn incomplete(opcode: Opcode) -> Result<Option<(Self, usize)>, Violation> {
        if opcode.is_control() {
            return Err(Violation::protocol(
                "the server sent a control frame of more than 125 bytes (RFC 6455 5.5)",
            ));
        }
        Ok(None)
    }
}

/// Appends one frame of the client's: header, masking key, masked payload. `compressed` is for the first of a message alone.
pub(crate) fn append(
    opcode: Opcode,
    fin: bool,
    compressed: bool,
    payload: &[u8],
    key: [u8; 4],
    out: &mut Vec<u8>,
) {
    let mut header = [0u8; 14];
    header[0] = u8::from(fin) << 7 | u8::from(compressed) << 6 | opcode.nibble();
    let size = match payload.len() {
        short @ ..=125 => {
            header[1] = 0x80 | short as u8;
            2
        }
        medium @ ..=0xffff => {
            header[1] = 0x80 | 126;
            header[2..4].copy_from_slice(&(medium as u16).to_be_bytes());
            4
        }
        long => {
            header[1] = 0x80 | 127;
            header[2..10].copy_from_slice(&(long as u64).to_be_bytes());
            10
        }
    };
    header[size..size + 4].copy_from_slice(&key);
    let end = size + 4;
    out.reserve(end + payload.len());
    out.extend_from_slice(&header[..end]);
    mask::append(payload, key, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(input: &[u8]) -> Option<u16> {
        Header::parse(input, false).err().map(|violation| violation.code)
    }

    #[test]
    fn lengths_are_read_in_all_three_forms() {
        let parse = |input: &[u8]| {
            Header::parse(input, false).expect("valid").map(|(header, size)| (header.len, size))
        };
        assert_eq!(parse(&[0x81, 125]), Some((125, 2)));
        assert_eq!(parse(&[0x81, 126, 0, 126]), Some((126, 4)));
        assert_eq!(parse(&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]), Some((65536, 10)));
        for (bytes, short) in [(&[0x81, 126, 1, 0][..], 4), (&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0], 10)] {
            (0..short).for_each(|len| assert_eq!(parse(&bytes[..len]), None));
        }
    }

    #[test]
    fn illegal_headers_are_refused_at_the_byte_that_shows_it() {
        assert_eq!(code(&[0xc1]), Some(1002), "RSV1");
        assert_eq!(code(&[0xa1]), Some(1002), "RSV2");
        assert_eq!(code(&[0x91]), Some(1002), "RSV3");
        for opcode in [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf] {
            assert_eq!(code(&[0x80 | opcode]), Some(1002), "opcode {opcode}");
        }
        assert_eq!(code(&[0x81, 0x80]), Some(1002), "masked");
        assert_eq!(code(&[0x09]), Some(1002), "fragmented ping");
        assert_eq!(code(&[0x89, 126]), Some(1002), "long ping");
        assert_eq!(code(&[0x88, 127]), Some(1002), "long close");
        assert_eq!(code(&[0x81, 126, 0, 125]), Some(1002), "not minimal");
        assert_eq!(code(&[0x81, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff]), Some(1002), "not minimal");
        assert_eq!(code(&[0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]), Some(1002), "highest bit");
    }

    #[test]
    fn rsv1_marks_the_beginning_of_a_compressed_message_alone() {
        let compressed = |first: u8| {
            let header = Header::parse(&[first, 0], true).map_err(|violation| violation.code)?;
            Ok::<_, u16>(header.expect("complete").0.compressed)
        };
        for (first, expected) in [(0x81, false), (0xc1, true), (0xc2, true), (0x41, true), (0x80, false)] {
            assert_eq!(compressed(first), Ok(expected), "{first:x}");
        }
        for first in [0xc0, 0x40, 0xc8, 0xc9, 0xca, 0xe1, 0xd1] {
            assert_eq!(compressed(first), Err(1002), "{first:x}");
        }
    }

    #[test]
    fn a_frame_of_ours_is_masked_and_its_length_minimal() {
        for (len, header) in [(0, 2), (125, 2), (126, 4), (65535, 4), (65536, 10)] {
            let payload = vec![7u8; len];
            let mut out = vec![0xaa];
            append(Opcode::Binary, true, false, &payload, [1, 2, 3, 4], &mut out);
            assert_eq!(out[1], 0x82);
            assert_eq!(out[2] & 0x80, 0x80);
            assert_eq!(out.len(), 1 + header + 4 + len);
            assert_eq!(out[1 + header..1 + header + 4], [1, 2, 3, 4]);
            let mut unmasked = Vec::new();
            mask::append(&out[1 + header + 4..], [1, 2, 3, 4], &mut unmasked);
            assert_eq!(unmasked, payload);
        }
    }
}
