//! What is said of names that are not there: see `hints/mod.rs`.

use std::rc::Rc;

use mlua::{Lua, LuaString};

use super::lending::Lending;
use crate::hints::{self, Fault, Lines, Names, Place};
use crate::vm::machine::Vm;
use crate::vm::nil;

/// The script's function, as seen from a function that the prelude's metamethods call.
const CULPRIT: usize = 2;

pub(super) fn install(vm: &Rc<Vm>, lent: &Lending) -> mlua::Result<()> {
    let this = Rc::downgrade(vm);
    let lines = Lines::default();
    lent.lend(vm, "explain_nil", move |lua, key: Option<LuaString>| {
        Ok(this.upgrade().and_then(|vm| explain_nil(lua, &vm, &lines, key.as_ref())))
    })?;
    let this = Rc::downgrade(vm);
    lent.lend(
        vm,
        "meant_method",
        move |lua, (key, name, members, level): (LuaString, String, Vec<String>, usize)| {
            let Some(meant) = hints::meant(&key.to_string_lossy(), &name, members) else {
                return Ok((false, None));
            };
            let place = this.upgrade().and_then(|vm| Place::at(lua, vm.loader.get()?, level));
            let is_call = place.is_some_and(|place| hints::calls_method(&place, &key.to_string_lossy()));
            Ok((true, is_call.then_some(meant)))
        },
    )?;
    lent.run(vm, include_str!("../prelude/hints.luau"))?;
    lent.keep(vm, &["signal_members", "connection_members"])?;
    nil::set_metatable(&vm.lua, lent.made("nil_metatable")?)
}

fn explain_nil(lua: &Lua, vm: &Vm, lines: &Lines, key: Option<&LuaString>) -> Option<String> {
    let loader = vm.loader.get()?;
    let place = Place::at(lua, loader, CULPRIT)?;
    let key = key.map(|key| key.to_string_lossy());
    let fault = key.as_deref().map_or(Fault::Called, Fault::Indexed);
    let names = Names { globals: loader.globals(), libraries: loader.libraries() };
    lines.explain(&place, fault, &names)
}
