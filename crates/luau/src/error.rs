//! Errors in words, and Rust functions that raise them as scripts expect.

use std::rc::Rc;

use mlua::{FromLuaMulti, Function, IntoLua, IntoLuaMulti, Lua, MultiValue, Value};

use crate::host::Host;

/// What a script calls the type of a value.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "number",
        other => other.type_name(),
    }
}

/// The message of an error, without a traceback.
pub(crate) fn message(error: &mlua::Error) -> String {
    let text = match error {
        mlua::Error::RuntimeError(text) => text.clone(),
        mlua::Error::SyntaxError { message, .. } => message.clone(),
        mlua::Error::CallbackError { cause, .. } => message(cause),
        mlua::Error::WithContext { context, cause } => format!("{context}: {}", message(cause)),
        mlua::Error::BadArgument { pos, cause, .. } => format!("argument {pos}: {}", message(cause)),
        other => other.to_string(),
    };
    match text.find("\nstack traceback:") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// A function for scripts. What it raises is a string with the file and line of its caller: an error that a Rust function
/// raises by itself is a userdata, and scripts look into the string that `pcall` caught.
pub(crate) fn raising<A, R>(
    host: &Rc<Host>,
    call: impl Fn(&Lua, A) -> mlua::Result<R> + 'static,
) -> mlua::Result<Function>
where
    A: FromLuaMulti,
    R: IntoLuaMulti,
{
    let inner = host.lua.create_function(move |lua, args: MultiValue| {
        let results = A::from_lua_multi(args, lua)
            .and_then(|args| call(lua, args))
            .and_then(|results| results.into_lua_multi(lua));
        match results {
            Ok(mut results) => {
                results.push_front(Value::Nil);
                Ok(results)
            }
            Err(error) => message(&error).into_lua(lua).map(|text| MultiValue::from_vec(vec![text])),
        }
    })?;
    host.function("raising")?.call(inner)
}
