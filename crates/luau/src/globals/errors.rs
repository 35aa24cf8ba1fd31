//! Errors of coroutines, and functions that raise: see `prelude/errors.luau`.

use std::rc::Rc;

use mlua::{Function, LuaString, Table, Thread, Value};

use super::lending::Lending;
use crate::json;
use crate::vm::machine::Vm;

pub(super) fn install(vm: &Rc<Vm>, lent: &Lending) -> mlua::Result<()> {
    let this = Rc::downgrade(vm);
    lent.lend(vm, "failed", move |_, (thread, text): (Thread, LuaString)| {
        if let Some(vm) = this.upgrade() {
            vm.failed(&thread, &text.to_string_lossy());
        }
        Ok(())
    })?;
    lent.lend(vm, "json", |_, value: Value| Ok(json::encode(&value).ok()))?;
    lent.run(vm, include_str!("../prelude/errors.luau"))?;
    let debug: Table = vm.lua.globals().get("debug")?;
    debug.set("traceback", lent.made::<Function>("traceback")?)?;
    lent.keep(vm, &["run", "raising", "where_it_is"])
}
