//! `tick` and `time`.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::lending::Lending;
use crate::vm::machine::Vm;

pub(super) fn install(vm: &Vm, lent: &Lending) -> mlua::Result<()> {
    let tick = vm.lua.create_function(|_, ()| {
        // A clock before 1970 is wrong in any case.
        Ok(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64())
    })?;
    lent.offer_as_library(vm, "tick", tick)?;
    let start = Instant::now();
    let time = vm.lua.create_function(move |_, ()| Ok(start.elapsed().as_secs_f64()))?;
    lent.offer_as_library(vm, "time", time)
}
