//! `tick` and `time`.

use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::host::Host;

pub(super) fn install(host: &Rc<Host>) -> mlua::Result<()> {
    let globals = host.lua.globals();
    let tick = host.lua.create_function(|_, ()| {
        // A clock before 1970 is wrong in any case.
        Ok(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64())
    })?;
    globals.set("tick", tick)?;
    let start = Instant::now();
    let time = host.lua.create_function(move |_, ()| Ok(start.elapsed().as_secs_f64()))?;
    globals.set("time", time)
}
