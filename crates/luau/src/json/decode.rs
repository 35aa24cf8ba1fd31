//! `JSONDecode`: a parser by recursive descent that makes the VM's values as it goes.

use mlua::{Lua, Value};

use super::base64;
use super::plain::plain_length;
use super::problem::{DEEPEST, Problem};

/// Whole numbers of so many digits are doubles exactly.
const EXACT: usize = 15;

/// What counts as JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grammar {
    /// RFC 8259, and `NaN` and `Infinity`, which `JSONEncode` writes.
    Plain,
    /// With comments and with commas behind the last element, as in `.luaurc`.
    Relaxed,
}

/// `JSONDecode`.
///
/// # Errors
/// What is wrong, at which line and column, and under which keys.
pub(crate) fn decode(lua: &Lua, text: &[u8], grammar: Grammar) -> Result<Value, String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let text = simdutf8::compat::from_utf8(text)
        .map_err(|error| format!("it is not valid UTF-8 (byte {})", error.valid_up_to() + 1))?;
    let mut parser = Parser { lua, text, at: 0, depth: 0, grammar };
    let parsed = parser.value().and_then(|value| {
        parser.skip_space()?;
        if parser.at < text.len() { Err(parser.unexpected("the end")) } else { Ok(value) }
    });
    parsed.map_err(|problem| {
        let (line, column) = position(text, parser.at);
        format!("{} (line {line}, column {column})", problem.text())
    })
}

/// Line and column, from 1 on, in characters.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..at];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let begin = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    (line, String::from_utf8_lossy(&before[begin..]).chars().count() + 1)
}

struct Parser<'a> {
    lua: &'a Lua,
    text: &'a str,
    /// The next byte.
    at: usize,
    depth: usize,
    grammar: Grammar,
}

type Parsed<T> = Result<T, Problem>;

/// The VM is out of memory.
fn out_of_memory(error: mlua::Error) -> Problem {
    Problem::new(crate::vm::errors::message(&error))
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Goes on if this is next.
    fn accept(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn unexpected(&self, expected: &str) -> Problem {
        Problem::new(match self.rest().chars().next() {
            Some(found) => format!("expected {expected}, found {found:?}"),
            None => format!("expected {expected}, and the text ends"),
        })
    }

    fn skip_space(&mut self) -> Parsed<()> {
        loop {
            while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
                self.at += 1;
            }
            if self.grammar == Grammar::Plain || self.peek() != Some(b'/') {
                return Ok(());
            }
            let rest = self.rest();
            let length = if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                rest.find("*/").ok_or_else(|| Problem::new("a comment does not end"))? + 2
            } else {
                return Ok(());
            };
            self.at += length;
        }
    }

    fn value(&mut self) -> Parsed<Value> {
        self.skip_space()?;
        match self.peek() {
            Some(b'"') => match self.string()? {
                Text::Plain(text) => self.lua.create_string(text),
                Text::Escaped(text) => self.lua.create_string(text),
            }
            .map(Value::String)
            .map_err(out_of_memory),
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Parsed<Value> {
        let words = [
            ("null", Value::Nil),
            ("true", Value::Boolean(true)),
            ("false", Value::Boolean(false)),
            ("NaN", Value::Number(f64::NAN)),
            ("Infinity", Value::Number(f64::INFINITY)),
        ];
        let rest = self.rest();
        for (word, value) in words {
            let follows = |rest: &str| rest.starts_with(|next: char| next.is_ascii_alphanumeric());
            if rest.strip_prefix(word).is_some_and(|rest| !follows(rest)) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.unexpected("a value"))
    }

    fn digits(&mut self) -> Parsed<()> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.unexpected("a digit"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Parsed<Value> {
        let begin = self.at;
        let is_negative = self.accept(b'-');
        if is_negative && self.rest().starts_with("Infinity") {
            self.at += "Infinity".len();
            return Ok(Value::Number(f64::NEG_INFINITY));
        }
        let digits = self.at;
        if self.accept(b'0') {
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(Problem::new("a number has no leading zeros"));
            }
        } else {
            self.digits()?;
        }
        if !matches!(self.peek(), Some(b'.' | b'e' | b'E')) && self.at - digits <= EXACT {
            let value = self.text.as_bytes()[digits..self.at].iter();
            let value = value.fold(0u64, |value, digit| value * 10 + u64::from(digit - b'0')) as f64;
            return Ok(Value::Number(if is_negative { -value } else { value }));
        }
        if self.accept(b'.') {
            self.digits()?;
        }
        if self.accept(b'e') || self.accept(b'E') {
            let _sign = self.accept(b'+') || self.accept(b'-');
            self.digits()?;
        }
        // What JSON calls a number Rust can read, to the nearest double.
        Ok(Value::Number(self.text[begin..self.at].parse().unwrap_or(f64::NAN)))
    }

    fn string(&mut self) -> Parsed<Text<'a>> {
        self.at += 1;
        let begin = self.at;
        self.skip_plain();
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Ok(Text::Plain(&self.text[begin..self.at - 1]));
        }
        let mut text = self.text[begin..self.at].to_owned();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Text::Escaped(text));
                }
                Some(b'\\') => {
                    self.at += 1;
                    text.push(self.escape()?);
                }
                Some(_) => return Err(Problem::new("a control character stands unescaped in a string")),
                None => return Err(Problem::new("a string does not end")),
            }
            let begin = self.at;
            self.skip_plain();
            text.push_str(&self.text[begin..self.at]);
        }
    }

    /// As far as a string's bytes stand for themselves.
    fn skip_plain(&mut self) {
        self.at += plain_length(&self.text.as_bytes()[self.at..]);
    }

    /// What stands behind a backslash.
    fn escape(&mut self) -> Parsed<char> {
        let Some(letter) = self.peek() else { return Err(self.unexpected("an escape")) };
        let plain = match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode();
            }
            _ => return Err(self.unexpected("one of \"\\/bfnrtu behind a backslash")),
        };
        self.at += 1;
        Ok(plain)
    }

    fn unicode(&mut self) -> Parsed<char> {
        let first = self.hexadecimal()?;
        let code = match first {
            0xd800..0xdc00 if self.rest().starts_with("\\u") => {
                self.at += 2;
                match self.hexadecimal()? {
                    second @ 0xdc00..0xe000 => 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                    _ => first,
                }
            }
            other => other,
        };
        char::from_u32(code).ok_or_else(|| Problem::new(format!("\\u{first:04x} is half a character")))
    }

    fn hexadecimal(&mut self) -> Parsed<u32> {
        let digits =
            self.rest().get(..4).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let code = code.ok_or_else(|| Problem::new("\\u is followed by four hexadecimal digits"))?;
        self.at += 4;
        Ok(code)
    }

    fn nested(&mut self, parse: fn(&mut Self) -> Parsed<Value>) -> Parsed<Value> {
        if self.depth == DEEPEST {
            return Err(Problem::new(format!("it is nested more than {DEEPEST} deep")));
        }
        self.depth += 1;
        self.at += 1;
        let value = parse(self)?;
        self.depth -= 1;
        Ok(value)
    }

    /// Whether another element or member follows the one that has just been parsed.
    fn continues(&mut self, end: u8) -> Parsed<bool> {
        self.skip_space()?;
        if self.accept(b',') {
            self.skip_space()?;
            return Ok(self.grammar == Grammar::Plain || !self.accept(end));
        }
        if self.accept(end) {
            Ok(false)
        } else {
            Err(self.unexpected(&format!("a comma or {:?}", char::from(end))))
        }
    }

    fn array(&mut self) -> Parsed<Value> {
        let mut elements = Vec::new();
        self.skip_space()?;
        if !self.accept(b']') {
            loop {
                let element = self.value().map_err(|problem| problem.at(elements.len() + 1))?;
                elements.push(element);
                if !self.continues(b']')? {
                    break;
                }
            }
        }
        // `null` is nil, and the others keep their places.
        self.lua.create_sequence_from(elements).map(Value::Table).map_err(out_of_memory)
    }

    fn object(&mut self) -> Parsed<Value> {
        let table = self.lua.create_table().map_err(out_of_memory)?;
        let mut kind = Buffer::default();
        self.skip_space()?;
        if !self.accept(b'}') {
            loop {
                if self.peek() != Some(b'"') {
                    return Err(self.unexpected("a key in double quotes"));
                }
                let key = self.string()?;
                self.skip_space()?;
                if !self.accept(b':') {
                    return Err(self.unexpected("a colon").under(key.as_str()));
                }
                let value = self.value().map_err(|problem| problem.under(key.as_str()))?;
                kind.notice(key.as_str(), &value);
                table.raw_set(key.as_str(), value).map_err(out_of_memory)?;
                if !self.continues(b'}')? {
                    break;
                }
            }
        }
        match kind.bytes() {
            Some(bytes) => self.lua.create_buffer(bytes).map(Value::Buffer).map_err(out_of_memory),
            None => Ok(Value::Table(table)),
        }
    }
}

/// A string of the text, as it stands there where that is possible.
enum Text<'a> {
    Plain(&'a str),
    Escaped(String),
}

impl Text<'_> {
    fn as_str(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Escaped(text) => text,
        }
    }
}

/// Whether an object is what a buffer has become in `JSONEncode`.
#[derive(Default)]
struct Buffer {
    is_marked: bool,
    base64: Option<mlua::LuaString>,
}

impl Buffer {
    fn notice(&mut self, key: &str, value: &Value) {
        match (key, value) {
            ("t", Value::String(text)) => self.is_marked = text.as_bytes() == b"buffer",
            ("base64", Value::String(text)) => self.base64 = Some(text.clone()),
            _ => {}
        }
    }

    fn bytes(self) -> Option<Vec<u8>> {
        self.base64.filter(|_| self.is_marked).and_then(|text| base64::decode(&text.as_bytes()))
    }
}
