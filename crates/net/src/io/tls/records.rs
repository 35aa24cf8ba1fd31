//! Records of TLS after the handshake (RFC 8446 5, RFC 5246 6): one direction each, with its own key and its own count.
//!
//! The library makes the handshake, derives the keys and has the ciphers. What it does not offer is to decrypt where the
//! bytes lie, and two directions that do not wait for each other; its interface for kernel TLS hands both over
//! ([`rustls::kernel`]). What it leaves to us then is here: headers, counts, the limit on how much one key may encrypt.

use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter,
    OutboundChunks, OutboundPlainMessage,
};
use rustls::{
    ConnectionTrafficSecrets, ContentType, Error, InvalidMessage, ProtocolVersion, SupportedCipherSuite,
};

/// Bytes before the encrypted ones: type, version, length.
pub(super) const HEADER: usize = 5;
/// The most that a record carries.
pub(super) const MAX_PLAIN: usize = 1 << 14;
/// The most that it takes, with what encryption may add in TLS 1.2.
const MAX_ENCRYPTED: usize = MAX_PLAIN + 2048;
/// The longest record, with its header.
pub(super) const LONGEST: usize = HEADER + MAX_ENCRYPTED;
/// Records before the limit of a key at which it is replaced.
const MARGIN: u64 = 1 << 10;

/// The length of the record that begins `bytes`, header included; `None` while the header is not complete.
///
/// # Errors
/// No record is that long.
pub(in crate::io) fn length(bytes: &[u8]) -> Result<Option<usize>, Error> {
    let Some(&[.., high, low]) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length > MAX_ENCRYPTED {
        return Err(InvalidMessage::MessageTooLarge.into());
    }
    Ok(Some(HEADER + length))
}

fn key_and_iv(secrets: ConnectionTrafficSecrets) -> Result<(AeadKey, Iv), Error> {
    match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => Ok((key, iv)),
        _ => Err(Error::General("a cipher that is not known here".to_owned())),
    }
}

/// Decrypts what comes.
pub(in crate::io) struct Opener {
    suite: SupportedCipherSuite,
    cipher: Box<dyn MessageDecrypter>,
    /// The number of the next record under this key.
    number: u64,
}

impl Opener {
    pub(in crate::io) fn new(
        suite: SupportedCipherSuite,
        (number, secrets): (u64, ConnectionTrafficSecrets),
    ) -> Result<Self, Error> {
        let (key, iv) = key_and_iv(secrets)?;
        let cipher = match suite {
            SupportedCipherSuite::Tls13(suite) => suite.aead_alg.decrypter(key, iv),
            SupportedCipherSuite::Tls12(suite) => {
                let fixed = suite.aead_alg.key_block_shape().fixed_iv_len;
                suite.aead_alg.decrypter(key, &iv.as_ref()[..fixed])
            }
        };
        Ok(Self { suite, cipher, number })
    }

    pub(super) fn is_tls13(&self) -> bool {
        self.suite.tls13().is_some()
    }

    /// The peer's next key.
    pub(super) fn change_key(&mut self, secrets: (u64, ConnectionTrafficSecrets)) -> Result<(), Error> {
        *self = Self::new(self.suite, secrets)?;
        Ok(())
    }

    /// Decrypts a whole record where it lies.
    pub(in crate::io) fn open<'a>(&mut self, record: &'a mut [u8]) -> Result<InboundPlainMessage<'a>, Error> {
        let (header, body) = record.split_at_mut(HEADER);
        let kind = ContentType::from(header[0]);
        let version = u16::from_be_bytes([header[1], header[2]]);
        if version != u16::from(ProtocolVersion::TLSv1_2) {
            return Err(InvalidMessage::UnknownProtocolVersion.into());
        }
        // In TLS 1.3 the real type is inside, and nothing is sent unencrypted any more.
        if self.is_tls13() && kind != ContentType::ApplicationData {
            return Err(unexpected(kind));
        }
        let message = InboundOpaqueMessage::new(kind, ProtocolVersion::TLSv1_2, body);
        let plain = self.cipher.decrypt(message, self.number)?;
        // A peer that sends so many records under one key does not exist, and would find the connection broken.
        self.number = self.number.checked_add(1).ok_or(Error::DecryptError)?;
        Ok(plain)
    }
}

/// What may not come here or now.
pub(super) fn unexpected(kind: ContentType) -> Error {
    Error::InappropriateMessage { expect_types: vec![ContentType::ApplicationData], got_type: kind }
}

/// Encrypts what goes.
pub(in crate::io) struct Sealer {
    suite: SupportedCipherSuite,
    cipher: Box<dyn MessageEncrypter>,
    /// The number of the next record under this key.
    number: u64,
    /// Records that one key may encrypt.
    limit: u64,
}

impl Sealer {
    pub(in crate::io) fn new(
        suite: SupportedCipherSuite,
        (number, secrets): (u64, ConnectionTrafficSecrets),
    ) -> Result<Self, Error> {
        let (key, iv) = key_and_iv(secrets)?;
        let (cipher, common) = match suite {
            SupportedCipherSuite::Tls13(suite) => (suite.aead_alg.encrypter(key, iv), &suite.common),
            SupportedCipherSuite::Tls12(suite) => {
                let (fixed, explicit) = iv.as_ref().split_at(suite.aead_alg.key_block_shape().fixed_iv_len);
                (suite.aead_alg.encrypter(key, fixed, explicit), &suite.common)
            }
        };
        Ok(Self { suite, cipher, number, limit: common.confidentiality_limit })
    }

    /// Whether the key has encrypted nearly as much as it may, and there is another one to be had.
    pub(super) fn wants_new_key(&self) -> bool {
        self.suite.tls13().is_some() && self.number >= self.limit.saturating_sub(MARGIN)
    }

    pub(super) fn change_key(&mut self, secrets: (u64, ConnectionTrafficSecrets)) -> Result<(), Error> {
        *self = Self::new(self.suite, secrets)?;
        Ok(())
    }

    /// One record with its header, of at the most [`MAX_PLAIN`] bytes.
    ///
    /// # Errors
    /// The key has encrypted as much as it may.
    pub(in crate::io) fn seal(
        &mut self,
        kind: ContentType,
        payload: OutboundChunks<'_>,
    ) -> Result<Vec<u8>, Error> {
        if self.number >= self.limit {
            return Err(Error::EncryptError);
        }
        let message = OutboundPlainMessage { typ: kind, version: ProtocolVersion::TLSv1_2, payload };
        let record = self.cipher.encrypt(message, self.number)?.encode();
        self.number += 1;
        Ok(record)
    }

    /// As if the key could encrypt so many records more.
    #[cfg(test)]
    pub(super) fn limit_to(&mut self, more: u64) {
        self.limit = self.number + more;
    }
}
