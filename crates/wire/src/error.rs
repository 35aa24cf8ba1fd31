//! What can be wrong, with a full sentence for each: addresses and headers given by the program, answers and frames
//! sent by the server.

use std::fmt;

macro_rules! text_error {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(pub(crate) String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::error::Error for $name {}
    };
}

text_error! {
    /// The text is not a WebSocket address (RFC 6455 section 3).
    InvalidUrl
}
text_error! {
    /// A header's name or value cannot be sent.
    InvalidHeader
}
text_error! {
    /// The opening handshake cannot be asked for like this.
    InvalidRequest
}

/// The server's answer to the opening handshake is not the one that RFC 6455 section 4.1 asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandshakeError {
    /// Not an HTTP/1.1 response at all.
    NotHttp(String),
    /// The head is larger or has more lines than we read.
    TooLarge(String),
    /// A status other than 101.
    Status(u16, String),
    /// A header is missing or has another value than it must have.
    Header(String),
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHttp(text) | Self::TooLarge(text) | Self::Header(text) => f.write_str(text),
            Self::Status(status, reason) => {
                write!(f, "the server answered {status}")?;
                if !reason.is_empty() {
                    write!(f, " {reason}")?;
                }
                f.write_str(" instead of 101 Switching Protocols")
            }
        }
    }
}

impl std::error::Error for HandshakeError {}

/// The server broke the protocol, and the code with which the connection is failed (RFC 6455 7.1.7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// 1002 for a protocol error, 1007 for text that is not UTF-8, 1009 for a message that is too big.
    pub code: u16,
    text: String,
}

impl Violation {
    pub(crate) fn protocol(text: impl Into<String>) -> Self {
        Self { code: 1002, text: text.into() }
    }

    pub(crate) fn not_utf8(what: &str) -> Self {
        Self { code: 1007, text: format!("the server sent {what} that is not valid UTF-8 (RFC 6455 8.1)") }
    }

    pub(crate) fn not_deflate() -> Self {
        Self {
            code: 1007,
            text: "the server sent a compressed message that is not valid DEFLATE (RFC 7692 7.2.2)"
                .to_owned(),
        }
    }

    pub(crate) fn fragment_too_big(size: u64, limit: usize) -> Self {
        Self {
            code: 1009,
            text: format!(
                "the server sent a fragment of {size} bytes, and max_fragment_size is {limit}; raise it if such \
                 fragments are expected"
            ),
        }
    }

    pub(crate) fn too_big(size: u64, limit: usize) -> Self {
        Self {
            code: 1009,
            text: format!(
                "the server sent a message of at least {size} bytes, and max_message_size is {limit}; \
                 raise it if such messages are expected"
            ),
        }
    }

    /// Whether it is the size of a message that was wrong, and nothing else.
    pub fn is_too_big(&self) -> bool {
        self.code == 1009
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Violation {}
