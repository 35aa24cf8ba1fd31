//! What a script finds in its environment beside the standard Luau libraries. One file for each global or family: what it
//! lends to the file of the prelude of the same name, and what comes back.

mod coroutine;
mod environment;
mod errors;
mod game;
mod hints;
mod lending;
mod output;
mod require;
mod task;
mod time;
mod websocket;

use std::rc::Rc;

use crate::session::Session;

/// Puts every global in its place, for all that is compiled from here on. Errors come first, for what raises them; a file of the prelude may use those before it.
pub(crate) fn install(session: &Rc<Session>) -> mlua::Result<()> {
    let vm = &session.vm;
    let lent = lending::Lending::new(vm)?;
    errors::install(vm, &lent)?;
    hints::install(vm, &lent)?;
    output::install(vm, &lent)?;
    task::install(session, &lent)?;
    require::install(session, &lent)?;
    environment::install(vm, &lent)?;
    websocket::install(session, &lent)?;
    coroutine::install(session, &lent)?;
    time::install(vm, &lent)?;
    game::install(vm, &lent)?;
    environment::begin(vm, &lent)
}
