//! The opening handshake (RFC 6455 4.1): the request, and the checks of the response.
//!
//! Strict where the RFC is; lenient where real servers need it: `Connection` may be a list over several lines in any
//! case, further headers are ignored, the reason phrase may be anything.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::cookie;
use crate::credentials::Credentials;
use crate::deflate::{DeflateAgreed, DeflateOffer};
use crate::error::{HandshakeError, InvalidRequest};
use crate::extension::Extension;
use crate::headers::{Headers, is_token};
use crate::limits::Limits;
use crate::url::{Url, shorten};

/// What section 1.3 has the server append to the key.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Headers that the handshake itself writes.
const RESERVED: &[(&str, &str)] = &[
    ("Host", "it follows from the URL"),
    ("Upgrade", "the handshake writes it"),
    ("Connection", "the handshake writes it"),
    ("Sec-WebSocket-Key", "the handshake writes it"),
    ("Sec-WebSocket-Version", "the handshake writes it"),
    ("Sec-WebSocket-Accept", "it is the server's"),
    ("Sec-WebSocket-Protocol", "use the option subprotocols"),
    ("Sec-WebSocket-Extensions", "extensions are negotiated by the client itself"),
    ("Content-Length", "the request has no body"),
    ("Transfer-Encoding", "the request has no body"),
];

/// The client's opening handshake.
#[derive(Clone, Debug)]
pub struct Request {
    url: Url,
    key: String,
    credentials: Option<Credentials>,
    headers: Headers,
    subprotocols: Vec<String>,
    deflate: Option<DeflateOffer>,
}

/// What the server agreed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// One of those that were offered, or none.
    pub subprotocol: Option<String>,
    /// What was agreed of permessage-deflate, if that was.
    pub deflate: Option<DeflateAgreed>,
}

impl Request {
    /// Asks for `url`, with the credentials that it has; `nonce` is 16 random bytes.
    pub fn new(url: &Url, nonce: [u8; 16]) -> Self {
        Self {
            url: url.clone(),
            key: STANDARD.encode(nonce),
            credentials: url.credentials().cloned(),
            headers: Headers::new(),
            subprotocols: Vec::new(),
            deflate: None,
        }
    }

    /// Adds a header line.
    ///
    /// # Errors
    /// A line that cannot be sent, or a header that the handshake itself writes.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidRequest> {
        if let Some((reserved, hint)) =
            RESERVED.iter().find(|(reserved, _)| reserved.eq_ignore_ascii_case(name))
        {
            return Err(InvalidRequest(format!("the header {reserved} cannot be set: {hint}")));
        }
        self.headers.push(name, value).map_err(|error| InvalidRequest(error.to_string()))?;
        Ok(self)
    }

    /// Sends these credentials in place of the address' (RFC 7617). An `Authorization` header comes before both.
    pub fn credentials(mut self, credentials: Option<&Credentials>) -> Self {
        self.credentials = credentials.cloned();
        self
    }

    /// Whether an `Authorization` header will be sent.
    pub fn is_authorized(&self) -> bool {
        self.credentials.is_some() || self.headers.get("Authorization").is_some()
    }

    /// Sends cookies, in one `Cookie` header (RFC 6265 5.4).
    ///
    /// # Errors
    /// One that cannot be sent.
    pub fn cookies<'a>(
        self,
        cookies: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, InvalidRequest> {
        let mut pairs = Vec::new();
        for (name, value) in cookies {
            cookie::check(name, value)?;
            pairs.push(format!("{name}={value}"));
        }
        if pairs.is_empty() { Ok(self) } else { self.header("Cookie", &pairs.join("; ")) }
    }

    /// Offers subprotocols, best first.
    ///
    /// # Errors
    /// A name that is no token or comes twice.
    pub fn subprotocols(mut self, names: &[String]) -> Result<Self, InvalidRequest> {
        for (at, name) in names.iter().enumerate() {
            if !is_token(name) {
                return Err(InvalidRequest(format!(
                    "{name:?} is not a subprotocol's name: letters, digits and !#$%&'*+-.^_`|~ only"
                )));
            }
            if names[..at].contains(name) {
                return Err(InvalidRequest(format!("the subprotocol {name:?} is offered twice")));
            }
        }
        self.subprotocols = names.to_vec();
        Ok(self)
    }

    /// Offers permessage-deflate (RFC 7692).
    pub fn deflate(mut self, offer: Option<DeflateOffer>) -> Self {
        self.deflate = offer;
        self
    }

    /// The request's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\n",
            self.url.resource(),
            self.url.host_header(),
            self.key,
        );
        if !self.subprotocols.is_empty() {
            text.push_str(&format!("Sec-WebSocket-Protocol: {}\r\n", self.subprotocols.join(", ")));
        }
        if let Some(offer) = &self.deflate {
            text.push_str(&format!("Sec-WebSocket-Extensions: {}\r\n", offer.encode()));
        }
        if let Some(credentials) = &self.credentials
            && self.headers.get("Authorization").is_none()
        {
            text.push_str(&format!("Authorization: {}\r\n", credentials.authorization()));
        }
        for (name, value) in self.headers.iter() {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// The value that `Sec-WebSocket-Accept` must have.
    fn accept(&self) -> String {
        STANDARD.encode(Sha1::new().chain_update(&self.key).chain_update(GUID).finalize())
    }

    /// Checks the response as section 4.1 asks.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn verify(&self, response: &Response) -> Result<Accepted, HandshakeError> {
        let headers = &response.headers;
        let wrong = |text: String| Err(HandshakeError::Header(text));
        if response.status != 101 {
            return Err(HandshakeError::Status(response.status, shorten(&response.reason)));
        }
        if !headers.has_token("Upgrade", "websocket") {
            return wrong(missing(headers, "Upgrade", "websocket"));
        }
        if !headers.has_token("Connection", "Upgrade") {
            return wrong(missing(headers, "Connection", "Upgrade"));
        }
        let accepts: Vec<&str> = headers.get_all("Sec-WebSocket-Accept").collect();
        if accepts != [self.accept()] {
            return wrong(match accepts.as_slice() {
                [] => "the server's answer has no Sec-WebSocket-Accept header".to_owned(),
                [_] => "the server's Sec-WebSocket-Accept does not answer our key; \
                        is something between us answering from a cache?"
                    .to_owned(),
                _ => "the server's answer has more than one Sec-WebSocket-Accept header".to_owned(),
            });
        }
        Ok(Accepted {
            subprotocol: self.verify_subprotocol(headers)?,
            deflate: self.verify_extensions(headers)?,
        })
    }

    fn verify_extensions(&self, headers: &Headers) -> Result<Option<DeflateAgreed>, HandshakeError> {
        let answer = Extension::parse_all(headers);
        let agreed = answer.and_then(|answer| match &self.deflate {
            Some(offer) => offer.accept(&answer),
            None if answer.is_empty() => Ok(None),
            None => Err("no extension was offered".to_owned()),
        });
        agreed.map_err(|why| {
            let all: Vec<&str> = headers.get_all("Sec-WebSocket-Extensions").collect();
            let (all, why) = (shorten(&all.join(", ")), shorten(&why));
            HandshakeError::Header(format!(
                "the server's Sec-WebSocket-Extensions {all:?} cannot be used: {why}"
            ))
        })
    }

    fn verify_subprotocol(&self, headers: &Headers) -> Result<Option<String>, HandshakeError> {
        let mut chosen = headers.get_all("Sec-WebSocket-Protocol");
        let Some(name) = chosen.next() else {
            return Ok(None);
        };
        if chosen.next().is_some() {
            return Err(HandshakeError::Header("the server chose more than one subprotocol".to_owned()));
        }
        if self.subprotocols.iter().any(|offered| offered == name) {
            return Ok(Some(name.to_owned()));
        }
        let offered = if self.subprotocols.is_empty() {
            "none was offered".to_owned()
        } else {
            format!("offered were {}", self.subprotocols.join(", "))
        };
        let name = shorten(name);
        Err(HandshakeError::Header(format!("the server chose the subprotocol {name:?}; {offered}")))
    }
}

fn missing(headers: &Headers, name: &str, token: &str) -> String {
    match headers.get(name) {
        Some(value) => format!("the server's {name} header is {:?}, not {token:?}", shorten(value)),
        None => format!("the server's answer has no {name} header; is it a WebSocket server?"),
    }
}

/// The head of the server's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
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
    /// Something that is no HTTP/1.1 response, or one past the limits.
    pub fn parse(input: &[u8], limits: &Limits) -> Result<Option<(Self, usize)>, HandshakeError> {
        let mut lines = vec![httparse::EMPTY_HEADER; limits.max_head_lines];
        let mut head = httparse::Response::new(&mut lines);
        let too_large = || {
            HandshakeError::TooLarge(format!(
                "the server's answer has a head of more than {} bytes",
                limits.max_head_size
            ))
        };
        let size = match head.parse(input) {
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
        if head.version != Some(1) {
            let text = "the server answered in HTTP/1.0, and a WebSocket needs HTTP/1.1".to_owned();
            return Err(HandshakeError::NotHttp(text));
        }
        let mut headers = Headers::new();
        for line in head.headers.iter() {
            headers.push_parsed(line.name, String::from_utf8_lossy(line.value).trim().to_owned());
        }
        let response = Self {
            status: head.code.unwrap_or_default(),
            reason: head.reason.unwrap_or_default().to_owned(),
            headers,
        };
        Ok(Some((response, size)))
    }
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

    /// The key and its answer of section 1.3.
    const NONCE: &[u8; 16] = b"the sample nonce";
    const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                          Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

    fn request() -> Request {
        Request::new(&Url::parse("ws://server.example.com/chat?x").expect("valid"), *NONCE)
    }

    fn verify(request: &Request, head: &str) -> Result<Accepted, HandshakeError> {
        let head = format!("{head}\r\n");
        let (response, size) = Response::parse(head.as_bytes(), &Limits::default())?.expect("complete");
        assert_eq!(size, head.len());
        request.verify(&response)
    }

    #[test]
    fn the_request_is_the_one_of_the_rfc() {
        let request = request()
            .header("Origin", "http://example.com")
            .and_then(|request| request.subprotocols(&["chat".to_owned(), "superchat".to_owned()]))
            .expect("valid");
        assert_eq!(
            String::from_utf8(request.encode()).expect("text"),
            "GET /chat?x HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Protocol: chat, superchat\r\nOrigin: http://example.com\r\n\r\n"
        );
        assert_eq!(request.accept(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let url = Url::parse("ws://user:pass@h/").expect("valid");
        let text = String::from_utf8(Request::new(&url, *NONCE).encode()).expect("text");
        assert!(text.contains("Authorization: Basic dXNlcjpwYXNz\r\n"), "{text}");
    }

    #[test]
    fn one_line_says_who_asks_and_one_has_the_cookies() {
        let url = Url::parse("ws://user:pass@h/").expect("valid");
        let request = Request::new(&url, *NONCE);
        let text = |request: &Request| String::from_utf8(request.encode()).expect("text");
        let other = Credentials::new("a", "b").expect("valid");
        assert!(text(&request.clone().credentials(Some(&other))).contains("Authorization: Basic YTpi\r\n"));
        let nobody = request.clone().credentials(None);
        assert!(request.is_authorized() && !nobody.is_authorized());
        assert!(!text(&nobody).contains("Authorization"));
        let own = nobody.header("authorization", "Bearer x").expect("valid");
        assert!(own.is_authorized());
        let own = own.credentials(Some(&other));
        assert!(text(&own).contains("authorization: Bearer x\r\n") && !text(&own).contains("Basic"));
        let request = request.cookies([("a", "b"), ("c", "\"d e\"")]).expect("valid");
        assert!(text(&request).contains("\r\nCookie: a=b; c=\"d e\"\r\n"), "{}", text(&request));
        assert!(request.clone().cookies([("a", "b\r\nX: y")]).is_err());
        assert!(!text(&Request::new(&url, *NONCE).cookies([]).expect("none")).contains("Cookie"));
        assert!(!format!("{request:?}").contains("pass"));
    }

    #[test]
    fn what_the_handshake_writes_cannot_be_set() {
        for (name, _) in RESERVED {
            assert!(request().header(&name.to_uppercase(), "x").is_err(), "{name}");
        }
        assert!(request().header("X-A", "a\r\nX-B: b").is_err());
        for names in [&["a b"][..], &[""], &["a", "a"], &["a,b"]] {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            assert!(request().subprotocols(&names).is_err(), "{names:?}");
        }
    }

    #[test]
    fn servers_may_be_sloppy_where_it_does_no_harm() {
        for head in [
            SWITCH.to_owned(),
            SWITCH.replace("Connection: Upgrade", "connection: keep-alive, upgrade"),
            SWITCH.replace("Connection: Upgrade", "Connection: keep-alive\r\nCONNECTION: UPGRADE"),
            SWITCH.replace("Upgrade: websocket", "upgrade: WebSocket"),
            SWITCH.replace(" Switching Protocols", ""),
            SWITCH.replace("Switching Protocols", "Sure, why not"),
            format!("{SWITCH}Server: x\r\nSet-Cookie: a=b\r\nSec-WebSocket-Extensions: \r\n"),
        ] {
            assert_eq!(verify(&request(), &head), Ok(Accepted::default()), "{head}");
        }
    }

    #[test]
    fn every_check_of_the_rfc_is_made() {
        for (head, word) in [
            (SWITCH.replace("101 Switching Protocols", "404 Not Found"), "404 Not Found"),
            (SWITCH.replace("101 Switching Protocols", "200"), "200"),
            (SWITCH.replace("HTTP/1.1", "HTTP/1.0"), "HTTP/1.0"),
            (SWITCH.replace("Upgrade: websocket", "X: y"), "Upgrade"),
            (SWITCH.replace("Upgrade: websocket", "Upgrade: h2c"), "h2c"),
            (SWITCH.replace("Connection: Upgrade", "Connection: close"), "Connection"),
            (SWITCH.replace("Connection: Upgrade", "X: y"), "Connection"),
            (SWITCH.replace("s3pP", "s3pp"), "Accept"),
            (SWITCH.replace("Sec-WebSocket-Accept", "X-Accept"), "Accept"),
            (format!("{SWITCH}Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "more than one"),
            (format!("{SWITCH}Sec-WebSocket-Extensions: permessage-deflate\r\n"), "no extension was offered"),
            (format!("{SWITCH}Sec-WebSocket-Protocol: chat\r\n"), "none was offered"),
        ] {
            let error = verify(&request(), &head).expect_err(&head).to_string();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn compression_is_offered_and_checked() {
        let offering = request().deflate(Some(DeflateOffer::default()));
        let text = String::from_utf8(offering.encode()).expect("text");
        assert!(
            text.contains("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"),
            "{text}"
        );
        let with = |line: &str| verify(&offering, &format!("{SWITCH}Sec-WebSocket-Extensions: {line}\r\n"));
        assert_eq!(verify(&offering, SWITCH).expect("declined").deflate, None);
        let agreed = with("permessage-deflate; client_max_window_bits=9").expect("agreed").deflate;
        assert_eq!(agreed.expect("agreed").client_window_bits, 9);
        for line in
            ["permessage-deflate; x", "bbf-usp-protocol", "permessage-deflate, x", "permessage deflate"]
        {
            let error = with(line).expect_err(line).to_string();
            assert!(error.contains("Sec-WebSocket-Extensions"), "{error}");
        }
    }

    #[test]
    fn a_subprotocol_must_be_one_of_those_offered() {
        let request = request().subprotocols(&["a".to_owned(), "b".to_owned()]).expect("valid");
        let with = |lines: &str| verify(&request, &format!("{SWITCH}{lines}"));
        assert_eq!(with("").expect("none is fine").subprotocol, None);
        assert_eq!(with("Sec-WebSocket-Protocol: b\r\n").expect("offered").subprotocol, Some("b".to_owned()));
        assert!(with("Sec-WebSocket-Protocol: c\r\n").is_err());
        assert!(with("Sec-WebSocket-Protocol: a, b\r\n").is_err());
        assert!(with("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n").is_err());
        assert!(with("Sec-WebSocket-Protocol: A\r\n").is_err());
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
    fn an_error_shows_the_start_of_what_the_server_sent() {
        let long = "x".repeat(30_000);
        for head in [
            SWITCH.replace("101 Switching Protocols", &format!("404 {long}")),
            SWITCH.replace("Upgrade: websocket", &format!("Upgrade: {long}")),
            SWITCH.replace("Connection: Upgrade", &format!("Connection: {long}")),
            format!("{SWITCH}Sec-WebSocket-Extensions: a; b=\"{long}\r\n"),
            format!("{SWITCH}Sec-WebSocket-Extensions: {long}; {long}\r\n"),
            format!("{SWITCH}Sec-WebSocket-Protocol: {long}\r\n"),
        ] {
            let error = verify(&request().deflate(Some(DeflateOffer::default())), &head)
                .expect_err("wrong")
                .to_string();
            assert!(error.contains("x...") && error.len() < 700, "{} bytes", error.len());
        }
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
        fn a_cut_head_needs_more(cut in 0usize..SWITCH.len()) {
            prop_assert_eq!(Response::parse(&SWITCH.as_bytes()[..cut], &Limits::default()), Ok(None));
        }
    }
}
