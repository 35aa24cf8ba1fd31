//! Every bound on what a server may make us keep, with its reason.

/// The limits of one connection. The 125 bytes of a control frame are RFC 6455's own (5.5) and not among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message, over all of its fragments; one more fails the connection with 1009 as soon as a frame's
    /// header announces it. 64 MiB: far above what scripts exchange, far below what a machine has.
    pub max_message_size: usize,
    /// Bytes of one frame's payload, as it is on the wire. As many as a message may have: a fragment is no danger by itself.
    pub max_fragment_size: usize,
    /// Bytes of the opening handshake's response up to its empty line. 64 KiB: several times what browsers' servers send.
    pub max_head_size: usize,
    /// Header lines of that response. 128, the number that several HTTP servers and clients stop at.
    pub max_head_lines: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_size: 64 << 20,
            max_fragment_size: usize::MAX,
            max_head_size: 64 << 10,
            max_head_lines: 128,
        }
    }
}
