//! The script's table of globals: `getgenv`, `loadstring`, and the tables `_G` and `shared`.

use std::rc::Rc;

use mlua::{Function, LuaString, Table, Value};

use super::lending::Lending;
use crate::vm::loader::{self, Loader, either};
use crate::vm::machine::Vm;

pub(super) fn install(vm: &Rc<Vm>, lent: &Lending) -> mlua::Result<()> {
    let this = Rc::downgrade(vm);
    lent.lend(vm, "compile", move |_, (source, name): (LuaString, String)| {
        let vm = this.upgrade().ok_or_else(|| mlua::Error::runtime("the script has ended"))?;
        Ok(either(vm.compile(&source.as_bytes(), &name)))
    })?;
    lent.lend(vm, "load", loader::load)?;
    lent.lend(vm, "set_metatable", |_, (table, meta): (Table, Option<Table>)| table.set_metatable(meta))?;
    lent.lend(vm, "distrust", |_, globals: Table| {
        globals.set_safeenv(false);
        Ok(())
    })?;
    lent.run(vm, include_str!("../prelude/environment.luau"))?;
    lent.publish(&["loadstring", "getgenv"])
}

/// Makes the libraries read-only, and before them the table of the script's globals with what the host offers.
pub(super) fn begin(vm: &Vm, lent: &Lending) -> mlua::Result<()> {
    let libraries = vm.lua.globals();
    // Whatever has the name of a global of the script's must not be found among the libraries when a chunk is loaded.
    for pair in lent.offered().pairs::<Value, Value>() {
        libraries.set(pair?.0, Value::Nil)?;
    }
    libraries.set("_G", Value::Nil)?;
    libraries.set("setmetatable", lent.made::<Function>("setmetatable")?)?;
    let thread = vm.lua.create_thread(lent.made("load_chunks")?)?;
    vm.lua.sandbox(true)?;
    let globals = vm.lua.globals();
    lent.made::<Function>("begin_globals")?.call::<()>((&globals, &libraries, lent.offered()))?;
    // The VM has one loader; nobody has set another.
    let _ = vm.loader.set(Loader::new(thread, globals, libraries));
    Ok(())
}
