//! permessage-deflate (RFC 7692): messages compressed with raw DEFLATE, negotiated in the opening handshake.
//!
//! `parameters` agrees on it, `deflater` and `inflater` are one direction each. Their contexts are made at the first
//! compressed message of a direction, and given back when the connection idles, as far as the agreement allows: ours
//! always (a fresh context refers to nothing before it), the server's when it begins each message anew.

mod deflater;
mod inflater;
mod parameters;

pub use self::deflater::{Compressed, Deflater};
pub(crate) use self::inflater::{Failure, Inflater, most_compressed};
pub use self::parameters::{DeflateAgreed, DeflateOffer};

/// The end of every flushed block, which is not sent (7.2.1) and put back by the receiver (7.2.2).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// Messages below this size go uncompressed unless the program asks for it: the gain is a few bytes, the cost is that of
/// a hundred plain messages.
const WORTH_IT: usize = 1024;
