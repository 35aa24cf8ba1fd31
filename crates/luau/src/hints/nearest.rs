//! The name that was meant.

/// The name that differs least from `wrong`, if one differs by little: by other capitals, or by a letter that is missing,
/// too many, another one, or changed places with its neighbour; by two of these in a longer name.
pub(crate) fn nearest<N: AsRef<str>>(wrong: &str, names: impl IntoIterator<Item = N>) -> Option<String> {
    let wrong = wrong.to_lowercase();
    let most = match wrong.len() {
        0..=3 => 1,
        _ => 2,
    };
    let near = names.into_iter().filter_map(|name| {
        let name = name.as_ref();
        if name.len().abs_diff(wrong.len()) > most {
            return None;
        }
        let distance = distance(&wrong, &name.to_lowercase());
        // Half of a name is no slip of a finger.
        (distance <= most && distance * 3 <= name.len()).then(|| (distance, name.to_owned()))
    });
    near.min().map(|(_, name)| name)
}

/// How many such differences there are between two names.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    // Rows of the table of distances between the beginnings of both: the one before the last, the last, the current one.
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (row, letter) in one.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, another) in other.iter().enumerate() {
            let mut least = (last[column] + usize::from(letter != another))
                .min(last[column + 1] + 1)
                .min(current[column] + 1);
            if row > 0 && column > 0 && *letter == other[column - 1] && one[row - 1] == *another {
                least = least.min(before[column - 1] + 1);
            }
            current.push(least);
        }
        (before, last) = (last, current);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn differences_are_counted() {
        for (one, other, count) in [
            ("", "", 0),
            ("", "ab", 2),
            ("send", "sned", 1),
            ("send", "sen", 1),
            ("abcd", "badc", 2),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(one, other), count, "{one} {other}");
            assert_eq!(distance(other, one), count, "{other} {one}");
        }
    }

    #[test]
    fn a_slip_of_a_finger_is_near_and_another_word_is_not() {
        let members = ["OnMessage", "OnClose", "Send", "Close"];
        for (wrong, meant) in [
            ("OnMesage", "OnMessage"),
            ("onmessage", "OnMessage"),
            ("OnMessages", "OnMessage"),
            ("Sned", "Send"),
            ("send", "Send"),
            ("close", "Close"),
            ("OnClosed", "OnClose"),
        ] {
            assert_eq!(nearest(wrong, members).as_deref(), Some(meant), "{wrong}");
        }
        for wrong in ["Data", "On", "x", "", "Mess", "Open", "Seconds"] {
            assert_eq!(nearest(wrong, members), None, "{wrong}");
        }
    }
}
