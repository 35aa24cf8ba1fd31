//! The Luau VM and what runs in it, whatever the coroutines wait for: it knows no socket.

pub(crate) mod ending;
pub(crate) mod errors;
pub(crate) mod frames;
pub(crate) mod interrupt;
pub(crate) mod loader;
pub(crate) mod machine;
pub(crate) mod nil;
pub(crate) mod output;
pub(crate) mod raising;
pub(crate) mod scheduler;
pub(crate) mod suspension;
