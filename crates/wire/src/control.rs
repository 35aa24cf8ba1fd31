//! Payloads of control frames (RFC 6455 5.5): at most 125 bytes, kept without an allocation.

/// The payload of a ping or pong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ControlPayload {
    len: u8,
    bytes: [u8; Self::MAX],
}

impl ControlPayload {
    /// The most that a control frame carries.
    pub const MAX: usize = 125;

    /// `None` for more than 125 bytes.
    pub fn new(payload: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::MAX];
        bytes.get_mut(..payload.len())?.copy_from_slice(payload);
        Some(Self { len: u8::try_from(payload.len()).ok()?, bytes })
    }

    pub(crate) fn append(&mut self, more: &[u8]) {
        let len = usize::from(self.len);
        // The frame's header was checked: what belongs to one frame fits.
        self.bytes[len..len + more.len()].copy_from_slice(more);
        self.len += more.len() as u8;
    }
}

impl AsRef<[u8]> for ControlPayload {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl std::fmt::Debug for ControlPayload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ControlPayload").field(&self.as_ref()).finish()
    }
}
