//! Values to JSON and back, as `HttpService` does it.
//!
//! A table with the keys 1 to n is an array (so is an empty one); one with string keys is an object; anything else has no
//! JSON form. `null` becomes nil.

use mlua::{Lua, Table, Value};

use crate::vm::errors::type_name;

/// Tables nested deeper than this are taken for a circle.
const DEEPEST: usize = 100;

/// `JSONEncode`.
pub(crate) fn encode(value: &Value) -> Result<String, String> {
    to_json(value, 0).map(|json| json.to_string())
}

fn to_json(value: &Value, depth: usize) -> Result<serde_json::Value, String> {
    if depth > DEEPEST {
        return Err("JSONEncode: the tables are nested too deeply, or in a circle".to_owned());
    }
    Ok(match value {
        Value::Nil => serde_json::Value::Null,
        Value::Boolean(truth) => (*truth).into(),
        Value::Integer(number) => (*number).into(),
        Value::Number(number) => number_to_json(*number)?,
        Value::String(text) => text
            .to_str()
            .map_err(|_| "JSONEncode: a string that is not valid UTF-8 has no JSON form".to_owned())?
            .to_owned()
            .into(),
        Value::Table(table) => table_to_json(table, depth)?,
        other => return Err(format!("JSONEncode: a {} has no JSON form", type_name(other))),
    })
}

fn number_to_json(number: f64) -> Result<serde_json::Value, String> {
    // Whole numbers up to 2^53 are exact, and written without a fraction.
    if number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0 {
        return Ok((number as i64).into());
    }
    serde_json::Number::from_f64(number)
        .map(serde_json::Value::Number)
        .ok_or_else(|| format!("JSONEncode: {number} has no JSON form"))
}

fn table_to_json(table: &Table, depth: usize) -> Result<serde_json::Value, String> {
    let length = table.raw_len();
    let mut array = Vec::with_capacity(length);
    let mut object = serde_json::Map::new();
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(|error| error.to_string())?;
        match key {
            Value::String(key) => {
                let key = key.to_str().map_err(|_| "JSONEncode: a key is not valid UTF-8".to_owned())?;
                object.insert(key.to_owned(), to_json(&value, depth + 1)?);
            }
            Value::Integer(_) | Value::Number(_) => array.push(value),
            other => return Err(format!("JSONEncode: a {} cannot be a key", type_name(&other))),
        }
    }
    match (array.len(), object.is_empty()) {
        (0, false) => Ok(serde_json::Value::Object(object)),
        (count, true) if count == length => (1..=length)
            .map(|at| to_json(&table.raw_get::<Value>(at).map_err(|error| error.to_string())?, depth + 1))
            .collect::<Result<Vec<_>, _>>()
            .map(serde_json::Value::Array),
        _ => {
            Err("JSONEncode: a table has either the keys 1 to n or strings as keys, not both or gaps"
                .to_owned())
        }
    }
}

/// `JSONDecode`.
pub(crate) fn decode(lua: &Lua, text: &[u8]) -> Result<Value, String> {
    let json: serde_json::Value =
        serde_json::from_slice(text).map_err(|error| format!("JSONDecode: this is not JSON: {error}"))?;
    from_json(lua, &json).map_err(|error| error.to_string())
}

fn from_json(lua: &Lua, json: &serde_json::Value) -> mlua::Result<Value> {
    Ok(match json {
        serde_json::Value::Null => Value::Nil,
        serde_json::Value::Bool(truth) => Value::Boolean(*truth),
        serde_json::Value::Number(number) => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
        serde_json::Value::String(text) => Value::String(lua.create_string(text)?),
        serde_json::Value::Array(values) => {
            let table = lua.create_table_with_capacity(values.len(), 0)?;
            for (at, value) in values.iter().enumerate() {
                table.raw_set(at + 1, from_json(lua, value)?)?;
            }
            Value::Table(table)
        }
        serde_json::Value::Object(members) => {
            let table = lua.create_table_with_capacity(0, members.len())?;
            for (key, value) in members {
                table.raw_set(key.as_str(), from_json(lua, value)?)?;
            }
            Value::Table(table)
        }
    })
}
