//! `WebSocket`: the class with its one function, and what its objects call.

use std::rc::Rc;

use mlua::{AnyUserData, Function, LuaString, Thread};

use super::lending::Lending;
use crate::class::{send, signal, socket};
use crate::delivery;
use crate::session::Session;

pub(super) fn install(session: &Rc<Session>, lent: &Lending) -> mlua::Result<()> {
    let vm = &session.vm;
    let this = Rc::clone(session);
    lent.lend(vm, "next_handler", move |_, turn: f64| delivery::next_handler(&this, turn))?;
    let this = Rc::clone(session);
    lent.lend(vm, "in_handler", move |_, ()| Ok(delivery::in_handler(&this)))?;
    let this = Rc::clone(session);
    lent.lend(vm, "start_connect", move |_, (url, thread): (LuaString, Thread)| {
        Ok(socket::start_connect(&this, &url.to_string_lossy(), thread))
    })?;
    lent.give("ahead", session.ahead.table())?;
    lent.give("send_string", send::function(vm)?)?;
    lent.lend(vm, "send", socket::send)?;
    lent.lend(vm, "close", socket::close)?;
    let this = Rc::clone(session);
    lent.lend(vm, "wait_for_room", move |_, (handle, thread): (AnyUserData, Thread)| {
        socket::wait_for_room(&this, &handle, thread)
    })?;
    let this = Rc::clone(session);
    lent.lend(vm, "wait_signal", move |lua, args| signal::wait(&this, lua, args))?;
    lent.run(vm, include_str!("../prelude/object.luau"))?;
    lent.run(vm, include_str!("../prelude/class.luau"))?;
    lent.keep(vm, &["make_socket", "run_handlers", "wait_signal"])?;
    signal::install(session)?;
    let class = vm.lua.create_table()?;
    class.set("connect", lent.made::<Function>("connect")?)?;
    class.set_readonly(true);
    lent.offer_as_library(vm, "WebSocket", class)
}
