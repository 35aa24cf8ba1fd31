//! UTF-8 validation as bytes arrive (RFC 6455 8.1): a message fails at the first byte that no continuation can mend.

/// Where validation stands between two pieces: the bytes of a character that is not complete yet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Validator {
    pending: [u8; 4],
    len: usize,
}

/// The bytes cannot be the beginning of any UTF-8 text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotUtf8;

impl Validator {
    /// Takes the next piece.
    pub(crate) fn push(&mut self, mut piece: &[u8]) -> Result<(), NotUtf8> {
        while self.len > 0 {
            let Some((first, rest)) = piece.split_first() else {
                return Ok(());
            };
            self.pending[self.len] = *first;
            self.len += 1;
            piece = rest;
            match std::str::from_utf8(&self.pending[..self.len]) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_some() => return Err(NotUtf8),
                Err(_) => {}
            }
        }
        match simdutf8::compat::from_utf8(piece) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(NotUtf8),
            Err(error) => {
                let rest = &piece[error.valid_up_to()..];
                self.pending[..rest.len()].copy_from_slice(rest);
                self.len = rest.len();
                Ok(())
            }
        }
    }

    /// Bytes at the end of what came that are no whole character yet.
    pub(crate) fn pending(&self) -> usize {
        self.len
    }

    /// No more pieces come.
    pub(crate) fn finish(self) -> Result<(), NotUtf8> {
        if self.len == 0 { Ok(()) } else { Err(NotUtf8) }
    }
}

/// Whether a whole text is valid.
pub(crate) fn is_valid(text: &[u8]) -> bool {
    simdutf8::basic::from_utf8(text).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_pieces(bytes: &[u8], size: usize) -> Result<(), NotUtf8> {
        let mut validator = Validator::default();
        for piece in bytes.chunks(size) {
            validator.push(piece)?;
        }
        validator.finish()
    }

    #[test]
    fn a_character_may_be_cut_anywhere() {
        let text = "a\u{7ff}\u{20ac}\u{10ffff}z".as_bytes();
        for size in 1..=text.len() {
            assert_eq!(in_pieces(text, size), Ok(()));
        }
    }

    #[test]
    fn it_fails_at_the_first_impossible_byte() {
        // A surrogate is impossible from its second byte on, U+110000 from its second.
        for bad in [&b"\xed\xa0"[..], b"\xf4\x90", b"\xc0", b"\xff", b"a\x80"] {
            let mut validator = Validator::default();
            let failed = bad.iter().any(|byte| validator.push(&[*byte]).is_err());
            assert!(failed, "{bad:x?}");
        }
    }

    #[test]
    fn a_text_may_not_end_inside_a_character() {
        assert_eq!(in_pieces(b"\xe2\x82", 1), Err(NotUtf8));
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_standard_library(bytes in prop::collection::vec(any::<u8>(), 0..64), size in 1usize..9) {
            prop_assert_eq!(in_pieces(&bytes, size).is_ok(), std::str::from_utf8(&bytes).is_ok());
            prop_assert_eq!(is_valid(&bytes), std::str::from_utf8(&bytes).is_ok());
        }
    }
}
