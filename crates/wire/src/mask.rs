//! Masking (RFC 6455 5.3): every byte that a client sends is XORed with a key of four bytes, which repeats.

/// XORs `bytes` with `key`, in steps that the compiler turns into vector instructions.
pub(crate) fn apply(bytes: &mut [u8], key: [u8; 4]) {
    let mut wide = [0u8; 32];
    for (at, byte) in wide.iter_mut().enumerate() {
        *byte = key[at % 4];
    }
    let mut chunks = bytes.chunks_exact_mut(32);
    for chunk in &mut chunks {
        for (byte, key) in chunk.iter_mut().zip(wide) {
            *byte ^= key;
        }
    }
    for (byte, key) in chunks.into_remainder().iter_mut().zip(wide) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_byte_meets_its_byte_of_the_key(bytes in prop::collection::vec(any::<u8>(), 0..300), key: [u8; 4]) {
            let expected: Vec<u8> = bytes.iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]).collect();
            let mut masked = bytes;
            apply(&mut masked, key);
            prop_assert_eq!(masked, expected);
        }
    }
}
