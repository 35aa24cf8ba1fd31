//! Who asks (RFC 9110 11): credentials, what a server or a proxy challenges with, and the two schemes that answer.

mod challenge;
mod credentials;
mod digest;

pub use self::challenge::Challenge;
pub use self::credentials::Credentials;
pub use self::digest::Digest;
