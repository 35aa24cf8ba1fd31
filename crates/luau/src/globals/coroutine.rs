//! What the host has to know of the `coroutine` library: see `prelude/coroutine.luau`.

use std::rc::Rc;

use super::lending::Lending;
use crate::delivery;
use crate::session::Session;

/// To be called last: the other files of the prelude use the library as Luau has it.
pub(super) fn install(session: &Rc<Session>, lent: &Lending) -> mlua::Result<()> {
    let vm = &session.vm;
    let this = Rc::clone(session);
    lent.lend(vm, "leave_to_handler", move |_, ()| delivery::leave_to_handler(&this))?;
    lent.run(vm, include_str!("../prelude/coroutine.luau"))
}
