//! The client's side of RFC 6455 and RFC 7692 as pure state machines: bytes in, events out; bytes to write, out.
//!
//! No socket, clock, thread or randomness is known here: whoever drives it brings the bytes, the masking keys and the
//! nonce, so that every test can fix them.
//!
//! ```text
//! Url::parse -> Request::new(url, nonce).encode() -> send it
//! bytes      -> Response::parse(bytes)            -> request.verify(response) -> Accepted
//! then, for the life of the connection:
//! bytes      -> Receiver::receive(&mut bytes)     -> Event, Event, ... until None
//! a message  -> Deflater::message(..)             -> its compressed form, where that was agreed and is worth it
//!            -> Sender::send(.., out)             -> bytes to write
//! a ping or Close of the server's -> Sender::owe_pong, Sender::owe_close, then Sender::transmit -> bytes to write
//! ```
//!
//! The three know nothing of each other, so that each can have a lock of its own; `Client` joins them for a single thread.
//!
//! Read in this order: `shown`, `percent`, `url`, `reference`, `headers`, `auth`, `cookie`, `response`, `handshake`, `extension`, `frame`, `mask`,
//! `message`, `deflate`, `control`, `close`, `utf8`, `receiver`, `sender`, `client`, `proxy`.
#![forbid(unsafe_code)]

mod auth;
mod client;
mod close;
mod control;
mod cookie;
mod deflate;
mod error;
mod event;
mod extension;
mod frame;
mod handshake;
mod headers;
mod limits;
mod mask;
mod message;
mod percent;
mod proxy;
mod receiver;
mod reference;
mod response;
mod sender;
mod shown;
mod url;
mod utf8;

pub use auth::{Challenge, Credentials, Digest};
pub use client::Client;
pub use close::valid_close_code_to_send;
pub use control::ControlPayload;
pub use cookie::{Cookie, Cookies, is_cookie};
pub use deflate::{Compressed, DeflateAgreed, DeflateOffer, Deflater};
pub use error::{HandshakeError, InvalidHeader, InvalidRequest, InvalidUrl, Violation};
pub use event::{CloseFrame, Event, Message, MessageKind, Piece};
pub use handshake::{Accepted, Request};
pub use headers::Headers;
pub use limits::Limits;
pub use proxy::{AskedAgain, ProxyScheme, ProxyUrl, Refusal, Target, Tunnel};
pub use receiver::{ReadTarget, Receiver};
pub use response::{Response, ResponseReader};
pub use sender::{Sender, State};
pub use shown::shorten;
pub use url::{Scheme, Url};
