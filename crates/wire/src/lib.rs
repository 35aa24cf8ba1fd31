//! The client's side of RFC 6455 and RFC 7692 as pure state machines: bytes in, events out; bytes to write, out.
//!
//! No socket, clock, thread or randomness is known here: whoever drives it brings the bytes, the masking keys and the
//! nonce, so that every test can fix them.
//!
//! ```text
//! Url::parse -> Request::new(url, nonce).encode() -> send it
//! bytes      -> Response::parse(bytes)            -> request.verify(response) -> Accepted
//! then, for the life of the connection:
//! bytes      -> Client::receive(&mut bytes)       -> Event, Event, ... until None; then Client::transmit for the
//!                                                    answers that are owed to the server
//! a message  -> Client::send(.., out)             -> bytes to write
//! ```
//!
//! Read in this order: `url`, `reference`, `headers`, `credentials`, `cookie`, `handshake`, `extension`, `frame`, `mask`,
//! `message`, `deflate`, `control`, `close`, `utf8`, `client`.
#![forbid(unsafe_code)]

mod client;
mod close;
mod control;
mod cookie;
mod credentials;
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
mod reference;
mod url;
mod utf8;

pub use client::{Client, ReadTarget, State};
pub use close::valid_close_code_to_send;
pub use control::ControlPayload;
pub use cookie::{Cookie, Cookies};
pub use credentials::Credentials;
pub use deflate::{DeflateAgreed, DeflateOffer};
pub use error::{HandshakeError, InvalidHeader, InvalidRequest, InvalidUrl, Violation};
pub use event::{CloseFrame, Event, Message, MessageKind, Piece};
pub use handshake::{Accepted, Request, Response};
pub use headers::Headers;
pub use limits::Limits;
pub use url::{Scheme, Url};
