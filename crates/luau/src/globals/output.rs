//! `print` and `warn`.

use std::rc::Rc;

use mlua::{Lua, MultiValue, Value};

use crate::host::Host;

pub(super) fn install(host: &Rc<Host>) -> mlua::Result<()> {
    let globals = host.lua.globals();
    let printer = Rc::clone(host);
    let print = host.lua.create_function(move |lua, values: MultiValue| {
        printer.print(&line(lua, &values)?);
        Ok(())
    })?;
    globals.set("print", print)?;
    let warner = Rc::clone(host);
    let warn = host.lua.create_function(move |lua, values: MultiValue| {
        warner.warn(&String::from_utf8_lossy(&line(lua, &values)?));
        Ok(())
    })?;
    globals.set("warn", warn)
}

/// The values as `tostring` shows them, with a space between two.
fn line(lua: &Lua, values: &MultiValue) -> mlua::Result<Vec<u8>> {
    let mut line = Vec::new();
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            line.push(b' ');
        }
        match value {
            Value::String(text) => line.extend_from_slice(&text.as_bytes()),
            other => {
                let tostring: mlua::Function = lua.globals().get("tostring")?;
                line.extend_from_slice(&tostring.call::<mlua::LuaString>(other.clone())?.as_bytes());
            }
        }
    }
    Ok(line)
}
