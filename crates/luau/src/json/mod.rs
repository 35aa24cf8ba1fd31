//! Values to JSON and back, as `HttpService` does it: straight from and to the VM's tables, without a tree in between.
//!
//! What Roblox documents for `JSONEncode` and `JSONDecode` decides. Where that says nothing, RFC 8259 does.

mod base64;
mod decode;
mod encode;
mod plain;
mod problem;

pub(crate) use decode::{Grammar, decode};
pub(crate) use encode::encode;
