//! What happens where nil is called or indexed.
#![allow(
    unsafe_code,
    reason = "mlua sets the metatable of every type but nil's; to look at each error that pcall catches would cost \
              every pcall, and this costs nothing before there is an error"
)]

use mlua::{Lua, Table, ffi};

/// Gives nil a metatable.
pub(crate) fn set_metatable(lua: &Lua, metatable: Table) -> mlua::Result<()> {
    // SAFETY: the metatable is the one value on the stack, which has room for a second one (mlua sees to that). Nothing here
    // runs a script's code; the VM keeps the metatable alive.
    unsafe {
        lua.exec_raw(metatable, |state| {
            ffi::lua_pushnil(state);
            ffi::lua_insert(state, -2);
            ffi::lua_setmetatable(state, -2);
            ffi::lua_settop(state, 0);
        })
    }
}
