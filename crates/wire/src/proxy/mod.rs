//! Proxies: their addresses, and how one is asked for a tunnel to a server. Bytes in, bytes out, as everything here.
//!
//! [`ProxyUrl`] says which proxy; [`Tunnel`] asks it, by HTTP CONNECT (`http`), SOCKS4 and 4a (`socks4`) or SOCKS5 (`socks5`).
//! Nothing that a proxy says is taken for the server's word: it opens the tunnel, or it does not.

mod http;
mod socks4;
mod socks5;
mod tunnel;
mod url;

pub use self::http::AskedAgain;
pub use self::tunnel::{Refusal, Target, Tunnel};
pub use self::url::{ProxyScheme, ProxyUrl};
