//! What of a string needs no escape.

/// How many bytes from the first on stand for themselves in a string: no quotation mark, backslash or control character.
/// Eight at a time: most strings have none of them.
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    // The high bit of each byte that is 0, or that is below 32; above the first such byte the bits mean nothing.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGH;
    let controls = |word: u64| word.wrapping_sub(ONES * 32) & !word & HIGH;
    let mut length = 0;
    for chunk in bytes.chunks_exact(8) {
        let word = chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        let special =
            controls(word) | zeros(word ^ (ONES * b'"' as u64)) | zeros(word ^ (ONES * b'\\' as u64));
        if special != 0 {
            return length + special.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    let is_special = |byte: &u8| *byte < b' ' || *byte == b'"' || *byte == b'\\';
    let rest = &bytes[length..];
    length + rest.iter().position(is_special).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::plain_length;

    #[test]
    fn the_first_special_byte_is_found_wherever_it_stands() {
        for special in (0..32).chain([b'"', b'\\']) {
            for at in 0..40 {
                // Bytes of UTF-8 and those that differ by a bit from a special one.
                let mut bytes: Vec<u8> =
                    (0..40).map(|at| [b' ', b'!', b'#', b']', 0x7f, 0xa2, 0xff][at % 7]).collect();
                assert_eq!(plain_length(&bytes), 40);
                bytes[at] = special;
                bytes[39] = special;
                assert_eq!(plain_length(&bytes), at.min(39), "{special} at {at}");
                assert_eq!(plain_length(&bytes[..at]), at);
            }
        }
    }
}
