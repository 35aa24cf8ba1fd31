//! The start of a refusal's body (RFC 9112 6): what an HTTP server says in place of a WebSocket, for the error to show.

use sunsocket_wire::Response;

/// How much of it is kept.
pub(super) const KEPT: usize = 4096;

/// How much of it is read at the most: chunks may be small, and each has its header.
const READ: usize = 4 * KEPT;

/// Where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    /// With the connection.
    Open,
}

/// What came of the body, growing as it is read.
#[derive(Clone, Debug)]
pub(super) struct Body {
    framing: Framing,
    raw: Vec<u8>,
}

impl Body {
    /// `raw`: the bytes behind the head that have come already.
    pub(super) fn new(response: &Response, raw: Vec<u8>) -> Self {
        let headers = &response.headers;
        let framing = if matches!(response.status, 100..200 | 204 | 304) {
            Framing::Length(0)
        } else if headers.has_token("Transfer-Encoding", "chunked") {
            Framing::Chunked
        } else {
            let length = headers.get("Content-Length").and_then(|text| text.trim().parse().ok());
            length.map_or(Framing::Open, Framing::Length)
        };
        Self { framing, raw }
    }

    /// Where the next bytes go.
    pub(super) fn input(&mut self) -> &mut Vec<u8> {
        &mut self.raw
    }

    /// Whether there is as much as is kept, or as there will ever be.
    pub(super) fn is_enough(&self) -> bool {
        match self.framing {
            Framing::Length(length) => self.raw.len() >= length.min(KEPT),
            Framing::Open => self.raw.len() >= KEPT,
            Framing::Chunked => {
                let (body, complete) = join_chunks(&self.raw);
                complete || body.len() >= KEPT || self.raw.len() >= READ
            }
        }
    }

    /// What is kept.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        let (mut body, end) = match self.framing {
            Framing::Length(length) => (self.raw, length.min(KEPT)),
            Framing::Open => (self.raw, KEPT),
            Framing::Chunked => (join_chunks(&self.raw).0, KEPT),
        };
        body.truncate(end);
        body
    }
}

/// The chunks' contents (RFC 9112 7.1), and whether more would change nothing.
fn join_chunks(mut raw: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(end) = raw.windows(2).position(|pair| pair == b"\r\n") else {
            return (body, false);
        };
        // Extensions behind a semicolon say nothing to us.
        let size = raw[..end].split(|&byte| byte == b';').next().unwrap_or_default();
        let size =
            std::str::from_utf8(size).ok().and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
        let Some(size @ 1..) = size else {
            // The last chunk, or nonsense: nothing behind it can be understood.
            return (body, true);
        };
        raw = &raw[end + 2..];
        body.extend_from_slice(&raw[..size.min(raw.len())]);
        match size.checked_add(2).and_then(|size| raw.get(size..)) {
            Some(rest) => raw = rest,
            None => return (body, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use sunsocket_wire::Limits;

    use super::*;

    fn body(head: &str, raw: &[u8]) -> Body {
        let head = format!("HTTP/1.1 {head}\r\n\r\n");
        let (response, _) =
            Response::parse(head.as_bytes(), &Limits::default()).expect("valid").expect("complete");
        Body::new(&response, raw.to_vec())
    }

    #[test]
    fn a_length_ends_the_body() {
        assert!(!body("404 x\r\nContent-Length: 4", b"abc").is_enough());
        let whole = body("404 x\r\nContent-Length: 4", b"abcd, and more");
        assert!(whole.is_enough());
        assert_eq!(whole.into_bytes(), b"abcd");
        assert!(body("304 x\r\nContent-Length: 4", b"").is_enough());
    }

    #[test]
    fn without_a_length_it_goes_on_to_the_end_or_to_what_is_kept() {
        assert!(!body("404 x", &[b'a'; KEPT - 1]).is_enough());
        let long = body("404 x", &[b'a'; KEPT + 1]);
        assert!(long.is_enough());
        assert_eq!(long.into_bytes().len(), KEPT);
    }

    #[test]
    fn chunks_are_joined_wherever_they_are_cut() {
        let raw = b"5\r\nHello\r\n007;a=b\r\n, World\r\n0\r\n\r\n";
        let end = raw.len() - 2; // The last chunk's line says it all.
        for cut in 0..end {
            let part = body("404 x\r\nTransfer-Encoding: chunked", &raw[..cut]);
            assert!(!part.is_enough(), "{cut}");
            assert!(b"Hello, World".starts_with(&part.into_bytes()), "{cut}");
        }
        let whole = body("404 x\r\nTransfer-Encoding: chunked", raw);
        assert!(whole.is_enough());
        assert_eq!(whole.into_bytes(), b"Hello, World");
    }

    #[test]
    fn nonsense_in_place_of_a_chunk_ends_the_wait() {
        for raw in [&b"zz\r\n"[..], b"3\r\nabc\r\n-1\r\n", b"3\r\nabc\r\nffffffffffffffffffff\r\n"] {
            assert!(body("404 x\r\nTransfer-Encoding: chunked", raw).is_enough());
        }
        let huge = body("404 x\r\nTransfer-Encoding: chunked", b"ffffffffffffffff\r\nabc");
        assert!(!huge.is_enough());
        assert_eq!(huge.into_bytes(), b"abc");
    }
}
