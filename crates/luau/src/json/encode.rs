//! `JSONEncode`.
//!
//! A table with a number as a key is an array, and its strings as keys are left out; so is an empty table. Where an array has
//! holes, it has `null`s. Any other table is an object, with its keys in order, so that the same value gives the same text.

use std::ffi::c_void;
use std::fmt::Write as _;

use mlua::{LuaString, Table, Value};

use super::base64;
use super::plain::plain_length;
use super::problem::{DEEPEST, Problem};
use crate::vm::errors::type_name;

/// An array may have this many elements, or so many times as many as it has values: further apart the keys are no indexes,
/// and a few bytes would become millions of `null`s.
const PLENTY: usize = 1024;
const SPARSEST: usize = 16;

/// `JSONEncode`.
///
/// # Errors
/// What has no JSON form, and which keys lead there.
pub(crate) fn encode(value: &Value) -> Result<String, String> {
    let mut encoder = Encoder { out: String::new(), tables: Vec::new() };
    match encoder.value(value) {
        Ok(()) => Ok(encoder.out),
        Err(problem) => Err(format!("JSONEncode: {}", problem.text())),
    }
}

struct Encoder {
    out: String,
    /// The tables that the current one is in.
    tables: Vec<*const c_void>,
}

type Done = Result<(), Problem>;

impl Encoder {
    fn value(&mut self, value: &Value) -> Done {
        match value {
            Value::Nil => self.out.push_str("null"),
            Value::Boolean(truth) => self.out.push_str(if *truth { "true" } else { "false" }),
            Value::Integer(number) => self.display(number),
            Value::Number(number) => self.number(*number),
            Value::String(text) => {
                self.string(text, "a string that is not valid UTF-8 has no JSON form; a buffer has")?
            }
            Value::Table(table) => return self.table(table),
            Value::Buffer(buffer) => {
                // As Roblox writes it, uncompressed.
                self.out.push_str(r#"{"m":null,"t":"buffer","base64":""#);
                base64::encode(&buffer.to_vec(), &mut self.out);
                self.out.push_str("\"}");
            }
            other => return Err(Problem::new(format!("a {} has no JSON form", type_name(other)))),
        }
        Ok(())
    }

    fn display(&mut self, what: impl std::fmt::Display) {
        // A String takes everything.
        let _ = write!(self.out, "{what}");
    }

    /// With as many digits as it takes to read the same number again.
    fn number(&mut self, number: f64) {
        match number.abs() {
            size if size.is_nan() => self.out.push_str("NaN"),
            f64::INFINITY => self.out.push_str(if number > 0.0 { "Infinity" } else { "-Infinity" }),
            0.0 | 1e-5..1e17 => self.display(number),
            _ => {
                let text = format!("{number:e}");
                let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                let sign = if exponent.starts_with('-') { "" } else { "+" };
                self.display(format_args!("{digits}e{sign}{exponent}"));
            }
        }
    }

    fn string(&mut self, text: &LuaString, otherwise: &str) -> Done {
        let bytes = text.as_bytes();
        let text = simdutf8::basic::from_utf8(&bytes).map_err(|_| Problem::new(otherwise))?;
        self.out.reserve(text.len() + 2);
        self.out.push('"');
        let mut rest = text;
        loop {
            let plain = plain_length(rest.as_bytes());
            self.out.push_str(&rest[..plain]);
            let Some(special) = rest.as_bytes().get(plain) else { break };
            match special {
                b'"' => self.out.push_str("\\\""),
                b'\\' => self.out.push_str("\\\\"),
                b'\n' => self.out.push_str("\\n"),
                b'\r' => self.out.push_str("\\r"),
                b'\t' => self.out.push_str("\\t"),
                0x08 => self.out.push_str("\\b"),
                0x0c => self.out.push_str("\\f"),
                other => self.display(format_args!("\\u{other:04x}")),
            }
            rest = &rest[plain + 1..];
        }
        self.out.push('"');
        Ok(())
    }

    fn table(&mut self, table: &Table) -> Done {
        let place = table.to_pointer();
        if self.tables.contains(&place) {
            return Err(Problem::new("this table contains itself"));
        }
        if self.tables.len() == DEEPEST {
            return Err(Problem::new(format!("tables are nested more than {DEEPEST} deep")));
        }
        self.tables.push(place);
        match self.sequence(table)? {
            Kind::Array => {}
            Kind::Object(members) => self.object(members)?,
            Kind::Sparse(written) => self.sparse(table, written)?,
        }
        self.tables.pop();
        Ok(())
    }

    /// Writes an array while its keys come as 1, 2, 3, which nearly all do.
    fn sequence(&mut self, table: &Table) -> Result<Kind, Problem> {
        let mut count = 0;
        let mut members = Vec::new();
        let mut in_order = true;
        walk(table, |key, value| {
            match key {
                Value::Integer(key) if key == count + 1 => {
                    self.out.push(if count == 0 { '[' } else { ',' });
                    count = key;
                    self.value(&value).map_err(|problem| problem.at(count as usize))
                }
                Value::Integer(_) | Value::Number(_) => {
                    in_order = false;
                    Err(Problem::new(""))
                }
                // Of no use behind an element of an array.
                Value::String(_) if count > 0 => Ok(()),
                Value::String(key) => {
                    members.push((key, value));
                    Ok(())
                }
                other => Err(Problem::new(format!("a {} cannot be a key", type_name(&other)))),
            }
        })
        .or_else(|problem| if in_order { Err(problem) } else { Ok(()) })?;
        if !in_order {
            return Ok(Kind::Sparse(count as usize));
        }
        if count == 0 && !members.is_empty() {
            return Ok(Kind::Object(members));
        }
        self.out.push_str(if count == 0 { "[]" } else { "]" });
        Ok(Kind::Array)
    }

    fn object(&mut self, mut members: Vec<(LuaString, Value)>) -> Done {
        members.sort_unstable_by(|(one, _), (other, _)| {
            let (one, other) = (one.as_bytes(), other.as_bytes());
            (*one).cmp(&*other)
        });
        for (at, (key, value)) in members.iter().enumerate() {
            self.out.push(if at == 0 { '{' } else { ',' });
            self.string(key, "a key that is not valid UTF-8 has no JSON form")?;
            self.out.push(':');
            self.value(value).map_err(|problem| problem.under(&key.to_string_lossy()))?;
        }
        self.out.push('}');
        Ok(())
    }

    /// The rest of an array whose keys come in another order, or that has holes.
    fn sparse(&mut self, table: &Table, mut written: usize) -> Done {
        let mut elements: Vec<(usize, Value)> = Vec::new();
        walk(table, |key, value| {
            match key {
                Value::Integer(key @ 1..) if key as usize <= written => {}
                Value::Integer(key @ 1..) => elements.push((key as usize, value)),
                Value::Integer(key) => return Err(no_index(key)),
                Value::Number(key) => return Err(no_index(key)),
                Value::String(_) => {}
                other => return Err(Problem::new(format!("a {} cannot be a key", type_name(&other)))),
            }
            Ok(())
        })?;
        elements.sort_unstable_by_key(|(index, _)| *index);
        let (count, length) = (written + elements.len(), elements.last().map_or(0, |(index, _)| *index));
        if length > PLENTY.max(count.saturating_mul(SPARSEST)) {
            return Err(Problem::new(format!(
                "an array of {count} values with the key {length} would be nearly all null; use tostring() on the keys"
            )));
        }
        if written == 0 {
            self.out.push('[');
        }
        for (index, value) in &elements {
            while written + 1 < *index {
                self.out.push_str(if written == 0 { "null" } else { ",null" });
                written += 1;
            }
            if written > 0 {
                self.out.push(',');
            }
            self.value(value).map_err(|problem| problem.at(*index))?;
            written = *index;
        }
        self.out.push(']');
        Ok(())
    }
}

/// What a table turned out to be.
enum Kind {
    /// It is written.
    Array,
    Object(Vec<(LuaString, Value)>),
    /// An array, but its keys are not 1 to n in that order. So many elements of it are written.
    Sparse(usize),
}

fn no_index(key: impl std::fmt::Display) -> Problem {
    Problem::new(format!("an array has no place for the key {key}; use tostring() on the keys"))
}

/// Each key with its value, until something is wrong.
fn walk(table: &Table, mut each: impl FnMut(Value, Value) -> Done) -> Done {
    let mut wrong = None;
    let walked = table.for_each(|key: Value, value: Value| {
        each(key, value).map_err(|problem| {
            wrong = Some(problem);
            mlua::Error::runtime("")
        })
    });
    match (wrong, walked) {
        (Some(problem), _) => Err(problem),
        (None, Err(error)) => Err(Problem::new(error.to_string())),
        (None, Ok(())) => Ok(()),
    }
}
