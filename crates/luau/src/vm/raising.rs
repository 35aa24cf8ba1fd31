//! Rust functions that raise errors as scripts expect them.

use mlua::{FromLuaMulti, Function, IntoLua, IntoLuaMulti, Lua, MultiValue, Value};

use super::errors;
use super::machine::Vm;

/// A function for scripts. What it raises is a string with the file and line of its caller: an error that a Rust function
/// raises by itself is a userdata, and scripts look into the string that `pcall` caught.
pub(crate) fn raising<A, R>(
    vm: &Vm,
    call: impl Fn(&Lua, A) -> mlua::Result<R> + 'static,
) -> mlua::Result<Function>
where
    A: FromLuaMulti,
    R: IntoLuaMulti,
{
    let inner = vm.lua.create_function(move |lua, args: MultiValue| {
        let results = A::from_lua_multi(args, lua)
            .and_then(|args| call(lua, args))
            .and_then(|results| results.into_lua_multi(lua));
        match results {
            Ok(mut results) => {
                results.push_front(Value::Nil);
                Ok(results)
            }
            Err(error) => errors::message(&error).into_lua(lua).map(|text| MultiValue::from_vec(vec![text])),
        }
    })?;
    vm.function("raising")?.call(inner)
}
