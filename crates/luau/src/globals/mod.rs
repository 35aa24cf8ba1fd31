//! What a script finds in its environment beside the standard Luau libraries. One file for each family.

mod game;
mod prelude;
mod time;

use std::rc::Rc;

use crate::host::Host;
use crate::{signal, socket};

/// Puts every global in its place.
pub(crate) fn install(host: &Rc<Host>) -> mlua::Result<()> {
    prelude::install(host)?;
    signal::install(host)?;
    socket::install(host)?;
    time::install(host)?;
    game::install(host)
}
