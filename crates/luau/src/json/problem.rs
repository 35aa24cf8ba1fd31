//! What is wrong with a value or a text, and where: the keys that lead there.

/// Tables nested deeper than this are refused: each level takes some of the thread's stack, and no service sends as many.
pub(super) const DEEPEST: usize = 1000;

/// Keys that are shown of a path at its beginning and at its end.
const FIRST: usize = 6;
const LAST: usize = 2;
/// Characters that are shown of a key.
const LONGEST_KEY: usize = 40;

/// It goes up through the levels, each of which adds its key, so that nothing is noted down while nothing is wrong.
pub(super) struct Problem {
    what: String,
    /// From the innermost on.
    keys: Vec<String>,
}

impl Problem {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), keys: Vec::new() }
    }

    /// It is in the value of this key.
    pub(super) fn under(mut self, key: &str) -> Self {
        let is_name = !key.is_empty()
            && !key.starts_with(|first: char| first.is_ascii_digit())
            && key.chars().all(|each| each.is_ascii_alphanumeric() || each == '_');
        let mut shown: String = key.chars().take(LONGEST_KEY).collect();
        if shown.len() < key.len() {
            shown.push('…');
        }
        self.keys.push(if is_name { format!(".{shown}") } else { format!("[{shown:?}]") });
        self
    }

    /// It is in this element of an array.
    pub(super) fn at(mut self, index: usize) -> Self {
        self.keys.push(format!("[{index}]"));
        self
    }

    pub(super) fn text(&self) -> String {
        if self.keys.is_empty() {
            return self.what.clone();
        }
        let keys: Vec<&str> = self.keys.iter().rev().map(String::as_str).collect();
        let path = if keys.len() > FIRST + LAST + 1 {
            let (first, last) = (keys[..FIRST].concat(), keys[keys.len() - LAST..].concat());
            format!("{first} … {last} ({} keys)", keys.len())
        } else {
            keys.concat()
        };
        format!("at {}: {}", path.trim_start_matches('.'), self.what)
    }
}
