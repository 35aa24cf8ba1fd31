//! `game:GetService("HttpService")`: JSON, GUIDs and URL escapes. There is no other service: there is no game.

use std::rc::Rc;

use mlua::{LuaString, Table, Value};

use crate::host::Host;
use crate::json;

pub(super) fn install(host: &Rc<Host>) -> mlua::Result<()> {
    let lua = &host.lua;
    let service = lua.create_table()?;
    service.set(
        "JSONEncode",
        lua.create_function(|_, (_, value): (Value, Value)| {
            json::encode(&value).map_err(mlua::Error::runtime)
        })?,
    )?;
    service.set(
        "JSONDecode",
        lua.create_function(|lua, (_, text): (Value, LuaString)| {
            json::decode(lua, &text.as_bytes()).map_err(mlua::Error::runtime)
        })?,
    )?;
    service.set(
        "GenerateGUID",
        lua.create_function(|_, (_, braces): (Value, Option<bool>)| {
            let guid = guid().map_err(|error| mlua::Error::runtime(format!("no random bytes: {error}")))?;
            Ok(if braces.unwrap_or(true) { format!("{{{guid}}}") } else { guid })
        })?,
    )?;
    service.set(
        "UrlEncode",
        lua.create_function(|_, (_, text): (Value, LuaString)| Ok(url_encode(&text.as_bytes())))?,
    )?;
    service.set_readonly(true);
    let game = lua.create_table()?;
    game.set(
        "GetService",
        lua.create_function(move |_, (_, name): (Value, String)| match name.as_str() {
            "HttpService" => Ok::<Table, mlua::Error>(service.clone()),
            other => Err(mlua::Error::runtime(format!(
                "there is no service {other:?} outside a game; HttpService is the one that scripts have here"
            ))),
        })?,
    )?;
    game.set_readonly(true);
    lua.globals().set("game", game)
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
