//! The head of an HTTP response (RFC 9112), as far as a client needs it: status, header lines, and where it ends.

use crate::error::HandshakeError;
use crate::headers::{Headers, trim};
use crate::limits::Limits;

/// The head of the server's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// 0 for HTTP/1.0, 1 for HTTP/1.1. A refusal may be either; only a 101 has to be HTTP/1.1 (RFC 6455 4.1).
    pub minor_version: u8,
    /// The status code.
    pub status: u16,
    /// The reason phrase, which means nothing.
    pub reason: String,
    /// The header lines.
    pub headers: Headers,
}

impl Response {
    /// Reads a head at the start of `input`: the response and the length of its head. `None`: more bytes are needed.
    ///
    /// # Errors
    /// Something that is no HTTP/1 response, or one past the limits.
    pub fn parse(input: &[u8], limits: &Limits) -> Result<Option<(Self, usize)>, HandshakeError> {
        let mut lines = vec![httparse::EMPTY_HEADER; limits.max_head_lines];
        let mut head = httparse::Response::new(&mut lines);
        let too_large = || {
            HandshakeError::TooLarge(format!(
                "the server's answer has a head of more than {} bytes",
                limits.max_head_size
            ))
        };
        let mut parser = httparse::ParserConfig::default();
        parser.allow_obsolete_multiline_headers_in_responses(true);
        let size = match parser.parse_response(&mut head, input) {
            Ok(httparse::Status::Complete(size)) if size > limits.max_head_size => {
                return Err(too_large());
            }
            Ok(httparse::Status::Complete(size)) => size,
            Ok(httparse::Status::Partial) if input.len() > limits.max_head_size => {
                return Err(too_large());
            }
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => {
                let text =
                    format!("the server's answer has more than {} header lines", limits.max_head_lines);
                return Err(HandshakeError::TooLarge(text));
            }
            Err(error) => return Err(HandshakeError::NotHttp(not_http(input, &error))),
        };
        let mut headers = Headers::new();
        for line in head.headers.iter() {
            headers.push_bytes(line.name, &unfold(line.value));
        }
        let response = Self {
            minor_version: head.version.unwrap_or_default(),
            status: head.code.unwrap_or_default(),
            reason: head.reason.unwrap_or_default().to_owned(),
            headers,
        };
        Ok(Some((response, size)))
    }
}

/// Reads the head of the final answer out of bytes that come little by little; those before it (RFC 9110 15.2) are skipped,
/// and all heads together have to keep to the limit.
#[derive(Clone, Debug, Default)]
pub struct ResponseReader {
    limits: Limits,
    /// A head is parsed when it may be complete, or else when so many bytes are there, twice as many as the last time: a peer
    /// that sends it byte by byte does not make us read it as often.
    next_look: usize,
    /// How many bytes were there the last time.
    seen: usize,
}

impl ResponseReader {
    /// Takes the head out of `input`, to which everything that has come was appended. `None`: more bytes are needed.
    ///
    /// # Errors
    /// As [`Response::parse`].
    pub fn read(&mut self, input: &mut Vec<u8>) -> Result<Option<Response>, HandshakeError> {
        let seen = std::mem::replace(&mut self.seen, input.len());
        while !input.is_empty() && (has_empty_line(input, seen) || input.len() >= self.next_look) {
            let (length, most) = (input.len(), self.limits.max_head_size + 1);
            self.next_look = length.saturating_mul(2).min(most).max(length + 1);
            let Some((response, size)) = Response::parse(input, &self.limits)? else { break };
            input.drain(..size);
            self.seen = input.len();
            if !matches!(response.status, 100 | 102..200) {
                return Ok(Some(response));
            }
            self.limits.max_head_size = self.limits.max_head_size.saturating_sub(size);
            self.next_look = 0;
        }
        Ok(None)
    }
}

/// Whether the bytes from `before` on may bring the end of a head.
fn has_empty_line(input: &[u8], before: usize) -> bool {
    let new = &input[before.saturating_sub(3).min(input.len())..];
    new.windows(2).any(|pair| pair == b"\n\n") || new.windows(3).any(|three| three == b"\n\r\n")
}

/// A header's value in one line: a line break in it and the spaces around the break are one space (RFC 9112 5.2).
fn unfold(value: &[u8]) -> Vec<u8> {
    let lines: Vec<&[u8]> = value
        .split(|&byte| byte == b'\n')
        .map(|line| trim(line.strip_suffix(b"\r").unwrap_or(line)))
        .collect();
    trim(&lines.join(&b' ')).to_vec()
}

fn not_http(input: &[u8], error: &httparse::Error) -> String {
    // The first byte of a TLS record: an alert or a handshake.
    if matches!(input, [0x15 | 0x16, 0x03, ..]) {
        return "the server speaks TLS on this port; use wss:// in place of ws://".to_owned();
    }
    let start: String = String::from_utf8_lossy(&input[..input.len().min(40)]).into_owned();
    format!("the server's answer is not HTTP ({error}); it begins with {start:?}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX-Folded: a\r\n\tb\r\n\r\n";

    fn parse(head: &[u8]) -> Response {
        let (response, size) = Response::parse(head, &Limits::default()).expect("valid").expect("complete");
        assert_eq!(size, head.len());
        response
    }

    fn value(line: &[u8]) -> String {
        let head = [b"HTTP/1.1 200 OK\r\nX:", line, b"\r\nY: after\r\n\r\n"].concat();
        let headers = parse(&head).headers;
        assert_eq!((headers.len(), headers.get("Y")), (2, Some("after")));
        headers.get("X").expect("a value").to_owned()
    }

    #[test]
    fn a_refusal_may_be_http_1_0() {
        let response = parse(b"HTTP/1.0 404 File not found\r\nServer: SimpleHTTP/0.6\r\n\r\n");
        assert_eq!((response.minor_version, response.status), (0, 404));
        assert_eq!(response.reason, "File not found");
        assert_eq!(response.headers.get("Server"), Some("SimpleHTTP/0.6"));
        assert_eq!(parse(HEAD.as_bytes()).minor_version, 1);
    }

    #[test]
    fn a_folded_line_is_one_value() {
        for (line, expected) in [
            (&b" a\r\n b"[..], "a b"),
            (b" a \t\r\n\t b\r\n  c", "a b c"),
            (b"\r\n a", "a"),
            (b" a\r\n ", "a"),
            (b" a\n b", "a b"),
            (b" a\tb ", "a\tb"),
            (b"", ""),
        ] {
            assert_eq!(value(line), expected, "{line:?}");
        }
    }

    #[test]
    fn a_folded_line_begins_no_header_and_ends_no_head() {
        let response = parse(b"HTTP/1.1 200 OK\r\nX: a\r\n Upgrade: websocket\r\n\r\n");
        assert_eq!(response.headers.get("Upgrade"), None);
        assert_eq!(response.headers.get("X"), Some("a Upgrade: websocket"));
    }

    #[test]
    fn characters_beyond_ascii_are_kept_whatever_they_were_written_in() {
        assert_eq!(value(" caf\u{e9}".as_bytes()), "caf\u{e9}");
        assert_eq!(value(b" caf\xe9"), "caf\u{e9}");
        assert_eq!(value(b" \xa3\x80\xff"), "\u{a3}\u{80}\u{ff}");
    }

    #[test]
    fn the_limits_hold_exactly() {
        let limits = Limits { max_head_size: 200, max_head_lines: 4, ..Limits::default() };
        let head = |size: usize| {
            let start = "HTTP/1.1 101 x\r\nA: ";
            format!("{start}{}\r\n\r\n", "x".repeat(size - start.len() - 4))
        };
        assert!(matches!(Response::parse(head(200).as_bytes(), &limits), Ok(Some(_))));
        assert!(matches!(Response::parse(head(201).as_bytes(), &limits), Err(HandshakeError::TooLarge(_))));
        assert!(matches!(Response::parse(&head(300).as_bytes()[..200], &limits), Ok(None)));
        assert!(matches!(
            Response::parse(&head(300).as_bytes()[..201], &limits),
            Err(HandshakeError::TooLarge(_))
        ));
        let lines = |count: usize| format!("HTTP/1.1 101 x\r\n{}\r\n", "A: b\r\n".repeat(count));
        assert!(matches!(Response::parse(lines(4).as_bytes(), &limits), Ok(Some(_))));
        assert!(matches!(Response::parse(lines(5).as_bytes(), &limits), Err(HandshakeError::TooLarge(_))));
    }

    #[test]
    fn something_else_than_http_is_named() {
        let error =
            |input: &[u8]| Response::parse(input, &Limits::default()).expect_err("not HTTP").to_string();
        assert!(error(b"\x15\x03\x03\x00\x02\x02\x46").contains("wss://"));
        assert!(error(b"SSH-2.0-OpenSSH_9\r\n").contains("SSH-2.0"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_response_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Response::parse(&bytes, &Limits::default());
        }

        #[test]
        fn a_cut_head_needs_more(cut in 0usize..HEAD.len()) {
            prop_assert_eq!(Response::parse(&HEAD.as_bytes()[..cut], &Limits::default()), Ok(None));
        }
    }
}
