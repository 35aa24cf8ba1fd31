//! What a script finds in its environment beside the standard Luau libraries. One file for each family.

mod game;
mod output;
mod prelude;
mod time;

use std::rc::Rc;

use crate::host::Host;

/// Puts every global in its place.
pub(crate) fn install(host: &Rc<Host>) -> mlua::Result<()> {
    output::install(host)?;
    time::install(host)?;
    game::install(host)?;
    prelude::install(host)
}
