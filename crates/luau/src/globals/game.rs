//! `game:GetService("HttpService")`: JSON, GUIDs and URL escapes. There is no other service: there is no game.

use mlua::{Function, LuaString, Table, Value, Variadic};

use super::lending::Lending;
use crate::json::{self, Grammar};
use crate::vm::errors::type_name;
use crate::vm::machine::Vm;
use crate::vm::raising::raising;

pub(super) fn install(vm: &Vm, lent: &Lending) -> mlua::Result<()> {
    let lua = &vm.lua;
    let service = lua.create_table()?;
    service.set(
        "JSONEncode",
        raising(vm, |_, (_, values): (Value, Variadic<Value>)| {
            let value = values.first().ok_or_else(|| {
                let text =
                    "JSONEncode takes a value, and is called with a colon: HttpService:JSONEncode(value)";
                mlua::Error::runtime(text)
            })?;
            json::encode(value).map_err(mlua::Error::runtime)
        })?,
    )?;
    service.set(
        "JSONDecode",
        raising(vm, |lua, (_, text): (Value, Value)| {
            let text = text_of(&text, "JSONDecode")?;
            json::decode(lua, &text.as_bytes(), Grammar::Plain)
                .map_err(|what| mlua::Error::runtime(format!("JSONDecode: this is not JSON: {what}")))
        })?,
    )?;
    service.set(
        "GenerateGUID",
        raising(vm, |_, (_, braces): (Value, Option<bool>)| {
            let guid = guid().map_err(|error| mlua::Error::runtime(format!("no random bytes: {error}")))?;
            Ok(if braces.unwrap_or(true) { format!("{{{guid}}}") } else { guid })
        })?,
    )?;
    service.set(
        "UrlEncode",
        raising(vm, |_, (_, text): (Value, Value)| Ok(url_encode(&text_of(&text, "UrlEncode")?.as_bytes())))?,
    )?;
    let members: Function = lent.made("members_of")?;
    members.call::<()>(("HttpService", "table", &service))?;
    service.set_readonly(true);
    let game = lua.create_table()?;
    game.set(
        "GetService",
        raising(vm, move |_, (_, name): (Value, Value)| match &*text_of(&name, "GetService")?.to_string_lossy() {
            "HttpService" => Ok::<Table, mlua::Error>(service.clone()),
            other => Err(mlua::Error::runtime(format!(
                "there is no service {other:?} outside a game; HttpService is the one that scripts have here"
            ))),
        })?,
    )?;
    members.call::<()>(("game", "table", &game))?;
    game.set_readonly(true);
    lent.offer_as_library(vm, "game", game)
}

/// The string that a method of a service takes.
fn text_of(value: &Value, method: &str) -> mlua::Result<LuaString> {
    match value {
        Value::String(text) => Ok(text.clone()),
        other => Err(mlua::Error::runtime(format!("{method} takes a string, not {}", type_name(other)))),
    }
}

/// A random GUID (RFC 9562, version 4), in capitals.
fn guid() -> Result<String, getrandom::Error> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes)?;
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

fn url_encode(text: &[u8]) -> String {
    let escape = |byte: &u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(*byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.iter().map(escape).collect()
}
