//! The opening handshake (RFC 6455 4.1): the request, and what the response has to be to it.
//!
//! Strict where the RFC is; lenient where real servers need it: `Connection` may be a list over several lines in any
//! case, further headers are ignored, the reason phrase may be anything.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

use crate::auth::Credentials;
use crate::cookie::{self, Cookie};
use crate::deflate::{DeflateAgreed, DeflateOffer};
use crate::error::{HandshakeError, InvalidRequest};
use crate::extension::Extension;
use crate::headers::{Headers, is_token};
use crate::response::Response;
use crate::shown::shorten;
use crate::url::Url;

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

    /// Proves who asks by this value of `Authorization`, as [`crate::Digest::authorization`] makes it, in place of credentials.
    pub fn proof(mut self, authorization: &str) -> Self {
        self.credentials = None;
        self.headers.push_bytes("Authorization", authorization.as_bytes());
        self
    }

    /// Whether an `Authorization` header will be sent.
    pub fn is_authorized(&self) -> bool {
        self.credentials.is_some() || self.headers.get("Authorization").is_some()
    }

    /// Sends cookies, in one `Cookie` header (RFC 6265 5.4): those that the program gives, as UTF-8, then those that the server
    /// has set, in the bytes in which they came.
    ///
    /// # Errors
    /// A name or value of the program's that cannot be sent.
    pub fn cookies<'a>(
        mut self,
        given: impl IntoIterator<Item = (&'a str, &'a str)>,
        set: impl IntoIterator<Item = &'a Cookie>,
    ) -> Result<Self, InvalidRequest> {
        let mut pairs = Vec::new();
        for (name, value) in given {
            cookie::check(name.as_bytes(), value.as_bytes())?;
            pairs.push([name.as_bytes(), value.as_bytes()].join(&b'='));
        }
        pairs.extend(set.into_iter().map(|cookie| cookie.pair().to_vec()));
        if !pairs.is_empty() {
            self.headers.push_bytes("Cookie", &pairs.join(&b"; "[..]));
        }
        Ok(self)
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
        let mut bytes = text.into_bytes();
        for (name, value) in self.headers.iter_bytes() {
            for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
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
        if response.minor_version == 0 {
            return wrong("the server answered 101 in HTTP/1.0, and a WebSocket needs HTTP/1.1".to_owned());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

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
        let proved = request.clone().proof("Digest x");
        assert!(proved.is_authorized() && text(&proved).contains("\r\nAuthorization: Digest x\r\n"));
        assert!(!text(&proved).contains("Basic"));
        let nobody = request.clone().credentials(None);
        assert!(request.is_authorized() && !nobody.is_authorized());
        assert!(!text(&nobody).contains("Authorization"));
        let own = nobody.header("authorization", "Bearer x").expect("valid");
        assert!(own.is_authorized());
        let own = own.credentials(Some(&other));
        assert!(text(&own).contains("authorization: Bearer x\r\n") && !text(&own).contains("Basic"));
        let request = request.cookies([("a", "b"), ("c", "\"d e\"")], []).expect("valid");
        assert!(text(&request).contains("\r\nCookie: a=b; c=\"d e\"\r\n"), "{}", text(&request));
        assert!(request.clone().cookies([("a", "b\r\nX: y")], []).is_err());
        assert!(!text(&Request::new(&url, *NONCE).cookies([], []).expect("none")).contains("Cookie"));
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
}
