//! Masking (RFC 6455 5.3): every byte that a client sends is XORed with a key of four bytes, which repeats.

/// What is copied before it is masked: it is still in the first cache then, so that memory is passed over once.
const BLOCK: usize = 8 << 10;

/// Appends `payload`, XORed with `key`.
pub(crate) fn append(payload: &[u8], key: [u8; 4], out: &mut Vec<u8>) {
    for block in payload.chunks(BLOCK) {
        let start = out.len();
        out.extend_from_slice(block);
        apply(&mut out[start..], key);
    }
}

/// XORs `bytes` with `key`, in steps that the compiler turns into vector instructions.
fn apply(bytes: &mut [u8], key: [u8; 4]) {
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
        fn every_byte_meets_its_byte_of_the_key(
            size in prop_oneof![0usize..300, BLOCK - 40..BLOCK + 40, 2 * BLOCK..3 * BLOCK],
            before in 0usize..9,
            key: [u8; 4],
        ) {
            let payload: Vec<u8> = (0..size).map(|at| (at * 7) as u8).collect();
            let mut out = vec![9; before];
            append(&payload, key, &mut out);
            let masked = out.split_off(before);
            prop_assert_eq!(out, vec![9; before]);
            let expected: Vec<u8> = payload.iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]).collect();
            prop_assert_eq!(masked, expected);
        }
    }
}
