//! TLS over another transport: [`Handshake`], then two halves that hardly know each other.
//!
//! Each half has its own key and its own count of records (`records`), so that neither waits while the other encrypts
//! or decrypts. What they share is behind a lock that is held for a moment: the secrets from which the next keys come, and
//! what the reader owes to the server, which only the writer sends (an alert, the answer to a change of keys).
//!
//! - A record is decrypted where it was read, and copied once, to where the caller wants it.
//! - A connection at rest holds no buffer (`buffers`); one that waits for the rest of a record holds that record's bytes.
//! - A peer can make us work only as far as `messages::Patience` goes: empty records, requests for new keys, warnings.

mod buffers;
mod handshake;
mod incoming;
mod messages;
mod outgoing;
pub(in crate::io) mod records;
mod shared;

pub(crate) use self::handshake::Handshake;
pub(super) use self::incoming::Reader;
pub(super) use self::outgoing::Writer;
