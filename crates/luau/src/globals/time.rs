//! `tick` and `time`.

use std::time::{SystemTime, UNIX_EPOCH};

use super::lending::Lending;
use crate::vm::machine::Vm;

pub(super) fn install(vm: &Vm, lent: &Lending) -> mlua::Result<()> {
    let tick = vm.lua.create_function(|_, ()| {
        // A clock before 1970 is wrong in any case.
        Ok(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64())
    })?;
    lent.offer_as_library(vm, "tick", tick)?;
    let began = vm.began;
    let time = vm.lua.create_function(move |_, ()| Ok(began.elapsed().as_secs_f64()))?;
    lent.offer_as_library(vm, "time", time)
}
