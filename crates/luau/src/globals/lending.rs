//! How the host and the files of the prelude know each other.

use mlua::chunk::Compiler;
use mlua::{FromLuaMulti, Function, IntoLua, IntoLuaMulti, Lua, Table, Value};

use crate::delivery::REST;
use crate::vm::machine::Vm;

/// The tables of what Rust lends to the prelude, of what the prelude's files make, and of the globals that come of it.
pub(super) struct Lending {
    host: Table,
    prelude: Table,
    offered: Table,
}

impl Lending {
    pub(super) fn new(vm: &Vm) -> mlua::Result<Self> {
        let table = || vm.lua.create_table();
        Ok(Self { host: table()?, prelude: table()?, offered: table()? })
    }

    /// Lends a function to the prelude.
    pub(super) fn lend<A: FromLuaMulti, R: IntoLuaMulti>(
        &self,
        vm: &Vm,
        name: &str,
        call: impl Fn(&Lua, A) -> mlua::Result<R> + 'static,
    ) -> mlua::Result<()> {
        self.host.set(name, vm.lua.create_function(call)?)
    }

    /// Lends a value to the prelude.
    pub(super) fn give(&self, name: &str, value: impl IntoLua) -> mlua::Result<()> {
        self.host.set(name, value)
    }

    /// Runs a file of the prelude. Its functions look to scripts like those of the standard libraries, which are written in
    /// C: the same source, and no lines. So `error(text, 2)` adds no place when it was the host that called, and names the
    /// script's line when it was the script.
    pub(super) fn run(&self, vm: &Vm, source: &str) -> mlua::Result<()> {
        let without_lines = Compiler::new().set_debug_level(0);
        let chunk = vm.lua.load(source).set_name("=[C]").set_compiler(without_lines);
        chunk.call((&self.host, &self.prelude, Value::LightUserData(REST)))
    }

    /// Keeps functions of the prelude for Rust, by their names.
    pub(super) fn keep(&self, vm: &Vm, names: &[&'static str]) -> mlua::Result<()> {
        for name in names {
            let function: Function = self.made(name)?;
            vm.functions.borrow_mut().insert(name, function);
        }
        Ok(())
    }

    /// Makes values of the prelude globals.
    pub(super) fn publish(&self, names: &[&str]) -> mlua::Result<()> {
        names.iter().try_for_each(|name| self.offer(name, self.made::<Value>(name)?))
    }

    /// Makes a value a global.
    pub(super) fn offer(&self, name: &str, value: impl IntoLua) -> mlua::Result<()> {
        self.offered.set(name, value)
    }

    /// Puts a value beside the libraries of Luau: found as fast as those, and as slow to replace. For what scripts use often
    /// and hardly ever replace.
    pub(super) fn offer_as_library(&self, vm: &Vm, name: &str, value: impl IntoLua) -> mlua::Result<()> {
        vm.lua.globals().set(name, value)
    }

    /// The globals that stand in the script's own table when it begins.
    pub(super) fn offered(&self) -> &Table {
        &self.offered
    }

    /// What the prelude has made.
    pub(super) fn made<T: mlua::FromLua>(&self, name: &str) -> mlua::Result<T> {
        self.prelude.get(name)
    }
}
