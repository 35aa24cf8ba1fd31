//! `print` and `warn`.

use std::rc::Rc;

use mlua::LuaString;

use super::lending::Lending;
use crate::vm::machine::Vm;

pub(super) fn install(vm: &Rc<Vm>, lent: &Lending) -> mlua::Result<()> {
    let this = Rc::downgrade(vm);
    lent.lend(vm, "print", move |_, line: LuaString| {
        if let Some(vm) = this.upgrade() {
            vm.output.print(&line.as_bytes());
        }
        Ok(())
    })?;
    let this = Rc::downgrade(vm);
    lent.lend(vm, "warn", move |_, line: LuaString| {
        if let Some(vm) = this.upgrade() {
            vm.output.warn(&line.to_string_lossy());
        }
        Ok(())
    })?;
    lent.run(vm, include_str!("../prelude/output.luau"))?;
    lent.publish(&["print", "warn"])
}
