//! `loadstring` and `getgenv`.

use mlua::LuaString;

use super::lending::Lending;
use crate::modules::{self, either};
use crate::vm::machine::Vm;

pub(super) fn install(vm: &Vm, lent: &Lending) -> mlua::Result<()> {
    lent.lend(vm, "compile", |lua, (source, name): (LuaString, String)| {
        Ok(either(modules::compile(lua, source.as_bytes().to_vec(), name)))
    })?;
    lent.lend(vm, "environment", |lua, ()| Ok(lua.globals()))?;
    lent.run(vm, include_str!("../prelude/environment.luau"))?;
    lent.publish(vm, &["loadstring", "getgenv"])
}
