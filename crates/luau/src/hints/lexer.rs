//! The words of a Luau text, as far as names and what is done with them go: no syntax is checked, it was compiled.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Name,
    /// A string, or the first part of one with expressions in it.
    Text,
    Number,
    /// Anything else. Dots and colons stand together: `..` and `::` are words of their own.
    Symbol,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    /// From 1 on.
    pub(super) line: usize,
}

pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { text, at: 0, line: 1, braces: Vec::new() };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next() {
        tokens.push(token);
    }
    tokens
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    /// For each string with expressions that the current place is in: the braces that are open in its expression.
    braces: Vec<usize>,
}

impl<'a> Lexer<'a> {
    fn peek(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    fn step(&mut self) {
        self.line += usize::from(self.peek(0) == b'\n');
        self.at += 1;
    }

    fn step_while(&mut self, holds: impl Fn(u8) -> bool) {
        while self.at < self.text.len() && holds(self.peek(0)) {
            self.step();
        }
    }

    /// Whether `[[` or `[==[` begins here: how many `=` it has.
    fn long_bracket(&self) -> Option<usize> {
        let level = (1..).take_while(|ahead| self.peek(*ahead) == b'=').count();
        (self.peek(0) == b'[' && self.peek(level + 1) == b'[').then_some(level)
    }

    fn skip_long(&mut self, level: usize) {
        let end = format!("]{}]", "=".repeat(level));
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let length = rest.windows(end.len()).position(|window| window == end.as_bytes());
        let until = length.map_or(self.text.len(), |length| self.at + length + end.len());
        while self.at < until {
            self.step();
        }
    }

    fn skip_space(&mut self) {
        loop {
            self.step_while(|byte| byte.is_ascii_whitespace());
            if self.peek(0) != b'-' || self.peek(1) != b'-' {
                return;
            }
            self.at += 2;
            match self.long_bracket() {
                Some(level) => self.skip_long(level),
                None => self.step_while(|byte| byte != b'\n'),
            }
        }
    }

    /// Past the end of a string, or in one with expressions past the brace that begins the next of them.
    fn skip_string(&mut self, quote: u8) {
        while self.at < self.text.len() {
            let byte = self.peek(0);
            self.step();
            match byte {
                b'\\' => self.step(),
                b'{' if quote == b'`' => return self.braces.push(0),
                b'\n' if quote != b'`' => return,
                _ if byte == quote => return,
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_space();
        let (begin, line) = (self.at, self.line);
        let first = self.peek(0);
        let kind = match first {
            _ if begin >= self.text.len() => return None,
            b'"' | b'\'' | b'`' => {
                self.step();
                self.skip_string(first);
                Kind::Text
            }
            b'[' if self.long_bracket().is_some() => {
                self.skip_long(self.long_bracket().unwrap_or(0));
                Kind::Text
            }
            b'0'..=b'9' => {
                self.step_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.');
                Kind::Number
            }
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                self.step_while(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                Kind::Name
            }
            b'.' | b':' => {
                self.step_while(|byte| byte == first);
                Kind::Symbol
            }
            b'}' if self.braces.last() == Some(&0) => {
                // Back in the string.
                self.braces.pop();
                self.step();
                self.skip_string(b'`');
                Kind::Symbol
            }
            _ => {
                if let Some(open) = self.braces.last_mut() {
                    match first {
                        b'{' => *open += 1,
                        b'}' => *open -= 1,
                        _ => {}
                    }
                }
                self.step();
                // A character beyond ASCII stands in strings and comments alone.
                self.step_while(|byte| byte & 0xc0 == 0x80);
                Kind::Symbol
            }
        };
        Some(Token { kind, text: self.text.get(begin..self.at).unwrap_or_default(), line })
    }
}

#[cfg(test)]
mod tests {
    use super::tokens;

    fn words(text: &str) -> Vec<(&str, usize)> {
        tokens(text).into_iter().map(|token| (token.text, token.line)).collect()
    }

    #[test]
    fn comments_and_strings_are_passed_over_and_lines_are_counted() {
        let text = "a -- b()\n--[[ c()\n]] d --[==[ ]] e\n]==] \"f()\\\"\" 'g\\\n' [[\nh]] i [=[\n]=] j";
        let expected = [
            ("a", 1),
            ("d", 3),
            ("\"f()\\\"\"", 4),
            ("'g\\\n'", 4),
            ("[[\nh]]", 5),
            ("i", 6),
            ("[=[\n]=]", 6),
            ("j", 7),
        ];
        assert_eq!(words(text), expected);
    }

    #[test]
    fn expressions_in_strings_are_words() {
        let text = "`a {b({c = `{d}`})} \\{e {f}` g";
        let expected =
            ["`a {", "b", "(", "{", "c", "=", "`{", "d", "}`", "}", ")", "} \\{e {", "f", "}`", "g"];
        assert_eq!(words(text).into_iter().map(|(word, _)| word).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn dots_and_colons_stand_together() {
        let text = "a..b.c:d(e::f) 1.5e3 ...";
        let expected = ["a", "..", "b", ".", "c", ":", "d", "(", "e", "::", "f", ")", "1.5e3", "..."];
        assert_eq!(words(text).into_iter().map(|(word, _)| word).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_text_may_end_anywhere() {
        let text = "f(`a {b[=[ c \"d\\\" -- e\u{e9} --[[ g";
        for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
            let _ = tokens(&text[..end]);
        }
    }
}
